"""A frozen step: an accepted step to be differentiated, with the solves for its derivatives."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ...errors import NonFinite
from ...typing import Array, Trans
from ..discontinuities.one_sided_times import Interval
from ..discontinuities.time_rates import rate_at
from ..equations import System
from ..methods.tableau import Tableau
from ..stages.refinement import Recent, StageMatrix, StageSolver
from ..stages.stage_matrices import Inverse


@dataclass(frozen=True, eq=False)
class FrozenStep:
    """An accepted step, to be differentiated: from u, by `tableau`, with stages K.

    tableau: the tableau of the step; with the extra stages of dense output if an
    observation lies inside the step. interval: start, length and end. inverse: the
    factors of the step, None for small systems. recent: the latest solutions of the
    sweep, from which the next solution is guessed. sizes: norms of the solutions in
    this step so far. fixed_ends: (True if the start of the step is fixed, True if its
    end is fixed).
    """

    system: System
    tableau: Tableau
    interval: Interval
    u: Array
    K: Array
    inverse: Inverse | None
    recent: Recent
    sizes: list[Array] = field(default_factory=list)
    fixed_ends: tuple[bool, bool] = (False, False)

    @property
    def h(self) -> float:
        """The length of the step."""
        return self.interval.h

    @property
    def times(self) -> list[float]:
        """The times at which the stages evaluate f."""
        return self.tableau.times(self.interval)

    @cached_property
    def scale(self) -> Array:
        """The sizes of the unknowns, (n,), relative to which solves are refined."""
        return self.system.atol + self.system.rtol * np.abs(self.u)

    def with_memory(self, recent: Recent, sizes: list[Array]) -> "FrozenStep":
        """This step with other memories of earlier solves, for other right-hand sides."""
        return replace(self, recent=recent, sizes=sizes)

    def infinite_rate_at_start(self) -> bool:
        """True if ∂f/∂t is infinite at the start of the step and no stage lies there."""
        if self.tableau.continues:
            return False
        sizes, t = np.abs(self.K).max(axis=0), self.interval.first
        try:
            rate_at(lambda t: self.system.time_derivative(t, self.u), t, self.h, sizes, "f")
        except NonFinite:
            return True
        return False

    def solved(self, A: StageMatrix, b: Array, trans: Trans) -> Array:
        """The solution w of A w = b ("N") or Aᴴ w = b ("H"), for one stage or all coupled stages.

        Small matrices are factored. Systems with large matrices are solved by refinement
        with the factors of the step.
        """
        if A.dense:
            return A.inverse().solve(b, trans)
        assert self.inverse is not None
        scale = (
            self.scale
            if b.shape[0] == self.u.size
            else np.concatenate([self.scale] * (b.shape[0] // self.u.size))
        )
        return StageSolver(A, self.inverse, scale, self.recent, self.sizes).solve(b, trans)


def time_rate(
    step: FrozenStep,
    i: int,
    Y: Array,
    rate: Callable[[float, Array], Array],
    size: Array,
    what: str,
) -> Array:
    """∂f/∂t or ∂ℓ/∂t at stage i; at a discontinuity the one-sided derivative from inside the step.

    rate: (t, u) ↦ the derivative with respect to t. size: |f| or |ℓ| in the step. what: "f"
    or "ℓ". Returns zeros if the stage lies at a fixed discontinuity: the time of the stage
    is then fixed, too, and ∂f/∂t may be infinite. Raises NonFiniteField if the
    derivative is infinite at a discontinuity that moves.
    """
    interval, t = step.interval, step.times[i]
    begins, ends = t == interval.first > interval.t, t == interval.final < interval.end
    if (ends and step.fixed_ends[1]) or (begins and step.fixed_ends[0]):
        return np.zeros(size.shape)
    if ends:
        return rate_at(lambda t: rate(t, Y), t, -step.h, size, what)
    if begins:
        return rate_at(lambda t: rate(t, Y), t, step.h, size, what)
    return rate(t, Y)


@dataclass(frozen=True, eq=False)
class Seed:
    """The cotangent of an observation at t + θh inside a step, by dense output.

    u_bar: ∂J/∂u at the observation, (n, j). place: number of the observation.
    """

    theta: float
    u_bar: Array
    place: int


@dataclass(frozen=True, eq=False)
class StepCotangents:
    """∂J with respect to the data of a step: u, k (n, j), p (m, j), start t and length h (j,).

    The entries t and h are zero if they were not requested. observed: ∂J/∂(time of each
    seed), (number of seeds, j).
    """

    u: Array
    k: Array
    p: Array
    t: Array
    h: Array
    observed: Array


@dataclass(frozen=True, eq=False)
class Move:
    """Tangents of the start t and of the length h of a step, (j,) each."""

    t: Array
    h: Array
