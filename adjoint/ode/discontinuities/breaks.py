"""Breaks are times at which f may jump: constants, or functions of p with derivatives."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._validation import as_array, as_cotangent, first_nonfinite, missing_methods
from ...errors import CoincidentBreaks
from ...matrices.vectors import ConstantVector
from ...protocols import Vector
from ...typing import Array


def as_breaks(breaks: object) -> Vector | None:
    """The argument `breaks` as a Vector of p, None without breaks.

    Raises TypeError if `breaks` is neither numeric nor a Vector, ValueError if `breaks`
    is not a vector of finite times.
    """
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
    if missing_methods(breaks, ("__call__", "vjp", "jvp")) or isinstance(breaks, type):
        raise TypeError(
            f"ODEProblem: got breaks={breaks!r}, expected times, an array (B,), or a Vector of p "
            "with __call__, vjp and jvp, such as adjoint.matrices.AffineVector(…)"
        )
    return breaks  # type: ignore[return-value]


def _validated(times: Array, what: str) -> None:
    """Raise ValueError unless times is a vector of finite numbers."""
    if times.ndim != 1:
        raise ValueError(f"ODEProblem: got {what} of shape {times.shape}, expected a vector (B,)")
    bad = first_nonfinite(times)
    if bad is not None:
        raise ValueError(f"ODEProblem: {what}[{bad[0]}] is {bad[1]}, expected finite times")


@dataclass(frozen=True, eq=False)
class Breaks:
    """The times of the breaks at one p, (B,), in the order given by the user.

    Steps end at each break inside (t₀, t_f). vector: p ↦ times, None without breaks.
    interval: (t₀, t_f).
    """

    vector: Vector | None
    p: Array
    interval: tuple[float, float]

    @classmethod
    def at(cls, vector: Vector | None, p: Array, interval: tuple[float, float]) -> "Breaks":
        """The breaks at p (m,); raises TypeError or ValueError for wrong results of the Vector."""
        found = cls(vector, p, (float(interval[0]), float(interval[1])))
        _ = found.times
        return found

    @property
    def moving(self) -> bool:
        """True if the breaks may depend on p."""
        return self.vector is not None and not isinstance(self.vector, ConstantVector)

    @cached_property
    def times(self) -> Array:
        """The times of all breaks, (B,)."""
        if self.vector is None:
            return np.zeros(0)
        times = np.asarray(self.vector(self.p))
        if times.dtype.kind == "c" and not times.imag.any():
            times = times.real
        if times.dtype.kind not in "fiu":
            raise TypeError(
                f"ODEProblem: breaks(p) has dtype {times.dtype}, expected real times; for checks "
                "use real differences of `replay`, not complex steps"
            )
        _validated(times, "breaks(p)")
        return times.astype(float)

    @property
    def inside(self) -> Array:
        """True for breaks in (t₀, t_f), (B,)."""
        return np.asarray((self.times > self.interval[0]) & (self.times < self.interval[1]))

    @property
    def stop_times(self) -> list[float]:
        """The times of the breaks in (t₀, t_f), ascending, without repetitions."""
        return sorted(set(self.times[self.inside].tolist()))

    def require_distinct(self) -> None:
        """Raise CoincidentBreaks if the solution has no derivative with respect to a break."""
        times, order = self.times, np.argsort(self.times, kind="stable")
        same = np.flatnonzero((np.diff(times[order]) == 0.0) & self.inside[order][1:])
        if same.size:
            i, j = sorted((int(order[same[0]]), int(order[same[0] + 1])))
            raise CoincidentBreaks(
                f"breaks[{i}] and breaks[{j}] are both {times[i]:.10g}: when they pass each "
                "other, a piece of f appears or disappears, and a derivative with respect to "
                "them does not exist. Move p so that they differ, or give the time once."
            )
        ends = np.flatnonzero((times == self.interval[0]) | (times == self.interval[1]))
        if ends.size:
            raise CoincidentBreaks(
                f"breaks[{ends[0]}] = {times[ends[0]]:.10g} is an end of the interval of "
                "integration: the solution depends on this break on one side only, and a "
                "derivative does not exist. Move p so that the break lies inside or outside."
            )

    def vjp(self, bars: Array) -> Array:
        """(d(breaks)/dp)ᴴ b̄, (m, j); bars: b̄, (B, j)."""
        p_bar = np.zeros((self.p.size, bars.shape[1]), dtype=self.p.dtype)
        if self.moving and self.vector is not None:
            for j, column in enumerate(bars.T):
                g = self.vector.vjp(self.p, np.ascontiguousarray(column))
                p_bar[:, j] = as_cotangent(g, self.p, "the vjp of breaks")
        return p_bar

    def jvp(self, p_dot: Array) -> Array:
        """(d(breaks)/dp) ṗ, (B, j), for ṗ (m, j)."""
        dots = np.zeros((self.times.size, p_dot.shape[1]))
        if self.moving and self.vector is not None:
            for j, column in enumerate(p_dot.T):
                along = np.asarray(self.vector.jvp(self.p, np.ascontiguousarray(column)))
                if along.shape != self.times.shape:
                    raise ValueError(
                        f"the jvp of breaks returned shape {along.shape}, expected "
                        f"{self.times.shape}"
                    )
                dots[:, j] = along.real
        return dots


def moves_of_breaks(old: "Breaks", new: "Breaks", observed: set[float]) -> dict[float, float]:
    """{old time: new time} of the breaks where steps stop.

    observed: observation times at which steps end. Raises ValueError if frozen steps
    cannot follow the breaks: a break leaves or enters the interval, equal breaks move
    apart, or a break moves away from an observation at the same time.
    """
    if not np.array_equal(new.inside, old.inside):
        raise ValueError(
            "replay: a break leaves or enters the interval of integration; solve at this p instead"
        )
    moves: dict[float, float] = {}
    for before, after in zip(
        old.times[new.inside].tolist(), new.times[new.inside].tolist(), strict=True
    ):
        if moves.setdefault(before, after) != after:
            raise ValueError(
                f"replay: breaks that were both {before:.10g} move apart; solve at this p instead"
            )
        if after != before and before in observed:
            raise ValueError(
                f"replay: the break at {before:.10g} moves, and the observation at that time "
                "stays; solve at this p instead"
            )
    return moves
