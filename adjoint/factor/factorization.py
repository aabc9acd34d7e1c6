"""A factored matrix, every solve of which is verified.

What a backend hands over, and how well its solutions must satisfy their systems.
"""

import os
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse
import threadpoolctl
from scipy.sparse.linalg import LinearOperator, gmres, onenormest

from .._pickling import Local
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
from .evidence import Evidence
from .explanation import described
from .forked import same_process
from .singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen, null_vectors


class Factors(Protocol):
    """What a backend makes: unverified triangular solves."""

    @property
    def backend(self) -> str:
        """The package, its version and the variant, as evidence prints it."""

    def solve(self, b: Array, trans: Trans) -> Array:
        """u with A u = b (or Aᵀ, Aᴴ); b: (n, k) of A's dtype, in Fortran order."""

    def log_abs_det(self) -> float:
        """log |det A|."""


@runtime_checkable
class Eliminating(Protocol):
    """Factors whose substitutions can be had apart, for backends in which a further column of a solve is dear."""

    def growth(self, s: Array, r: Array, trans: Trans) -> float:
        """About a lower bound of the condition of D⁻¹A, by a part of a solve; r: random, (n, 1), s = D r.

        Of L U: max |U⁻¹s|, for pivoting keeps L well-conditioned; of L D Lᴴ: from rᴴA⁻¹r.
        """


@runtime_checkable
class Static(Protocol):
    """Factors with pivots that were chosen in advance."""

    @property
    def doubt(self) -> float:
        """The largest pivot over the largest entry of A, where pivots were replaced or have grown too much; else 0."""


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Backward errors: above `refine` a solution is refined once, above `accept` it is refused.

    rows: whether each row is looked at as well: not where an iteration stops by a norm. probe: whether the first
    solve is followed by one with a random right-hand side, which finds matrices that are singular to working
    precision, or not symmetric, even where b alone would not show it.
    """

    refine: float
    accept: float
    rows: bool
    probe: bool


ITERATIONS = 30
"""Of GMRES, where refinement fails: solves that are made before a matrix is refused."""


TOGETHER = 20_000
"""Unknowns above which the probe is one more column of the first solve: that costs a third of a separate solve."""


@dataclass(eq=False)
class Log:
    """What the solves of one factorization have shown so far."""

    backward_error: float = float("nan")
    adjoint_backward_error: float = float("nan")
    condition: float = float("nan")
    sums: dict[str, Array] = field(default_factory=dict)
    probed: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Factorization(Local):
    """A factored matrix: A u = b, Aᵀ u = b and Aᴴ u = b, each solution verified by its backward error.

    A: (n, n) csc_array, as it was factored; not to be written to. factors: the backend's. symmetry: as
    stated by the factorizer that was called. accuracy: above which backward errors a solution is refined, and
    refused. name: for messages. counts: of its own work, going on with each solve. Made by `lu`, `cholesky`, `ldl`,
    `cg`, `gmres`, …
    """

    portable = "the matrix and the factorizer, and factor there"

    A: sparse.csc_array
    factors: Factors
    symmetry: Symmetry
    accuracy: Accuracy
    name: str
    counts: Counts
    _log: Log = field(default_factory=Log)
    _process: int = field(default_factory=os.getpid)

    def __repr__(self) -> str:
        return f"Factorization({self.name})"

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """u with A u = b ("N"), Aᵀ u = b ("T") or Aᴴ u = b ("H"), of b's shape.

        b: (n,) or (n, k), real or complex, whatever A is. The result is complex if A or b is. The normwise backward
        error ‖b − Au‖ / (‖A‖‖u‖ + ‖b‖) is computed; one step of refinement follows if it is large
        (docs/math/verification.md, eqs. 19–22). Raises InaccurateSolve if it stays large,
        NotSymmetric if that is because A is not as stated, SingularMatrix if A is singular to
        working precision, NonFinite, ValueError or TypeError for a b that cannot be, ForkedProcess
        in a forked child.
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
        """The same without a check, for iterations that verify what they find; b: (n,) or (n, k), finite."""
        same_process(self._process)
        columns = b.reshape(b.shape[0], -1)
        count_solve(trans != "N", columns.shape[1], self.counts)
        return self._raw(columns, trans).reshape(b.shape)

    @property
    def probed(self) -> bool:
        """Whether a random right-hand side has shown that the factors are A's, and so that A is as stated."""
        return self._log.probed

    @property
    def condition_bound(self) -> float:
        """A lower bound of the condition, from the probe after the first solve; nan before. `evidence.condition`."""
        return self._log.condition

    def accepts(self, u: Array, b: Array, trans: Trans = "N") -> bool:
        """Whether u solves A u = b (Aᵀ, Aᴴ) as well as `solve` demands; if so, it is noted in `evidence`.

        u, b: (n,) or (n, k). For solutions found in another way, such as by recombining earlier ones.
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
            and isinstance(self.factors, Eliminating)
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
        """The probe by a part of a solve. Raises SingularMatrix, NotSymmetric."""
        assert isinstance(self.factors, Eliminating)
        r, sums = probe_vector(self.A.shape[0]), self._sums(trans)
        with np.errstate(all="ignore"):
            condition = self.factors.growth((r * sums)[:, None], r[:, None], trans)
        self._require_condition(condition)
        if not nearly_symmetric(self.A, self.symmetry, sums, r):
            require_symmetric(self.A, self.symmetry, self.name)
        self._log.probed = True

    def _with_probe(self, b: Array, s: Array, trans: Trans) -> tuple[Array, Array]:
        """Unrefined solutions for b and for the probe s, (n, 1), or (n, 0) without a probe."""
        if s.shape[1] and s.shape[0] > TOGETHER:
            both = self._raw(np.hstack([b, s]), trans)
            return both[:, :-1], both[:, -1:]
        # Blocks of other sizes round otherwise: the bits of u do not depend on whether a small matrix is probed.
        return self._raw(b, trans), self._raw(s, trans) if s.shape[1] else s

    def _refined(self, u: Array, b: Array, trans: Trans) -> tuple[Array, float, float, bool]:
        """u as it came from the factors, refined if need be, its backward errors, normwise and rowwise, and whether."""
        residual = b - product(self.A, u, trans)
        error, worst = self._errors(residual, u, b, trans)
        if (error <= self.accuracy.refine and worst <= ACCEPT_ROW) or not np.isfinite(error):
            return u, error, worst, False
        u = u + self._raw(residual, trans)
        error, worst = self._errors(b - product(self.A, u, trans), u, b, trans)
        # What refinement mends may be asymmetry: then the answer is right, and what was stated is not.
        require_symmetric(self.A, self.symmetry, self.name)
        accepted = error <= self.accuracy.accept and worst <= ACCEPT_ROW
        if not accepted and np.isfinite(error) and self._doubtful:
            u = self._iterated(u, b, trans)
            error, worst = self._errors(b - product(self.A, u, trans), u, b, trans)
        return u, error, worst, True

    @property
    def _doubtful(self) -> bool:
        """Whether the factors may be those of another matrix, for pivots were replaced or have grown too much."""
        return isinstance(self.factors, Static) and self.factors.doubt != 0.0

    def _iterated(self, u: Array, b: Array, trans: Trans) -> Array:
        """u after GMRES with the factors as the preconditioner, column by column.

        Factors with pivots chosen in advance are those of A up to the few pivots that were replaced: a matrix of low
        rank, which as many iterations see through, where refinement does not converge.
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
        """SingularMatrix if w, the solution for a random right-hand side s, is too large, or none; both (n, 1)."""
        w, error, worst, _ = self._refined(w, s, trans)
        self._require_regular(w)
        if not (error <= self.accuracy.accept and worst <= ACCEPT_ROW):
            raise self._refusal(max(error, worst), trans)
        if (
            self.symmetry != "none"
        ):  # Asymmetry of soft rows beside stiff ones hardly shows in the error of a solve.
            sums = self._sums(trans)
            if not nearly_symmetric(
                self.A, self.symmetry, sums, s[:, 0] / np.where(sums > 0.0, sums, 1.0)
            ):
                require_symmetric(self.A, self.symmetry, self.name)
        self._log.probed = True

    def _require_regular(self, w: Array) -> None:
        """Raise SingularMatrix if A is singular to working precision; w: the solution of the probe, (n, 1)."""
        self._require_condition(
            float(np.abs(w).max())
        )  # A lower bound, of D⁻¹A, D the sums of its rows.

    def _require_condition(self, condition: float) -> None:
        """The same from a lower bound of the condition; pivots of 10⁻¹¹ that were put in hide any above 10¹⁰."""
        if not condition < SUSPECT or self._doubtful:
            matrix = Equilibrated.of(self.A, self._raw)
            condition = condition_seen(matrix)
            if not condition < SINGULAR:
                self._log.condition = condition
                raise self._singular(matrix)
        self._log.condition = condition

    def _raw(self, b: Array, trans: Trans) -> Array:
        if b.dtype.kind == "c" and self.A.dtype.kind == "f":
            # A real matrix acts on real and imaginary parts apart: one block solve, no complex factors.
            k = b.shape[1]
            u = self._raw(np.hstack([b.real, b.imag]), trans)
            return u[:, :k] + 1j * u[:, k:]
        with np.errstate(
            all="ignore"
        ):  # An overflow here becomes nan, which the backward error refuses.
            try:
                return self.factors.solve(np.asfortranarray(b, dtype=self.A.dtype), trans)
            except MemoryError as error:
                raise out_of_memory(f"a solve with {self.name}", error) from error

    def _sums(self, trans: Trans) -> Array:
        # Those of the columns serve for a matrix that was stated to be symmetric: they cost less.
        key: Trans = "N" if trans == "N" and self.symmetry == "none" else "T"
        if key not in self._log.sums:
            self._log.sums[key] = absolute_sums(self.A, key)
        return self._log.sums[key]

    def _errors(self, residual: Array, u: Array, b: Array, trans: Trans) -> tuple[float, float]:
        """The normwise backward error, and the worst of the rows (0 where it is not looked at)."""
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
        causes = described(self.A, null_vectors(matrix)[0]) or CAUSES
        return singular(self.name, f"is singular to working precision ({condition})", causes)

    def _refusal(self, error: float, trans: Trans) -> SolveError:
        """Why a solution was refused: asymmetry first, for it makes everything else meaningless."""
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
            f"{self.name}: a solve with trans={trans!r} has a backward error of {error:.1e} after refinement, "
            f"accepted is {self.accuracy.accept:.0e}. Usual causes: entries that overflow or cancel, rows scaled "
            "many orders of magnitude apart, or pivoting too weak for an indefinite matrix: the most careful is "
            "adjoint.factor.superlu."
        )

    def logdet(self) -> float:
        """log |det A|, from the factors; raises ForkedProcess, NotSymmetric and SingularMatrix as `solve` does.

        Of a singular matrix the factors give some −36: the rounding of the pivot that should be zero.
        """
        self.examine()
        return self.factors.log_abs_det()

    def examine(self) -> None:
        """Probe the factors now, and not with the first solve: one solve with a random right-hand side.

        Raises SingularMatrix, NotSymmetric, InaccurateSolve, ForkedProcess.
        """
        same_process(self._process)
        if self._log.probed:  # A solve has shown that the factors are A's.
            return
        require_symmetric(self.A, self.symmetry, self.name)
        if self.accuracy.probe:
            with collecting(self.counts), phase("solve"):
                s = (probe_vector(self.A.shape[0]) * self._sums("N"))[:, None]
                self._probe(s, self._raw(s, "N"), "N")

    def condition(self) -> float:
        """An estimate of the condition number ‖A‖₁‖A⁻¹‖₁, mostly exact to a factor of 3; about 5 solves.

        Higham & Tisseur (2000), SIAM J. Matrix Anal. Appl. 21, 1185, algorithm 2.4;
        docs/math/verification.md, eq. 23.
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
        if n <= 4:  # onenormest's block iteration wants more columns than that.
            return columns * float(np.abs(self.solve(np.eye(n))).sum(axis=0).max())
        return columns * float(onenormest(inverse))

    @property
    def evidence(self) -> Evidence:
        """What was factored, by whom, and the backward errors so far."""
        log = self._log
        return Evidence(
            backend=self.factors.backend,
            unknowns=self.A.shape[0],
            nonzeros=self.A.nnz,
            backward_error=log.backward_error,
            adjoint_backward_error=log.adjoint_backward_error,
            condition=log.condition,
            counts=self.counts.copy(),
            threads={
                str(pool["filepath"]).rsplit("/", 1)[-1]: int(pool["num_threads"])
                for pool in threadpoolctl.threadpool_info()
            },
        )
