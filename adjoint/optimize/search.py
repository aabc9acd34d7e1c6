"""Line searches: they work on φ(α) = f(x(α)) and return the point they evaluated."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..factor.errors import SolveError
from ..reduced import Point


@dataclass(frozen=True, eq=False)
class Trial:
    """The accepted step and its point, and the values (nan: a solve failed) that were rejected before it."""

    alpha: float
    point: Point
    rejected: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Backtracking:
    """Shorten α by `shrink` until φ(α) ≤ φ(0) + c₁ (predicted change), the Armijo condition (docs/math.md, eq. 28).

    At most `trials` evaluations, none of which pays for a gradient. A failed solve means the step was too long.

    Nocedal & Wright (2006), Numerical Optimization, algorithm 3.1.
    """

    c1: float = 1e-4
    shrink: float = 0.5
    trials: int = 40

    def __post_init__(self) -> None:
        if not (0.0 < self.c1 < 1.0 and 0.0 < self.shrink < 1.0 and self.trials >= 1):
            raise ValueError(f"Backtracking: got {self}, expected 0 < c1, shrink < 1 and at least one trial")

    def __call__(
        self,
        phi: Callable[[float], Point],
        predicted: Callable[[Point], float],
        start: float,
        alpha: float,
    ) -> Trial | None:
        """The first acceptable step from α downwards; None if there is none.

        phi: α ↦ the evaluated point; predicted: the point ↦ g·(x(α) − x), negative; start: φ(0).
        """
        rejected: list[float] = []
        # Below this, differences of f are rounding: a step that long is as good as no step.
        noise = 4.0 * np.finfo(float).eps * abs(start)
        for _ in range(self.trials):
            try:
                point = phi(alpha)
            except SolveError:
                rejected.append(float("nan"))
            else:
                # At most 0: a projection that is not one in the inner product may predict an increase.
                if point.value <= start + self.c1 * min(predicted(point), 0.0) + noise:
                    return Trial(alpha, point, tuple(rejected))
                rejected.append(point.value)
            alpha *= self.shrink
        return None
