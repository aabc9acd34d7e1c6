"""Observed states and integrals as one vector, for objectives that depend on both."""

from dataclasses import dataclass

import numpy as np

from .._dataclasses import short_repr
from .._validation import require_kind
from ..typing import Array
from .problem import ODEProblem
from .second_order.linearization import TrajectoryLinearization
from .trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class OutputsAt:
    """y = (u(t₁), …, u(t_K), ∫ℓ dt), (K·n + q,), of a trajectory, and the derivative of p ↦ y."""

    trajectory: Trajectory

    @property
    def u(self) -> Array:
        """The vector y, (K·n + q,)."""
        return np.concatenate([self.trajectory.u.ravel(), self.trajectory.integrals])

    @property
    def p(self) -> Array:
        """The parameters, (m,)."""
        return self.trajectory.p

    def vjp(self, u_bar: Array) -> Array:
        """(dy/dp)ᴴ ȳ, (m,) for ȳ (K·n + q,), or (m, j) for ȳ (K·n + q, j)."""
        u_bar, u = np.asarray(u_bar), self.trajectory.u
        size = u.size + self.trajectory.integrals.size
        if u_bar.ndim not in (1, 2) or u_bar.shape[0] != size:
            raise ValueError(f"got u_bar of shape {u_bar.shape}, expected ({size},) or ({size}, j)")
        states = u_bar[: u.size].reshape((*u.shape, *u_bar.shape[1:]))
        return self.trajectory.vjp(states, u_bar[u.size :].real)

    def jvp(self, p_dot: Array) -> Array:
        """(dy/dp) ṗ, (K·n + q,) for ṗ (m,), or (K·n + q, j) for ṗ (m, j)."""
        u_dot, q_dot = self.trajectory.tangent(p_dot)
        return np.concatenate([u_dot.reshape((self.trajectory.u.size, *q_dot.shape[1:])), q_dot])

    def linearized(self, p_dot: Array) -> "OutputsLinearization":
        """The tangent of y along ṗ, (m,) or (m, j), for second derivatives."""
        return OutputsLinearization(self.trajectory.u, self.trajectory.linearized(p_dot))

    def refined(self, parts: int = 2) -> "OutputsAt":
        """y of the trajectory whose steps are divided into equal parts."""
        return OutputsAt(self.trajectory.refined(parts))

    def sharpened(self) -> "OutputsAt":
        """y of the trajectory by the same steps, with stages that are solved more accurately."""
        return OutputsAt(self.trajectory.sharpened())


@dataclass(frozen=True, eq=False)
class OutputsLinearization:
    """The tangent of y along ṗ, from the linearization of the trajectory; u: (K, n)."""

    u: Array
    of: TrajectoryLinearization

    @property
    def u_dot(self) -> Array:
        """The tangent ẏ, (K·n + q,), or (K·n + q, j) for j directions."""
        q_dot = self.of.q_dot
        return np.concatenate([self.of.u_dot.reshape((self.u.size, *q_dot.shape[1:])), q_dot])

    def vjp_rate(self, u_bar: Array, u_bar_dot: Array) -> Array:
        """The derivative of p ↦ (dy/dp)ᴴ ȳ along ṗ, (m,) or (m, j).

        u_bar: ȳ, (K·n + q,). u_bar_dot: its rates, of the shape of `u_dot`.
        """
        n, (states, rates) = self.u.size, (np.asarray(u_bar), np.asarray(u_bar_dot))
        return self.of.vjp_rate(
            states[:n].reshape(self.u.shape),
            rates[:n].reshape(self.u.shape + rates.shape[1:]),
            states[n:].real,
            rates[n:].real,
        )


@dataclass(frozen=True, eq=False)
class Outputs:
    """y(p) = (u(t₁), …, u(t_K), ∫ℓ dt), (K·n + q,): an initial value problem with vector output.

    `Reduced(Outputs(problem), J)` takes objectives J(y, p) of states and integrals.

    Parameters
    ----------
    problem : ODEProblem
        The initial value problem.

    Raises
    ------
    TypeError
        If problem is not an ODEProblem.
    """

    problem: ODEProblem

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_kind("Outputs", "problem", self.problem, ODEProblem, "an ODEProblem")

    def solve(self, p: Array) -> OutputsAt:
        """y at p.

        Parameters
        ----------
        p : (m,) array
            The parameters.

        Returns
        -------
        OutputsAt
            An object with `u`, the vector y, and with `vjp` and `jvp`.

        Raises
        ------
        SolveError
            In the cases of `ODEProblem.solve`.
        """
        return OutputsAt(self.problem.solve(p))
