"""The steps of a recurrence at one p. Return values of the user's functions are checked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .._optional_methods import checked_step_hvp, checked_vector_hvp
from .._validation import as_cotangent, first_nonfinite
from ..checkpointing.storage import State
from ..errors import NonFinite
from ..protocols import Step, Vector
from ..typing import Array


@dataclass(frozen=True, eq=False)
class Chain:
    """The initial state u₀(p) of a recurrence, and its steps, at one p.

    p: parameters, (m,), read-only; notify: function that receives the kind and the step
    number of each event.
    """

    step: Step
    u0: Vector
    p: Array
    notify: Callable[[str, int], None]

    def start(self) -> Array:
        """Return the initial state u₀(p), (n,).

        Raise ValueError unless u₀ is a vector with n ≥ 1, TypeError unless its entries are
        numbers, NonFinite if an entry is nan or inf.
        """
        value = np.asarray(self.u0(self.p))
        if value.ndim != 1 or value.size == 0:
            raise ValueError(
                f"got u0 of shape {value.shape}, expected a vector (n,) with at least one unknown"
            )
        return _checked(value, value.shape, "u0")

    def start_jvp(self, p_dot: Array, n: int) -> Array:
        """Return (∂u₀/∂p) ṗ, (n,)."""
        return _checked(self.u0.jvp(self.p, p_dot), (n,), "the jvp of u0")

    def start_vjp(self, lam: Array) -> Array:
        """Return (∂u₀/∂p)ᴴ λ, (m,)."""
        lam.setflags(write=False)
        return as_cotangent(
            _checked(self.u0.vjp(self.p, lam), self.p.shape, "the vjp of u0"),
            self.p,
            "the vjp of u0",
        )

    def advance(self, k: int, state: State) -> tuple[State, None]:
        """Return the state after step k + 1, (Φ_{k+1}(u_k, p),), and None for its record.

        state: the tuple (u_k,).
        """
        (u,) = state
        following = self.step(k + 1, u, self.p)
        return (_checked(following, u.shape, f"the state after step {k + 1}"),), None

    def jvp(self, k: int, u: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return (∂Φ/∂u) u̇ + (∂Φ/∂p) ṗ of step k + 1, (n,); u: the state u_k before the step."""
        u_dot.setflags(write=False)
        return _checked(
            self.step.jvp(k + 1, u, self.p, u_dot, p_dot), u.shape, f"the jvp of step {k + 1}"
        )

    def vjp(self, k: int, u: Array, lam: Array) -> tuple[Array, Array]:
        """Return ((∂Φ/∂u)ᴴ λ, (∂Φ/∂p)ᴴ λ) of step k + 1; u: the state u_k before the step."""
        lam.setflags(write=False)
        pair = self.step.vjp(k + 1, u, self.p, lam)
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(
                f"the vjp of step {k + 1} returned a {type(pair).__name__}, expected (u_bar, p_bar)"
            )
        u_bar = _checked(pair[0], u.shape, f"u_bar of the vjp of step {k + 1}")
        p_bar = _checked(pair[1], self.p.shape, f"p_bar of the vjp of step {k + 1}")
        return (
            u_bar if u.dtype.kind == "c" else u_bar.real,
            p_bar if self.p.dtype.kind == "c" else p_bar.real,
        )

    def hvp(self, k: int, u: Array, lam: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the rate of `vjp(k, u, lam)` along (u̇, ṗ): (n,) and (m,).

        Raise TypeError if the step has no `hvp`.
        """
        for array in (lam, u_dot):
            array.setflags(write=False)
        u_part, p_part = checked_step_hvp(self.step, k + 1, u, self.p, lam, (u_dot, p_dot))
        u_part = _checked(u_part, u.shape, f"the part for u of the hvp of step {k + 1}")
        p_part = _checked(p_part, self.p.shape, f"the part for p of the hvp of step {k + 1}")
        return (
            u_part if u.dtype.kind == "c" else u_part.real,
            p_part if self.p.dtype.kind == "c" else p_part.real,
        )

    def start_hvp(self, lam: Array, p_dot: Array) -> Array:
        """Return the rate of `start_vjp(lam)` along ṗ, (m,); TypeError if u₀ has no `hvp`."""
        return checked_vector_hvp(self.u0, self.p, lam, p_dot)


def _checked(value: Array, shape: tuple[int, ...], what: str) -> Array:
    """Return a float64 or complex128 copy, because the user's function may reuse its array."""
    value = np.asarray(value)
    if value.dtype.kind not in "fciu":
        raise TypeError(f"{what} has dtype {value.dtype}, expected float64 or complex128")
    if value.shape != shape:
        raise ValueError(f"{what} has shape {value.shape}, expected {shape}")
    if bad := first_nonfinite(value):
        index, entry, number = bad
        raise NonFinite(
            f"{what} is {entry} at component {index} ({number} such). Usual causes: an overflow of "
            "a recurrence that grows, log or sqrt outside of its domain, a division by zero"
        )
    return np.array(value, dtype=np.complex128 if value.dtype.kind == "c" else np.float64)
