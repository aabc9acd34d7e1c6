"""Pardiso of Intel's MKL: supernodal L U, L Lᴴ and L D Lᵀ on all cores, static pivoting after a matching.

Schenk & Gärtner (2004), Solving unsymmetric sparse systems of linear equations with PARDISO, Future Gener.
Comput. Syst. 20, 475; (2006), On fast factorization pivoting methods for symmetric indefinite systems, ETNA 23, 158.

Parameters, found by experiment: without matching (iparm 13), random unsymmetric matrices perturb a third of their
pivots and end in nan. 2x2 pivots (iparm 21) beside a matching left errors of 10⁻², 1x1 pivots 10⁻¹³. MKL's own
scaling (iparm 11) would hide the determinant, so badly scaled matrices are equilibrated here. It is taken only where
factors without it do not solve a random system, nor GMRES with them: then log|det A| is refused.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, gmres

from ....errors import SolveError, singular
from ....typing import Array, Trans
from ...backward_error import Symmetry, absolute_sums, probe_vector
from ...counts import count, phase
from ...csc import columns_of
from ...direct import Direct
from ...forked import entering_threads
from ..equilibration import Scaling, equilibration
from .mkl import Handle, Pattern, failure, library, missing

LIMIT = np.iinfo(np.int32).max
"""Entries that Pardiso's 32-bit integers can number."""


GROWTH = 1e6
"""Pivots larger than this times max|a_ij| lose too many digits: the matching of other values no longer suits."""


SMALL = 50_000
"""Unknowns of an unsymmetric matrix up to which minimum degree is taken: on 2·32² to 2·128² unknowns of two reacting
species solves took 0.65 to 0.8 of the time, factorizations 0.8 to 1.2."""


SLIGHT = 1e-8
"""Pivots of symmetric matrices, relative to the largest entry, below which a substitution is asked as well."""


MISSED = 1e-2
"""A residual above this times ‖b‖, after refinement, is no rounding."""


MET = 1e-6
"""Residual, relative to a random right-hand side r, which shows that a matrix is regular: those of a singular one are
below it with a probability of some 10⁻⁶ √n, and regular ones in units of 10^±6 reach 10⁻⁷."""


ITERATIONS = 30
"""Solves in a cycle of GMRES, two of which are made before a matrix whose pivots were replaced is refused."""


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where Pardiso's values stand in A.data: all of the csc of A, read as csr of Aᵀ, or its upper triangle.

    gather: places in A.data; absent: diagonal entries that A does not store, but Pardiso must have.
    """

    pattern: Pattern
    gather: Array | slice
    absent: Array

    @classmethod
    def of(cls, A: sparse.csc_array, mtype: int) -> "_Layout":
        n = A.shape[0]
        if A.nnz + n > LIMIT:
            raise SolveError(
                f"got a matrix of {A.nnz} entries, and Pardiso's 32-bit integers number {LIMIT}: "
                "use adjoint.cg or adjoint.gmres"
            )
        nothing = np.empty(0, dtype=np.int64)
        if mtype in (11, 13):
            return cls(
                Pattern(mtype, A.indptr.astype(np.int32), A.indices.astype(np.int32)),
                slice(None),
                nothing,
            )
        columns = columns_of(A)
        gather = np.flatnonzero(A.indices >= columns)
        rows, columns = A.indices[gather], columns[gather]
        missing_diagonal = np.setdiff1d(np.arange(n), rows[rows == columns], assume_unique=True)
        where = np.searchsorted(columns, missing_diagonal)
        sizes = np.bincount(np.insert(columns, where, missing_diagonal), minlength=n)
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        indices = np.insert(rows, where, missing_diagonal).astype(np.int32)
        absent = where + np.arange(where.size)
        return cls(Pattern(mtype, indptr, indices), np.insert(gather, where, 0), absent)

    def values(self, data: Array) -> Array:
        taken = np.ascontiguousarray(data[self.gather])
        if self.absent.size:
            taken[self.absent] = 0.0
        return taken


@dataclass(frozen=True, eq=False)
class _Factors:
    """The factors of R A C in one slot of a handle, which is freed when this dies.

    perturbed: pivots that were replaced; values: of R A C, which MKL refines with if there were any, and which it
    sometimes reads without need (n = 1: null values crash). scaled: whether MKL has scaled R A C once more, so that the
    pivots are those of another matrix.
    """

    backend: str
    name: str
    handle: Handle
    slot: int
    perturbed: int
    values: Array
    scaling: Scaling
    dtype: "np.dtype[np.generic]"
    scaled: bool = False

    def __post_init__(self) -> None:
        weakref.finalize(self, self.handle.drop, self.slot).atexit = False

    def solve(self, b: Array, trans: Trans) -> Array:
        if trans == "H" and self.dtype.kind == "c":
            return self.solve(b.conj(), "T").conj()
        before, after = self.scaling if trans == "N" else self.scaling[::-1]
        if before is not None:
            b = b * before[:, None]
        # What Pardiso holds is Aᵀ: form 2, its transpose, is A.
        form = 2 if trans == "N" and self.handle.pattern.mtype != 6 else 0
        refinements = 2 if self.perturbed else 0
        u = self.handle.solve(self.slot, form, refinements, self.values, np.asfortranarray(b))
        return u if after is None else u * after[:, None]

    @property
    def doubt(self) -> float:
        """See `Static`; 0 for definite matrices, inf where the pivots cannot be compared with A."""
        if self.handle.pattern.mtype in (2, 4):
            return 0.0
        if self.scaled:
            return np.inf
        largest, _, most = self._range
        with np.errstate(all="ignore"):
            growth = float(most / np.maximum(largest, np.finfo(float).tiny))
        return growth if self.perturbed or not growth <= GROWTH else 0.0

    @property
    def grown(self) -> float:
        """max|pivot| / max|a_ij|; nan for a matrix of zeros."""
        largest, _, most = self._range
        with np.errstate(all="ignore"):
            return float(np.float64(most) / largest)

    @cached_property
    def _range(self) -> tuple[float, float, float]:
        """The largest entry of R A C, the smallest and the largest pivot: looked for once, at the factorization."""
        pivots = self.pivots()
        return float(np.abs(self.values).max()), float(pivots.min()), float(pivots.max())

    def growth(self, s: Array, r: Array, trans: Trans) -> float:
        """See `Eliminating`. Pardiso's blocks of two columns take up to five times as long as one.

        In two dimensions a solve takes a sixth of a symmetric factorization: so pivots above all doubt are an answer.
        """
        largest, least, most = self._range
        # A random vector may miss what is loose; its pivot, zero but for rounding, or replaced, is always there.
        # Against the largest pivot, where those have grown: a small one beside it has lost as many digits.
        shown = max(largest, most) / least if least > 0.0 else np.inf
        if self.handle.pattern.mtype in (11, 13):
            before = self.scaling[0] if trans == "N" else self.scaling[1]
            # Of the factors of Aᵀ, U is what transposed solves begin with, and others end with.
            phase, form = (331, 2) if trans == "N" else (333, 0)
            w = self._part(phase, form, s if before is None else s * before[:, None])
            return max(shown, float(np.abs(w).max()))
        # In exact arithmetic a pivot of a singular matrix is zero; in ours it is lost in the growth of others at worst.
        if not self.perturbed and shown <= 1.0 / SLIGHT and most <= GROWTH * largest:
            return shown
        # Else a mean over the unknowns would hide a small part that is loose: the largest term counts.
        w = self._part(331, 0, r)
        z = self._part(332, 0, w)
        return max(shown, float(np.abs(w * z).max()) * largest)

    def _part(self, phase: int, form: int, b: Array) -> Array:
        return self.handle.part(
            phase, self.slot, form, self.values, np.asfortranarray(b, dtype=self.dtype)
        )

    def pivots(self) -> Array:
        return np.abs(self.handle.diagonal(self.slot, self.dtype))

    def log_abs_det(self) -> float:
        if self.scaled:
            raise SolveError(
                f"{self.name}: log|det A| is not known, for A had to be scaled by MKL, which does not tell by how much "
                "(solutions are refined and verified all the same). Use adjoint.factor.superlu or superlu_ldl: they "
                "pivot fully."
            )
        if self.perturbed:
            raise SolveError(
                f"{self.name}: log|det A| is not known, for Pardiso perturbed {self.perturbed} pivots (solutions are "
                "refined and verified all the same). Use adjoint.factor.superlu or superlu_ldl: they pivot fully."
            )
        scaling = sum(float(np.log(s).sum()) for s in self.scaling if s is not None)
        return float(np.log(self.pivots()).sum()) - scaling


@dataclass(frozen=True, eq=False)
class _Matched:
    """A handle whose matching was made from one matrix, and how well that matrix then factored.

    usual: the pivots perturbed and the growth max|pivot| / max|a_ij|; empty until the first factorization.
    """

    handle: Handle
    usual: list[tuple[int, float]] = field(default_factory=list)

    def suits(self, perturbed: int, growth: float) -> bool:
        """Whether a matrix factored about as well as the one that was matched."""
        if not self.usual:
            self.usual.append((perturbed, growth))
        return perturbed <= 2 * self.usual[0][0] and growth <= max(GROWTH, 10 * self.usual[0][1])


@dataclass(eq=False)
class _Analysis:
    """The analysis of one pattern, made anew where the first values' matching does not suit later ones."""

    layout: _Layout
    symmetry: Symmetry
    matched: _Matched | None = None

    def prepared(self, A: sparse.csc_array) -> tuple[Array, Scaling]:
        """Pardiso's values of R A C, and R and C (None if A is not badly scaled, or definite)."""
        if self.symmetry == "hermitian":
            return self.layout.values(A.data), (None, None)
        r, c = equilibration(A, self.symmetry)
        data = A.data if r is None or c is None else A.data * r[A.indices] * c[columns_of(A)]
        return self.layout.values(data), (r, c)

    def match(self, values: Array, name: str) -> _Matched:
        """Reorder, match (unless definite) and analyse; raises SolveError."""
        handle, error = Handle.analysed(
            self.layout.pattern, parameters(self.symmetry, self.layout.pattern.n), values
        )
        if error:
            # MKL's matching fails on matrices that fall into blocks of two, and says that memory is short.
            handle, error = Handle.analysed(
                self.layout.pattern, parameters("hermitian", self.layout.pattern.n), values
            )
        if error:
            raise failure(error, self.layout.pattern.mtype, 0, name)
        self.matched = _Matched(handle)
        return self.matched

    def factor(self, A: sparse.csc_array, name: str) -> _Factors:
        entering_threads(name)
        values, scaling = self.prepared(A)
        matched = self.matched or self.match(values, name)
        if slot := matched.handle.reserve():
            factors = _factored(matched.handle, slot, A, values, scaling, name)
            if self.symmetry == "hermitian" or matched.suits(factors.perturbed, factors.grown):
                return self._trusted(A, factors)
            del factors
        # Other values than were matched, or SLOTS factorizations of this pattern alive.
        with phase("analysis"):
            count(symbolic=1)
            matched = self.match(values, name)
        factors = _factored(matched.handle, matched.handle.reserve(), A, values, scaling, name)
        matched.suits(factors.perturbed, factors.grown)
        return self._trusted(A, factors)

    def _trusted(self, A: sparse.csc_array, factors: _Factors) -> _Factors:
        """The factors, or more careful ones; raises SingularMatrix where neither solve, and pivots were replaced.

        Refinement mends perturbed pivots unless they were zero up to rounding. Only where a random solution misses its
        right-hand side is the matrix analysed once more, and the result taken only if it shows that A is regular.
        """
        if factors.doubt == 0.0:
            return factors
        missed, size = _missed(A, factors)
        if missed <= MISSED or _shown_regular(A, factors):
            return factors
        careful = self._careful(A, factors)
        if careful is not None and _shown_regular(A, careful):
            return careful
        if factors.perturbed and not size <= GROWTH:
            raise singular(
                factors.name,
                f"met {factors.perturbed} pivot(s) that are zero up to rounding: it is singular, or too nearly so",
            )
        return factors

    def _careful(self, A: sparse.csc_array, factors: _Factors) -> _Factors | None:
        """Factors with nested dissection, MKL's scaling and larger replacements of pivots; None where Pardiso fails.

        Of five held cavities that the first factors did not solve (‖MA − I‖ up to 10²³) these solved all.
        """
        with phase("analysis"):
            count(symbolic=1)
            iparm = parameters(self.symmetry, self.layout.pattern.n)
            iparm[1], iparm[9], iparm[10] = 2, 8, 1
            handle, error = Handle.analysed(self.layout.pattern, iparm, factors.values)
        if error:
            return None
        try:
            return _factored(
                handle,
                handle.reserve(),
                A,
                factors.values,
                factors.scaling,
                factors.name,
                scaled=True,
            )
        except SolveError:
            return None


def _factored(
    handle: Handle,
    slot: int,
    A: sparse.csc_array,
    values: Array,
    scaling: Scaling,
    name: str,
    scaled: bool = False,
) -> _Factors:
    perturbed = handle.factor(slot, values, name)
    return _Factors(library().name, name, handle, slot, perturbed, values, scaling, A.dtype, scaled)


def _missed(A: sparse.csc_array, factors: _Factors) -> tuple[float, float]:
    """‖b − Au‖/‖b‖ for a random b and u by the factors, and ‖u‖ in units of the entries of A.

    The backward error does not tell: a solution by pivots that were replaced may be so large that it looks small.
    """
    norm = float(np.abs(A).sum(axis=1).max())
    b = norm * np.random.default_rng(A.shape[0]).standard_normal((A.shape[0], 1))
    with np.errstate(all="ignore"):
        u = factors.solve(b.astype(A.dtype), "N")
        return float(np.abs(b - A @ u).max() / np.abs(b).max()), float(
            np.abs(u).max() if norm > 0.0 else np.inf
        )


def _shown_regular(A: sparse.csc_array, factors: _Factors) -> bool:
    """Whether GMRES, preconditioned by the factors, solves D⁻¹A u = r to MET ‖r‖; r: random, D: the sums of the rows.

    If A is singular, yᴴD⁻¹A = 0, a residual is at least |yᴴr|/‖y‖₂, whatever u is: for a random r it is not small.
    """
    sums, r = absolute_sums(A, "N"), probe_vector(A.shape[0])
    if not sums.min() > 0.0:
        return False
    operator = LinearOperator(A.shape, dtype=A.dtype, matvec=lambda v: (A @ v.ravel()) / sums)
    inverse = LinearOperator(
        A.shape,
        dtype=A.dtype,
        matvec=lambda v: factors.solve((v.ravel() * sums)[:, None].astype(A.dtype), "N")[:, 0],
    )
    with np.errstate(all="ignore"):
        u, _ = gmres(
            operator,
            r,
            M=inverse,
            rtol=0.1 * MET,
            atol=0.0,
            restart=min(r.size, ITERATIONS),
            maxiter=2,
        )
        return bool(np.linalg.norm(operator @ u - r) <= MET * np.linalg.norm(r))


def parameters(symmetry: Symmetry, n: int) -> Array:
    """Pardiso's iparm for n unknowns; the number in MKL's manual is the index here plus one."""
    iparm = np.zeros(64, dtype=np.int32)
    iparm[0] = 1  # no defaults
    # Minimum degree leaves fewer entries in factors of small grids, nested dissection (METIS) in those of large ones.
    iparm[1] = 0 if symmetry == "none" and n <= SMALL else 2
    iparm[9] = 13 if symmetry == "none" else 11  # perturb pivots below 10⁻¹³ ‖A‖, or 10⁻¹¹ ‖A‖
    iparm[12] = symmetry != "hermitian"  # a matching
    iparm[23] = 10  # two-level factorization: quickest, and the same bits each time
    iparm[34] = 1  # numbers from 0
    iparm[55] = 1  # the pivots on demand
    return iparm


def analyser(
    symmetry: Symmetry, real: int, complex: int
) -> Callable[[sparse.csc_array], _Analysis]:
    """The function that analyses a pattern for matrices of types `real` or `complex` (MKL's mtype)."""

    def analyse(A: sparse.csc_array) -> _Analysis:
        name = f"Pardiso's analysis of a {A.shape[0]}x{A.shape[1]} matrix"
        entering_threads(name)
        analysis = _Analysis(_Layout.of(A, complex if A.dtype.kind == "c" else real), symmetry)
        analysis.match(analysis.prepared(A)[0], name)
        return analysis

    return analyse


lu = Direct("LU by Pardiso", "none", analyser("none", 11, 13), missing)


cholesky = Direct("Cholesky by Pardiso", "hermitian", analyser("hermitian", 2, 4), missing)


ldl = Direct("LDL by Pardiso", "symmetric", analyser("symmetric", -2, 6), missing)
