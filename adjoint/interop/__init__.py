"""Optimizers of SciPy, NLopt and Ipopt, with bounds, constraints and reports of adjoint.

`minimize` runs a `Method`: one of `adjoint.interop.scipy`, `adjoint.interop.nlopt` or
`adjoint.interop.ipopt`.
"""

from .minimization import minimize
from .run import Method

__all__ = [
    "Method",
    "minimize",
]
