"""Residuals, fields and integrands from plain functions, with derivatives made by machine.

`complex_step_residual`, `complex_step_field` and `complex_step_integrand` take NumPy
functions that also work for complex numbers; the derivatives are exact to rounding.
`finite_difference_residual` takes any smooth function; the derivatives have about ten
digits. `jax_residual` and `jax_field` take functions written in jax.numpy. `with_hvp`
adds second derivatives to a residual or field written by hand, and the module `safe` has
replacements for NumPy functions that lose imaginary parts.
"""

from .differentiation import safe
from .field import DerivedField, complex_step_field
from .field_with_jax import JaxField, jax_field
from .integrand import DerivedIntegrand, complex_step_integrand
from .residual import DerivedResidual, complex_step_residual, finite_difference_residual
from .residual_with_jax import JaxResidual, jax_residual
from .step import DerivedStep, complex_step_step
from .stepped_hvp import FieldWithSteppedHvp, WithHvp, with_hvp

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
    "FieldWithSteppedHvp",
    # Integrands
    "complex_step_integrand",
    "DerivedIntegrand",
    # Steps of recurrences
    "complex_step_step",
    "DerivedStep",
]
