"""M ≈ A⁻¹ and Mᵀ for `cg` and `gmres`: Jacobi, incomplete LU, algebraic multigrid."""

import importlib.metadata
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import scipy
import scipy.sparse as sparse
from scipy.sparse.linalg import spilu

from .._dataclasses import short_repr
from .._validation import as_array, as_reals, require_number, require_positive, shown
from ..errors import BackendMissing, SolveError, out_of_memory, singular
from ..typing import Array, Trans
from .backward_error import Symmetry
from .csc import require_full_structure
from .protocols import Approximation, Preconditioner

COARSEST = 300
"""Number of unknowns below which a level is solved by a dense pseudo-inverse, which
also solves singular systems."""


def jacobi() -> Preconditioner:
    """M = diag(A)⁻¹, for mass matrices and diagonally dominant systems.

    Returns
    -------
    Preconditioner
        A preconditioner for `cg` and `gmres`, which raises SolveError if a diagonal
        entry is zero.
    """
    return _Jacobi()


@dataclass(frozen=True)
class _Jacobi:
    def __call__(self, A: sparse.csc_array, symmetry: Symmetry) -> Approximation:
        diagonal = A.diagonal()
        zeros = np.flatnonzero(diagonal == 0.0)
        if zeros.size:
            raise SolveError(
                f"jacobi: the diagonal entry {zeros[0]} of the {A.shape[0]}x{A.shape[0]} matrix "
                f"is zero ({zeros.size} such). Use adjoint.factor.ilu, or a direct factorizer: "
                "adjoint.lu, adjoint.ldl."
            )
        return _Diagonal("Jacobi", 1.0 / diagonal)


@dataclass(frozen=True, eq=False)
class _Diagonal:
    backend: str
    inverse: Array

    def apply(self, b: Array, trans: Trans) -> Array:
        return (self.inverse.conj() if trans == "H" else self.inverse) * b


def ilu(drop_tolerance: float = 1e-4, fill: float = 10.0) -> Preconditioner:
    """M = (L̃ Ũ)⁻¹ by incomplete LU factors; for `gmres`, because M is not symmetric.

    The factors are computed by SciPy's SuperLU.

    Parameters
    ----------
    drop_tolerance : float
        Entries of the factors below this number, relative to the size of their column,
        are dropped.
    fill : float
        Maximum number of entries of the factors divided by the number of entries of A.

    Returns
    -------
    Preconditioner
        A preconditioner for `gmres`, which raises SingularMatrix if a pivot is zero,
        and OutOfMemory if the factors do not fit into memory.

    Raises
    ------
    TypeError
        If an argument is not a number.
    ValueError
        Unless 0 ≤ drop_tolerance ≤ 1 and fill > 0.

    References
    ----------
    Li & Shao (2011), A supernodal approach to incomplete LU factorization with partial
    pivoting, ACM Trans. Math. Softw. 37, 43.
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


@dataclass(frozen=True, eq=False)
class _Incomplete:
    backend: str
    lu: object

    def apply(self, b: Array, trans: Trans) -> Array:
        return np.asarray(self.lu.solve(b, trans))  # type: ignore[attr-defined]


def amg(near_nullspace: Array | None = None, threshold: float = 0.0) -> Preconditioner:
    """M = one V-cycle of algebraic multigrid by smoothed aggregation, for elliptic problems.

    The number of iterations hardly depends on n. The hierarchy is made by pyamg.

    Parameters
    ----------
    near_nullspace : (n, k) array, optional
        Columns v with A v ≈ 0 away from the boundary. The default is a constant. For
        elasticity use `rigid_body_modes`.
    threshold : float
        Strength of connection: i and j are coupled if |a_ij| ≥ threshold · √(a_ii
        a_jj). Use about 0.08 for strongly anisotropic problems.

    Returns
    -------
    Preconditioner
        A preconditioner for `cg` and `gmres`, which raises ValueError if near_nullspace
        does not fit the matrix.

    Raises
    ------
    BackendMissing
        If pyamg is not installed.
    TypeError
        If an argument has the wrong type.
    ValueError
        Unless 0 ≤ threshold < 1.

    References
    ----------
    Vaněk, Mandel & Brezina (1996), Algebraic multigrid by smoothed aggregation for
    second and fourth order elliptic problems, Computing 56, 179.

    Notes
    -----
    Results are reproducible: prolongators are damped by row sums, not by the random
    estimates of spectral radii that pyamg uses by default.
    """
    if reason := missing_amg():
        raise BackendMissing(f"amg: {reason}")
    require_number("amg", "threshold", threshold)
    if not 0.0 <= threshold < 1.0:
        raise ValueError(f"amg: got threshold={threshold}, expected a fraction: 0 ≤ threshold < 1")
    if near_nullspace is not None:
        near_nullspace = as_reals("amg", "near_nullspace", near_nullspace, 2, "(n, k)")
    return _Aggregation(near_nullspace, threshold)


def rigid_body_modes(coordinates: Array, dofs: Array | None = None) -> Array:
    """Translations and infinitesimal rotations of a body: (n, 3) in 2-D, (n, 6) in 3-D.

    Parameters
    ----------
    coordinates : (nodes, d) array
        Coordinates of the nodes, d = 2 or 3, in m. Rotations are about their mean.
    dofs : (nodes, d) array of integers, optional
        Numbers of the unknowns; −1 for a fixed displacement, with the same meaning as
        in `Elements`. The default numbers the unknowns node by node.

    Returns
    -------
    (n, 3) or (n, 6) array
        The modes, for `amg`.

    Raises
    ------
    TypeError
        If `coordinates` is not an array of numbers, or `dofs` is not an array of integers.
    ValueError
        If a shape is wrong, or a number in `dofs` is far too large.
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
            f"rigid_body_modes: got dofs up to {dofs.max()}, expected numbers of about {dofs.size} "
            "unknowns"
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


@dataclass(frozen=True, eq=False)
class _Aggregation:
    near_nullspace: Array | None
    threshold: float

    __repr__ = short_repr

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


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of a multigrid hierarchy.

    A: the matrix of the level; P: the prolongation from the next coarser level; R: the
    restriction to the next coarser level.
    """

    A: sparse.csr_array
    P: sparse.csr_array
    R: sparse.csr_array

    def transposed(self) -> "_Level":
        return _Level(*(sparse.csr_array(matrix.T) for matrix in (self.A, self.R, self.P)))


def _cycle(levels: list[_Level], coarsest: Array, b: Array) -> Array:
    """One V-cycle from u = 0, with one forward and one backward Gauss-Seidel sweep.

    The forward sweep comes before the coarse correction, the backward sweep after it.
    If the cycle is applied to the transposed levels, the result is the exact transpose
    of the cycle, because the transpose of a forward sweep with A is a backward sweep
    with Aᵀ.
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
    """The preconditioner M: one V-cycle of a hierarchy of levels."""

    backend: str
    levels: list[_Level]
    coarsest: Array
    hermitian: bool

    @cached_property
    def _transposed(self) -> list[_Level]:
        return [level.transposed() for level in self.levels]

    def apply(self, b: Array, trans: Trans) -> Array:
        b = np.ascontiguousarray(b, dtype=self.coarsest.dtype)
        if trans == "N" or (trans == "H" and self.hermitian):
            return _cycle(self.levels, self.coarsest, b)
        if trans == "H":
            return self.apply(b.conj(), "T").conj()
        if self.hermitian:  # Mᵀ is the conjugate of M.
            return _cycle(self.levels, self.coarsest, b.conj()).conj()
        return _cycle(self._transposed, np.ascontiguousarray(self.coarsest.T), b)


def require_preconditioner(who: str, preconditioner: object) -> None:
    """Raise TypeError unless the value makes a preconditioner from a matrix.

    `jacobi` instead of `jacobi()` is a common slip.
    """
    if isinstance(preconditioner, type) or not callable(preconditioner):
        raise TypeError(
            f"{who}: got preconditioner={shown(preconditioner)}, expected one such as "
            "adjoint.factor.jacobi()"
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


@cache
def missing_amg() -> str:
    """The reason why pyamg cannot be used; "" if it can be used."""
    try:
        import pyamg  # noqa: F401
    except ImportError as error:
        return f"pyamg does not load ({error}): pip install pyamg."
    return ""
