"""Solutions with M − hγ J at a stage by the factors of the step: a few sweeps instead of a factorization.

Guesses of solutions with matrices that change little, from those that were found last.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Protocol

import numpy as np
from scipy.linalg import lapack

from ..._numerics import SINGLE
from ...factor.counts import count
from ...factor.gcr import ConjugateResiduals
from ...typing import Array, Trans
from .stage_matrices import Inverse, SparseInverse

RECENT = 8
"""Solutions that the next one is guessed from: of the stages of a step or two, or of as many steps if coupled."""


LEVELS = 2
"""Guesses: of the solution, and of the error of that guess. A third one saved less than it cost (5 % of the sweeps)."""


RIDGE = 1e-12
"""What right-hand sides of length 1 are taken to be rounded by, squared: they may all but depend on each
other. So their products are never a singular matrix."""


@dataclass(eq=False)
class Pairs:
    """Right-hand sides (RECENT, n) of length 1, each with its solution: the next is close to a combination of them.

    gram: of the right-hand sides, the identity where there are none yet.
    """

    rhs: Array = field(default_factory=lambda: np.zeros((0, 0)))
    solutions: Array = field(default_factory=lambda: np.zeros((0, 0)))
    gram: Array = field(default_factory=lambda: np.zeros((0, 0)))
    number: int = 0

    def overlap(self, b: Array) -> Array:
        """The products of the right-hand sides with b, (RECENT,)."""
        if self.number == 0:
            self.rhs, self.solutions = np.zeros((2, RECENT, b.size), dtype=b.dtype)
            self.gram = np.eye(RECENT, dtype=b.dtype)
        if b.size <= SINGLE:
            return np.asarray(np.vecdot(self.rhs, b))
        rhs = self.rhs.conj() if self.rhs.dtype.kind == "c" else self.rhs
        return np.asarray(np.einsum("in,n->i", rhs, b))

    def solution(self, overlap: Array) -> Array:
        """Σ c_i w_i with Σ c_i b_i closest to a b with these products, (n,)."""
        solve = (
            lapack.zgesv if self.gram.dtype.kind == "c" else lapack.dgesv
        )  # Of eight unknowns: SciPy's take longer.
        c = solve(self.gram, overlap)[2]
        return np.asarray(np.einsum("i,in->n", c, self.solutions))

    def remember(self, b: Array, overlap: Array, w: Array) -> None:
        """Take b, with its products, and w in, for the oldest of RECENT."""
        size = math.sqrt(
            np.vecdot(b, b).real if b.size <= SINGLE else np.einsum("n,n->", b.conj(), b).real
        )
        if not 0.0 < size < math.inf:
            return
        place = self.number % RECENT
        np.divide(b, size, out=self.rhs[place])
        np.divide(w, size, out=self.solutions[place])
        overlap = overlap / size
        self.gram[:, place], self.gram[place] = overlap, overlap.conj()
        self.gram[place, place] = 1.0 + RIDGE
        self.number += 1


@dataclass(frozen=True, eq=False)
class Guess:
    """w, (n,), and residual: b − A w; errors: (b − A w', its products, w') for the guesses w' before it, 0 first."""

    w: Array
    residual: Array
    errors: list[tuple[Array, Array, Array]]


@dataclass(frozen=True, eq=False)
class Recent:
    """What was solved for last; levels: the solutions, and then the errors of guesses, which are solutions as well:
    of A e = b − A w. They change as smoothly from one to the next as the solutions do."""

    levels: tuple[Pairs, ...] = field(default_factory=lambda: tuple(Pairs() for _ in range(LEVELS)))

    def guess(self, b: Array, apply: Callable[[Array], Array]) -> Guess:
        """A guess of the w with A w = b, (n,); apply: v ↦ A v."""
        w, residual = np.zeros_like(b), b
        errors = []
        for pairs in self.levels:
            overlap = pairs.overlap(residual)
            errors.append((residual, overlap, w))
            if pairs.number:
                e = pairs.solution(overlap)
                w, residual = w + e, residual - apply(e)
        return Guess(w, residual, errors)

    def remember(self, guess: Guess, w: Array) -> None:
        """Take in what turned out to be the solution for a guess."""
        for pairs, (residual, overlap, before) in zip(self.levels, guess.errors, strict=True):
            pairs.remember(residual, overlap, w - before)


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
        guess = (
            self.recent.guess(columns, lambda v: self.A.product(v, trans))
            if single
            else _nothing(columns)
        )
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
        """w by sweeps from a guess; None if SWEEPS are too few. near: the factors of B."""
        scale = 1.0 / self.scale if trans == "N" else self.scale
        scale = scale if guess.w.ndim == 1 else scale[:, None]
        w, d = guess.w, near.solve(guess.residual, trans)
        residual = scale * d
        size, solution = _norms(residual), _norms(scale * (w + d))
        reached = REACHED * reduce(np.maximum, self.sizes, solution)
        # B⁻¹A is close to the identity: orthogonality to the last image is enough.
        gcr = ConjugateResiduals(_dots, kept=1, normalize=False)
        for left in reversed(range(SWEEPS)):
            q = near.solve(self.A.product(d, trans), trans)
            q *= scale
            alpha, d, q = gcr.step(d, q, residual)
            w = w + alpha * d
            residual -= alpha * q
            last, size, d = size, _norms(residual), residual / scale
            rate = size / _positive(last)
            # The residual is one more correction; after it the error is rate · size.
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
    """vᴴ w, for each column; without the threads of BLAS (see `adjoint._numerics.dot`)."""
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
