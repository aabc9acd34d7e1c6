"""Residuals, fields and integrands from plain functions: derivatives by complex steps, differences or JAX."""

from . import safe
from .derived import DerivedResidual, complex_step, finite_difference
from .errors import NotComplexSafe, SparsityError
from .field import DerivedField, complex_step_field
from .integrand import DerivedIntegrand, complex_step_integrand
from .jax_field import JaxField, from_jax_field
from .second import WithSecond, with_second
from .with_jax import JaxResidual, from_jax

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
