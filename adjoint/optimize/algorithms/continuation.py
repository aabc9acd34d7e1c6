"""Continuation: an optimization in stages that are data, as one algorithm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..._repr import short_repr
from ..._validation import has, named, require_methods, require_settings
from ...bounds import Bounds
from ...design.maps import Identity
from ...protocols import DesignMap
from ...reduced import Function
from ...typing import Array
from ..constraints import Constraint
from ..inner_products import InnerProduct
from ..settings import require_kind
from ..state import Algorithm, State
from ..status import Status
from ..stopping import Progress, Stopping
from .augmented_function import packed, unpacked

PROGRESS = ("first", "stationarity", "best", "since")
"""What a stage's rules remember, see `Progress`."""


Build = Callable[[Mapping[str, float]], tuple[Function, Algorithm]]
"""The settings of a stage ↦ its f, and the algorithm for it."""


Rule = Callable[[State], bool]
"""Whether a stage is done at a state; of nothing but the state."""


@dataclass(frozen=True, eq=False)
class Grayness:
    """4 Σ p_e (1 − p_e) / m ≤ tolerance, p = φ(x): a rule that ends a stage.

    density: φ, to densities between 0 and 1.
    """

    tolerance: float
    density: DesignMap = field(default_factory=Identity)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_methods(
            "Grayness", "density", self.density, ("__call__",), "a design map to densities"
        )
        if not 0.0 <= self.tolerance < 1.0:
            raise ValueError(
                f"Grayness: got tolerance={self.tolerance}, expected a number in [0, 1)"
            )

    def __call__(self, state: State) -> bool:
        """Whether it is."""
        p = self.density(state.x)
        return float(4.0 * np.mean(p * (1.0 - p))) <= self.tolerance


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage: its settings, and when the next one begins.

    settings: for example {"penalty": 3.0, "beta": 8.0}. until: the first of its rules that holds for the states of this
    stage, or `rule`, ends it; the last stage ends with the run. Raises ValueError for budgets of factorizations and
    seconds: a resumed run would end the stage elsewhere. keep: names in the memory of the algorithm before, such as
    asymptotes, that go over into this stage; all else is forgotten.
    """

    settings: Mapping[str, float]
    until: Stopping = field(default_factory=lambda: Stopping(iterations=50))
    rule: Rule | None = None
    keep: Sequence[str] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not isinstance(self.settings, Mapping):
            raise TypeError(
                f'Stage: got {named(self.settings)} as settings, expected a dict, such as {{"beta": 1.0}}'
            )
        require_kind("Stage", "until", self.until, Stopping)
        if not (self.rule is None or callable(self.rule)):
            raise TypeError(
                f"Stage: got {named(self.rule)} as the rule, expected a function of a State, or None"
            )
        if isinstance(self.keep, str) or not isinstance(self.keep, Sequence):
            raise TypeError(
                f"Stage: got keep={self.keep!r}, expected a tuple of names, such as ({self.keep!r},)"
            )
        if np.isfinite(self.until.factorizations) or np.isfinite(self.until.seconds):
            raise ValueError(
                "Stage: got a budget of factorizations or seconds; a stage has one of iterations only"
            )

    def done(self, state: State, progress: Progress) -> bool:
        """Whether the next stage begins after this state, of this stage's own algorithm."""
        if state.iteration == 0:
            return False
        return self.until.reason(state, progress) is not None or (
            self.rule is not None and self.rule(state)
        )


@dataclass(frozen=True, eq=False)
class Continuation:
    """x₀ → argmin f₁ → argmin f₂ → …: stages of penalty, projection or filter radius, as data.

        continuation = Continuation(build, (Stage({"beta": 1.0}), Stage({"beta": 8.0})))
        minimize(continuation.f, x, continuation)

    build: makes f and the algorithm from a stage's settings; called when a stage begins, or is resumed, it has to make
    the same ones each time. An iteration is one of the stage's algorithm, or the evaluation of its f at the design
    where the last stage ended (clipped to its bounds). A stage in which no step is found ends there, too.

    State: that of the stage's algorithm, with `stage` its index and `left` the stages to come: until there is none the
    run's own stopping rules, but for budgets, do not count. Where the last stage begins they begin anew. Raises
    ValueError without stages, for another f than `f`, and for a name in `keep` that the algorithm before does not
    remember.
    """

    build: Build
    stages: Sequence[Stage]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not callable(self.build):
            raise TypeError(
                f"Continuation: got {named(self.build)} as build, expected a function of a stage's settings that "
                "returns (f, algorithm)"
            )
        several = isinstance(self.stages, Sequence)
        if (
            wrong := [each for each in self.stages if not isinstance(each, Stage)]
            if several
            else [self.stages]
        ):
            raise TypeError(
                f"Continuation: got {named(wrong[0])} for stages, expected a tuple of them, such as "
                '(Stage({"beta": 1.0}), Stage({"beta": 8.0}))'
            )
        if not self.stages:
            raise ValueError("Continuation: got no stages, expected at least one")

    @cached_property
    def _first(self) -> tuple[Function, Algorithm]:
        return self._built(0)

    @cached_property
    def _latest(self) -> dict[int, tuple[Function, Algorithm]]:
        return {}

    @property
    def f(self) -> Function:
        """That of the first stage, for `minimize`."""
        return self._first[0]

    @property
    def inner(self) -> InnerProduct:
        """That of the first stage's algorithm."""
        return self._first[1].inner

    @property
    def bounds(self) -> Bounds:
        """Those of the first stage's algorithm."""
        return self._first[1].bounds

    @property
    def constrained(self) -> Sequence[Constraint]:
        """Those of the first stage's algorithm."""
        return self._first[1].constrained

    def start(self, f: Function, x: Array) -> State:
        """The first stage's algorithm at its start."""
        self._require(f)
        f, algorithm = self._of(0)
        inner = algorithm.start(f, x)
        return self._state(
            inner,
            inner.iteration,
            inner.evaluations,
            0,
            self.stages[0].until.begun(inner, self._steepness(inner, algorithm), 0.0),
        )

    def advance(self, f: Function, state: State) -> State:
        """An iteration of the stage's algorithm; the start of the next stage where it is done."""
        self._require(f)
        inner, progress = unpacked(state.memory, state.x, state.point), _progress(state)
        stage = self.stages[state.stage]
        if state.left and stage.done(inner, progress):
            return self._next(state, inner, state.evaluations)
        f, algorithm = self._of(state.stage)
        after = algorithm.advance(f, inner)
        evaluations = state.evaluations + after.evaluations - inner.evaluations
        if after.ending is Status.STUCK and state.left:
            return self._next(state, inner, evaluations)
        if after.ending is not None:
            return replace(
                state, rejected=after.rejected, evaluations=evaluations, ending=after.ending
            )
        progress = stage.until.followed(progress, after, np.inf, 0.0, 0, 0.0)
        return self._state(after, state.iteration + 1, evaluations, state.stage, progress)

    def _next(self, state: State, before: State, evaluations: int) -> State:
        """The first state of the next stage."""
        index = state.stage + 1
        stage = self.stages[index]
        f, algorithm = self._of(index)
        inner = algorithm.start(f, algorithm.bounds.clip(state.x))
        if missing := [name for name in stage.keep if name not in before.memory]:
            raise ValueError(
                f"Stage {index}: got keep={missing}, expected names out of {sorted(before.memory)}"
            )
        kept = {name: before.memory[name] for name in stage.keep}
        inner = replace(inner, memory={**inner.memory, **kept})
        evaluations += inner.evaluations
        return self._state(
            inner,
            state.iteration + 1,
            evaluations,
            index,
            stage.until.begun(inner, self._steepness(inner, algorithm), 0.0),
        )

    def _state(
        self, inner: State, iteration: int, evaluations: int, index: int, progress: Progress
    ) -> State:
        remembered = {f"progress.{name}": np.asarray(getattr(progress, name)) for name in PROGRESS}
        return replace(
            inner,
            iteration=iteration,
            evaluations=evaluations,
            stage=index,
            left=len(self.stages) - 1 - index,
            memory={**packed(inner), **remembered},
            function=self._of(index)[0],
        )

    @staticmethod
    def _steepness(first: State, algorithm: Algorithm) -> float:
        """The dual norm of ∇f at the start of a stage."""
        return algorithm.inner.dual_norm(first.gradient)

    def _of(self, index: int) -> tuple[Function, Algorithm]:
        """f and the algorithm of a stage; those of one stage besides the first stay in memory."""
        if index == 0:
            return self._first
        if index not in self._latest:
            self._latest.clear()
            self._latest[index] = self._built(index)
        return self._latest[index]

    def _built(self, index: int) -> tuple[Function, Algorithm]:
        """What `build` makes of a stage; raises TypeError for what is no f with an algorithm."""
        built = self.build(self.stages[index].settings)
        pair = built if isinstance(built, tuple) and len(built) == 2 else None
        if pair is None or not (callable(pair[0]) and has(pair[1], "start", "advance")):
            got = named(built) if pair is None else f"{named(pair[0])} and {named(pair[1])}"
            raise TypeError(
                f"Continuation: build returned {got}, expected the pair (f, algorithm) of a stage"
            )
        return built

    def _require(self, f: Function) -> None:
        if f is not self.f:
            raise ValueError(
                "Continuation: got another f; its own, `continuation.f`, is what it begins with"
            )


def _progress(state: State) -> Progress:
    """Of the state's stage."""
    first, stationarity, best, since = (
        state.memory[f"progress.{name}"].item() for name in PROGRESS
    )
    return Progress(first, stationarity, best, since, 0.0, 0, 0, 0.0)
