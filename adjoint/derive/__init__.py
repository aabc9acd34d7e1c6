"""Residuals, fields and integrands from plain functions: derivatives by complex steps, finite differences or JAX."""

from .differentiation import safe
from .field import DerivedField, complex_step_field
from .hvp import WithHvp, with_hvp
from .integrand import DerivedIntegrand, complex_step_integrand
from .residual import DerivedResidual, complex_step_residual, finite_difference_residual
from .with_jax import JaxField, JaxResidual, jax_field, jax_residual

__all__ = [
    # Functions that are safe for complex steps
    "safe",
    # Residuals
    "complex_step_residual",
    "finite_difference_residual",
    "jax_residual",
    "with_hvp",
    "DerivedResidual",
    "JaxResidual",
    "WithHvp",
    # Fields
    "complex_step_field",
    "jax_field",
    "DerivedField",
    "JaxField",
    # Integrands
    "complex_step_integrand",
    "DerivedIntegrand",
]
