"""Cotangents and tangents as a user gives them, checked, and as sweeps take them: blocks."""

from dataclasses import dataclass

import numpy as np

from ..arguments import as_array
from ..arrays import Array
from ..factor import NonFinite


@dataclass(frozen=True, eq=False)
class Bars:
    """Cotangents as blocks: u (K, n, j), q (q, j) or None; single: whether one objective was given, without an axis."""

    u: Array
    q: Array | None
    single: bool

    def shaped(self, block: Array) -> Array:
        """A result (…, j) as the user expects it."""
        return block[..., 0] if self.single else block


def as_bars(u: Array, q: int, u_bar: Array | None, q_bar: Array | None) -> Bars:
    """What the user gave for u (K, n) and q integrals, as blocks; of a complex ū for a real u the real part counts.

    u_bar: None for zeros, where q_bar is given. Raises TypeError for what are no numbers, ValueError for another shape,
    for nan and inf.
    """
    if u_bar is None:
        if q_bar is None:
            raise TypeError("got neither u_bar nor q_bar, expected the derivative of J with respect to one of them")
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
        raise ValueError(f"got q_bar of shape {q_bar.shape}, expected {(q, *tail)}, as u_bar has {u_bar.shape}")
    return Bars(u_bar.reshape((*u.shape, j)), q_bar.reshape(q, j).astype(float) if q else None, not tail)


def as_direction(name: str, v: Array, size: int, is_complex: bool) -> Array:
    """A tangent as the user gave it, (size,) or (size, j). Raises as `as_bars` does."""
    v = _numbers(name, v, "fciu" if is_complex else "fiu")
    if v.ndim not in (1, 2) or v.shape[0] != size:
        raise ValueError(f"got {name} of shape {v.shape}, expected ({size},) or ({size}, j)")
    return v


def require_finite(what: str, v: Array) -> None:
    """Raise NonFinite unless v is finite."""
    if not np.isfinite(v).all():
        raise NonFinite(
            f"{what} is {v[~np.isfinite(v)][0]}. Usual causes: sqrt, log or a power of zero in the field, the "
            "integrand or u0, which is finite there, but its derivative is not"
        )


def _numbers(name: str, v: Array, kinds: str) -> Array:
    v = as_array("Trajectory", name, v)
    if v.dtype.kind not in kinds:
        raise TypeError(f"got {name} of dtype {v.dtype}, expected {'complex128' if 'c' in kinds else 'float64'}")
    if not np.isfinite(v).all():
        raise ValueError(f"{name} holds nan or inf, expected finite numbers")
    return v
