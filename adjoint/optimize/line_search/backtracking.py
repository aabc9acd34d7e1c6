"""Backtracking: the first of ever shorter steps along a path x(α) that decreases f enough."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import require_settings
from ...errors import SolveError
from ...reduced import Function
from ...typing import Array
from ..trial import tried
from .step import Step


@dataclass(frozen=True, eq=False)
class Backtracking:
    """Shorten α until f(x(α)) ≤ reference + c₁ (predicted change).

    See docs/math/optimization.md, eq. 28.

    No trial pays for a gradient. A failed solve, or nan, means that the step was too long.
    The reference is f(x) (the Armijo condition), or the largest of the last values (a
    nonmonotone search).

    Parameters
    ----------
    c1 : float
        c₁, between 0 and 1: the part of the predicted decrease that is required.
    shrink : float
        Factor on α after a refused trial, between 0 and 1.
    trials : int
        Largest number of evaluations of f in a search.

    Raises
    ------
    TypeError
        If a setting is not a number.
    ValueError
        If a setting is out of range.

    References
    ----------
    Nocedal & Wright (2006), Numerical Optimization, algorithm 3.1. Grippo, Lampariello &
    Lucidi (1986), SIAM J. Numer. Anal. 23, 707.
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
    ) -> Step:
        """The first acceptable step from α downwards.

        path: α ↦ x(α); predicted: x(α) ↦ g·(x(α) − x). If the predicted change is not negative
        the search ends: there is no step.
        """
        rejected: list[float] = []
        failure: SolveError | None = None
        # Smaller differences of f are rounding errors, and do not refuse a step.
        noise = 4.0 * np.finfo(float).eps * abs(reference)
        for _ in range(self.trials):
            x = path(alpha)
            change = predicted(x)
            if not change < 0.0:
                break
            trial = tried(f, x)
            point, failure = trial.point, trial.failure or failure
            if point is not None and point.value <= reference + self.c1 * change + noise:
                return Step(alpha, point, tuple(rejected))
            rejected.append(float("nan") if point is None else point.value)
            alpha *= self.shrink
        return Step(alpha, None, tuple(rejected), failure)

    def along(
        self,
        f: Function,
        curve: Callable[[float], Array],
        slope: float,
        reference: float,
        alpha: float,
    ) -> Step:
        """The first acceptable step along a smooth curve x(α), from α downwards.

        The predicted change of f is α times the slope. If x(α) raises a SolveError, the step
        was too long.

        Parameters
        ----------
        f : callable
            The objective.
        curve : callable
            α ↦ x(α), (m,) array.
        slope : float
            d/dα of f(x(α)) at 0, negative.
        reference : float
            The value that f is compared with.
        alpha : float
            The first α.

        Returns
        -------
        Step
            The accepted step, or a step without a point.
        """
        rejected: list[float] = []
        failure: SolveError | None = None
        noise = 4.0 * np.finfo(float).eps * abs(reference)
        for _ in range(self.trials):
            if not alpha * slope < 0.0:
                break
            trial = tried(lambda at: f(curve(float(at))), np.array(alpha))
            point, failure = trial.point, trial.failure or failure
            if point is not None and point.value <= reference + self.c1 * alpha * slope + noise:
                return Step(alpha, point, tuple(rejected))
            rejected.append(float("nan") if point is None else point.value)
            alpha *= self.shrink
        return Step(alpha, None, tuple(rejected), failure)
