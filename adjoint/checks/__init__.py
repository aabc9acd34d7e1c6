"""Checks of hand-written derivatives by Taylor remainders and differences.

`check` tests a gradient, `check_hvp` a Hessian–vector product, `check_residual` the
derivatives of a residual R(u, p), and `check_field` the derivatives of a right-hand
side f(t, u, p).
"""

from .field import FieldReport, check_field
from .gradient import check
from .hessian import check_hvp
from .report import CheckReport
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
