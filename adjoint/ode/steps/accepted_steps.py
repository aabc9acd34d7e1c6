"""The accepted steps of an integration: these steps are frozen for derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...typing import Array
from ..discontinuities.one_sided_times import Interval
from ..methods.tableau import Tableau

REJECTED, GROWTH, AFTER = 2, 500.0, 10
"""Signs of a jump of f: at least REJECTED rejections of a step, and then growth of the steps by
GROWTH within AFTER steps.

Measured with six methods: growth by 1e3 to 2e6 behind jumps and kinks, by at most 7 on
pulses, oscillators and stiff kinetics.
"""


@dataclass(eq=False)
class AcceptedSteps:
    """The accepted steps: lists with one entry per step, which grow while the integration runs.

    t, h: start and length of the step. tableau: the tableau of the step. first, final:
    the times t⁺ and t⁻ at which f is evaluated at the start and the end, see
    `Interval`. base: number of the step for which the matrix of Newton's method was
    made; base_t: the time at which this matrix was evaluated; base_hg: hγ of the
    matrix, 0 for explicit methods. iterations: Newton corrections of each stage. error:
    the estimated error, in units of the tolerances; nan on a given grid. rejections:
    number of rejections before the step was accepted.

    stop_times: times at which steps end exactly, ascending, from t₀ to t_f. stop_steps:
    the number of steps before each stop time. discontinuities: the numbers of the steps
    at whose start f may jump. reinitialized: {k: True if algebraic unknowns were
    computed} for the steps k that begin with a new K₁ or new algebraic unknowns.
    rejected: number of rejected steps.
    """

    t: list[float] = field(default_factory=list)
    h: list[float] = field(default_factory=list)
    tableau: list[Tableau] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    base_t: list[float] = field(default_factory=list)
    base_hg: list[float] = field(default_factory=list)
    iterations: list[tuple[int, ...]] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    stop_times: list[float] = field(default_factory=list)
    stop_steps: list[int] = field(default_factory=list)
    rejected: int = 0
    first: list[float] = field(default_factory=list)
    final: list[float] = field(default_factory=list)
    discontinuities: set[int] = field(default_factory=set)
    reinitialized: dict[int, bool] = field(default_factory=dict)
    rejections: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of accepted steps."""
        return len(self.h)

    def interval(self, k: int) -> Interval:
        """The start, length and end of step k, with its one-sided times."""
        end = self.t[k + 1] if k + 1 < self.count else self.stop_times[-1]
        return Interval(self.t[k], self.h[k], end, self.first[k], self.final[k])

    def grid(self) -> Array:
        """The times between the steps, (N + 1,), from t₀ to t_f."""
        return np.array([*self.t, self.stop_times[-1]])

    def stop_times_vjp(self, t_bar: Array, h_bar: Array) -> Array:
        """∂J/∂(stop times), (L, j), from ∂J/∂(start) and ∂J/∂(length) of the steps, (N, j) each.

        Between two stop times a and b the steps keep their proportions: t_k = a + φ_k
        (b − a) and h_k = η_k (b − a).
        """
        bars = np.zeros((len(self.stop_times), *t_bar.shape[1:]))
        for i, (first, last) in enumerate(zip(self.stop_steps, self.stop_steps[1:], strict=False)):
            a, b = self.stop_times[i], self.stop_times[i + 1]
            if last > first:
                phi = (np.array(self.t[first:last]) - a) / (b - a)
                eta = np.array(self.h[first:last]) / (b - a)
                bars[i] += (1.0 - phi) @ t_bar[first:last] - eta @ h_bar[first:last]
                bars[i + 1] += phi @ t_bar[first:last] + eta @ h_bar[first:last]
        return bars

    def stop_times_jvp(self, stop_times_dot: Array) -> tuple[Array, Array]:
        """(ṫ, ḣ), tangents of start and length of the steps, (N, j) each.

        stop_times_dot: tangents of the stop times, (L, j).
        """
        t_dot, h_dot = np.zeros((2, self.count, stop_times_dot.shape[1]))
        for i, (first, last) in enumerate(zip(self.stop_steps, self.stop_steps[1:], strict=False)):
            a, b = self.stop_times[i], self.stop_times[i + 1]
            for k in range(first, last):
                phi, eta = (self.t[k] - a) / (b - a), self.h[k] / (b - a)
                t_dot[k] = (1.0 - phi) * stop_times_dot[i] + phi * stop_times_dot[i + 1]
                h_dot[k] = eta * (stop_times_dot[i + 1] - stop_times_dot[i])
        return t_dot, h_dot

    def jumps(self) -> list[tuple[float, float]]:
        """[(begin, end)] of the steps in which f probably jumps or has a kink.

        At a jump several step sizes are rejected, and the accepted steps after the jump
        are a thousand times as long. After a fast but smooth change of f the step size
        does not grow as much. Neighbouring steps are joined.
        """
        found: list[tuple[float, float]] = []
        last = -AFTER
        for k, rejections in enumerate(self.rejections):
            if k == 0 or rejections < REJECTED or k in self.discontinuities:
                continue
            if max(self.h[k : k + AFTER]) >= GROWTH * self.h[k]:
                begin = found.pop()[0] if found and k - last < AFTER else self.t[k]
                found.append((begin, self.interval(k).end))
                last = k
        return found

    def moved(self, stop_times: Sequence[float]) -> "AcceptedSteps":
        """These steps moved to other stop times; the proportions of the steps stay."""
        t, h, first_times, final = list(self.t), list(self.h), list(self.first), list(self.final)
        for i, (first, last) in enumerate(zip(self.stop_steps, self.stop_steps[1:], strict=False)):
            a, b = self.stop_times[i], self.stop_times[i + 1]
            ratio = (stop_times[i + 1] - stop_times[i]) / (b - a)
            for k in range(first, last):
                t[k], h[k] = stop_times[i] + (self.t[k] - a) * ratio, self.h[k] * ratio
        ends = [*t[1:], float(stop_times[-1])]
        for k in range(self.count):
            old = self.interval(k)
            first_times[k] = t[k] + (old.first - old.t)
            final[k] = (
                ends[k] + (old.final - old.end) if k + 1 in self.discontinuities else t[k] + h[k]
            )
        return replace(self, t=t, h=h, stop_times=list(stop_times), first=first_times, final=final)
