"""Continuation: an algorithm that runs an optimization in stages; the stages are data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import has, named, require_methods, require_settings
from ...bounds import Bounds
from ...design.maps import Identity
from ...protocols import DesignMap
from ...reduced import Function
from ...typing import Array
from ..constraints.constraint import Constraint
from ..inner_products import InnerProduct
from ..memory import packed, require_entries, require_packed, unpacked
from ..settings import require_kind, require_no_manifold
from ..state import Algorithm, State
from ..status import Status
from ..stopping import Progress, Stopping

PROGRESS = ("first", "stationarity", "best", "since")
"""Fields of `Progress` that a stage remembers."""


Build = Callable[[Mapping[str, float]], tuple[Function, Algorithm]]
"""A function from the settings of a stage to its objective and its algorithm."""


Rule = Callable[[State], bool]
"""A function of a state alone: True if the stage is done."""


@dataclass(frozen=True, eq=False)
class Grayness:
    """4 Σ p_e (1 − p_e) / m ≤ tolerance with p = φ(x): a rule that ends a stage.

    Parameters
    ----------
    tolerance : float
        Largest mean grayness, in [0, 1). Grayness is 0 if all densities are 0 or 1, and
        1 if all densities are ½.
    density : DesignMap
        φ, from the design to densities between 0 and 1; the identity by default.

    Raises
    ------
    TypeError
        If `density` is not a design map.
    ValueError
        If the tolerance is out of range.
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
        """True if the design of the state is black and white within the tolerance."""
        p = self.density(state.x)
        return float(4.0 * np.mean(p * (1.0 - p))) <= self.tolerance


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of a continuation: its settings, and the rules that end it.

    Parameters
    ----------
    settings : mapping of str to float
        Passed to `build`; for example {"penalty": 3.0, "beta": 8.0}.
    until : Stopping
        The stage ends at the first of these rules that holds for the states of this stage.
        The last stage ends with the run.
    rule : callable or None
        A further rule: State ↦ bool.
    keep : sequence of str
        Names of entries in the memory of the last stage's algorithm, such as
        asymptotes, that this stage takes over. All other memory is forgotten.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `until` has a budget of factorizations or seconds: a resumed run would end the
        stage elsewhere.
    """

    settings: Mapping[str, float]
    until: Stopping = field(default_factory=lambda: Stopping(iterations=50))
    rule: Rule | None = None
    keep: Sequence[str] = ()

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not isinstance(self.settings, Mapping):
            raise TypeError(
                f"Stage: got {named(self.settings)} as settings, expected a dict, such as "
                '{"beta": 1.0}'
            )
        require_kind("Stage", "until", self.until, Stopping)
        if not (self.rule is None or callable(self.rule)):
            raise TypeError(
                f"Stage: got {named(self.rule)} as the rule, expected a function of a State, or "
                "None"
            )
        if isinstance(self.keep, str) or not isinstance(self.keep, Sequence):
            raise TypeError(
                f"Stage: got keep={self.keep!r}, expected a tuple of names, such as "
                f"({self.keep!r},)"
            )
        if np.isfinite(self.until.factorizations) or np.isfinite(self.until.seconds):
            raise ValueError(
                "Stage: got a budget of factorizations or seconds; a stage has a budget of "
                "iterations only"
            )

    def done(self, state: State, progress: Progress) -> bool:
        """True if the next stage begins after this state.

        Parameters
        ----------
        state : State
            A state of the algorithm of this stage.
        progress : Progress
            The progress of this stage.

        Returns
        -------
        bool
            True if a rule of this stage holds.
        """
        if state.iteration == 0:
            return False
        return self.until.reason(state, progress) is not None or (
            self.rule is not None and self.rule(state)
        )


@dataclass(eq=False)
class Continuation:
    """x₀ → argmin f₁ → argmin f₂ → …: stages of penalty, projection or filter radius, as data.

    An iteration is an iteration of the stage's algorithm, or the evaluation of the next
    stage's f at the design where the last stage ended (clipped to its bounds). A stage
    also ends if its algorithm finds no further step. In a state `stage` is the index of
    the stage, and `left` is the number of stages to come. While `left` is positive,
    only the budgets and the floor of the run's stopping rules count. The stopping rules
    start again with the last stage.

    A continuation remembers f and the algorithm of its first stage, and f and the
    algorithm of one other stage.

    Parameters
    ----------
    build : callable
        Settings of a stage ↦ (f, algorithm). It is called when a stage begins or is
        resumed, and has to return equal objects for equal settings.
    stages : sequence of Stage
        The stages, at least one.

    Attributes
    ----------
    f : callable
        The objective of the first stage, for `minimize`.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or if `build` does not return (f, algorithm).
    ValueError
        If there are no stages; in a run, if the objective is not `continuation.f`, or
        if `keep` names an entry that the last stage's algorithm does not remember.

    Examples
    --------
    Increase the sharpness β of a projection::

        continuation = Continuation(build, (Stage({"beta": 1.0}), Stage({"beta": 8.0})))
        minimize(continuation.f, x, continuation)
    """

    build: Build
    stages: Sequence[Stage]
    _latest: tuple[int, tuple[Function, Algorithm]] | None = field(
        default=None, init=False, repr=False
    )

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if not callable(self.build):
            raise TypeError(
                f"Continuation: got {named(self.build)} as build, expected a function of a stage's "
                "settings that returns (f, algorithm)"
            )
        several = isinstance(self.stages, Sequence)
        if (
            wrong := [each for each in self.stages if not isinstance(each, Stage)]
            if several
            else [self.stages]
        ):
            raise TypeError(
                f"Continuation: got {named(wrong[0])} for stages, expected a tuple of stages, such "
                'as (Stage({"beta": 1.0}), Stage({"beta": 8.0}))'
            )
        if not self.stages:
            raise ValueError("Continuation: got no stages, expected at least one")

    @cached_property
    def _first(self) -> tuple[Function, Algorithm]:
        return self._built(0)

    @property
    def f(self) -> Function:
        """The objective of the first stage, for `minimize`."""
        return self._first[0]

    @property
    def inner(self) -> InnerProduct:
        """The inner product of the first stage's algorithm."""
        return self._first[1].inner

    @property
    def bounds(self) -> Bounds:
        """The bounds of the first stage's algorithm."""
        return self._first[1].bounds

    @property
    def constrained(self) -> Sequence[Constraint]:
        """The constraints of the first stage's algorithm."""
        return self._first[1].constrained

    def start(self, f: Function, x: Array) -> State:
        """The initial state of the run, from the `start` of the first stage's algorithm."""
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
        """The next state, by the stage's algorithm; or the first state of the next stage."""
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
                state,
                rejected=after.rejected,
                evaluations=evaluations,
                ending=after.ending,
                failure=after.failure,
            )
        progress = stage.until.followed(progress, after, np.inf, 0.0, 0, 0.0)
        return self._state(after, state.iteration + 1, evaluations, state.stage, progress)

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has the progress and the inner state of its stage."""
        if not state.stage < len(self.stages):
            raise ValueError(f"Continuation has {len(self.stages)} stages, the state {state.stage}")
        shapes = {f"progress.{name}": () for name in PROGRESS}
        require_entries("Continuation", state.memory, shapes)
        require_packed("Continuation", self._of(state.stage)[1], state)

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
        """f and the algorithm of the stage with this index.

        The pairs (f, algorithm) of the first stage and of one other stage stay in
        memory.
        """
        if index == 0:
            return self._first
        if self._latest is None or self._latest[0] != index:
            self._latest = (index, self._built(index))
        return self._latest[1]

    def _built(self, index: int) -> tuple[Function, Algorithm]:
        """The result of `build` for a stage; raise TypeError unless it is (f, algorithm)."""
        built = self.build(self.stages[index].settings)
        pair = built if isinstance(built, tuple) and len(built) == 2 else None
        if pair is None or not (callable(pair[0]) and has(pair[1], "start", "advance")):
            got = named(built) if pair is None else f"{named(pair[0])} and {named(pair[1])}"
            raise TypeError(
                f"Continuation: build returned {got}, expected the pair (f, algorithm) of a stage"
            )
        require_no_manifold("Continuation", pair[1])
        return built

    def _require(self, f: Function) -> None:
        """Raise ValueError unless f is the objective of the first stage, `self.f`."""
        if f is not self.f:
            raise ValueError(
                "Continuation: got another f; its own, `continuation.f`, is what it begins with"
            )


def _progress(state: State) -> Progress:
    """The progress of the current stage, from the memory of the state."""
    first, stationarity, best, since = (
        state.memory[f"progress.{name}"].item() for name in PROGRESS
    )
    return Progress(first, stationarity, best, since, 0.0, 0, 0, 0.0)
