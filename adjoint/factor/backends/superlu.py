"""SuperLU, a part of SciPy: always installed, sequential, with threshold pivoting of rows.

Li (2005), An overview of SuperLU, ACM Trans. Math. Softw. 31, 302.
"""

import threading
from dataclasses import dataclass, field

import numpy as np
import scipy
import scipy.sparse as sparse
from scipy.sparse.linalg import spilu, splu

from ...errors import NotPositiveDefinite, out_of_memory, singular
from ...typing import Array, Trans
from ..backward_error import Symmetry, require_symmetric
from ..csc import columns_of
from ..direct import Direct
from ..selected.superlu import cholesky_factor
from .equilibration import Scaling, equilibration


@dataclass(frozen=True, eq=False)
class _Permutation:
    """A fill-reducing order q of the columns of A; if `symmetric`, also of the rows.

    gather: indices into A.data of the entries of the permuted matrix. indices, indptr:
    the pattern of the permuted matrix.
    """

    q: Array
    symmetric: bool
    gather: Array
    indices: Array
    indptr: Array

    @classmethod
    def of(cls, A: sparse.csc_array, q: Array, symmetric: bool) -> "_Permutation":
        # Numbers from 1, because some indexing routines of SciPy drop a stored 0.
        places = sparse.csc_array((np.arange(1.0, A.nnz + 1), A.indices, A.indptr), shape=A.shape)[
            :, q
        ]
        if symmetric:
            places = places[q]
        places = sparse.csc_array(places)
        places.sort_indices()
        gather = places.data.astype(np.int64) - 1
        return cls(
            q, symmetric, gather, places.indices.astype(np.intc), places.indptr.astype(np.intc)
        )

    def apply(self, A: sparse.csc_array) -> sparse.csc_array:
        return sparse.csc_array((A.data[self.gather], self.indices, self.indptr), shape=A.shape)


@dataclass(frozen=True, eq=False)
class _Factors:
    """The factors of P_r (R A C) P_c = L U.

    lu: SciPy's SuperLU object. scaling: the diagonals of R and C.
    """

    backend: str
    lu: object
    permutation: _Permutation
    scaling: Scaling
    maps: dict[str, object]

    def solve(self, b: Array, trans: Trans) -> Array:
        before, after = self.scaling if trans == "N" else self.scaling[::-1]
        if before is None or after is None:
            return self._unscaled(b, trans)
        return self._unscaled(b * before[:, None], trans) * after[:, None]

    def _unscaled(self, b: Array, trans: Trans) -> Array:
        q, symmetric = self.permutation.q, self.permutation.symmetric
        u = self.lu.solve(b[q] if symmetric or trans != "N" else b, trans)  # type: ignore[attr-defined]
        if not (symmetric or trans == "N"):
            return np.asarray(u)
        unpermuted = np.empty_like(u)
        unpermuted[q] = u
        return unpermuted

    def lower(self) -> tuple[sparse.csc_array, Array] | None:
        if not self.permutation.symmetric:
            return None
        return cholesky_factor(self.lu, self.permutation.q)

    def log_abs_det(self) -> float:
        scaling = sum(float(np.log(s).sum()) for s in self.scaling if s is not None)
        return float(np.log(np.abs(self.lu.U.diagonal())).sum()) - scaling  # type: ignore[attr-defined]


@dataclass(eq=False)
class _Analysis:
    """The analysis of a pattern: the column order that SuperLU finds in a first factorization.

    An object has a memory: the order that the first factorization found. Later
    factorizations use this order.
    """

    symmetry: Symmetry
    definite: bool
    _order: _Permutation | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _maps: dict[str, object] = field(default_factory=dict, init=False)

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        if self.symmetry != "none":
            # SuperLU would solve a nonsymmetric system as well, but other backends
            # could not.
            require_symmetric(A, self.symmetry, name)
        A, scaling = self._scaled(A)
        with self._lock:
            known = self._order or (self._ordered(A) if self.definite else None)
            if known is None:
                known = _Permutation.of(A, np.arange(A.shape[0]), self.definite)
                lu = self._splu(
                    known.apply(A), "MMD_AT_PLUS_A" if self.definite else "COLAMD", name
                )
                self._order = _Permutation.of(A, np.argsort(lu.perm_c), self.definite)
            else:
                lu = self._splu(known.apply(A), "NATURAL", name)
        if self.definite:
            _require_positive_pivots(lu, name)
        return _Factors(f"SuperLU (SciPy {scipy.__version__})", lu, known, scaling, self._maps)

    def _scaled(self, A: sparse.csc_array) -> tuple[sparse.csc_array, Scaling]:
        """Return R A C, and (R, C).

        A is scaled, because threshold pivoting would take an entry for a large pivot if
        only its unit makes it large.

        A definite matrix needs no scaling: its pivots stay on the diagonal, and
        symmetric scaling does not change rounding errors.
        """
        r, c = (None, None) if self.definite else equilibration(A, self.symmetry)
        if r is None or c is None:
            return A, (None, None)
        return sparse.csc_array(
            (A.data * r[A.indices] * c[columns_of(A)], A.indices, A.indptr), shape=A.shape
        ), (r, c)

    def _ordered(self, A: sparse.csc_array) -> _Permutation | None:
        """The order for the pattern of A + Aᵀ, by an incomplete factorization; None if this fails.

        In symmetric mode a first factorization finds an order, but eliminates in
        another order than later factorizations that are given this order. If its
        factors were used, the last bits of solutions would depend on which matrix came
        first. (With COLAMD the orders are equal.)
        """
        try:
            symbolic = spilu(
                A,
                drop_tol=1.0,
                fill_factor=1.0,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
        except RuntimeError:
            return None
        self._order = _Permutation.of(A, np.argsort(symbolic.perm_c), symmetric=True)
        return self._order

    def _splu(self, A: sparse.csc_array, order: str, name: str):  # type: ignore[no-untyped-def]
        options = {"SymmetricMode": True} if self.definite else {}
        try:
            # In symmetric mode pivots stay on the diagonal; their signs are those of
            # the eigenvalues.
            return splu(
                A,
                permc_spec=order,
                diag_pivot_thresh=0.0 if self.definite else None,
                options=options,
            )
        except RuntimeError as error:
            if "memory" in str(error).lower() or "malloc" in str(error).lower():
                raise out_of_memory(name, error) from error
            raise singular(name, f"met a pivot that is exactly zero ({error})") from error


def _require_positive_pivots(lu, name: str) -> None:  # type: ignore[no-untyped-def]
    """Raise NotPositiveDefinite unless all pivots are positive and on the diagonal."""
    pivots = lu.U.diagonal()
    bad = np.flatnonzero(~(pivots.real > 0.0))
    if bad.size or not np.array_equal(lu.perm_r, lu.perm_c):
        raise NotPositiveDefinite(
            f"{name} met {bad.size or 'off-diagonal'} pivot(s) that are not positive. Usual "
            "causes: an indefinite problem (saddle point, Helmholtz: use adjoint.ldl or "
            "adjoint.lu), a missing boundary condition, a negative stiffness."
        )


def _available() -> str:
    """Return "": no reason prevents the use of SuperLU, which is a part of SciPy."""
    return ""


lu = Direct("LU by SuperLU", "none", lambda A: _Analysis("none", definite=False), _available)


cholesky = Direct(
    "Cholesky by SuperLU", "hermitian", lambda A: _Analysis("hermitian", definite=True), _available
)


ldl = Direct(
    "LDL by SuperLU", "symmetric", lambda A: _Analysis("symmetric", definite=False), _available
)
