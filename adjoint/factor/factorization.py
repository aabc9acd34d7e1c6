"""A factored matrix: solves with A, Aᵀ and Aᴴ, verified by their backward errors.

The first solve also probes the factors: the probe is a solve with a random right-hand
side. The size of its solution bounds the condition number from below, and shows a
singular A even if the user's right-hand sides do not (docs/math/verification.md, eq.
22).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator, gmres, onenormest

from .._dataclasses import Local
from ..errors import (
    CAUSES,
    InaccurateSolve,
    NotSymmetric,
    SingularMatrix,
    SolveError,
    out_of_memory,
    singular,
)
from ..typing import Array, SparseMatrix, Trans
from .backward_error import (
    ACCEPT_ROW,
    Accuracy,
    Symmetry,
    absolute_sums,
    backward_error,
    nearly_symmetric,
    probe_vector,
    product,
    require_symmetric,
    row_error,
)
from .counts import Counts, collecting, count, count_solve, phase
from .csc import as_csc, as_right_hand_side
from .diagnosis import describe
from .evidence import Evidence, Log, threads_in_use
from .fork_safety import same_process
from .protocols import ConditionEstimate, Factors, StaticPivoting
from .selected.dispatch import selected_entries
from .selected.entries import SelectedEntries
from .selected.traces import trace, trace_with
from .singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen, null_vectors

GMRES_CYCLE = 30
"""Number of iterations in a cycle of GMRES. Two cycles are made if refinement has
failed."""

COMBINED_PROBE = 20_000
"""Number of unknowns above which the right-hand side of the probe is one more column of the
first solve. The additional column costs 1/3 of a separate solve."""


@dataclass(frozen=True, eq=False, repr=False)
class Factorization(Local):
    """A factored matrix: solves A u = b, Aᵀ u = b and Aᴴ u = b, and verifies each solution.

    `lu`, `cholesky`, `ldl`, `cg`, `gmres` and the other factorizers return such
    objects.

    A factorization has a memory. The object keeps the largest backward errors and the
    bound of the condition number, for `evidence`; the sums Σ_j |a_ij|; and its
    `counts`, which grow with each solve. A factorization cannot be sent to another
    process: pickling raises TypeError.

    Parameters
    ----------
    A : (n, n) csc_array
        The matrix that was factored; the matrix must not be modified.
    factors : Factors
        The factors, by a backend.
    symmetry : {"none", "symmetric", "hermitian"}
        The symmetry of A that the factorizer assumes, and that the first solve
        verifies.
    accuracy : Accuracy
        Backward errors above which a solution is refined or refused.
    name : str
        Name for messages: "LU by SuperLU of a 9x9 matrix".
    counts : Counts
        The work for this factorization and its solves.
    """

    portable = "the matrix and the factorizer, and factor there"  # For the TypeError of `Local`.

    A: sparse.csc_array
    factors: Factors
    symmetry: Symmetry
    accuracy: Accuracy
    name: str
    counts: Counts
    _log: Log = field(default_factory=Log)
    _process: int = field(default_factory=os.getpid, init=False)

    def __repr__(self) -> str:
        return f"Factorization({self.name})"

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H").

        Each solution is verified by its backward error ‖b − Au‖ / (‖A‖‖u‖ + ‖b‖), for
        the whole system and for each row. If a backward error is large, one step of
        iterative refinement follows (docs/math/verification.md, eqs. 19–22).

        Parameters
        ----------
        b : (n,) or (n, k) array
            Right-hand sides, real or complex.
        trans : {"N", "T", "H"}
            The system to solve.

        Returns
        -------
        (n,) or (n, k) array
            The solution u, complex if A or b is complex.

        Raises
        ------
        InaccurateSolve
            If the backward error is large after refinement.
        NotSymmetric
            If A does not have the stated symmetry.
        SingularMatrix
            If A is singular to working precision.
        NonFinite
            If b contains nan or inf.
        ValueError
            If b has the wrong shape, or if trans is not "N", "T" or "H".
        TypeError
            If b does not hold numbers.
        ForkedProcess
            If this process is a fork of the process that made the factors.
        """
        same_process(self._process)
        if not isinstance(trans, str) or trans not in ("N", "T", "H"):
            raise ValueError(f"got trans={trans!r}, expected 'N', 'T' or 'H'")
        b = as_right_hand_side(b, self.A.shape[0])
        columns = b.reshape(b.shape[0], -1)
        if columns.shape[1] == 0:
            return np.zeros(b.shape, dtype=np.result_type(self.A.dtype, b.dtype))
        with collecting(self.counts), phase("solve"):
            count_solve(trans != "N", columns.shape[1], self.counts)
            return self._verified(columns, trans).reshape(b.shape)

    def unverified(self, b: Array, trans: Trans = "N") -> Array:
        """Solve as `solve` does, without verification, for iterations that verify their results.

        Parameters
        ----------
        b : (n,) or (n, k) array
            Right-hand sides, without nan and inf.
        trans : {"N", "T", "H"}
            The system to solve.

        Returns
        -------
        (n,) or (n, k) array
            The solution u.

        Raises
        ------
        ForkedProcess
            If this process is a fork of the process that made the factors.
        """
        same_process(self._process)
        columns = b.reshape(b.shape[0], -1)
        count_solve(trans != "N", columns.shape[1], self.counts)
        return self._raw(columns, trans).reshape(b.shape)

    @property
    def probed(self) -> bool:
        """True after the probe: A is regular, has the stated symmetry and these factors."""
        return self._log.probed

    @property
    def condition_bound(self) -> float:
        """Lower bound of the condition number (`evidence.condition`); nan before a solve."""
        return self._log.condition

    def accepts(self, u: Array, b: Array, trans: Trans = "N") -> bool:
        """Return True if u solves A u = b as accurately as `solve` demands.

        Use this method for solutions that `solve` has not computed, such as
        combinations of earlier solutions. `evidence` includes the backward error of an
        accepted solution.

        Parameters
        ----------
        u : (n,) or (n, k) array
            Approximate solutions.
        b : (n,) or (n, k) array
            Right-hand sides.
        trans : {"N", "T", "H"}
            The system that u should solve.

        Returns
        -------
        bool
            True if the backward errors are small enough.
        """
        with collecting(self.counts), phase("solve"):
            u, b = (v.reshape(v.shape[0], -1) for v in (u, b))
            error, rowwise = self._errors(b - product(self.A, u, trans), u, b, trans)
            accepted = self._are_small(error, rowwise)
            if accepted:
                self._note(error, trans)
            return accepted

    def _verified(self, b: Array, trans: Trans) -> Array:
        """Solve, refine and verify for b (n, k), and probe the factors in the first solve."""
        probe = self.accuracy.probe and not self._log.probed
        if (
            probe
            and b.shape[0] > COMBINED_PROBE
            and isinstance(self.factors, ConditionEstimate)
            and not self._doubtful
        ):
            self._probe_by_growth(trans)
            probe = False
        s = (probe_vector(b.shape[0]) * self._sums(trans))[:, None] if probe else b[:, :0]
        u, w = self._with_probe(b, s, trans)
        u, error, rowwise, refined = self._refined(u, b, trans)
        count(refinements=int(refined))
        if not self._are_small(error, rowwise):
            raise self._refusal(max(error, rowwise), trans)
        if probe:
            self._probe(s, w, trans)
        self._note(error, trans)
        return u

    def _probe_by_growth(self, trans: Trans) -> None:
        """Probe the factors by `ConditionEstimate.growth`, which takes less time than a solve.

        Raises SingularMatrix if A is singular, NotSymmetric if A does not have the
        stated symmetry.
        """
        assert isinstance(self.factors, ConditionEstimate)
        r, sums = probe_vector(self.A.shape[0]), self._sums(trans)
        with np.errstate(all="ignore"):
            condition = self.factors.growth((r * sums)[:, None], r[:, None], trans)
        self._require_condition(condition)
        if not nearly_symmetric(self.A, self.symmetry, sums, r):
            require_symmetric(self.A, self.symmetry, self.name)
        self._log.probed = True

    def _with_probe(self, b: Array, s: Array, trans: Trans) -> tuple[Array, Array]:
        """Return unrefined solutions for b and for the probe s.

        s: (n, 1); (n, 0) if the factors are not probed.
        """
        if s.shape[1] and s.shape[0] > COMBINED_PROBE:
            both = self._raw(np.hstack([b, s]), trans)
            return both[:, :-1], both[:, -1:]
        # Two solves, because blocks of different sizes have different rounding errors:
        # the bits of u must not depend on whether a small matrix is probed.
        return self._raw(b, trans), self._raw(s, trans) if s.shape[1] else s

    def _refined(self, u: Array, b: Array, trans: Trans) -> tuple[Array, float, float, bool]:
        """Return (u, normwise and rowwise backward error, True if u was refined)."""
        residual = b - product(self.A, u, trans)
        error, rowwise = self._errors(residual, u, b, trans)
        if (error <= self.accuracy.refine and rowwise <= ACCEPT_ROW) or not np.isfinite(error):
            return u, error, rowwise, False
        u = u + self._raw(residual, trans)
        error, rowwise = self._errors(b - product(self.A, u, trans), u, b, trans)
        # Refinement may have corrected the effect of asymmetry. Then u is accurate, but the
        # stated symmetry is wrong.
        require_symmetric(self.A, self.symmetry, self.name)
        if not self._are_small(error, rowwise) and np.isfinite(error) and self._doubtful:
            u = self._iterated(u, b, trans)
            error, rowwise = self._errors(b - product(self.A, u, trans), u, b, trans)
        return u, error, rowwise, True

    @property
    def _doubtful(self) -> bool:
        """True if pivots were replaced or have grown, so that their product may differ from A."""
        return doubt_of(self.factors) != 0.0

    def _iterated(self, u: Array, b: Array, trans: Trans) -> Array:
        """Improve u by GMRES, preconditioned by the factors, column by column.

        If k pivots were replaced, the factors are those of A plus a matrix of rank k.
        GMRES then converges in about k iterations, even if refinement diverges.
        """
        n, dtype = self.A.shape[0], np.result_type(self.A.dtype, b.dtype)

        def operator(apply: Callable[[Array], Array]) -> LinearOperator:
            """Return a LinearOperator on vectors (n,) that calls `apply` with blocks (n, 1)."""
            return LinearOperator(
                (n, n), dtype=dtype, matvec=lambda v: apply(v.reshape(-1, 1))[:, 0]
            )

        A = operator(lambda v: product(self.A, v, trans))
        M = operator(lambda v: self._raw(v, trans))
        columns = []
        for start, right in zip(u.T, b.T, strict=True):
            if not right.any():
                columns.append(start)
                continue
            column, _ = gmres(
                A,
                right,
                x0=start,
                M=M,
                rtol=1e-14,
                atol=0.0,
                restart=min(n, GMRES_CYCLE),
                maxiter=2,
            )
            columns.append(column)
        return np.stack(columns, axis=1)

    def _probe(self, s: Array, w: Array, trans: Trans) -> None:
        """Refine and verify w, the solution of the probe s; s, w: (n, 1).

        Raises SingularMatrix if w is too large, NotSymmetric if A does not have the
        stated symmetry, InaccurateSolve if w is inaccurate.
        """
        w, error, rowwise, _ = self._refined(w, s, trans)
        self._require_regular(w)
        if not self._are_small(error, rowwise):
            raise self._refusal(max(error, rowwise), trans)
        if self.symmetry != "none":
            # The backward error of a solve hardly shows asymmetry in rows with small entries
            # next to rows with large entries.
            sums = self._sums(trans)
            if not nearly_symmetric(
                self.A, self.symmetry, sums, s[:, 0] / np.where(sums > 0.0, sums, 1.0)
            ):
                require_symmetric(self.A, self.symmetry, self.name)
        self._log.probed = True

    def _require_regular(self, w: Array) -> None:
        """Raise SingularMatrix if A is singular to working precision.

        w: the solution of the probe, (n, 1). max |w_i| is a lower bound of the
        condition number of D⁻¹A, where the diagonal matrix D holds the row sums of |A|.
        """
        self._require_condition(float(np.abs(w).max()))

    def _require_condition(self, condition: float) -> None:
        """Raise SingularMatrix if A is singular.

        condition: a lower bound of cond(D⁻¹A), where the diagonal matrix D holds the
        row sums of |A|.

        If the bound is small and no pivot was replaced, A is regular. (Replaced pivots,
        of about 10⁻¹¹, would hide condition numbers above 10¹⁰.) In all other cases the
        condition number of the equilibrated matrix decides.
        """
        if not condition < SUSPECT or self._doubtful:
            matrix = Equilibrated.of(self.A, self._raw)
            condition = condition_seen(matrix)
            if not condition < SINGULAR:
                self._log.condition = condition
                raise self._singular(matrix)
        self._log.condition = condition

    def _raw(self, b: Array, trans: Trans) -> Array:
        """Solve by the factors alone, without refinement and verification; b: (n, k)."""
        if b.dtype.kind == "c" and self.A.dtype.kind == "f":
            # Real and imaginary parts are two columns of one real solve.
            k = b.shape[1]
            u = self._raw(np.hstack([b.real, b.imag]), trans)
            return u[:, :k] + 1j * u[:, k:]
        with np.errstate(all="ignore"):  # The backward error refuses inf and nan.
            try:
                return self.factors.solve(np.asfortranarray(b, dtype=self.A.dtype), trans)
            except MemoryError as error:
                raise out_of_memory(f"a solve with {self.name}", error) from error

    def _sums(self, trans: Trans) -> Array:
        """Σ_j |a_ij| for each row of A, Aᵀ or Aᴴ, (n,)."""
        # In a symmetric matrix the sums of columns are the same, and cost less.
        key: Trans = "N" if trans == "N" and self.symmetry == "none" else "T"
        if key not in self._log.sums:
            self._log.sums[key] = absolute_sums(self.A, key)
        return self._log.sums[key]

    def _errors(self, residual: Array, u: Array, b: Array, trans: Trans) -> tuple[float, float]:
        """The normwise backward error and the largest rowwise error (0 if rows are not checked)."""
        sums = self._sums(trans)
        error = backward_error(residual, u, b, float(sums.max()))
        return error, row_error(residual, u, b, sums) if self.accuracy.rows else 0.0

    def _are_small(self, error: float, rowwise: float) -> bool:
        """True if the normwise and the largest rowwise backward error are acceptable."""
        return error <= self.accuracy.accept and rowwise <= ACCEPT_ROW

    def _note(self, error: float, trans: Trans) -> None:
        """Add the backward error of an accepted solution to the evidence."""
        log = self._log
        if trans == "N":
            log.backward_error = float(np.fmax(log.backward_error, error))
        else:
            log.adjoint_backward_error = float(np.fmax(log.adjoint_backward_error, error))

    def _singular(self, matrix: Equilibrated) -> SolveError:
        """Return the error for a singular A; its message names the unknowns of the null vectors."""
        condition = f"condition at least {self._log.condition:.1e}, 1/eps is 4.5e+15"
        causes = describe(self.A, null_vectors(matrix)[0]) or CAUSES
        return singular(self.name, f"is singular to working precision ({condition})", causes)

    def _refusal(self, error: float, trans: Trans) -> SolveError:
        """Return the error for a refused solution: NotSymmetric, SingularMatrix or InaccurateSolve.

        The symmetry of A is tested first: if A does not have the stated symmetry, the
        other tests prove nothing.
        """
        try:
            require_symmetric(self.A, self.symmetry, self.name)
        except NotSymmetric as asymmetry:
            return asymmetry
        if self.accuracy.rows and not self._log.probed:
            b = probe_vector(self.A.shape[0]) * self._sums(trans)
            try:
                self._require_regular(self._raw(b[:, None], trans))
            except SingularMatrix as error_of_matrix:
                return error_of_matrix
        return InaccurateSolve(
            f"{self.name}: a solve with trans={trans!r} has a backward error of {error:.1e} "
            f"after refinement, accepted is {self.accuracy.accept:.0e}. Usual causes: entries "
            "that overflow or cancel, rows scaled many orders of magnitude apart, or pivoting "
            "too weak for an indefinite matrix: the most careful backend is adjoint.factor.superlu."
        )

    def logdet(self) -> float:
        """Return log |det A|, from the factors.

        The factors are probed first. Without the probe, a singular matrix would give
        about −36, the logarithm of the rounding error in the pivot that should be zero.

        Returns
        -------
        float
            log |det A|.

        Raises
        ------
        SingularMatrix, NotSymmetric, ForkedProcess
            Under the conditions of `solve`.
        SolveError
            If the backend does not compute determinants.
        """
        self.examine()
        return self.factors.log_abs_det()

    @property
    def selected(self) -> SelectedEntries:
        """The entries of A⁻¹ on the pattern of A, computed at the first use.

        Raises SolveError under the conditions of `selected_inverse`.
        """
        if self._log.selected is None:
            self.examine()
            with collecting(self.counts):
                self._log.selected = selected_entries(self)
        return self._log.selected

    def selected_inverse(self) -> sparse.csc_array:
        """Return the entries of A⁻¹ on the pattern of A, from the factors, without n solves.

        See docs/math/determinants.md, eqs. 252–256. Some columns are verified by
        refined solves. A second call costs nothing.

        Returns
        -------
        (n, n) csc_array
            (A⁻¹)_ij for the entries (i, j) of the pattern of A, stored zeros included.

        Raises
        ------
        SingularMatrix, NotSymmetric, ForkedProcess
            Under the conditions of `solve`.
        InaccurateSolve
            If a verified entry is wrong by more than 1e-6.
        SolveError
            If A was not factored by a direct factorizer.
        """
        return self.selected.inverse.copy()

    def diagonal_of_inverse(self) -> Array:
        """Return the diagonal of A⁻¹: the variances of a field with the precision matrix A.

        Returns
        -------
        (n,) array
            The diagonal, in units of 1 / A.

        Raises
        ------
        SolveError
            Under the conditions of `selected_inverse`.
        """
        return self.selected.diagonal.copy()

    def trace_of_inverse(self, B: SparseMatrix | Array | None = None) -> float | complex:
        """Return tr(A⁻¹ B), or tr(A⁻¹).

        Entries of B on the pattern of A cost no solve. The others cost one right-hand
        side for each column of B that contains such an entry.

        Parameters
        ----------
        B : (n, n) sparse matrix or array, or None
            The matrix; None for the identity.

        Returns
        -------
        float or complex
            The trace, complex if A or B is complex.

        Raises
        ------
        ValueError
            If B has another shape than A, or if more than 1000 columns of B have
            entries outside of the pattern of A.
        SolveError
            Under the conditions of `selected_inverse`.
        """
        if B is None:
            return trace(self.selected.diagonal)
        return trace_with(self, self.selected, as_csc(B, "trace_of_inverse: "))

    def examine(self) -> None:
        """Probe the factors now, by a solve with a random right-hand side, if not yet done.

        Raises
        ------
        SingularMatrix, NotSymmetric, InaccurateSolve, ForkedProcess
            Under the conditions of the first `solve`.
        """
        same_process(self._process)
        if self._log.probed:
            return
        if not self.accuracy.probe:
            require_symmetric(self.A, self.symmetry, self.name)
            return
        with collecting(self.counts), phase("solve"):
            s = (probe_vector(self.A.shape[0]) * self._sums("N"))[:, None]
            try:
                self._probe(s, self._raw(s, "N"), "N")  # Raises NotSymmetric, too.
            except SolveError:
                # If A does not have the stated symmetry, the other tests prove nothing.
                require_symmetric(self.A, self.symmetry, self.name)
                raise

    def condition(self) -> float:
        """Estimate the condition number ‖A‖₁‖A⁻¹‖₁ by about 5 solves.

        See docs/math/verification.md, eq. 23.

        Returns
        -------
        float
            A lower bound, which is almost always larger than 1/3 of the condition
            number.

        References
        ----------
        Higham & Tisseur (2000), A block algorithm for matrix 1-norm estimation, SIAM J.
        Matrix Anal. Appl. 21, 1185, algorithm 2.4.
        """
        n = self.A.shape[0]
        inverse = LinearOperator(
            self.A.shape,
            dtype=self.A.dtype,
            matvec=lambda b: self.solve(b),
            rmatvec=lambda b: self.solve(b, "H"),
            matmat=lambda b: self.solve(b),
            rmatmat=lambda b: self.solve(b, "H"),
        )
        columns = float(absolute_sums(self.A, "T").max())
        if n <= 4:  # The block iteration of onenormest needs more than 4 columns.
            return columns * float(np.abs(self.solve(np.eye(n))).sum(axis=0).max())
        return columns * float(onenormest(inverse))

    @property
    def evidence(self) -> Evidence:
        """The backend, the size of A, the largest backward errors and the work so far."""
        log = self._log
        return Evidence(
            backend=self.factors.backend,
            unknowns=self.A.shape[0],
            nonzeros=self.A.nnz,
            backward_error=log.backward_error,
            adjoint_backward_error=log.adjoint_backward_error,
            condition=log.condition,
            counts=self.counts.copy(),
            threads=threads_in_use(),
        )


class Factorizer(Protocol):
    """A ↦ its factorization; `lu` is an example.

    `adjoint/factor/protocols.py` lists the methods of a factorizer of your own.
    """

    def __call__(self, A: sparse.csc_array, /) -> Factorization:
        """Factor A, (n, n), in canonical format. Raises SolveError if A cannot be factored."""


def doubt_of(factors: Factors) -> float:
    """Return `StaticPivoting.doubt` of the factors; 0 for factors without this property."""
    return factors.doubt if isinstance(factors, StaticPivoting) else 0.0
