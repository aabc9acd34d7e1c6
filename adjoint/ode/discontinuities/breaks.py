"""Breaks: times at which f may jump, given as an array or as a Vector of p, and derivatives with respect to them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._validation import as_array, as_cotangent
from ...errors import CoincidentBreaks
from ...matrices.vectors import ConstantVector
from ...protocols import Vector
from ...typing import Array


def as_breaks(breaks: object) -> Vector | None:
    """What the user gave as `breaks`, as a Vector of p; raises TypeError, ValueError."""
    if breaks is None:
        return None
    if isinstance(breaks, np.ndarray | list | tuple):
        times = as_array("ODEProblem", "breaks", breaks)
        if times.size == 0:
            return None
        if times.dtype.kind not in "fiu":
            raise TypeError(f"ODEProblem: got breaks of dtype {times.dtype}, expected real numbers")
        _validated(times, "breaks")
        return ConstantVector(times.astype(float))
    missing = [
        name for name in ("__call__", "vjp", "jvp") if not callable(getattr(breaks, name, None))
    ]
    if missing or isinstance(breaks, type):
        raise TypeError(
            f"ODEProblem: got breaks={breaks!r}, expected times, an array (B,), or a Vector of p with __call__, vjp "
            "and jvp, such as adjoint.matrices.AffineVector(…)"
        )
    return breaks  # type: ignore[return-value]


def _validated(times: Array, what: str) -> None:
    if times.ndim != 1:
        raise ValueError(f"ODEProblem: got {what} of shape {times.shape}, expected a vector (B,)")
    if not np.isfinite(times).all():
        bad = int(np.flatnonzero(~np.isfinite(times))[0])
        raise ValueError(f"ODEProblem: {what}[{bad}] is {times[bad]}, expected finite times")


@dataclass(frozen=True, eq=False)
class Breaks:
    """The breaks at one p: times (B,), in the order given, of which those in (t₀, t_f) are landed on.

    vector: p ↦ times. moving: whether they depend on p.
    """

    vector: Vector | None
    p: Array
    interval: tuple[float, float]

    @classmethod
    def at(cls, vector: Vector | None, p: Array, interval: tuple[float, float]) -> "Breaks":
        """At p (m,); raises TypeError and ValueError for what the Vector returns."""
        found = cls(vector, p, (float(interval[0]), float(interval[1])))
        _ = found.times
        return found

    @property
    def moving(self) -> bool:
        """Whether they may depend on p."""
        return self.vector is not None and not isinstance(self.vector, ConstantVector)

    @cached_property
    def times(self) -> Array:
        """All of them, (B,)."""
        if self.vector is None:
            return np.zeros(0)
        times = np.asarray(self.vector(self.p))
        if times.dtype.kind == "c" and not times.imag.any():
            times = times.real
        if times.dtype.kind not in "fiu":
            raise TypeError(
                f"ODEProblem: breaks(p) has dtype {times.dtype}, expected real times; complex steps through switching "
                "times are not possible, real differences of `replay` are"
            )
        _validated(times, "breaks(p)")
        return times.astype(float)

    @property
    def inside(self) -> Array:
        """Which of them lie in (t₀, t_f), (B,)."""
        return np.asarray((self.times > self.interval[0]) & (self.times < self.interval[1]))

    @property
    def landings(self) -> list[float]:
        """Those that steps have to end on, ascending, each once."""
        return sorted(set(self.times[self.inside].tolist()))

    def require_distinct(self) -> None:
        """Raise CoincidentBreaks where the solution has no derivative with respect to one of them."""
        times, order = self.times, np.argsort(self.times, kind="stable")
        same = np.flatnonzero((np.diff(times[order]) == 0.0) & self.inside[order][1:])
        if same.size:
            i, j = sorted((int(order[same[0]]), int(order[same[0] + 1])))
            raise CoincidentBreaks(
                f"breaks[{i}] and breaks[{j}] are both {times[i]:.10g}: as they pass one another, what f does between "
                "them appears or disappears, and there is no derivative with respect to either. Move p so that they "
                "differ, or give the time once."
            )
        ends = np.flatnonzero((times == self.interval[0]) | (times == self.interval[1]))
        if ends.size:
            raise CoincidentBreaks(
                f"breaks[{ends[0]}] = {times[ends[0]]:.10g} is an end of the interval of integration: the solution "
                "depends on it on one side only, and has no derivative there. Move p so that it lies inside or outside."
            )

    def pull(self, bars: Array) -> Array:
        """p̄ (m, j), from ∂J/∂(breaks), (B, j)."""
        p_bar = np.zeros((self.p.size, bars.shape[1]), dtype=self.p.dtype)
        if self.moving and self.vector is not None:
            for j, column in enumerate(bars.T):
                g = self.vector.vjp(self.p, np.ascontiguousarray(column))
                p_bar[:, j] = as_cotangent(g, self.p, "the vjp of breaks")
        return p_bar

    def push(self, p_dot: Array) -> Array:
        """Their tangents (B, j) along ṗ (m, j)."""
        dots = np.zeros((self.times.size, p_dot.shape[1]))
        if self.moving and self.vector is not None:
            for j, column in enumerate(p_dot.T):
                along = np.asarray(self.vector.jvp(self.p, np.ascontiguousarray(column)))
                if along.shape != self.times.shape:
                    raise ValueError(
                        f"the jvp of breaks returned shape {along.shape}, expected {self.times.shape}"
                    )
                dots[:, j] = along.real
        return dots
