"""Checks of the user's times, cotangents and tangents, and their form for the sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._validation import as_array
from ..errors import NonFinite
from ..typing import Array


def validated_times(t: Sequence[float], observe: Array | None) -> Array:
    """The observation times, (K,), ascending in [t₀, t_f]; (t_f,) if observe is None.

    Raises TypeError if times are not numbers; ValueError if times are not finite, do
    not ascend, or lie outside the interval.
    """
    interval = _as_times("t", t)
    if interval.shape != (2,) or not interval[0] < interval[1]:
        raise ValueError(
            f"ODEProblem: got t={t!r}, expected (t0, tf) with t0 < tf: reverse time by t -> -t, "
            "f -> -f"
        )
    if observe is None:
        return interval[1:]
    times = _as_times("observe", observe)
    if times.size == 0:
        return times
    if not np.all(np.diff(times) > 0.0):
        k = int(np.flatnonzero(~(np.diff(times) > 0.0))[0])
        raise ValueError(
            f"ODEProblem: observe[{k + 1}] = {times[k + 1]:.17g} is not after observe[{k}] = "
            f"{times[k]:.17g}; expected strictly ascending times: np.unique(times) sorts them "
            "and drops duplicates"
        )
    if times[0] < interval[0] or times[-1] > interval[1]:
        raise ValueError(
            f"ODEProblem: got observation times from {times[0]:.17g} to {times[-1]:.17g}, "
            f"expected them within {tuple(t)!r}"
        )
    return times


def validated_grid(t: Sequence[float], grid: Array, times: Array, dense: bool) -> Array:
    """The grid, (N + 1,), ascending from t₀ to t_f, which contains the observation times.

    Raises TypeError if times are not numbers, ValueError if the grid does not ascend
    from t₀ to t_f; without dense output also if the grid lacks an observation time.
    """
    steps = _as_times("grid", grid)
    if steps.size < 2 or not np.all(np.diff(steps) > 0.0):
        raise ValueError(
            f"ODEProblem: got a grid of {steps.size} times, expected at least two times, "
            "strictly ascending"
        )
    if steps[0] != t[0] or steps[-1] != t[1]:
        raise ValueError(
            f"ODEProblem: got a grid from {steps[0]:.17g} to {steps[-1]:.17g}, expected exactly "
            f"{tuple(t)!r}"
        )
    off = times[~np.isin(times, steps)]
    if off.size and not dense:
        raise ValueError(
            f"ODEProblem: the observation time {off[0]:.17g} is not on the grid ({off.size} "
            "such); take it from the grid itself, grid[k], or observe by dense output: "
            "dense=True"
        )
    return steps


def stop_times_of(
    t: Sequence[float], times: Array, dense: bool, breaks: Sequence[float]
) -> list[float]:
    """The times at which steps end exactly, ascending: t₀, t_f, breaks, observations.

    dense: True if observations are interpolated; observation times are then not stop
    times.
    """
    within = [] if dense else times.tolist()
    return sorted({float(t[0]), float(t[1]), *within, *breaks})


def require_on_grid(breaks: Sequence[float], steps: Array) -> None:
    """Raise ValueError unless each break is a time of the grid."""
    on_grid = set(steps.tolist())
    off = [time for time in breaks if time not in on_grid]
    if off:
        raise ValueError(
            f"ODEProblem: the break {off[0]:.17g} is not on the grid ({len(off)} such): a step "
            "must end there; use np.union1d(grid, breaks)"
        )


def _as_times(name: str, given: object) -> Array:
    """The argument as a vector of finite floats.

    Raises TypeError if the argument is not numeric, ValueError if the argument is not a
    vector or not finite.
    """
    times = as_array("ODEProblem", name, given)
    if times.dtype.kind not in "fiu":
        raise TypeError(f"ODEProblem: got {name} of dtype {times.dtype}, expected real numbers")
    if times.ndim != 1:
        raise ValueError(f"ODEProblem: got {name} of shape {times.shape}, expected a vector")
    if not np.isfinite(times).all():
        raise ValueError(f"ODEProblem: {name} holds nan or inf, expected finite numbers")
    return times.astype(float)


@dataclass(frozen=True, eq=False)
class Bars:
    """Cotangents of the observed states and of the integrals, for j objectives.

    u: (K, n, j). q: (number of integrals, j), or None without q_bar. single: True if the user
    gave one objective, as arrays without an axis for objectives.
    """

    u: Array
    q: Array | None
    single: bool

    def shaped(self, block: Array) -> Array:
        """Return `block`, (…, j), or `block[..., 0]` if `single`."""
        return block[..., 0] if self.single else block


def as_bars(u: Array, q: int, u_bar: Array | None, q_bar: Array | None) -> Bars:
    """The user's cotangents of u (K, n) and of q integrals, as blocks.

    u_bar: None for zeros, allowed if q_bar is given. If u is real, the imaginary part
    of u_bar is dropped. Raises TypeError if an argument is not numeric, ValueError if a
    shape is wrong or an entry is nan or inf.
    """
    if u_bar is None:
        if q_bar is None:
            raise TypeError(
                "got neither u_bar nor q_bar, expected the derivative of J with respect to one "
                "of them"
            )
        q_bar = _numbers("q_bar", q_bar, "fiu")
        if q_bar.ndim not in (1, 2) or q_bar.shape[0] != q:
            raise ValueError(f"got q_bar of shape {q_bar.shape}, expected ({q},) or ({q}, j)")
        u_bar = np.zeros((*u.shape, *q_bar.shape[1:]), dtype=u.dtype)
    u_bar = _numbers("u_bar", u_bar, "fciu")
    if u_bar.shape != u.shape and u_bar.shape[:-1] != u.shape:
        raise ValueError(f"got u_bar of shape {u_bar.shape}, expected {u.shape}, or one axis more")
    tail = u_bar.shape[2:]
    j = tail[0] if tail else 1
    if u.dtype.kind != "c":
        u_bar = u_bar.real
    if q_bar is None:
        return Bars(u_bar.reshape((*u.shape, j)), None, not tail)
    q_bar = _numbers("q_bar", q_bar, "fiu")
    if q_bar.shape != (q, *tail):
        raise ValueError(
            f"got q_bar of shape {q_bar.shape}, expected {(q, *tail)}, as u_bar has {u_bar.shape}"
        )
    return Bars(
        u_bar.reshape((*u.shape, j)), q_bar.reshape(q, j).astype(float) if q else None, not tail
    )


def as_direction(name: str, v: Array, size: int, is_complex: bool) -> Array:
    """The user's tangent, (size,) or (size, j).

    Raises TypeError if the tangent is not numeric, ValueError if its shape is wrong or
    an entry is nan or inf.
    """
    v = _numbers(name, v, "fciu" if is_complex else "fiu")
    if v.ndim not in (1, 2) or v.shape[0] != size:
        raise ValueError(f"got {name} of shape {v.shape}, expected ({size},) or ({size}, j)")
    return v


def require_finite(what: str, v: Array) -> None:
    """Raise NonFinite unless all entries of v are finite; what: name of v in the message."""
    if not np.isfinite(v).all():
        raise NonFinite(
            f"{what} is {v[~np.isfinite(v)][0]}. Usual causes: sqrt, log or a power at zero in "
            "the field, the integrand or u0: the value is finite, the derivative is not"
        )


def _numbers(name: str, v: Array, kinds: str) -> Array:
    """The argument as an array; kinds: the allowed kinds of dtype.

    Raises TypeError if the dtype has another kind, ValueError if an entry is nan or
    inf.
    """
    v = as_array("Trajectory", name, v)
    if v.dtype.kind not in kinds:
        raise TypeError(
            f"got {name} of dtype {v.dtype}, expected {'complex128' if 'c' in kinds else 'float64'}"
        )
    if not np.isfinite(v).all():
        raise ValueError(f"{name} holds nan or inf, expected finite numbers")
    return v
