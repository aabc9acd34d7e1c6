"""The course of an integration: its steps, as they were taken; frozen, they define what is differentiated.

The state before a step: all that it takes to repeat the step to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ..typing import Array
from .discontinuities.knots import Interval
from .methods.tableau import Tableau
from .stages.stage_matrices import Inverse
from .stages.stages import Stages

REFUSED, GROWTH, AFTER = 2, 500.0, 10
"""Steps refused at a jump of f at least, by how much steps grow behind it, and within how many. Measured on jumps and
kinks by six methods: growth by 1e3 to 2e6; on pulses, oscillators and stiff kinetics: by at most 7."""


@dataclass(eq=False)
class Course:
    """One entry a step: where it began, how long it was, which tableau took it, how its stages were found.

    first, final: the times its stages see where it begins and ends, see `Interval`. base: the step for which the matrix
    of Newton's method was made, base_t: the time it was evaluated at, base_hg: its hγ, 0 for explicit methods;
    iterations: corrections of each stage. landings: times that steps end on exactly,
    ascending, t₀ first and t_f last; landed: the number of steps before each of them. knots: the number of steps before
    each time at which f may jump. restarts: of steps that begin there with more than u, whether algebraic unknowns were
    solved for. refused: how many steps were refused before each one was accepted.
    """

    t: list[float] = field(default_factory=list)
    h: list[float] = field(default_factory=list)
    tableau: list[Tableau] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    base_t: list[float] = field(default_factory=list)
    base_hg: list[float] = field(default_factory=list)
    iterations: list[tuple[int, ...]] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    landings: list[float] = field(default_factory=list)
    landed: list[int] = field(default_factory=list)
    rejected: int = 0
    first: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    knots: set[int] = field(default_factory=set)
    restarts: dict[int, bool] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return len(self.h)

    def interval(self, k: int) -> Interval:
        """Where step k lies."""
        end = self.t[k + 1] if k + 1 < self.steps else self.landings[-1]
        return Interval(self.t[k], self.h[k], end, self.first[k], self.final[k])

    def grid(self) -> Array:
        """The times of the steps, (N + 1,)."""
        return np.array([*self.t, self.landings[-1]])

    def pulled_back(self, t_bar: Array, h_bar: Array) -> Array:
        """∂J/∂(landings), (L, j), from those with respect to the beginnings and lengths of steps, (N, j) each.

        Between two landings a and b steps keep their proportions: t_k = a + φ_k (b − a), h_k = η_k (b − a).
        """
        bars = np.zeros((len(self.landings), *t_bar.shape[1:]))
        for i, (first, last) in enumerate(zip(self.landed, self.landed[1:], strict=False)):
            a, b = self.landings[i], self.landings[i + 1]
            if last > first:
                phi = (np.array(self.t[first:last]) - a) / (b - a)
                eta = np.array(self.h[first:last]) / (b - a)
                bars[i] += (1.0 - phi) @ t_bar[first:last] - eta @ h_bar[first:last]
                bars[i + 1] += phi @ t_bar[first:last] + eta @ h_bar[first:last]
        return bars

    def pushed_forward(self, landings_dot: Array) -> tuple[Array, Array]:
        """Tangents of the beginnings and lengths of steps, (N, j) each, as landings move, (L, j): the transpose."""
        t_dot, h_dot = np.zeros((2, self.steps, landings_dot.shape[1]))
        for i, (first, last) in enumerate(zip(self.landed, self.landed[1:], strict=False)):
            a, b = self.landings[i], self.landings[i + 1]
            for k in range(first, last):
                phi, eta = (self.t[k] - a) / (b - a), self.h[k] / (b - a)
                t_dot[k] = (1.0 - phi) * landings_dot[i] + phi * landings_dot[i + 1]
                h_dot[k] = eta * (landings_dot[i + 1] - landings_dot[i])
        return t_dot, h_dot

    def jumps(self) -> list[tuple[float, float]]:
        """The steps in which f is likely to jump or to kink, as (begin, end); neighbouring ones are one.

        Where steps are refused again and again, and those accepted grow a thousandfold right behind: of a fast but
        smooth change they do not.
        """
        found: list[tuple[float, float]] = []
        last = -AFTER
        for k, refused in enumerate(self.refused):
            if k == 0 or refused < REFUSED or k in self.knots:
                continue
            if max(self.h[k : k + AFTER]) >= GROWTH * self.h[k]:
                begin = found.pop()[0] if found and k - last < AFTER else self.t[k]
                found.append((begin, self.interval(k).end))
                last = k
        return found

    def moved(self, landings: Sequence[float]) -> "Course":
        """The same steps in the same proportions between other landings."""
        t, h, first_times, final = list(self.t), list(self.h), list(self.first), list(self.final)
        for i, (first, last) in enumerate(zip(self.landed, self.landed[1:], strict=False)):
            a, b = self.landings[i], self.landings[i + 1]
            ratio = (landings[i + 1] - landings[i]) / (b - a)
            for k in range(first, last):
                t[k], h[k] = landings[i] + (self.t[k] - a) * ratio, self.h[k] * ratio
        ends = [*t[1:], float(landings[-1])]
        for k in range(self.steps):
            old = self.interval(k)
            first_times[k] = t[k] + (old.first - old.t)
            final[k] = ends[k] + (old.final - old.end) if k + 1 in self.knots else t[k] + h[k]
        return Course(
            t,
            h,
            self.tableau,
            self.base,
            self.base_t,
            self.base_hg,
            self.iterations,
            self.error,
            list(landings),
            self.landed,
            self.rejected,
            first_times,
            final,
            self.knots,
            self.restarts,
            self.refused,
        )


def base_point(tableau: Tableau, t: float, u: Array, k: Array, hg: float) -> tuple[float, Array]:
    """Where the matrix of Newton's method for a step from (t, u) is evaluated: halfway, along K₁ = k.

    No stage is then further away than half a step. Where stages are coupled, along the last one of the step before;
    where the step begins for methods that do not know K₁.
    """
    if not (tableau.continues or tableau.coupled):
        return t, u.copy()  # Of its own, so that all states take as many bytes.
    half = 0.5 * hg / tableau.gamma
    return t + half, u + half * (k[-1] if tableau.coupled else k)


Rates: TypeAlias = dict[int, Array]
"""ℓ, (q,), at stages of a step, by their numbers."""


@dataclass(frozen=True, eq=False)
class Taken:
    """A step that was taken: number k, where it lies, from u, its stages K and their values Y, (s, n) each.

    rates: the integrand at its stages, None where it is not known.
    """

    k: int
    step: Interval
    tableau: Tableau
    u: Array
    K: Array
    Y: Array
    rates: Rates | None = None


@dataclass(frozen=True, eq=False)
class StepRecord:
    """What a step leaves for its own reversal: its stages K (s, n), and factors.

    inverse: of Newton's iterations; of M for explicit methods, None for the identity; and None for small systems, whose
    sweeps factor the matrix of each stage.
    """

    K: Array
    inverse: Inverse | None

    @property
    def parts(self) -> Sequence[tuple[object, int]]:
        """Objects held, with their bytes."""
        if self.inverse is None:
            return ((self.K, self.K.nbytes),)
        return ((self.K, self.K.nbytes), (self.inverse, self.inverse.nbytes))


def recorded(K: Array, inverse: Inverse | None, tableau: Tableau, dense: bool) -> StepRecord:
    """The record of a step; dense: whether matrices are."""
    return StepRecord(K, None if dense and tableau.gamma != 0.0 else inverse)


State = tuple[Array, ...]
"""(u, K₁) for explicit methods, (u, K of the step before) for coupled stages.

Implicit methods add the u that the matrix of Newton's method was evaluated at, if it was made for an earlier step. If
it was made for this one, that u follows from the others, and the costliest stage takes its place, where there is one
that the next state does not have; of coupled stages the u stays. Small coupled systems, and states that come from
repeating the step before, have no third array then.
"""


def state_before(
    tableau: Tableau,
    stages: Stages,
    u: Array,
    k: Array,
    base_u: Array | None,
    own: bool,
    dense: bool,
) -> State:
    """The state before a step that was just taken; k: K₁, or K; own: whether its matrix was made for it."""
    if base_u is None or (tableau.coupled and dense):
        return u, k
    i = costliest(stages.iterations) if own and not tableau.coupled else None
    return u, k, base_u if i is None else stages.K[i].copy()


def costliest(iterations: tuple[int, ...]) -> int | None:
    """The stage that took the most corrections, but for the last one, which the next step has; None without others."""
    others = [abs(m) for m in iterations[:-1]]
    return others.index(max(others)) if any(others) else None
