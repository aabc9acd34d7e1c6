"""The inverse of a matrix by the factors of another one nearby: refined until they are as good as its own.

A Newton iteration ends with the factors of an iterate before the last. ∂R/∂u at the solution differs from that
matrix by as little as the last step was long, so that two or three sweeps replace a factorization.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

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
from ..factor.factorization import Factorization
from ..factor.krylov import Krylov
from ..factor.singularity import SUSPECT
from ..typing import Array, Trans

REACHED = 1e-14
"""Relative error of the solution, as predicted from the last correction, at which the sweeps end."""


SMALL = 100.0 * float(np.finfo(float).eps)
"""Componentwise backward error, above rounding by little, at which the sweeps end (Higham 2002, section 12.2)."""


SWEEPS = 10
"""At most so many, the first solve included; in two dimensions one costs a twentieth of a factorization."""


UNDERESTIMATED = 2.0
"""Times √n: by which factor a probe, one random right-hand side, may see too small a condition."""


NOISE = 1e-6
"""Size of a correction, relative to the solution, below which one that no longer shrinks is rounding."""


@dataclass(frozen=True, eq=False)
class RefinedInverse:
    """The inverse of A by iterative refinement with the factors of a matrix nearby.

    See docs/math/newton_and_branches.md, eq. 37.

    A: (n, n); stale: the factors of the other matrix; factorize: what A is factored by where refinement would not
    converge, once and for all later solves. Krylov methods iterate with A itself, preconditioned as `stale` was.
    """

    A: sparse.csc_array
    stale: Factorization
    factorize: Callable[[sparse.csc_array], Factorization]
    _own: list[Factorization] = field(default_factory=list)
    _errors: dict[Trans, float] = field(default_factory=dict)

    @property
    def evidence(self) -> Evidence:
        """That of the factors used, with the backward errors for A."""
        if self._own:
            return self._own[0].evidence
        forward, adjoint = (self._errors.get(trans, float("nan")) for trans in ("N", "H"))
        return replace(
            self.stale.evidence,
            nonzeros=self.A.nnz,
            backward_error=forward,
            adjoint_backward_error=adjoint,
        )

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """The solution for b, (n,) or (n, k), with A, its transpose or its conjugate transpose.

        Raises what `factorize` and `Factorization.solve` raise.
        """
        if not self._own:
            b = as_right_hand_side(b, self.A.shape[0])
            columns = b.reshape(b.shape[0], -1)
            if isinstance(self.factorize, Krylov):
                u = self._iterated(columns, trans)
            else:
                with phase("solve"):
                    u = self._refined(columns, trans)
                    if (
                        u is not None and not self._regular
                    ):  # Asked now: the first solve has probed the factors.
                        u = None
            if u is not None:
                return u.reshape(b.shape)
            self._own.append(self.factorize(self.A))
        return self._own[0].solve(b, trans)

    @cached_property
    def _regular(self) -> bool:
        """Whether A is regular beyond doubt; if not, A is factored, and the probe of its factors decides.

        A is regular if A − B is small beside what the condition of B allows, or if a random right-hand side is solved
        for by refinement, and the solution is not large (docs/math/verification.md, eq. 22).
        """
        sums = absolute_sums(self.A, "N")
        change = float(np.max(abs(self.A - self.stale.A).sum(axis=1) / sums))
        if UNDERESTIMATED * np.sqrt(sums.size) * self.stale.condition_bound * change <= 1.0:
            return True
        w = self._refined((probe_vector(sums.size) * sums)[:, None], "N")
        return w is not None and bool(np.abs(w).max() < SUSPECT)

    @cached_property
    def _moved(self) -> Factorization:
        assert isinstance(self.factorize, Krylov)
        return self.factorize.nearby(self.A, self.stale)

    def _iterated(self, b: Array, trans: Trans) -> Array | None:
        try:
            u = self._moved.solve(b, trans)
        except KrylovStalled:  # The preconditioner is too old.
            return None
        self._note(self._moved.evidence.backward_error, "N")
        self._note(self._moved.evidence.adjoint_backward_error, "H")
        return u

    def _refined(self, b: Array, trans: Trans) -> Array | None:
        """u by sweeps along B⁻¹(b − A u), B the matrix nearby; None where too many would be needed.

        Each takes the step that, with all those before, makes the residual smallest (generalized conjugate residuals),
        each row measured in its own size.
        """
        u, residual, size = np.zeros_like(b), b, np.full(b.shape[1], np.inf)
        weights, error = np.ones(b.shape), np.inf
        directions: list[tuple[Array, Array]] = []
        for left in reversed(range(SWEEPS)):
            d = self.stale.solve(residual, trans)
            q = product(self.A, d, trans)
            if not directions:
                weights = 1.0 / _nonzero(product(abs(self.A), np.abs(d), trans) + np.abs(b))
            q = q * weights
            for known, image in directions:
                component = _dots(image, q)
                d, q = d - component * known, q - component * image
            length = _nonzero(np.sqrt(_dots(q, q).real))
            d, q = d / length, q / length
            directions.append((d, q))
            step = _dots(q, residual * weights) * d
            u = u + step
            residual = b - product(self.A, u, trans)
            last, size, reached = size, _norms(step), _nonzero(_norms(u))
            before, error = error, float(np.max(np.abs(residual) * weights, initial=0.0))
            shrinking = np.max(size / _nonzero(last), initial=0.0)  # As this step, so the next one.
            if len(directions) > 1 and np.all(shrinking * size <= REACHED * reached):
                if error <= SMALL or error > 0.5 * before:
                    break
            elif len(directions) > 1 and not np.all(shrinking**left * size <= REACHED * reached):
                if error <= SMALL and np.all(size <= NOISE * reached):
                    break
                return None
        return u if self._accepts(residual, u, b, trans) else None

    def _accepts(self, residual: Array, u: Array, b: Array, trans: Trans) -> bool:
        sums = absolute_sums(self.A, trans)
        error = backward_error(residual, u, b, float(sums.max()))
        if not (error <= ACCEPT and row_error(residual, u, b, sums) <= ACCEPT_ROW):
            return False
        self._note(error, "N" if trans == "N" else "H")
        return True

    def _note(self, error: float, trans: Trans) -> None:
        self._errors[trans] = float(np.fmax(self._errors.get(trans, float("nan")), error))


def _dots(v: Array, w: Array) -> Array:
    """vᴴ w for each column; without BLAS (see `adjoint._numerics.dot`)."""
    return np.asarray(np.einsum("ij,ij->j", v.conj(), w))


def _nonzero(v: Array) -> Array:
    return np.where(v == 0.0, 1.0, v)


def _norms(v: Array) -> Array:
    return np.abs(v).max(axis=0, initial=0.0)
