"""A⁻¹ by iterative refinement with the factors of a nearby matrix.

Newton's method ends with the factors of ∂R/∂u at an earlier iterate. The distance from
that matrix to ∂R/∂u at the solution is proportional to the length of the last Newton
step, so that two or three sweeps of refinement replace a factorization.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._numerics import column_dots, column_maxima
from ..errors import KrylovStalled
from ..factor.backward_error import (
    ACCEPT,
    ACCEPT_ROW,
    absolute_sums,
    backward_error,
    probe_vector,
    product,
    row_error,
)
from ..factor.counts import phase
from ..factor.csc import as_right_hand_side
from ..factor.evidence import Evidence
from ..factor.factorization import Factorization, Factorizer
from ..factor.gcr import ConjugateResiduals
from ..factor.krylov import Krylov
from ..factor.singularity import SUSPECT
from ..typing import Array, Trans

TARGET = 1e-14
"""Relative error of the solution, predicted from the last correction, below which the sweeps
end."""

SMALL_ERROR = 100.0 * float(np.finfo(float).eps)
"""Componentwise backward error below which the sweeps end: 100 eps (Higham 2002, section
12.2)."""

SWEEPS = 10
"""Maximum number of sweeps, the initial solve included. In 2-D a sweep costs about 1/20
of a factorization."""

UNDERESTIMATED = 2.0
"""A random right-hand side may underestimate the condition number by this factor times √n."""

ROUNDING = 1e-6
"""Size of a correction, relative to the solution, below which the correction is rounding
error if it no longer decreases."""


@dataclass(eq=False)
class RefinedInverse:
    """A⁻¹ by iterative refinement with the factors of a nearby matrix.

    See docs/math/newton_and_branches.md, eq. 37.

    A: (n, n). stale: the factors of the nearby matrix B. factorize: factorizer for A,
    called if refinement does not converge. A Krylov method iterates with A itself, and
    uses the preconditioner of `stale`.

    An object has a memory: the factors of A, if they were needed (all later solves use
    these factors), and the largest backward errors so far.
    """

    A: sparse.csc_array
    stale: Factorization
    factorize: Factorizer
    _exact: Factorization | None = field(default=None, init=False, repr=False)
    _errors: dict[Trans, float] = field(default_factory=dict, init=False, repr=False)

    @property
    def evidence(self) -> Evidence:
        """The evidence of the factors in use, with the largest backward errors of solves with A."""
        if self._exact is not None:
            return self._exact.evidence
        forward, adjoint = (self._errors.get(trans, float("nan")) for trans in ("N", "H"))
        return replace(
            self.stale.evidence,
            nonzeros=self.A.nnz,
            backward_error=forward,
            adjoint_backward_error=adjoint,
        )

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Solve A u = b, Aᵀ u = b or Aᴴ u = b; b and u: (n,) or (n, k).

        Raises the errors of `factorize` if A has to be factored, and the errors of
        `Factorization.solve`.
        """
        if self._exact is None:
            b = as_right_hand_side(b, self.A.shape[0])
            columns = b.reshape(b.shape[0], -1)
            if isinstance(self.factorize, Krylov):
                u = self._iterated(columns, trans)
            else:
                with phase("solve"):
                    u = self._refined(columns, trans)
                    # `_regular` needs the condition of B, which the first solve has probed.
                    if u is not None and not self._regular:
                        u = None
            if u is not None:
                return u.reshape(b.shape)
            self._exact = self.factorize(self.A)
        return self._exact.solve(b, trans)

    @cached_property
    def _regular(self) -> bool:
        """True if A is certainly regular. If False, `solve` factors A and probes the factors.

        A is regular if ‖A − B‖/‖A‖ is small compared with 1/cond(B). A is also regular
        if refinement solves a system with a random right-hand side, and the solution is
        not large (docs/math/verification.md, eq. 22).
        """
        sums = absolute_sums(self.A, "N")
        change = float(np.max(abs(self.A - self.stale.A).sum(axis=1) / sums))
        if UNDERESTIMATED * np.sqrt(sums.size) * self.stale.condition_bound * change <= 1.0:
            return True
        w = self._refined((probe_vector(sums.size) * sums)[:, None], "N")
        return w is not None and bool(np.abs(w).max() < SUSPECT)

    @cached_property
    def _krylov(self) -> Factorization:
        """Krylov solves with A, preconditioned by the preconditioner of B."""
        assert isinstance(self.factorize, Krylov)
        return self.factorize.nearby(self.A, self.stale)

    def _iterated(self, b: Array, trans: Trans) -> Array | None:
        """Solve by a Krylov method with the preconditioner of B; None if the method stalls."""
        try:
            u = self._krylov.solve(b, trans)
        except KrylovStalled:  # B is too far from A.
            return None
        self._record(self._krylov.evidence.backward_error, "N")
        self._record(self._krylov.evidence.adjoint_backward_error, "H")
        return u

    def _refined(self, b: Array, trans: Trans) -> Array | None:
        """Solve by refinement with corrections B⁻¹(b − A u); None if `SWEEPS` are not enough.

        Each sweep minimizes the norm of the residual along all corrections so far
        (generalized conjugate residuals). In this norm, each row of the residual is
        divided by the same row of |A||d| + |b|, where d = B⁻¹b is the initial solution.
        """
        u, residual, size = np.zeros_like(b), b, np.full(b.shape[1], np.inf)
        gcr = ConjugateResiduals(column_dots, kept=SWEEPS, normalize=True)
        weights, error = np.ones(b.shape), np.inf
        for left in reversed(range(SWEEPS)):
            first = left == SWEEPS - 1
            d = self.stale.solve(residual, trans)
            q = product(self.A, d, trans)
            if first:
                weights = 1.0 / _nonzero(product(abs(self.A), np.abs(d), trans) + np.abs(b))
            alpha, d, _ = gcr.step(d, q * weights, residual * weights)
            step = alpha * d
            u = u + step
            residual = b - product(self.A, u, trans)
            last, size, reached = size, column_maxima(step), _nonzero(column_maxima(u))
            before, error = error, float(np.max(np.abs(residual) * weights, initial=0.0))
            # The next correction is expected to be smaller by the same factor.
            rate = np.max(size / _nonzero(last), initial=0.0)
            if not first and np.all(rate * size <= TARGET * reached):
                if error <= SMALL_ERROR or error > 0.5 * before:
                    break
            elif not first and not np.all(rate**left * size <= TARGET * reached):
                if error <= SMALL_ERROR and np.all(size <= ROUNDING * reached):
                    break
                return None
        return u if self._accepts(residual, u, b, trans) else None

    def _accepts(self, residual: Array, u: Array, b: Array, trans: Trans) -> bool:
        """True if the backward errors of u are as small as `Factorization.solve` demands."""
        sums = absolute_sums(self.A, trans)
        error = backward_error(residual, u, b, float(sums.max()))
        if not (error <= ACCEPT and row_error(residual, u, b, sums) <= ACCEPT_ROW):
            return False
        self._record(error, "N" if trans == "N" else "H")
        return True

    def _record(self, error: float, trans: Trans) -> None:
        """Update the largest backward error of solves with A ("N"), or with Aᵀ and Aᴴ ("H")."""
        self._errors[trans] = float(np.fmax(self._errors.get(trans, float("nan")), error))


def _nonzero(v: Array) -> Array:
    """Return v with each 0 replaced by 1."""
    return np.where(v == 0.0, 1.0, v)
