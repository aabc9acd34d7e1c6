"""The linearization of a trajectory along directions ṗ, and the rates of its gradients."""

from dataclasses import dataclass

import numpy as np

from ..._dataclasses import Local
from ..._optional_methods import (
    as_field_with_hvp,
    as_integrand_with_hvp,
    as_matrix_with_hvp,
    as_vector_with_hvp,
    checked_vector_hvp,
)
from ..._validation import as_array
from ...typing import Array
from ..arguments import as_bars, require_finite
from ..sensitivities import Integrated, through_u0
from .sweeps import TangentSweeps


@dataclass(frozen=True, eq=False, repr=False)
class TrajectoryLinearization(Local):
    """The tangent of a trajectory along ṗ, with the tangents of all its steps.

    `Trajectory.linearized` returns linearizations. The tangents are stored by the
    `memory` policy of the problem, in a store of the same budget as the store of the
    trajectory. See docs/math/second_derivatives.md.

    Attributes
    ----------
    trajectory : Trajectory
        The trajectory.
    u_dot : (K, n) or (K, n, j) array
        The tangent of the states at the observation times.
    q_dot : (q,) or (q, j) array
        The tangent of the integrals.
    p_dot : (m, j) array
        The directions ṗ (internal).
    single : bool
        True for one direction, given as an array (m,) (internal).
    sweeps : TangentSweeps
        The steps and their tangents (internal).
    """

    trajectory: Integrated
    u_dot: Array
    q_dot: Array
    p_dot: Array
    single: bool
    sweeps: TangentSweeps

    def __repr__(self) -> str:
        return f"TrajectoryLinearization({self.trajectory!r}, j={self.p_dot.shape[1]})"

    def vjp_rate(
        self,
        u_bar: Array | None,
        u_bar_dot: Array | None,
        q_bar: Array | None = None,
        q_bar_dot: Array | None = None,
    ) -> Array:
        """The derivative of p ↦ (du/dp)ᴴ ū + (dq/dp)ᴴ q̄ along ṗ, by one reverse sweep.

        Each stage takes two transposed solves with one matrix, and one contraction of
        the second derivatives of f per direction.

        Parameters
        ----------
        u_bar : (K, n) array or None
            ū = ∂J/∂u at the observation times. None stands for zeros.
        u_bar_dot : (K, n) or (K, n, j) array or None
            The rate of ū along each direction. None stands for zeros.
        q_bar : (q,) array, optional
            q̄ = ∂J/∂(integrals). Zeros if not given.
        q_bar_dot : (q,) or (q, j) array, optional
            The rate of q̄ along each direction. Zeros if not given.

        Returns
        -------
        (m,) or (m, j) array
            The rate of the gradient along each direction.

        Raises
        ------
        TypeError
            If a cotangent is not numeric, or if `hvp` of the field, the integrand, M(p)
            or u₀(p) returns no pair or vector.
        ValueError
            If shapes do not fit, or if an entry is nan or inf.
        NonFinite
            If the rate is nan or inf; a NonFiniteField names the time and the component.
        """
        trajectory, j = self.trajectory, self.p_dot.shape[1]
        u, q = trajectory.u, trajectory.integrals.size
        if j == 0:
            return np.zeros((trajectory.p.size, 0))
        u_bars = self._with_rates("u_bar", u_bar, u_bar_dot, u.shape)
        q_bars = self._with_rates("q_bar", q_bar, q_bar_dot, (q,))
        bars = as_bars(u, q, u_bars, q_bars if q else None)
        with np.errstate(all="ignore"):  # Results that are not finite raise an error.
            start = self.sweeps.reverse(bars.u, bars.q)
            p_rate = start.p + through_u0(trajectory, start.u0[:, 1:])
            lam = np.ascontiguousarray(start.u0[:, 0])
            for i, column in enumerate(self.p_dot.T):
                p_rate[:, i] += checked_vector_hvp(
                    trajectory.problem.initial, trajectory.p, lam, np.ascontiguousarray(column)
                )
        require_finite("The Hessian-vector product", p_rate)
        return p_rate[:, 0] if self.single else p_rate

    def _with_rates(
        self, name: str, bar: Array | None, rates: Array | None, shape: tuple[int, ...]
    ) -> Array:
        """A cotangent and its rates as one array, (…, 1 + j)."""
        j = self.p_dot.shape[1]
        bar = np.zeros(shape) if bar is None else as_array("vjp_rate", name, bar)
        tail = () if self.single else (j,)
        rates = (
            np.zeros((*shape, *tail))
            if rates is None
            else as_array("vjp_rate", f"{name}_dot", rates)
        )
        if bar.shape != shape or rates.shape != (*shape, *tail):
            raise ValueError(
                f"vjp_rate: got {name} of shape {bar.shape} and {name}_dot of shape "
                f"{rates.shape}, expected {shape} and {(*shape, *tail)}"
            )
        return np.concatenate([bar[..., None], rates.reshape(*shape, j)], axis=-1)


def require_second_derivatives(trajectory: Integrated) -> None:
    """Raise TypeError unless all data of a trajectory have second derivatives."""
    system = trajectory.sweeps.system
    if system.perturbed:
        raise TypeError(
            "linearized: this trajectory is a replay at a complex p, whose parameters carry a "
            "complex step; expected a trajectory at real p, or complex p from `solve`"
        )
    if trajectory.breaks.moving:
        raise TypeError(
            "linearized: the breaks depend on p. Second derivatives of steps that move are not "
            "available. Use adjoint.optimize.DifferencedHessian(f) instead of f, or constant breaks"
        )
    as_field_with_hvp(system.field)
    if system.integrand is not None:
        as_integrand_with_hvp(system.integrand)
    if system.mass.matrix_of_p is not None:
        as_matrix_with_hvp(system.mass.matrix_of_p)
    as_vector_with_hvp(trajectory.problem.initial)
