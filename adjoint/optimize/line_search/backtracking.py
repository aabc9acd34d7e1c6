"""Backtracking along a path x(α): the trials of a step, of which the first that is good enough is taken."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._repr import short_repr
from ..._validation import require_settings
from ...reduced import Function, Point
from ...typing import Array
from ..trial import attempt


@dataclass(frozen=True, eq=False)
class Trial:
    """The accepted step and its point, None if there is none; values (nan: a solve failed) rejected before it."""

    alpha: float
    point: Point | None
    rejected: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Backtracking:
    """Shorten α by `shrink` until f(x(α)) ≤ reference + c₁ (predicted change).

    See docs/math/optimization.md, eq. 28.

    At most `trials` evaluations, none of which pays for a gradient. A failed solve, or nan, means the step was too
    long. The reference is f(x), the Armijo condition, or the largest of the last values: a nonmonotone search.

    Nocedal & Wright (2006), Numerical Optimization, algorithm 3.1; Grippo, Lampariello & Lucidi (1986), SIAM J. Numer.
    Anal. 23, 707.
    """

    c1: float = 1e-4
    shrink: float = 0.5
    trials: int = 40

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 < self.c1 < 1.0 and 0.0 < self.shrink < 1.0 and self.trials >= 1):
            raise ValueError(
                f"Backtracking: got {self}, expected 0 < c1, shrink < 1 and at least one trial"
            )

    def __call__(
        self,
        f: Function,
        path: Callable[[float], Array],
        predicted: Callable[[Array], float],
        reference: float,
        alpha: float,
    ) -> Trial:
        """The first acceptable step from α downwards.

        path: α ↦ x(α); predicted: x(α) ↦ g·(x(α) − x); where that is not negative the search ends: no step is left.
        """
        rejected: list[float] = []
        # Below this, differences of f are rounding: a step that long is as good as no step.
        noise = 4.0 * np.finfo(float).eps * abs(reference)
        for _ in range(self.trials):
            x = path(alpha)
            change = predicted(x)
            if not change < 0.0:
                break
            point = attempt(f, x)
            if point is not None and point.value <= reference + self.c1 * change + noise:
                return Trial(alpha, point, tuple(rejected))
            rejected.append(float("nan") if point is None else point.value)
            alpha *= self.shrink
        return Trial(alpha, None, tuple(rejected))
