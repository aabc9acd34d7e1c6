"""Residuals, fields and integrands from plain functions: derivatives by complex steps, differences or JAX."""

from .differentiation import safe
from ..errors import NotComplexSafe, SparsityError
from .field import DerivedField, complex_step_field
from .hvp import WithSecond, with_second
from .integrand import DerivedIntegrand, complex_step_integrand
from .residual import DerivedResidual, complex_step, finite_difference
from .with_jax import JaxField, JaxResidual, from_jax, from_jax_field

__all__ = [
    "DerivedField",
    "DerivedIntegrand",
    "DerivedResidual",
    "JaxField",
    "JaxResidual",
    "NotComplexSafe",
    "SparsityError",
    "WithSecond",
    "complex_step",
    "complex_step_field",
    "complex_step_integrand",
    "finite_difference",
    "from_jax",
    "from_jax_field",
    "safe",
    "with_second",
]
