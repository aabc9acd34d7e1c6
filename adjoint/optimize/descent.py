"""Steepest descent, x ← x − α M⁻¹ g, by backtracking; projected where there are bounds."""

from dataclasses import dataclass, field, replace

import numpy as np

from ..arrays import Array
from ..reduced import Point
from .bounds import Box
from .evaluation import first_point, gradient_of
from .inner import Euclidean, InnerProduct
from .search import Backtracking
from .state import Function, State
from .stopping import Status


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

    def start(self, f: Function, x: Array) -> State:
        """The state at x: one evaluation, one gradient."""
        return self._state(first_point(f, x, self.bounds, "SteepestDescent"), None, 0.0, ())

    def advance(self, f: Function, state: State) -> State:
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
            return replace(state, ending=Status.STUCK)
        return self._state(trial.point, state, trial.alpha, trial.rejected)

    def _first_trial(self, state: State, d: Array) -> float:
        if state.step > 0.0:
            return 2.0 * state.step
        if self.first_step is not None:
            return self.first_step
        largest = float(np.abs(d).max(initial=0.0))
        size = float(np.abs(state.x).max(initial=0.0)) or 1.0
        return 0.1 * size / largest if largest > 0.0 else 1.0

    def _state(self, point: Point, before: State | None, step: float, rejected: tuple[float, ...]) -> State:
        x, g = point.x, gradient_of(point)
        return State(
            iteration=before.iteration + 1 if before else 0,
            x=x,
            value=point.value,
            gradient=g,
            stationarity=self.inner.dual_norm(self.bounds.held(x, g)),
            projected=self.inner.largest(np.abs(self.bounds.clip(x - self.inner.direction(g)) - x)),
            step=step,
            change=self.inner.largest(np.abs(x - before.x)) if before else np.inf,
            rejected=np.array(rejected),
            evaluations=before.evaluations + len(rejected) + 1 if before else 1,
        )
