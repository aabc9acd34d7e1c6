"""Guesses of solutions with matrices that change little, from those that were found last."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import lapack

from ..arrays import Array
from .system import SINGLE

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
        solve = lapack.zgesv if self.gram.dtype.kind == "c" else lapack.dgesv  # Of eight unknowns: SciPy's take longer.
        c = solve(self.gram, overlap)[2]
        return np.asarray(np.einsum("i,in->n", c, self.solutions))

    def remember(self, b: Array, overlap: Array, w: Array) -> None:
        """Take b, with its products, and w in, for the oldest of RECENT."""
        size = math.sqrt(np.vecdot(b, b).real if b.size <= SINGLE else np.einsum("n,n->", b.conj(), b).real)
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
