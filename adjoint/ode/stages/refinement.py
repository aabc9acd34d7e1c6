"""Solves with M − hγ J: a guess from recent solutions, refined by the factors of the step.

A few sweeps of generalized conjugate residuals replace a factorization, because the factors
of the step belong to a nearby matrix. Guesses are good, because matrices and right-hand
sides change little from stage to stage.
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
"""Number of solutions from which the next solution is guessed. These are the solutions for
the stages of one or two steps, or for 8 steps if the stages are coupled."""

LEVELS = 2
"""Number of guesses. The first guess is for the solution, the second guess for the error of
the first. A third guess saved 5 % of the sweeps, and cost more time than it saved."""

RIDGE = 1e-12
"""Number added to the diagonal of the Gram matrix of the right-hand sides, which have 2-norm
1. The Gram matrix is then regular even if the right-hand sides are linearly dependent."""

TARGET = 2e-13
"""Relative error of a solution, predicted from the last correction, below which the sweeps
end."""

SWEEPS = 14
"""Maximum number of sweeps. A factorization costs as much as about 20 sweeps."""

ROUNDING = 1e-9
"""Size of a correction, relative to the solution, below which the correction is rounding
error if it no longer decreases."""


@dataclass(eq=False)
class Pairs:
    """A memory of the last `RECENT` right-hand sides, scaled to 2-norm 1, and their solutions.

    rhs, solutions: (RECENT, n). gram: Gram matrix of the right-hand sides, (RECENT,
    RECENT); rows without a pair are rows of the identity. number: number of all pairs
    stored so far.
    """

    rhs: Array = field(default_factory=lambda: np.zeros((0, 0)))
    solutions: Array = field(default_factory=lambda: np.zeros((0, 0)))
    gram: Array = field(default_factory=lambda: np.zeros((0, 0)))
    number: int = 0

    def overlap(self, b: Array) -> Array:
        """Scalar products b_iᴴ b of the stored right-hand sides with b, (RECENT,)."""
        if self.number == 0:
            self.rhs, self.solutions = np.zeros((2, RECENT, b.size), dtype=b.dtype)
            self.gram = np.eye(RECENT, dtype=b.dtype)
        if b.size <= SINGLE:
            return np.asarray(np.vecdot(self.rhs, b))
        rhs = self.rhs.conj() if self.rhs.dtype.kind == "c" else self.rhs
        return np.asarray(np.einsum("in,n->i", rhs, b))

    def solution(self, overlap: Array) -> Array:
        """Σ c_i w_i, (n,), where w_i is the solution for b_i, and Σ c_i b_i is closest to b.

        overlap: the scalar products b_iᴴ b, (RECENT,).
        """
        # LAPACK directly: for 8 unknowns the checks of scipy.linalg.solve take longer.
        solve = lapack.zgesv if self.gram.dtype.kind == "c" else lapack.dgesv
        c = solve(self.gram, overlap)[2]
        return np.asarray(np.einsum("i,in->n", c, self.solutions))

    def remember(self, b: Array, overlap: Array, w: Array) -> None:
        """Replace the oldest pair by b and w; overlap: b_iᴴ b for all stored pairs, (RECENT,)."""
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
    """A guess w, (n,), of A⁻¹ b, and its residual b − A w.

    errors: for each level of `Recent`, the triple (residual, overlap of the residual,
    guess) before this level improves the guess. The guess before the first level is 0.
    """

    w: Array
    residual: Array
    errors: list[tuple[Array, Array, Array]]


@dataclass(frozen=True, eq=False)
class Recent:
    """A memory of recent solves, from which solutions are guessed.

    levels[0] remembers solutions. levels[1] remembers errors of guesses, the solutions of
    A e = b − A w: errors change from stage to stage as smoothly as solutions do.
    """

    levels: tuple[Pairs, ...] = field(default_factory=lambda: tuple(Pairs() for _ in range(LEVELS)))

    def guess(self, b: Array, apply: Callable[[Array], Array]) -> Guess:
        """A guess of A⁻¹ b, (n,); apply: v ↦ A v."""
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
        """Remember w, the solution that was found from a guess."""
        for pairs, (residual, overlap, before) in zip(self.levels, guess.errors, strict=True):
            pairs.remember(residual, overlap, w - before)


class StageMatrix(Protocol):
    """Protocol for A = M − hγ J of one stage, or for the matrix of all coupled stages of a step.

    dense: True if A is so small that it is factored for each solve.
    """

    @property
    def dense(self) -> bool: ...

    def product(self, v: Array, trans: Trans) -> Array:
        """A v ("N") or Aᴴ v ("H"); v: (n,) or (n, j)."""

    def inverse(self) -> Inverse:
        """The factors of A."""


@dataclass(frozen=True, eq=False)
class StageSolver:
    """Solves with the matrix A of a stage, or with Aᴴ.

    near: the factors of a matrix B close to A. scale: (n,), the size of each unknown.
    In norms, corrections of solves with A are divided by `scale`, and corrections of
    solves with Aᴴ are multiplied by `scale`. recent: the memory of earlier solves of
    the same sweep. sizes: a list of the norms of the solutions of this step so far,
    which `solve` extends. Errors are measured relative to the largest solution of a
    step, because the solutions are terms of the same sums.
    """

    A: StageMatrix
    near: Inverse
    scale: Array
    recent: Recent
    sizes: list[Array]

    def solve(self, b: Array, trans: Trans) -> Array:
        """Solve A w = b ("N") or Aᴴ w = b ("H"); b: (n,) or (n, j).

        Generalized conjugate residuals solve B⁻¹A w = B⁻¹b (Eisenstat, Elman & Schultz
        1983). If the residuals do not converge, A is factored.
        """
        single = b.ndim == 1 or b.shape[1] == 1
        columns = b.reshape(-1) if single else b
        guess = (
            self.recent.guess(columns, lambda v: self.A.product(v, trans))
            if single
            else _zero(columns)
        )
        refined = self._refined(guess, trans, self.near)
        w = self._factored(guess, columns, trans) if refined is None else refined
        if single:
            self.recent.remember(guess, w)
        return w.reshape(b.shape)

    def _factored(self, guess: Guess, b: Array, trans: Trans) -> Array:
        """w by the factors of A: refined, or verified if refinement does not converge."""
        inverse = self.A.inverse()
        assert isinstance(inverse, SparseInverse)
        refined = self._refined(guess, trans, inverse)
        return inverse.verified(b, trans) if refined is None else refined

    def _refined(self, guess: Guess, trans: Trans, near: Inverse) -> Array | None:
        """w by refinement sweeps from a guess; None if more than `SWEEPS` sweeps are needed.

        near: the factors of a matrix B close to A.
        """
        scale = 1.0 / self.scale if trans == "N" else self.scale
        scale = scale if guess.w.ndim == 1 else scale[:, None]
        w, d = guess.w, near.solve(guess.residual, trans)
        residual = scale * d
        size, solution = _norms(residual), _norms(scale * (w + d))
        target = TARGET * reduce(np.maximum, self.sizes, solution)
        # B⁻¹A is close to the identity. Orthogonality to the last image B⁻¹A d is enough.
        gcr = ConjugateResiduals(_dots, kept=1, normalize=False)
        for left in reversed(range(SWEEPS)):
            q = near.solve(self.A.product(d, trans), trans)
            q *= scale
            alpha, d, q = gcr.step(d, q, residual)
            w = w + alpha * d
            residual -= alpha * q
            last, size, d = size, _norms(residual), residual / scale
            rate = size / _positive(last)
            # The residual is added as one more correction. The error then is rate · size.
            if ((size * rate <= target) | ((size <= ROUNDING * solution) & (rate > 0.5))).all():
                count(refinements=SWEEPS - left)
                self.sizes.append(solution)
                return w + d
            if not (size * rate**left <= target).all():
                return None
        return None


def _zero(b: Array) -> Guess:
    """The guess w = 0, with the residual b."""
    return Guess(np.zeros_like(b), b, [])


def _dots(v: Array, w: Array) -> Array:
    """vᴴ w of each column. Short vectors use BLAS (see `adjoint._numerics.dot`).

    Do not replace by `column_dots`, which does not use BLAS: the last bits of the
    results would change.
    """
    if v.ndim == 1 and v.size <= SINGLE:
        products: Array = np.vecdot(v, w)
        return products
    v = v.conj() if v.dtype.kind == "c" else v
    dots: Array = np.einsum("i,i->" if v.ndim == 1 else "ij,ij->j", v, w)
    return dots  # For vectors a NumPy scalar: 0-d arrays are ten times slower.


def _norms(v: Array) -> Array:
    """‖v‖₂ of each column."""
    norms: Array = np.sqrt(_dots(v, v).real)
    return norms


def _positive(v: Array) -> Array:
    """v, a nonnegative array, with 1 instead of each 0."""
    return v + (v <= 0.0)
