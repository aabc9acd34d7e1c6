"""The steps of a recurrence at one p, with what the user's functions return checked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._validation import as_cotangent
from ..checkpointing.shelves import State
from ..errors import NonFinite
from ..protocols import Step, Vector
from ..typing import Array


@dataclass(frozen=True, eq=False)
class Chain:
    """u₀(p), and the steps from there. p: (m,), read-only; notify: told the kind and the number of each event."""

    step: Step
    u0: Vector
    p: Array
    notify: Callable[[str, int], None]

    def start(self) -> Array:
        """u₀(p), (n,). Raises TypeError, ValueError or NonFinite for what is no state."""
        value = np.asarray(self.u0(self.p))
        if value.ndim != 1 or value.size == 0:
            raise ValueError(
                f"got u0 of shape {value.shape}, expected a vector (n,) with at least one unknown"
            )
        return _checked(value, value.shape, "u0")

    def advance(self, k: int, state: State) -> tuple[State, None]:
        """The state after step k + 1; k: that of the state before it."""
        (u,) = state
        return (
            _checked(self.step(k + 1, u, self.p), u.shape, f"the state after step {k + 1}"),
        ), None

    def pulled_back(self, k: int, u: Array, lam: Array) -> tuple[Array, Array]:
        """((∂Φ/∂u)ᴴ λ, (∂Φ/∂p)ᴴ λ) of step k + 1, from the state u before it."""
        lam.setflags(write=False)
        both = self.step.vjp(k + 1, u, self.p, lam)
        if not isinstance(both, tuple) or len(both) != 2:
            raise TypeError(
                f"the vjp of step {k + 1} returned a {type(both).__name__}, expected (u_bar, p_bar)"
            )
        u_bar = _checked(both[0], u.shape, f"u_bar of the vjp of step {k + 1}")
        p_bar = _checked(both[1], self.p.shape, f"p_bar of the vjp of step {k + 1}")
        return (
            u_bar if u.dtype.kind == "c" else u_bar.real,
            p_bar if self.p.dtype.kind == "c" else p_bar.real,
        )

    def pushed_forward(self, k: int, u: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂Φ/∂u) u̇ + (∂Φ/∂p) ṗ of step k + 1, from the state u before it."""
        u_dot.setflags(write=False)
        return _checked(
            self.step.jvp(k + 1, u, self.p, u_dot, p_dot), u.shape, f"the jvp of step {k + 1}"
        )

    def start_pulled_back(self, lam: Array) -> Array:
        """(∂u₀/∂p)ᴴ λ, (m,)."""
        lam.setflags(write=False)
        return as_cotangent(
            _checked(self.u0.vjp(self.p, lam), self.p.shape, "the vjp of u0"),
            self.p,
            "the vjp of u0",
        )

    def start_pushed_forward(self, p_dot: Array, n: int) -> Array:
        """(∂u₀/∂p) ṗ, (n,)."""
        return _checked(self.u0.jvp(self.p, p_dot), (n,), "the jvp of u0")


def _checked(value: Array, shape: tuple[int, ...], what: str) -> Array:
    """A copy in float64 or complex128: the user may have returned a buffer that he writes to again."""
    value = np.asarray(value)
    if value.dtype.kind not in "fciu":
        raise TypeError(f"{what} has dtype {value.dtype}, expected float64 or complex128")
    if value.shape != shape:
        raise ValueError(f"{what} has shape {value.shape}, expected {shape}")
    if not np.isfinite(value).all():
        bad = np.flatnonzero(~np.isfinite(value))
        raise NonFinite(
            f"{what} is {value[bad[0]]} at component {bad[0]} ({bad.size} such). Usual causes: an overflow of a "
            "recurrence that grows, log or sqrt outside of its domain, a division by zero"
        )
    return np.array(value, dtype=np.complex128 if value.dtype.kind == "c" else np.float64)
