"""Solutions with M − hγ J at a stage by the factors of the step: a few sweeps instead of a factorization."""

from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np

from ..arrays import Array, Trans
from ..factor.counting import count
from .algebra import Inverse, SparseInverse
from .recent import Guess, Recent
from .system import SINGLE

REACHED = 2e-13
"""Relative error of a solution, as predicted from the last correction, at which the sweeps end."""

SWEEPS = 14
"""Corrections at most; a factorization costs as much as about twenty."""

NOISE = 1e-9
"""Relative size below which a correction that no longer shrinks is rounding."""


class StageMatrix(Protocol):
    """A = M − hγ J, J at one stage; or all of a step at once, in one vector, where each stage depends on each.

    dense: whether it is factored for each solution, for little.
    """

    @property
    def dense(self) -> bool: ...

    def product(self, v: Array, trans: Trans) -> Array:
        """A v, or Aᴴ v; v: (n,) or (n, j)."""

    def inverse(self) -> Inverse:
        """The factors of A itself."""


@dataclass(frozen=True, eq=False)
class StageSolver:
    """Solves with the matrix A of a stage, in either direction.

    near: the factors of a matrix nearby. scale: (n,), the size of each unknown: what corrections
    are measured in (the reciprocal of it for the adjoint). recent: what was solved for at the stages before, in the
    same direction; sizes: of the solutions at those of the same step, which end up in the same sums: solutions are as
    accurate as the largest of them asks for.
    """

    A: StageMatrix
    near: Inverse
    scale: Array
    recent: Recent
    sizes: list[Array]

    def solve(self, b: Array, trans: Trans) -> Array:
        """w with A w = b, or Aᴴ w = b; b: (n,) or (n, j).

        By generalized conjugate residuals on B⁻¹A w = B⁻¹b, B the matrix nearby (Eisenstat, Elman & Schultz 1983); A is
        factored where that does not converge.
        """
        single = b.ndim == 1 or b.shape[1] == 1
        columns = b.reshape(-1) if single else b
        guess = self.recent.guess(columns, lambda v: self.A.product(v, trans)) if single else _nothing(columns)
        refined = self._refined(guess, trans, self.near)
        w = self._factored(guess, columns, trans) if refined is None else refined
        if single:
            self.recent.remember(guess, w)
        return w.reshape(b.shape)

    def _factored(self, guess: Guess, b: Array, trans: Trans) -> Array:
        """By factors of its own; each solution is verified, should refinement not converge even then."""
        inverse = self.A.inverse()
        assert isinstance(inverse, SparseInverse)
        refined = self._refined(guess, trans, inverse)
        return inverse.verified(b, trans) if refined is None else refined

    def _refined(self, guess: Guess, trans: Trans, near: Inverse) -> Array | None:
        scale = 1.0 / self.scale if trans == "N" else self.scale
        scale = scale if guess.w.ndim == 1 else scale[:, None]
        w, d = guess.w, near.solve(guess.residual, trans)
        residual = scale * d
        size, solution = _norms(residual), _norms(scale * (w + d))
        reached = REACHED * reduce(np.maximum, self.sizes, solution)
        before: tuple[Array, Array, Array] | None = None
        for left in reversed(range(SWEEPS)):
            q = near.solve(self.A.product(d, trans), trans)
            q *= scale
            if before is not None:  # B⁻¹A is close to the identity: one direction to be orthogonal to is enough.
                direction, image, norm = before
                component = _dots(image, q) / norm
                d -= component * direction
                q -= component * image
            norm = _positive(_dots(q, q).real)
            before = d, q, norm
            step = _dots(q, residual) / norm
            w = w + step * d
            residual -= step * q
            last, size, d = size, _norms(residual), residual / scale
            rate = size / _positive(last)
            # The residual itself is one more correction, which leaves an error of rate · size.
            if ((size * rate <= reached) | ((size <= NOISE * solution) & (rate > 0.5))).all():
                count(refinements=SWEEPS - left)
                self.sizes.append(solution)
                return w + d
            if not (size * rate**left <= reached).all():
                return None
        return None


def _nothing(b: Array) -> Guess:
    return Guess(np.zeros_like(b), b, [])


def _dots(v: Array, w: Array) -> Array:
    """vᴴ w, for each column; without the threads of BLAS (see `adjoint.arrays.dot`)."""
    if v.ndim == 1 and v.size <= SINGLE:
        products: Array = np.vecdot(v, w)
        return products
    v = v.conj() if v.dtype.kind == "c" else v
    dots: Array = np.einsum("i,i->" if v.ndim == 1 else "ij,ij->j", v, w)
    return dots  # A NumPy scalar for vectors: arithmetic of 0-d arrays takes ten times as long.


def _norms(v: Array) -> Array:
    norms: Array = np.sqrt(_dots(v, v).real)
    return norms


def _positive(v: Array) -> Array:
    """v ≥ 0, with 1 for 0."""
    return v + (v <= 0.0)
