"""Steepest descent, x ← x − α M⁻¹ g, by backtracking; projected where there are bounds."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..arrays import Array
from ..parameters import as_parameters
from ..reduced import Point
from .inner import Euclidean, InnerProduct
from .search import Backtracking


@dataclass(frozen=True, eq=False)
class Box:
    """lower ≤ x ≤ upper; numbers, or arrays (m,); ±inf where there is no bound. ValueError if none is between."""

    lower: float | Array = -np.inf
    upper: float | Array = np.inf

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.lower) <= np.asarray(self.upper)):
            raise ValueError(f"Box: a lower bound exceeds its upper bound, or is nan: got {self.lower}, {self.upper}")

    def clip(self, x: Array) -> Array:
        """The nearest point of the box (in any diagonal inner product)."""
        return np.clip(x, self.lower, self.upper)

    def held(self, x: Array, g: Array) -> Array:
        """g without the components that push against a bound x stands at: zero at a stationary point."""
        blocked = ((x <= self.lower) & (g > 0.0)) | ((x >= self.upper) & (g < 0.0))
        return np.where(blocked, 0.0, g)


@dataclass(frozen=True, eq=False)
class DescentState:
    """Where steepest descent stands.

    iteration: steps taken; value, gradient: at x; step: the α of the last step; change: its max|Δx|;
    stationarity: the dual norm of the gradient, without components held by bounds; rejected: values of the
    trials refused in the last search; stuck: no trial step decreased f.
    """

    iteration: int
    x: Array
    value: float
    gradient: Array
    step: float
    change: float
    stationarity: float
    rejected: tuple[float, ...]
    stuck: bool


@dataclass(frozen=True, eq=False)
class SteepestDescent:
    """Backtracking steepest descent in an inner product, projected onto bounds.

    first_step: α of the first trial, None for one that changes x by a tenth of its largest entry (by 0.1 if x
    is zero). With bounds the inner product must be diagonal: then the projection is a clip. Raises ValueError
    from `start` for an x outside of the bounds. Later steps first try twice the last α.

    Nocedal & Wright (2006), chapter 3; Bertsekas (1976), IEEE Trans. Autom. Control 21, 174.
    """

    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Box = field(default_factory=Box)
    search: Backtracking = field(default_factory=Backtracking)
    first_step: float | None = None

    def __post_init__(self) -> None:
        if not (self.first_step is None or 0.0 < self.first_step < np.inf):
            raise ValueError(f"SteepestDescent: got first_step={self.first_step}, expected a positive number or None")

    def start(self, f: Callable[[Array], Point], x: Array) -> DescentState:
        """The state at x: one evaluation, one gradient."""
        x = as_parameters(x, "x")
        if not np.array_equal(self.bounds.clip(x), x):
            raise ValueError("SteepestDescent: the start is outside of the bounds; clip it first")
        return self._state(f(x), 0, 0.0, x, ())

    def advance(self, f: Callable[[Array], Point], state: DescentState) -> DescentState:
        """One step: as many evaluations as the search needs, one gradient."""
        x, g = state.x, state.gradient
        d = -self.inner.direction(g)
        trial = self.search(
            lambda alpha: f(self.bounds.clip(x + alpha * d)),
            lambda point: self.inner.pairing(g, point.x - x),
            state.value,
            self._first_trial(state, d),
        )
        if trial is None:
            return DescentState(state.iteration, x, state.value, g, state.step, 0.0, state.stationarity, (), stuck=True)
        return self._state(trial.point, state.iteration + 1, trial.alpha, x, trial.rejected)

    def _first_trial(self, state: DescentState, d: Array) -> float:
        if state.step > 0.0:
            return 2.0 * state.step
        if self.first_step is not None:
            return self.first_step
        largest = float(np.abs(d).max(initial=0.0))
        size = float(np.abs(state.x).max(initial=0.0)) or 1.0
        return 0.1 * size / largest if largest > 0.0 else 1.0

    def _state(
        self, point: Point, iteration: int, step: float, before: Array, rejected: tuple[float, ...]
    ) -> DescentState:
        held = self.bounds.held(point.x, point.gradient)
        return DescentState(
            iteration=iteration,
            x=point.x,
            value=point.value,
            gradient=point.gradient,
            step=step,
            change=float(np.abs(point.x - before).max(initial=0.0)) if iteration else np.inf,
            stationarity=self.inner.dual_norm(held),
            rejected=rejected,
            stuck=False,
        )
