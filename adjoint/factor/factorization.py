"""A factored matrix: solves with A, Aᵀ and Aᴴ, verified by their backward errors."""

import os
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
from ..typing import Array, Trans
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
from .csc import as_right_hand_side
from .diagnosis import describe
from .evidence import Evidence, Log, threads_in_use
from .fork_safety import same_process
from .protocols import ConditionEstimate, Factors, StaticPivoting
from .singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen, null_vectors

ITERATIONS = 30
"""Number of iterations in a cycle of GMRES. If refinement fails, two cycles are
made."""

TOGETHER = 20_000
"""Number of unknowns above which the probe is one more column of the first solve. The
additional column costs 1/3 of a separate solve."""


@dataclass(frozen=True, eq=False, repr=False)
class Factorization(Local):
    """A factored matrix: solves A u = b, Aᵀ u = b and Aᴴ u = b, and verifies each solution.

    `lu`, `cholesky`, `ldl`, `cg`, `gmres` and the other factorizers return such
    objects.

    A factorization has a memory: the backward errors and the condition that its solves
    have shown, for `evidence`; the sums Σ_j |a_ij|; and its `counts`, which grow with
    each solve. A factorization cannot leave its process: pickling raises TypeError.

    Parameters
    ----------
    A : (n, n) csc_array
        The matrix that was factored. Nobody may write to it.
    factors : Factors
        The factors, by a backend.
    symmetry : {"none", "symmetric", "hermitian"}
        The symmetry of A that the factorizer assumes.
    accuracy : Accuracy
        Backward errors above which a solution is refined, or refused.
    name : str
        Name for messages: "LU by SuperLU of a 9x9 matrix".
    counts : Counts
        The work for this factorization and its solves.
    """

    portable = "the matrix and the factorizer, and factor there"

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

        The backward error ‖b − Au‖ / (‖A‖‖u‖ + ‖b‖) is computed, of the whole and of
        each row. If it is large, one step of refinement follows
        (docs/math/verification.md, eqs. 19–22).

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
            If the cause is that A does not have the stated symmetry.
        SingularMatrix
            If A is singular to working precision.
        NonFinite, ValueError, TypeError
            If b contains nan or inf, has the wrong shape, or does not hold numbers.
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
        """Solve as `solve` does, without a check, for iterations that verify their results.

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
        """True if a random right-hand side has shown that the factors belong to A.

        Then A also has the stated symmetry.
        """
        return self._log.probed

    @property
    def condition_bound(self) -> float:
        """Lower bound of the condition number, as in `evidence`; nan before the first solve."""
        return self._log.condition

    def accepts(self, u: Array, b: Array, trans: Trans = "N") -> bool:
        """Return True if u solves A u = b as accurately as `solve` demands.

        This is for solutions found in another way, for example as combinations of
        earlier solutions. The backward error of an accepted solution counts in
        `evidence`.

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
            error, worst = self._errors(b - product(self.A, u, trans), u, b, trans)
            accepted = error <= self.accuracy.accept and worst <= ACCEPT_ROW
            if accepted:
                self._note(error, trans)
            return accepted

    def _verified(self, b: Array, trans: Trans) -> Array:
        probe = self.accuracy.probe and not self._log.probed
        if (
            probe
            and b.shape[0] > TOGETHER
            and isinstance(self.factors, ConditionEstimate)
            and not self._doubtful
        ):
            self._require_growth(trans)
            probe = False
        s = (probe_vector(b.shape[0]) * self._sums(trans))[:, None] if probe else b[:, :0]
        u, w = self._with_probe(b, s, trans)
        u, error, worst, refined = self._refined(u, b, trans)
        count(refinements=int(refined))
        if not (error <= self.accuracy.accept and worst <= ACCEPT_ROW):
            raise self._refusal(max(error, worst), trans)
        if probe:
            self._probe(s, w, trans)
        self._note(error, trans)
        return u

    def _require_growth(self, trans: Trans) -> None:
        """Probe the factors by a part of a solve.

        Raises SingularMatrix if A is singular, NotSymmetric if A is not symmetric as
        stated.
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
        """Unrefined solutions for b and for the probe s, (n, 1); s is (n, 0) for no probe."""
        if s.shape[1] and s.shape[0] > TOGETHER:
            both = self._raw(np.hstack([b, s]), trans)
            return both[:, :-1], both[:, -1:]
        # Two solves, because blocks of different sizes have different rounding errors:
        # the bits of u must not depend on whether a small matrix is probed.
        return self._raw(b, trans), self._raw(s, trans) if s.shape[1] else s

    def _refined(self, u: Array, b: Array, trans: Trans) -> tuple[Array, float, float, bool]:
        """Return (u, normwise and rowwise backward error, True if u was refined)."""
        residual = b - product(self.A, u, trans)
        error, worst = self._errors(residual, u, b, trans)
        if (error <= self.accuracy.refine and worst <= ACCEPT_ROW) or not np.isfinite(error):
            return u, error, worst, False
        u = u + self._raw(residual, trans)
        error, worst = self._errors(b - product(self.A, u, trans), u, b, trans)
        # Refinement may have corrected the effect of asymmetry: u is right, the
        # statement is wrong.
        require_symmetric(self.A, self.symmetry, self.name)
        accepted = error <= self.accuracy.accept and worst <= ACCEPT_ROW
        if not accepted and np.isfinite(error) and self._doubtful:
            u = self._iterated(u, b, trans)
            error, worst = self._errors(b - product(self.A, u, trans), u, b, trans)
        return u, error, worst, True

    @property
    def _doubtful(self) -> bool:
        """True if pivots were replaced or have grown: the factors may belong to another matrix."""
        return doubt_of(self.factors) != 0.0

    def _iterated(self, u: Array, b: Array, trans: Trans) -> Array:
        """u after GMRES, preconditioned by the factors, column by column.

        If k pivots were replaced, the factors are those of A plus a matrix of rank k.
        GMRES then converges in about k iterations, even if refinement diverges.
        """
        n, kind = self.A.shape[0], np.result_type(self.A.dtype, b.dtype)
        A, M = (
            LinearOperator((n, n), dtype=kind, matvec=lambda v, f=f: f(v.reshape(-1, 1))[:, 0])
            for f in (lambda v: product(self.A, v, trans), lambda v: self._raw(v, trans))
        )
        columns = []
        for v, right in zip(u.T, b.T, strict=True):
            if not right.any():
                columns.append(v)
                continue
            better, _ = gmres(
                A, right, x0=v, M=M, rtol=1e-14, atol=0.0, restart=min(n, ITERATIONS), maxiter=2
            )
            columns.append(better)
        return np.stack(columns, axis=1)

    def _probe(self, s: Array, w: Array, trans: Trans) -> None:
        """Raise SingularMatrix if w, the solution for the random s, is too large; both (n, 1).

        Raises NotSymmetric if A is not symmetric as stated, InaccurateSolve if w is
        inaccurate.
        """
        w, error, worst, _ = self._refined(w, s, trans)
        self._require_regular(w)
        if not (error <= self.accuracy.accept and worst <= ACCEPT_ROW):
            raise self._refusal(max(error, worst), trans)
        if self.symmetry != "none":
            # The error of a solve hardly shows asymmetry in soft rows next to stiff
            # rows.
            sums = self._sums(trans)
            if not nearly_symmetric(
                self.A, self.symmetry, sums, s[:, 0] / np.where(sums > 0.0, sums, 1.0)
            ):
                require_symmetric(self.A, self.symmetry, self.name)
        self._log.probed = True

    def _require_regular(self, w: Array) -> None:
        """Raise SingularMatrix if A is singular to working precision.

        w: the solution of the probe, (n, 1). max |w_i| is a lower bound of the
        condition of D⁻¹A, where D holds the sums of the rows of |A|.
        """
        self._require_condition(float(np.abs(w).max()))

    def _require_condition(self, condition: float) -> None:
        """Raise SingularMatrix if A is singular; condition: a lower bound, which decides first.

        The bound is not trusted if pivots were replaced: new pivots of 10⁻¹¹ hide
        conditions above 10¹⁰.
        """
        if not condition < SUSPECT or self._doubtful:
            matrix = Equilibrated.of(self.A, self._raw)
            condition = condition_seen(matrix)
            if not condition < SINGULAR:
                self._log.condition = condition
                raise self._singular(matrix)
        self._log.condition = condition

    def _raw(self, b: Array, trans: Trans) -> Array:
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
        # For symmetric matrices the sums of columns are used, because they cost less.
        key: Trans = "N" if trans == "N" and self.symmetry == "none" else "T"
        if key not in self._log.sums:
            self._log.sums[key] = absolute_sums(self.A, key)
        return self._log.sums[key]

    def _errors(self, residual: Array, u: Array, b: Array, trans: Trans) -> tuple[float, float]:
        """The normwise backward error and the largest rowwise error (0 if rows are not checked)."""
        sums = self._sums(trans)
        error = backward_error(residual, u, b, float(sums.max()))
        return error, row_error(residual, u, b, sums) if self.accuracy.rows else 0.0

    def _note(self, error: float, trans: Trans) -> None:
        log = self._log
        if trans == "N":
            log.backward_error = float(np.fmax(log.backward_error, error))
        else:
            log.adjoint_backward_error = float(np.fmax(log.adjoint_backward_error, error))

    def _singular(self, matrix: Equilibrated) -> SolveError:
        condition = f"condition at least {self._log.condition:.1e}, 1/eps is 4.5e+15"
        causes = describe(self.A, null_vectors(matrix)[0]) or CAUSES
        return singular(self.name, f"is singular to working precision ({condition})", causes)

    def _refusal(self, error: float, trans: Trans) -> SolveError:
        """The error for a refused solution: NotSymmetric, SingularMatrix or InaccurateSolve.

        Asymmetry is looked for first, because it makes all other findings meaningless.
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

        The factors are probed first: the factors of a singular matrix would give about
        −36, the logarithm of the rounding error in the pivot that should be zero.

        Returns
        -------
        float
            log |det A|.

        Raises
        ------
        SingularMatrix, NotSymmetric, ForkedProcess
            As `solve` does.
        SolveError
            If the factors do not know the determinant.
        """
        self.examine()
        return self.factors.log_abs_det()

    def examine(self) -> None:
        """Probe the factors now, by a solve with a random right-hand side, instead of later.

        Raises
        ------
        SingularMatrix, NotSymmetric, InaccurateSolve, ForkedProcess
            As the first `solve` does.
        """
        same_process(self._process)
        if self._log.probed:
            return
        require_symmetric(self.A, self.symmetry, self.name)
        if self.accuracy.probe:
            with collecting(self.counts), phase("solve"):
                s = (probe_vector(self.A.shape[0]) * self._sums("N"))[:, None]
                self._probe(s, self._raw(s, "N"), "N")

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
        Higham & Tisseur (2000), A block algorithm for matrix 1-norm estimation, SIAM J. Matrix
        Anal. Appl. 21, 1185, algorithm 2.4.
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
        """The backend, the size of A, the backward errors so far, and the work so far."""
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

    `adjoint/factor/protocols.py` says what a factorizer of your own must provide.
    """

    def __call__(self, A: sparse.csc_array, /) -> Factorization:
        """Factor A: (n, n), in canonical format. Raises SolveError if this is not possible."""


def doubt_of(factors: Factors) -> float:
    """The doubt in factors with static pivoting; 0 for other factors."""
    return factors.doubt if isinstance(factors, StaticPivoting) else 0.0
