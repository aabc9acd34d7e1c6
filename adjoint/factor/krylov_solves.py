"""Solves by `cg` and `gmres`, verified by true residuals and by the errors along slow modes.

A slow mode is a vector v with A v ≈ 0. A small residual hides an error along v.

Saad (2003), Iterative Methods for Sparse Linear Systems, 2nd ed., sections 6.5, 6.7 and
9.2.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import LinearOperator

from ..errors import KrylovStalled, SingularMatrix, SolveError, singular
from ..typing import Array, Trans
from .backward_error import Symmetry, absolute_sums, probe_vector, product, require_symmetric
from .counts import count
from .diagnosis import DIAGNOSED, diagnose
from .evidence import Log
from .protocols import Approximation
from .singularity import SINGULAR, SUSPECT, Equilibrated, condition_seen

Iteration: TypeAlias = Callable[[LinearOperator, Array, LinearOperator, float], tuple[Array, int]]
"""Function (A, b, M, rtol) ↦ (u, number of iterations), for ‖b‖ = 1. The caller verifies u."""

SLACK = 2.0
"""Largest accepted ratio of the true residual b − A u to the tolerance. The iteration stops
by a residual that it computes by recursion, which may differ from the true residual."""

ROUNDING = 8.0 * float(np.finfo(float).eps)
"""Residual, relative to |A||u|, that is due to the rounding errors of a few products."""

LARGEST_RATIO = 1e12
"""Limit of ‖|A||u|‖ / ‖b‖ in the accepted rounding errors. The ratio is at most the condition
number of A, and A counts as singular above 10¹². Without the limit, an iterate that has
diverged would be accepted, because its own rounding errors are large."""

ERROR_CHECKED = 1e-6
"""Relative tolerance up to which the error of a solution is checked. Larger tolerances are
for the steps of an outer iteration."""

PROBE_RESIDUAL = 1e-2
"""Relative residual of the probe, times √n: the component of a random right-hand side along
a slow mode is about 1/√n."""

MAX_ERROR = 1e-3
"""Relative error of a solution along the slowest mode up to which the solution is
accepted; or KNOWN_AMPLIFICATION · rtol, if this product is larger."""

KNOWN_AMPLIFICATION = 100.0
"""Ratio of the error to the residual that is accepted with a loose tolerance: a user who
chooses such a tolerance expects an error of this size."""

PROBE_MEAN = 0.25
"""Number added to each entry of the random right-hand side of the probe, so that the mean of
the entries is not zero."""

CORRECTIONS = 4
"""Maximum number of solves with the remaining residual, made if the error along the slowest
mode is too large."""


class Method(Protocol):
    """A Krylov method with its tolerances; see `krylov.Krylov`."""

    @property
    def label(self) -> str: ...
    @property
    def symmetry(self) -> Symmetry: ...
    @property
    def iteration(self) -> Iteration: ...
    @property
    def rtol(self) -> float: ...
    @property
    def adjoint_rtol(self) -> float: ...
    @property
    def remedy(self) -> str: ...


@dataclass(eq=False)
class IterativeSolves:
    """Solves by iterations with A, preconditioned by M ≈ A⁻¹: an implementation of `Factors`.

    An object has a memory: the slowest modes of A ("N") and of Aᴴ ("H"), (n,) each. They
    are computed by the probe, a solve with a random right-hand side, when they are first
    needed. The probe also writes a bound of the condition number to `log`.
    """

    A: sparse.csc_array
    approximation: Approximation
    method: Method
    name: str
    log: Log
    _slowest_modes: dict[Trans, Array] = field(default_factory=dict, init=False, repr=False)

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
        scale = largest * np.linalg.norm(b / largest)  # Without overflow.
        rtol = self.method.rtol if trans == "N" else self.method.adjoint_rtol
        b = b / scale
        u, iterations = self._iterated(b, trans, rtol)
        r = b - product(self.A, u, trans)
        residual = float(np.linalg.norm(r))
        if not (residual <= SLACK * rtol or residual <= self._rounding_residual(u, trans)):
            raise self._stalled(iterations, residual, rtol, trans)
        if rtol <= ERROR_CHECKED:
            u = self._with_small_error(b, u, r, trans, rtol)
        solution: Array = u * scale
        return solution

    def _iterated(
        self, b: Array, trans: Trans, rtol: float, h: Array | None = None
    ) -> tuple[Array, int]:
        """Return u and the number of iterations; the iteration's own residual norm is at most rtol.

        b: right-hand side, (n,), with ‖b‖ = 1. h: scaling, (n,), or None. If h is
        given, the system is (H A H) u = b with H = diag(h), and the preconditioner is
        scaled accordingly.
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

    def _rounding_residual(self, u: Array, trans: Trans) -> float:
        """The part of ‖b − Au‖₂ that is due to rounding errors, if ‖b‖ = 1.

        ‖|A||u|‖ ≤ κ ‖b‖ with κ = ‖|A⁻¹||A|‖. The result is limited to the value for the
        largest κ of a matrix that does not count as singular.
        """
        return ROUNDING * min(
            float(np.linalg.norm(product(abs(self.A), np.abs(u), trans))), LARGEST_RATIO
        )

    def _stalled(self, iterations: int, residual: float, rtol: float, trans: Trans) -> SolveError:
        require_symmetric(self.A, self.method.symmetry, self.name)
        return diagnose(
            self.A,
            self.name,
            KrylovStalled(
                f"{self.name}, trans={trans!r}: {iterations} iterations left a relative residual "
                f"of {residual:.1e}, wanted is {rtol:.0e}. {self.method.remedy} {self.backend}; "
                "stronger are adjoint.factor.amg (with the near-nullspace, for elasticity) and "
                "adjoint.factor.ilu; else more max_iterations, a tolerance that rounding allows, "
                "or a direct factorizer."
            ),
        )

    def _with_small_error(self, b: Array, u: Array, r: Array, trans: Trans, rtol: float) -> Array:
        """Return u; if its residual r may hide a large error, return u after corrections.

        The error is small if ‖A⁻¹‖ ‖r‖ is small, because ‖u − A⁻¹b‖ ≤ ‖A⁻¹‖ ‖r‖.
        Otherwise the error along the slowest mode v is estimated
        (docs/math/verification.md, eq. 22b). If the estimate is large, A d = r is
        solved, and d is added to u. This reduces the error along v, because the
        component of r along v is not small compared with r.

        Raises SingularMatrix if A is singular, KrylovStalled if the error is still large
        after `CORRECTIONS` corrections.
        """
        v = self._slowest(trans, rtol)
        allowed = max(MAX_ERROR, KNOWN_AMPLIFICATION * rtol)
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
            d, _ = self._iterated(r / left, trans, max(allowed / worst, PROBE_RESIDUAL**2))
            u = u + left * d
            r = b - product(self.A, u, trans)
        raise KrylovStalled(
            f"{self.name}, trans={trans!r}: a relative residual of "
            f"{float(np.linalg.norm(r)):.1e} leaves a relative error of about {error:.0e} in the "
            f"solution, because the condition is at least {self.log.condition:.0e}. Usual "
            "causes: a part that hangs on the rest by much weaker couplings (an island in a "
            "medium 10¹⁰ times less conducting), a support that is too soft. Use a direct "
            "factorizer (adjoint.cholesky, ldl, lu), or couplings of one size."
        )

    def _slowest(self, trans: Trans, rtol: float) -> Array:
        """The slowest mode v of A ("N") or Aᴴ ("H"), max |v_i| = 1, computed once."""
        known = self._slowest_modes
        key: Trans = "N" if self.method.symmetry == "hermitian" else trans
        if key not in known:
            known[key] = self._probe(key, rtol)
        return known[key]

    def _probe(self, trans: Trans, rtol: float) -> Array:
        """Solve for a random right-hand side; return the solution v, scaled to max |v_i| = 1.

        Rows and columns of A are scaled by the roots of the row sums, because the norm of a
        residual does not show errors in rows with small units. Raises SingularMatrix if A
        is singular.
        """
        n = self.A.shape[0]
        h = 1.0 / np.sqrt(absolute_sums(self.A, trans))
        b = probe_vector(n) + PROBE_MEAN
        b = b / np.linalg.norm(b)
        tolerance = max(rtol, PROBE_RESIDUAL / np.sqrt(n))
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
        """Raise SingularMatrix if A is singular.

        r: the residual of the probe, (n,), if the probe has not converged, otherwise
        None. If A is singular, the residual that the iteration does not reduce is a
        null vector of the adjoint matrix.
        """
        if self.A.shape[0] <= DIAGNOSED:
            self._raise_if_singular()
            return
        matrix = Equilibrated.of(self.A, self._unverified)
        condition = condition_seen(matrix)
        across = matrix.transposed() if trans == "N" else matrix
        unreached = 0.0 if r is None else across.inverse_bound(r[:, None])
        if not (condition < SINGULAR and unreached < SUSPECT):
            worst = max(condition, unreached)
            found = f"is singular to working precision (condition at least {worst:.1e})"
            raise singular(self.name, found)

    def _raise_if_singular(self) -> None:
        """Raise SingularMatrix if a direct factorization shows that A is singular."""
        error = diagnose(self.A, self.name, SolveError(""))
        try:
            if isinstance(error, SingularMatrix):
                raise error
        finally:
            del error  # Otherwise this frame and the error would keep each other alive.

    def _unverified(self, b: Array, trans: Trans) -> Array:
        """Return A⁻¹ b for b (n, k), without verification."""
        return np.column_stack([self._iterated(column, trans, PROBE_RESIDUAL)[0] for column in b.T])

    def log_abs_det(self) -> float:
        raise SolveError(
            f"{self.name}: an iteration has no determinant. Use adjoint.cholesky, ldl or lu for "
            "logdet()."
        )
