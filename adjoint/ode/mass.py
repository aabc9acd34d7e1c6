"""The mass matrix M of M u' = f: constant, or M(p); None for the identity."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor.matrix import SparseMatrix, as_csc
from ..matrices import Constant
from ..residual import Matrix
from .algebra import SMALL

Mass: TypeAlias = SparseMatrix | Array | Matrix | None
"""What a user may give as M: a matrix, or M(p); None for the identity."""


def as_mass(mass: Mass) -> Matrix | None:
    """What the user gave as M, as a Matrix M(p); raises TypeError, ValueError, NonFinite."""
    if mass is None:
        return None
    if isinstance(mass, np.ndarray) or sparse.issparse(mass):
        return Constant(as_csc(mass))
    missing = [name for name in ("__call__", "vjp", "jvp") if not callable(getattr(mass, name, None))]
    if missing or isinstance(mass, type):
        raise TypeError(
            f"mass: got {mass!r}, expected a sparse matrix (n, n), or an object with __call__(p), vjp(p, u, lam) and "
            "jvp(p, u, p_dot)"
        )
    return mass


@dataclass(frozen=True, eq=False)
class MassAt:
    """M(p) for one p, as a matrix, and its derivative applied to one vector."""

    matrix: Array | sparse.csc_array | None
    vjp: Callable[[Array, Array], Array] | None
    jvp: Callable[[Array, Array], Array] | None


def mass_at(mass: Matrix | None, p: Array, n: int) -> MassAt:
    """M(p), dense for small systems; raises ValueError if it is not (n, n)."""
    if mass is None:
        return MassAt(None, None, None)
    M = as_csc(mass(p))
    if M.shape != (n, n):
        raise ValueError(f"mass: got a matrix of shape {M.shape}, expected ({n}, {n}), as u0 has {n} entries")
    matrix = np.ascontiguousarray(M.toarray()) if n <= SMALL else M
    if isinstance(mass, Constant):
        return MassAt(matrix, None, None)
    return MassAt(matrix, lambda u, lam: mass.vjp(p, u, lam), lambda u, p_dot: mass.jvp(p, u, p_dot))
