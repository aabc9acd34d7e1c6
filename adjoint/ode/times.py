"""The times a user gives: the interval, observation times, a grid; checked once."""

from collections.abc import Sequence

import numpy as np

from ..arguments import as_array
from ..arrays import Array


def validated_times(t: Sequence[float], observe: Array | None) -> Array:
    """The observation times, (K,), ascending in [t₀, t_f]; (t_f,) if none are given. Raises ValueError, TypeError."""
    interval = _as_times("t", t)
    if interval.shape != (2,) or not interval[0] < interval[1]:
        raise ValueError(f"OdeProblem: got t={t!r}, expected (t0, tf) with t0 < tf: reverse time by t -> -t, f -> -f")
    if observe is None:
        return interval[1:]
    times = _as_times("observe", observe)
    if times.size == 0:
        return times
    if not np.all(np.diff(times) > 0.0):
        k = int(np.flatnonzero(~(np.diff(times) > 0.0))[0])
        raise ValueError(
            f"OdeProblem: observe[{k + 1}] = {times[k + 1]:.17g} is not after observe[{k}] = {times[k]:.17g}; expected "
            "times that ascend strictly: np.unique(times) sorts them, and takes each once"
        )
    if times[0] < interval[0] or times[-1] > interval[1]:
        raise ValueError(
            f"OdeProblem: got observation times from {times[0]:.17g} to {times[-1]:.17g}, expected them "
            f"within {tuple(t)!r}"
        )
    return times


def validated_grid(t: Sequence[float], grid: Array, times: Array, dense: bool) -> Array:
    """The grid, (N + 1,), ascending from t₀ to t_f, with the observation times on it. Raises ValueError, TypeError."""
    steps = _as_times("grid", grid)
    if steps.size < 2 or not np.all(np.diff(steps) > 0.0):
        raise ValueError(f"OdeProblem: got a grid of {steps.size} times, expected at least two, that ascend strictly")
    if steps[0] != t[0] or steps[-1] != t[1]:
        raise ValueError(
            f"OdeProblem: got a grid from {steps[0]:.17g} to {steps[-1]:.17g}, expected exactly {tuple(t)!r}"
        )
    off = times[~np.isin(times, steps)]
    if off.size and not dense:
        raise ValueError(
            f"OdeProblem: the observation time {off[0]:.17g} is not on the grid ({off.size} such); take it from the "
            "grid itself, grid[k], or observe by dense output: dense=True"
        )
    return steps


def landings_of(t: Sequence[float], times: Array, dense: bool, breaks: Sequence[float]) -> list[float]:
    """The times that steps end on exactly, ascending: t₀, the observation times unless dense, breaks, t_f."""
    within = [] if dense else times.tolist()
    return sorted({float(t[0]), float(t[1]), *within, *breaks})


def require_on_grid(breaks: Sequence[float], steps: Array) -> None:
    """Raise ValueError unless the grid has all breaks."""
    on_grid = set(steps.tolist())
    off = [time for time in breaks if time not in on_grid]
    if off:
        raise ValueError(
            f"OdeProblem: the break {off[0]:.17g} is not on the grid ({len(off)} such): a step must end there; "
            "np.union1d(grid, breaks) has it"
        )


def _as_times(name: str, given: object) -> Array:
    times = as_array("OdeProblem", name, given)
    if times.dtype.kind not in "fiu":
        raise TypeError(f"OdeProblem: got {name} of dtype {times.dtype}, expected real numbers")
    if times.ndim != 1:
        raise ValueError(f"OdeProblem: got {name} of shape {times.shape}, expected a vector")
    if not np.isfinite(times).all():
        raise ValueError(f"OdeProblem: {name} holds nan or inf, expected finite numbers")
    return times.astype(float)
