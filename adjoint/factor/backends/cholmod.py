"""CHOLMOD, through scikit-sparse 0.4.16: supernodal or simplicial Cholesky, whichever does less work.

Chen, Davis, Hager & Rajamanickam (2008), Algorithm 887: CHOLMOD, ACM Trans. Math. Softw. 35, 22.
"""

import importlib.metadata
import threading
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import scipy.sparse as sparse

from ...arrays import Array, Trans
from ..direct import Direct
from ..errors import NotPositiveDefinite
from ..process import entering_threads


@cache
def missing() -> str:
    """Why CHOLMOD cannot be used here; "" if it can."""
    try:
        from sksparse import cholmod  # noqa: F401
    except ImportError as error:
        return (
            f"scikit-sparse does not load ({error}). On Debian or Ubuntu: apt-get install libsuitesparse-dev "
            "libopenblas0-pthread, then pip install 'scikit-sparse>=0.4.16,<0.5'."
        )
    return ""


@dataclass(frozen=True, eq=False)
class _Factors:
    """P A Pᵀ = L Lᴴ."""

    backend: str
    factor: object
    complex: bool

    def solve(self, b: Array, trans: Trans) -> Array:
        entering_threads("CHOLMOD solve")
        if trans == "T" and self.complex:  # Aᵀ is the conjugate of A
            return np.asarray(self.factor(b.conj())).conj()  # type: ignore[operator]
        return np.asarray(self.factor(b))  # type: ignore[operator]

    def log_abs_det(self) -> float:
        return float(self.factor.slogdet()[1].real)  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class _Analysis:
    """CHOLMOD's symbolic factor, copied (not the numbers, only the structure) for every matrix."""

    symbolic: object
    version: str
    lock: threading.Lock = field(default_factory=threading.Lock)

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        from sksparse.cholmod import CholmodNotPositiveDefiniteError

        entering_threads(name)
        try:
            with self.lock:  # The copies share one CHOLMOD workspace.
                factor = self.symbolic.cholesky(_as_matrix(A))  # type: ignore[attr-defined]
        except CholmodNotPositiveDefiniteError as error:
            raise NotPositiveDefinite(
                f"{name} met a pivot that is not positive at (permuted) column {error.column}. Usual causes: an "
                "indefinite problem (saddle point, Helmholtz: use adjoint.ldl or adjoint.lu), a missing boundary "
                "condition, a negative stiffness."
            ) from error
        return _Factors(f"CHOLMOD (scikit-sparse {self.version})", factor, A.dtype.kind == "c")


def _as_matrix(A: sparse.csc_array) -> sparse.csc_matrix:
    """The same arrays as a csc_matrix, the only class that scikit-sparse 0.4 takes."""
    return sparse.csc_matrix((A.data, A.indices, A.indptr), shape=A.shape)


def _analyse(A: sparse.csc_array) -> _Analysis:
    from sksparse.cholmod import analyze

    entering_threads("CHOLMOD analysis")
    return _Analysis(analyze(_as_matrix(A)), importlib.metadata.version("scikit-sparse"))


cholesky = Direct("Cholesky by CHOLMOD", "hermitian", _analyse, missing)
