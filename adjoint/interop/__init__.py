"""Other packages' optimizers on our objectives, behind the same `Result`: one module a package.

from adjoint.interop import minimize
from adjoint.interop.scipy import LBFGSB

result = minimize(f, x, LBFGSB(bounds=Box(0.0, 1.0)))
"""

from .minimize import minimize
from .run import Method

__all__ = ["Method", "minimize"]
