"""Approximate inverses for `cg` and `gmres`: Jacobi, incomplete LU, algebraic multigrid; each with its transpose."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, TypeAlias

import numpy as np
import scipy
import scipy.sparse as sparse
from scipy.sparse.linalg import spilu

from .._validation import as_array, as_reals, require_number, require_positive, shown
from ..errors import BackendMissing, SolveError, out_of_memory, singular
from ..typing import Array, Trans
from .backward_error import Symmetry
from .csc import require_full_structure


class Approximation(Protocol):
    """M ≈ A⁻¹, made from one matrix."""

    @property
    def backend(self) -> str:
        """What it is, for evidence."""

    def apply(self, b: Array, trans: Trans) -> Array:
        """M b, Mᵀ b or Mᴴ b; b: (n,). The transposes are exact: ⟨M b, c⟩ = ⟨b, Mᵀ c⟩ to rounding."""


Preconditioner: TypeAlias = Callable[[sparse.csc_array, Symmetry], Approximation]
"""Makes M from a matrix that was stated to be "hermitian" (by `cg`) or "none" (by `gmres`)."""


def require_preconditioner(who: str, preconditioner: object) -> None:
    """Raise TypeError unless the value makes a preconditioner from a matrix; `jacobi` for `jacobi()` does not."""
    if isinstance(preconditioner, type) or not callable(preconditioner):
        raise TypeError(
            f"{who}: got preconditioner={shown(preconditioner)}, expected one such as adjoint.factor.jacobi()"
        )
    makers = {
        jacobi: "adjoint.factor.jacobi()",
        ilu: "adjoint.factor.ilu()",
        amg: "adjoint.factor.amg()",
    }
    meant = next((meant for maker, meant in makers.items() if maker is preconditioner), None)
    if meant is not None:
        raise TypeError(
            f"{who}: got preconditioner={meant[:-2]}, which makes preconditioners; expected {meant}"
        )


@dataclass(frozen=True, eq=False)
class _Diagonal:
    backend: str
    inverse: Array

    def apply(self, b: Array, trans: Trans) -> Array:
        return (self.inverse.conj() if trans == "H" else self.inverse) * b


def jacobi() -> Preconditioner:
    """M = diag(A)⁻¹: free, and right for mass matrices and diagonally dominant systems."""

    return _Jacobi()


@dataclass(frozen=True)
class _Jacobi:
    def __call__(self, A: sparse.csc_array, symmetry: Symmetry) -> Approximation:
        diagonal = A.diagonal()
        zeros = np.flatnonzero(diagonal == 0.0)
        if zeros.size:
            raise SolveError(
                f"jacobi: the diagonal entry {zeros[0]} of the {A.shape[0]}x{A.shape[0]} matrix is zero "
                f"({zeros.size} such). Use adjoint.factor.ilu, or a direct factorizer: adjoint.lu, adjoint.ldl."
            )
        return _Diagonal("Jacobi", 1.0 / diagonal)


@dataclass(frozen=True, eq=False)
class _Incomplete:
    backend: str
    lu: object

    def apply(self, b: Array, trans: Trans) -> Array:
        return np.asarray(self.lu.solve(b, trans))  # type: ignore[attr-defined]


def ilu(drop_tolerance: float = 1e-4, fill: float = 10.0) -> Preconditioner:
    """M = (L̃ Ũ)⁻¹, incomplete factors by SciPy's SuperLU; for `gmres`, being no symmetric matrix.

    drop_tolerance: entries below it, relative to their column, are dropped; fill: at most so many times the
    entries of A are kept. Li & Shao (2011), ACM Trans. Math. Softw. 37, 43.
    """

    require_number("ilu", "drop_tolerance", drop_tolerance)
    require_positive("ilu", "fill", fill)
    if not 0.0 <= drop_tolerance <= 1.0:
        raise ValueError(
            f"ilu: got drop_tolerance={drop_tolerance}, expected a fraction between 0 and 1"
        )
    return _IncompleteLU(drop_tolerance, fill)


@dataclass(frozen=True)
class _IncompleteLU:
    drop_tolerance: float
    fill: float

    def __call__(self, A: sparse.csc_array, symmetry: Symmetry) -> Approximation:
        require_full_structure(A)
        narrow = sparse.csc_array(
            (A.data, A.indices.astype(np.intc), A.indptr.astype(np.intc)), shape=A.shape
        )
        try:
            lu = spilu(narrow, drop_tol=self.drop_tolerance, fill_factor=self.fill)
        except MemoryError as error:
            raise out_of_memory(f"ilu of a {A.shape[0]}x{A.shape[0]} matrix", error) from error
        except RuntimeError as error:
            if "memory" in str(error).lower():
                raise out_of_memory(f"ilu of a {A.shape[0]}x{A.shape[0]} matrix", error) from error
            raise singular(
                f"ilu of a {A.shape[0]}x{A.shape[0]} matrix", f"met a zero pivot ({error})"
            ) from error
        return _Incomplete(f"incomplete LU (SciPy {scipy.__version__})", lu)


@cache
def missing_amg() -> str:
    """Why pyamg cannot be used here; "" if it can."""
    try:
        import pyamg  # noqa: F401
    except ImportError as error:
        return f"pyamg does not load ({error}): pip install pyamg."
    return ""


@dataclass(frozen=True, eq=False)
class _Level:
    """A and its transfer operators, prolongation P and restriction R to the next coarser level; csr."""

    A: sparse.csr_array
    P: sparse.csr_array
    R: sparse.csr_array

    def transposed(self) -> "_Level":
        return _Level(*(sparse.csr_array(matrix.T) for matrix in (self.A, self.R, self.P)))


def _cycle(levels: list[_Level], coarsest: Array, b: Array) -> Array:
    """One V-cycle from zero: a Gauss-Seidel sweep forward before and one backward after the coarse correction.

    Over the transposed levels it is the exact transpose: forward on A, transposed, is backward on Aᵀ.
    """
    from pyamg.relaxation.relaxation import gauss_seidel

    if not levels:
        return coarsest @ b
    fine, u = levels[0], np.zeros_like(b)
    gauss_seidel(fine.A, u, b, sweep="forward")
    u += fine.P @ _cycle(levels[1:], coarsest, fine.R @ (b - fine.A @ u))
    gauss_seidel(fine.A, u, b, sweep="backward")
    return u


@dataclass(frozen=True, eq=False)
class _Multigrid:
    """The V-cycle of a hierarchy; that of the transposed levels is made when first asked for."""

    backend: str
    levels: list[_Level]
    coarsest: Array
    hermitian: bool
    _transposed: list[_Level] = field(default_factory=list)

    def apply(self, b: Array, trans: Trans) -> Array:
        b = np.ascontiguousarray(b, dtype=self.coarsest.dtype)
        if trans == "N" or (trans == "H" and self.hermitian):
            return _cycle(self.levels, self.coarsest, b)
        if trans == "H":
            return self.apply(b.conj(), "T").conj()
        if self.hermitian:  # Mᵀ is the conjugate of M.
            return _cycle(self.levels, self.coarsest, b.conj()).conj()
        if len(self._transposed) < len(self.levels):
            self._transposed[:] = [level.transposed() for level in self.levels]
        return _cycle(self._transposed, np.ascontiguousarray(self.coarsest.T), b)


COARSEST = 300
"""Unknowns below which a level is solved by a dense pseudo-inverse (a singular one is no error)."""


def amg(near_nullspace: Array | None = None, threshold: float = 0.0) -> Preconditioner:
    """M = one V-cycle of smoothed aggregation (pyamg): iterations hardly grow with n, for elliptic problems.

    near_nullspace: (n, k), columns v with A v ≈ 0 away from the boundary; the constant if none is given, for
    elasticity `rigid_body_modes`. threshold: |a_ij| below threshold·√(a_ii a_jj) is no coupling; 0.08 or so for
    strong anisotropy. Reproducible: prolongators are damped by row sums, not by pyamg's random spectral radii.
    Raises BackendMissing without pyamg, ValueError if near_nullspace does not fit the matrix.

    Vaněk, Mandel & Brezina (1996), Algebraic multigrid by smoothed aggregation, Computing 56, 179.
    """
    if reason := missing_amg():
        raise BackendMissing(f"amg: {reason}")

    require_number("amg", "threshold", threshold)
    if not 0.0 <= threshold < 1.0:
        raise ValueError(f"amg: got threshold={threshold}, expected a fraction: 0 ≤ threshold < 1")
    if near_nullspace is not None:
        near_nullspace = as_reals("amg", "near_nullspace", near_nullspace, 2, "(n, k)")
    return _Aggregation(near_nullspace, threshold)


@dataclass(frozen=True, eq=False)
class _Aggregation:
    near_nullspace: Array | None
    threshold: float

    def __call__(self, A: sparse.csc_array, symmetry: Symmetry) -> Approximation:
        import pyamg

        n = A.shape[0]
        modes = np.ones((n, 1)) if self.near_nullspace is None else self.near_nullspace
        if modes.ndim != 2 or modes.shape[0] != n:
            raise ValueError(f"got a near-nullspace of shape {modes.shape}, expected ({n}, k)")
        require_full_structure(A)
        rows = sparse.csr_array(A)
        hermitian = symmetry == "hermitian"
        hierarchy = pyamg.smoothed_aggregation_solver(
            sparse.csr_matrix(
                (rows.data, rows.indices.astype(np.intc), rows.indptr.astype(np.intc)),
                shape=A.shape,
            ),
            B=modes.astype(A.dtype),
            symmetry="hermitian" if hermitian else "nonsymmetric",
            strength=("symmetric", {"theta": self.threshold}),
            smooth=("jacobi", {"omega": 4.0 / 3.0, "weighting": "local"}),
            presmoother=None,
            postsmoother=None,
            improve_candidates=None,
            max_coarse=COARSEST,
        )
        *fine, last = hierarchy.levels
        levels = [
            _Level(*(sparse.csr_array(matrix) for matrix in (level.A, level.P, level.R)))
            for level in fine
        ]
        version = importlib.metadata.version("pyamg")
        backend = f"smoothed aggregation (pyamg {version}, {len(hierarchy.levels)} levels)"
        return _Multigrid(backend, levels, np.linalg.pinv(last.A.toarray()), hermitian)


def rigid_body_modes(coordinates: Array, dofs: Array | None = None) -> Array:
    """The translations and infinitesimal rotations of a body, (n, 3) in 2-D or (n, 6) in 3-D.

    coordinates: (nodes, d) with d = 2 or 3, m; about their mean, for conditioning. dofs: (nodes, d) numbers of the
    unknowns, −1 for a fixed one, which is left out, as in `Elements`; node by node if not given.
    """
    coordinates = as_reals(
        "rigid_body_modes", "coordinates", coordinates, 2, "(nodes, 2) or (nodes, 3)"
    )
    if coordinates.ndim != 2 or coordinates.shape[1] not in (2, 3):
        raise ValueError(
            f"got coordinates of shape {coordinates.shape}, expected (nodes, 2) or (nodes, 3)"
        )
    nodes, d = coordinates.shape
    dofs = (
        np.arange(nodes * d).reshape(nodes, d)
        if dofs is None
        else as_array("rigid_body_modes", "dofs", dofs)
    )
    if dofs.dtype.kind not in "iu":
        raise TypeError(
            f"rigid_body_modes: got dofs of dtype {dofs.dtype}, expected integers, (nodes, d)"
        )
    if dofs.shape != (nodes, d):
        raise ValueError(
            f"got dofs of shape {dofs.shape}, expected that of the coordinates, {(nodes, d)}"
        )
    if dofs.max(initial=0) >= 100 * (dofs.size + 1000):
        raise ValueError(
            f"rigid_body_modes: got dofs up to {dofs.max()}, expected numbers of some {dofs.size} unknowns"
        )
    x = coordinates - coordinates.mean(axis=0)
    planes = [(0, 1)] if d == 2 else [(0, 1), (1, 2), (2, 0)]
    modes = np.zeros((nodes, d, d + len(planes)))
    modes[:, np.arange(d), np.arange(d)] = 1.0
    for k, (i, j) in enumerate(planes, start=d):
        modes[:, i, k], modes[:, j, k] = -x[:, j], x[:, i]
    free = dofs >= 0
    numbered = np.zeros((int(dofs.max(initial=-1)) + 1, modes.shape[2]))
    numbered[dofs[free]] = modes[free]
    return numbered
