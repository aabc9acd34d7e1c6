"""Residuals from plain functions: derivatives by complex steps, differences or JAX, on coloured sparse patterns."""

from . import safe
from .derived import DerivedResidual, complex_step, finite_difference
from .errors import NotComplexSafe, SparsityError
from .with_jax import JaxResidual, from_jax

__all__ = [
    "DerivedResidual",
    "JaxResidual",
    "NotComplexSafe",
    "SparsityError",
    "complex_step",
    "finite_difference",
    "from_jax",
    "safe",
]
