"""Checks of derivatives against Taylor expansions and differences: gradients, Hessian products, residuals, fields."""

from .field import FieldReport, check_field
from .gradient import CheckReport, check
from .hessian import check_hvp
from .residual import ResidualReport, check_residual

__all__ = [
    "CheckReport",
    "FieldReport",
    "ResidualReport",
    "check",
    "check_field",
    "check_hvp",
    "check_residual",
]
