"""Krylov factorizers: `cg(amg())(A)` solves as `cholesky(A)` does, without factors, to a relative tolerance.

Saad (2003), Iterative Methods for Sparse Linear Systems, 2nd ed., sections 6.5, 6.7 and 9.2. The loops are SciPy's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator
from scipy.sparse.linalg import cg as scipy_cg
from scipy.sparse.linalg import gmres as scipy_gmres

from .._repr import short_repr
from .._validation import has, named, require_integer, require_number
from ..errors import KrylovStalled, SingularMatrix, SolveError, singular
from ..typing import Array, Trans
from .backward_error import Symmetry, absolute_sums, probe_vector, product, require_symmetric
from .counts import Counts, collecting, count, phase
from .csc import SparseMatrix, as_csc
from .explanation import EXPLAINED, explained
from .factorization import Accuracy, Factorization, Log
from .preconditioners import Approximation, Preconditioner, require_preconditioner
from .singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen

Iteration = Callable[[LinearOperator, Array, LinearOperator, float], tuple[Array, int]]
"""(A, b, M, rtol) -> u, and the iterations spent; ‖b‖ = 1. Whether u is good is for the caller to see."""


SLACK = 2.0
"""The iteration stops by a recursive residual; the true one, which decides, may be so much larger."""


ROUNDING = 8.0 * float(np.finfo(float).eps)
"""Times |A||u|: the residual that the rounding errors of a few products leave."""


LARGEST = 1e12
"""‖|A||u|‖ / ‖b‖ up to which that is allowed for: it is at most the condition of A, and beyond this one A counts as
singular. A diverged iterate has any size, and then rounding of that size excuses nothing."""


PROMISE = 1e-6
"""Relative tolerances up to which a solution is one to rely on: looser ones are steps of an outer iteration."""


PROBED = 1e-2
"""Times 1/√n: relative residual of the probe. A slow mode is a share of some 1/√n in a random right-hand side."""


ERROR = 1e-3
"""Relative error of a solution, along the slowest mode, up to which a small residual is believed; or HUNDRED · rtol."""


HUNDRED = 100.0
"""Errors over residuals that a user who asks for loose tolerances is taken to know of."""


MEAN = 0.25
"""Of the probe's right-hand side, each entry relative to its row of A."""


CORRECTIONS = 4
"""Solves for what is left of the residual, where the error along the slowest mode is too large."""


@dataclass(eq=False)
class _Probes:
    """What random right-hand sides have shown so far: the slowest mode of A ("N") and of Aᴴ ("H"), (n,) each."""

    slowest: dict[Trans, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Iterative:
    """What stands for factors: A itself, and M ≈ A⁻¹."""

    A: sparse.csc_array
    approximation: Approximation
    method: "Krylov"
    name: str
    log: Log
    probes: _Probes = field(default_factory=_Probes)

    @property
    def backend(self) -> str:
        return f"{self.method.label} with {self.approximation.backend}"

    def solve(self, b: Array, trans: Trans) -> Array:
        return np.column_stack([self._column(column, trans) for column in b.T])

    def _column(self, b: Array, trans: Trans) -> Array:
        if trans == "T":
            return self._column(b.conj(), "H").conj()
        largest = np.abs(b).max()
        if largest == 0.0:
            return np.zeros_like(b)
        scale = largest * np.linalg.norm(b / largest)  # No overflow, however large b is.
        rtol = self.method.rtol if trans == "N" else self.method.adjoint_rtol
        b = b / scale
        u, iterations = self._iterated(b, trans, rtol)
        r = b - product(self.A, u, trans)
        residual = float(np.linalg.norm(r))
        if not (residual <= SLACK * rtol or residual <= self._rounding(u, trans)):
            raise self._stalled(iterations, residual, rtol, trans)
        if rtol <= PROMISE:
            u = self._trusted(b, u, r, trans, rtol)
        solution: Array = u * scale
        return solution

    def _iterated(
        self, b: Array, trans: Trans, rtol: float, h: Array | None = None
    ) -> tuple[Array, int]:
        """u with ‖b − A u‖ ≤ rtol, as far as the iteration knows, and its iterations; ‖b‖ = 1.

        h: (n,), for the system (H A H) u = b, H = diag(h), by the same preconditioner.
        """
        scale, unscale = (1.0, 1.0) if h is None else (h, 1.0 / h)
        shape, dtype = self.A.shape, self.A.dtype
        A = LinearOperator(
            shape, dtype=dtype, matvec=lambda u: scale * product(self.A, scale * u, trans)
        )
        M = LinearOperator(
            shape,
            dtype=dtype,
            matvec=lambda r: unscale * self.approximation.apply(unscale * r, trans),
        )
        u, iterations = self.method.iteration(A, b, M, rtol)
        count(krylov=iterations)
        return u, iterations

    def _rounding(self, u: Array, trans: Trans) -> float:
        """What rounding leaves of b − Au, ‖b‖ = 1, in the 2-norm: no method gets below it, direct ones stop there too.

        For ‖|A||u|‖ ≤ κ ‖b‖, κ = ‖|A⁻¹||A|‖, it is bounded by that of the worst matrix that is not singular.
        """
        return ROUNDING * min(
            float(np.linalg.norm(product(abs(self.A), np.abs(u), trans))), LARGEST
        )

    def _stalled(self, iterations: int, residual: float, rtol: float, trans: Trans) -> SolveError:
        require_symmetric(self.A, self.method.symmetry, self.name)
        return explained(
            self.A,
            self.name,
            KrylovStalled(
                f"{self.name}, trans={trans!r}: {iterations} iterations left a relative residual of {residual:.1e}, "
                f"wanted is {rtol:.0e}. {self.method.remedy} {self.backend}; stronger are adjoint.factor.amg (with the "
                "near-nullspace, for elasticity) and adjoint.factor.ilu; else more max_iterations, a tolerance that rounding "
                "allows, or a direct factorizer."
            ),
        )

    def _trusted(self, b: Array, u: Array, r: Array, trans: Trans, rtol: float) -> Array:
        """u, corrected where its residual r hides an error; raises SingularMatrix, KrylovStalled.

        A small residual is a small error unless A is ill-conditioned: ‖u − A⁻¹b‖ ≤ ‖A⁻¹‖ ‖r‖. Where that is not small
        enough, the error is estimated along the slowest mode v, for A v ≈ 0
        (docs/math/verification.md, eq. 22b). If it is large, A d = r is solved: there that mode is
        not small beside others.
        """
        v = self._slowest(trans, rtol)
        allowed = max(ERROR, HUNDRED * rtol)
        error = np.inf
        for _ in range(CORRECTIONS):
            left = float(np.linalg.norm(r))
            worst = self.log.condition * left * np.sqrt(r.size)
            if worst <= allowed:
                return u
            z = self._slowest("H" if trans == "N" else "N", rtol)
            along = np.vdot(z, r) / np.vdot(z, product(self.A, v, trans))
            error = float(abs(along) * np.abs(v).max() / np.abs(u).max())
            if error <= allowed:
                return u
            d, _ = self._iterated(r / left, trans, max(allowed / worst, PROBED**2))
            u = u + left * d
            r = b - product(self.A, u, trans)
        raise KrylovStalled(
            f"{self.name}, trans={trans!r}: a relative residual of {float(np.linalg.norm(r)):.1e} leaves a relative "
            f"error of about {error:.0e} in the solution, for the condition is at least {self.log.condition:.0e}. "
            "Usual causes: a part that hangs on the rest by much weaker couplings (an island in a medium 10¹⁰ times "
            "less conducting), a support that is too soft. Use a direct factorizer (adjoint.cholesky, ldl, lu), or "
            "couplings of one size."
        )

    def _slowest(self, trans: Trans, rtol: float) -> Array:
        """v with A v ("N") or Aᴴ v ("H") as small as a random right-hand side shows it, max |v_i| = 1; remembered."""
        known = self.probes.slowest
        key: Trans = "N" if self.method.symmetry == "hermitian" else trans
        if key not in known:
            known[key] = self._probe(key, rtol)
        return known[key]

    def _probe(self, trans: Trans, rtol: float) -> Array:
        """The solution for a random right-hand side, of size 1; raises SingularMatrix if it shows that A is.

        Of the system scaled by the roots of its row sums: residual norms are blind to rows in small units.
        """
        n = self.A.shape[0]
        h = 1.0 / np.sqrt(absolute_sums(self.A, trans))
        b = probe_vector(n) + MEAN
        b = b / np.linalg.norm(b)
        tolerance = max(rtol, PROBED / np.sqrt(n))
        w, _ = self._iterated(b.astype(self.A.dtype), trans, tolerance, h)
        with np.errstate(all="ignore"):
            image = h * product(self.A, h * w, trans)
            condition = float(np.abs(w).max() / np.abs(image).max())
        r = b - image
        converged = float(np.linalg.norm(r)) <= SLACK * tolerance
        if not (condition * np.sqrt(n) < SUSPECT and converged):
            self._require_regular(None if converged else r / h, trans)
        self.log.condition = float(np.fmax(self.log.condition, condition))
        slowest = h * w
        return np.asarray(slowest / np.abs(slowest).max())

    def _require_regular(self, r: Array | None, trans: Trans) -> None:
        """Raise SingularMatrix if A is; r: what the probe left of its right-hand side, if that is too much.

        A residual r that no iteration makes smaller is a null vector of the adjoint matrix: what A cannot reach.
        """
        if self.A.shape[0] <= EXPLAINED:
            self._raise_if_singular()
            return
        matrix = Equilibrated.of(self.A, self._roughly)
        condition = condition_seen(matrix)
        across = matrix.transposed() if trans == "N" else matrix
        unreached = 0.0 if r is None else across.height(r[:, None])
        if not (condition < SINGULAR and unreached < SUSPECT):
            found = f"is singular to working precision (condition at least {max(condition, unreached):.1e})"
            raise singular(self.name, found)

    def _raise_if_singular(self) -> None:
        """Ask a direct factorization."""
        error = explained(self.A, self.name, SolveError(""))
        try:
            if isinstance(error, SingularMatrix):
                raise error
        finally:
            del error  # Else this frame and the error would hold each other.

    def _roughly(self, b: Array, trans: Trans) -> Array:
        """A⁻¹ b, not verified; b: (n, k)."""
        return np.column_stack([self._iterated(column, trans, PROBED)[0] for column in b.T])

    def log_abs_det(self) -> float:
        raise SolveError(
            f"{self.name}: an iteration has no determinant. Use adjoint.cholesky, ldl or lu for logdet()."
        )


@dataclass(frozen=True, eq=False)
class Krylov:
    """A factorizer without factors: `Krylov(...)(A)` sets the preconditioner up, solves iterate.

    label: of the method, for messages; symmetry: what it takes A for; iteration: the method. rtol, adjoint_rtol: each
    column is iterated until ‖b − Au‖₂ ≤ rtol ‖b‖₂, with A and with Aᵀ or Aᴴ; the true residual, which decides, may be
    SLACK times that, or rounding. remedy: the method's own, for messages. Made by `cg` and `gmres`.
    """

    label: str
    symmetry: Symmetry
    iteration: Iteration
    preconditioner: Preconditioner
    rtol: float
    adjoint_rtol: float
    remedy: str

    __repr__ = short_repr

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Make A's preconditioner: (n, n), sparse or dense, float64 or complex128.

        Raises what `Direct.__call__` raises, and what the preconditioner does; `solve` raises KrylovStalled.
        """
        A = as_csc(A)
        counts = Counts()
        with collecting(counts), phase("factor"):
            count(numeric=1)
            approximation = self.preconditioner(A, self.symmetry)
        if not has(approximation, "apply"):
            raise TypeError(
                f"{self.label}: the preconditioner returned {named(approximation)}, expected an Approximation, with a "
                "method apply(b, trans): see adjoint.factor.jacobi()"
            )
        return self._iterating(A, approximation, counts)

    def nearby(self, A: SparseMatrix | Array, made: Factorization) -> Factorization:
        """Iterate with A, preconditioned by what was set up for a matrix nearby: nothing is set up.

        made: by this method, with these or other tolerances. Raises TypeError for a direct factorization.
        """
        if not isinstance(made.factors, _Iterative):
            raise TypeError(f"got {made}, expected a factorization made by {self.label}")
        return self._iterating(as_csc(A), made.factors.approximation, Counts())

    def _iterating(
        self, A: sparse.csc_array, approximation: Approximation, counts: Counts
    ) -> Factorization:
        n = A.shape[0]
        name = f"{self.label} for a {n}x{n} matrix"
        # The 2-norms of the residuals are verified; in the ∞-norm they may be √n further apart.
        worst = SLACK * max(self.rtol, self.adjoint_rtol) * np.sqrt(n)
        accuracy = Accuracy(worst, worst, rows=False, probe=False)
        log = Log()
        iterative = _Iterative(A, approximation, self, name, log)
        return Factorization(A, iterative, self.symmetry, accuracy, name, counts, log)


@dataclass(frozen=True)
class _ConjugateGradients:
    """An `Iteration`: SciPy's cg."""

    max_iterations: int

    def __call__(
        self, A: LinearOperator, b: Array, M: LinearOperator, tolerance: float
    ) -> tuple[Array, int]:
        steps: list[None] = []
        u, _ = scipy_cg(
            A,
            b,
            rtol=tolerance,
            atol=0.0,
            maxiter=self.max_iterations,
            M=M,
            callback=lambda u: steps.append(None),
        )
        return u, len(steps)


@dataclass(frozen=True)
class _MinimalResiduals:
    """An `Iteration`: SciPy's gmres, restarted."""

    max_iterations: int
    restart: int

    def __call__(
        self, A: LinearOperator, b: Array, M: LinearOperator, tolerance: float
    ) -> tuple[Array, int]:
        steps: list[None] = []
        u, _ = scipy_gmres(
            A,
            b,
            rtol=tolerance,
            atol=0.0,
            restart=min(self.restart, b.size, self.max_iterations),
            maxiter=max(1, self.max_iterations // self.restart),
            M=M,
            callback=lambda norm: steps.append(None),
            callback_type="pr_norm",
        )
        return u, len(steps)


def _require_tolerances(who: str, rtol: float, adjoint_rtol: float, max_iterations: int) -> None:
    for name, tolerance in (("rtol", rtol), ("adjoint_rtol", adjoint_rtol)):
        require_number(who, name, tolerance)
        if not 0.0 < tolerance < 1.0:
            raise ValueError(
                f"{who}: got {name}={tolerance}, expected a relative tolerance between 0 and 1"
            )
    require_integer(who, "max_iterations", max_iterations, 1)


def cg(
    preconditioner: Preconditioner,
    *,
    rtol: float = 1e-10,
    adjoint_rtol: float = 1e-10,
    max_iterations: int = 1000,
) -> Krylov:
    """Conjugate gradients, for a symmetric (Hermitian) positive definite A: A u = b to ‖b − Au‖₂ ≤ rtol ‖b‖₂.

    preconditioner: `amg(...)` for elliptic problems, `jacobi()`, or a function A, symmetry -> Approximation, itself
    symmetric positive definite. adjoint_rtol: for transposed solves.
    """
    _require_tolerances("cg", rtol, adjoint_rtol, max_iterations)
    require_preconditioner("cg", preconditioner)
    remedy = "Usual causes: A is not positive definite (use adjoint.gmres, ldl), or the preconditioner is too weak:"
    return Krylov(
        "CG",
        "hermitian",
        _ConjugateGradients(max_iterations),
        preconditioner,
        rtol,
        adjoint_rtol,
        remedy,
    )


def gmres(
    preconditioner: Preconditioner,
    *,
    rtol: float = 1e-10,
    adjoint_rtol: float = 1e-10,
    max_iterations: int = 1000,
    restart: int = 50,
) -> Krylov:
    """Restarted GMRES, for any A: A u = b to ‖b − Au‖₂ ≤ rtol ‖b‖₂; keeps `restart` vectors.

    preconditioner: `ilu()`, `amg(...)`, `jacobi()`, or a function A, symmetry -> Approximation.
    adjoint_rtol: for transposed solves, with the transposed preconditioner.
    """
    _require_tolerances("gmres", rtol, adjoint_rtol, max_iterations)
    require_preconditioner("gmres", preconditioner)
    require_integer("gmres", "restart", restart, 1)
    remedy = f"Usual causes: restart={restart} is too short, A is close to singular, or the preconditioner is too weak:"
    iteration = _MinimalResiduals(max_iterations, restart)
    return Krylov("GMRES", "none", iteration, preconditioner, rtol, adjoint_rtol, remedy)
