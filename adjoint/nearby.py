"""The inverse of a matrix by the factors of another one nearby: refined until they are as good as its own.

A Newton iteration ends with the factors of an iterate before the last. ∂R/∂u at the solution differs from that
matrix by as little as the last step was long, so that two or three sweeps replace a factorization.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .arrays import Array, Trans
from .factor import Evidence, Factorization, KrylovStalled
from .factor.accuracy import ACCEPT, ACCEPT_ROW, absolute_sums, backward_error, product, row_error
from .factor.counting import phase
from .factor.krylov import Krylov
from .factor.matrix import as_right_hand_side

REACHED = 1e-14
"""Relative error of the solution, as predicted from the last correction, at which the sweeps end."""

SMALL = 100.0 * float(np.finfo(float).eps)
"""Componentwise backward error, above rounding by little, at which the sweeps end (Higham 2002, section 12.2)."""

SWEEPS = 10
"""At most so many, the first solve included; in two dimensions one costs a twentieth of a factorization."""

NOISE = 1e-6
"""Size of a correction, relative to the solution, below which one that no longer shrinks is rounding."""


@dataclass(frozen=True, eq=False)
class Nearby:
    """The inverse of A by iterative refinement with the factors of a matrix nearby (docs/math.md, eq. 37).

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
        return replace(self.stale.evidence, nonzeros=self.A.nnz, backward_error=forward, adjoint_backward_error=adjoint)

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
            if u is not None:
                return u.reshape(b.shape)
            self._own.append(self.factorize(self.A))
        return self._own[0].solve(b, trans)

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
        """u by sweeps u ← u + B⁻¹(b − A u), B the matrix nearby; None where they contract too slowly."""
        u = self.stale.solve(b, trans)
        residual = b - product(self.A, u, trans)
        last, error = _norms(u), np.inf
        for left in reversed(range(SWEEPS - 1)):
            correction = self.stale.solve(residual, trans)
            u = u + correction
            residual = b - product(self.A, u, trans)
            size = _norms(correction)
            contraction = np.max(size / np.where(last == 0.0, 1.0, last), initial=0.0)
            before, error = error, self._componentwise(residual, u, b, trans)
            reached = np.where(_norms(u) == 0.0, 1.0, _norms(u))
            if np.all(contraction * size <= REACHED * reached) and (error <= SMALL or error > 0.5 * before):
                break
            if not np.all(contraction**left * size <= REACHED * reached):  # The sweeps left would not do.
                if error <= SMALL and np.all(size <= NOISE * reached):
                    break
                return None
            last = size
        return u if self._accepts(residual, u, b, trans) else None

    def _componentwise(self, residual: Array, u: Array, b: Array, trans: Trans) -> float:
        """max_i |b − A u|_i / (|A||u| + |b|)_i: small components count as much as large ones."""
        scale = product(abs(self.A), np.abs(u), trans) + np.abs(b)
        with np.errstate(all="ignore"):
            error = np.abs(residual) / np.where(scale == 0.0, 1.0, scale)
        return float(np.max(error, initial=0.0))

    def _accepts(self, residual: Array, u: Array, b: Array, trans: Trans) -> bool:
        sums = absolute_sums(self.A, trans)
        error = backward_error(residual, u, b, float(sums.max()))
        if not (error <= ACCEPT and row_error(residual, u, b, sums) <= ACCEPT_ROW):
            return False
        self._note(error, "N" if trans == "N" else "H")
        return True

    def _note(self, error: float, trans: Trans) -> None:
        self._errors[trans] = float(np.fmax(self._errors.get(trans, float("nan")), error))


def _norms(v: Array) -> Array:
    return np.abs(v).max(axis=0, initial=0.0)
