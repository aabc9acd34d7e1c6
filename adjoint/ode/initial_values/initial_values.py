"""u(t₀) and K₁ = u'(t₀), or u and K₁ behind a discontinuity of f; with their derivatives."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from ...errors import NonFinite, NonFiniteField
from ...factor.factorization import Factorization
from ...typing import Array, Trans
from ..discontinuities.time_rates import rate_at
from ..equations import System, parameter_cotangents, parameter_tangents
from ..failures import domain_edge_error
from ..second_order.contractions import contraction
from ..stages.refinement import Recent, StageSolver
from ..stages.stage_matrices import Inverse, times
from .consistency import (
    ConstraintMatrix,
    NearConstraints,
    consistent_unknowns,
    constraint_factors,
    require_consistent,
)
from .null_spaces import NullSpace


@dataclass(frozen=True, eq=False)
class InitialCotangents:
    """∂J/∂u₀ (n, j), ∂J/∂p (m, j) through the initial values, and ∂J/∂t₀ (j,)."""

    u0: Array
    p: Array
    t: Array


@dataclass(frozen=True, eq=False)
class InitialRates:
    """∂J/∂u₀ and its rates along j tangents, (n, 1 + j); the rates of ∂J/∂p, (m, j)."""

    u0: Array
    p: Array


class Solver(Protocol):
    """Protocol for solves with the matrix Zᴴ ∂f/∂u N, and with its transpose."""

    def solve(self, b: Array, trans: Trans) -> Array: ...


@dataclass(frozen=True, eq=False)
class InitialValues:
    """u (n,) at t, and k = K₁ (n,) with M k = f(t⁺, u, p).

    k is zero if M is singular, or if the method does not need K₁. nulls: null spaces of
    a singular M, None for a regular M. moved: True if consistent algebraic unknowns
    were computed. derived: True if k is u', computed by `inverse`, the factors of M
    (None for the identity). near: (B, hγ), where B are the factors of a nearby matrix
    M − hγ ∂f/∂u, which help to solve for algebraic unknowns; None without such factors.
    """

    system: System
    t: float
    u: Array
    k: Array
    nulls: NullSpace | None
    moved: bool
    derived: bool
    inverse: Inverse | None
    near: tuple[Inverse, float] | None = None

    def vjp(self, u_bar: Array, k_bar: Array, span: float | None) -> InitialCotangents:
        """The derivatives of J by u₀, p and t, from ∂J/∂u (n, j) and ∂J/∂k (n, j).

        span: the length of the step, in units of time; None if ∂J/∂t is not needed.
        """
        try:
            return self._vjp(u_bar, k_bar, span)
        except NonFiniteField:  # This error names the time and the causes already.
            raise
        except NonFinite as error:
            raise self._domain_edge_error("The reverse sweep fails", error) from error

    def _domain_edge_error(self, what: str, error: NonFinite) -> NonFiniteField:
        """The error that names the time and the component where derivatives are not finite."""
        return domain_edge_error(
            self.system, [self.t], self.u[None], (self.t, self.t), 0, f"{what} ({error})"
        )

    def _vjp(self, u_bar: Array, k_bar: Array, span: float | None) -> InitialCotangents:
        """`vjp` without the error message for derivatives that are not finite."""
        system, t, u = self.system, self.t, self.u
        p_bar = np.zeros((system.p.size, u_bar.shape[1]), dtype=system.p.dtype)
        t_bar = np.zeros(u_bar.shape[1])
        weights = []
        if not (self.derived or self.moved):
            return InitialCotangents(u_bar, p_bar, t_bar)
        J = system.jacobian(t, u)
        if self.derived:
            w = k_bar if self.inverse is None else self.inverse.solve(k_bar, "H")
            u_bar = u_bar + times(J, w, "H")
            p_bar += parameter_cotangents(system, t, u, self.k, w)
            weights.append(w)
        if self.moved:
            nulls = self._nulls
            mu = nulls.Z @ self._constraints(J).solve(np.asarray(nulls.N.conj().T @ u_bar), "H")
            u_bar = u_bar - times(J, mu, "H")
            p_bar -= parameter_cotangents(system, t, u, None, mu)
            weights.append(-mu)
        if span is not None:
            t_bar += np.real(np.einsum("ij,i->j", np.conj(sum(weights)), self._time_rate(span)))
        return InitialCotangents(u_bar, p_bar, t_bar)

    def _time_rate(self, span: float) -> Array:
        """∂f/∂t, (n,); raises NonFiniteField if ∂f/∂t is infinite. span: the length of the step."""
        system, t, u = self.system, self.t, self.u
        size = np.maximum(np.abs(system.rate(t, u)), np.abs(self.k))
        return rate_at(lambda t: system.time_derivative(t, u), t, span, size, "f")

    def jvp(
        self, u0_dot: Array, p_dot: Array, t_dot: Array | None, span: float
    ) -> tuple[Array, Array]:
        """(u̇, k̇), (n, j) each, along u̇₀ (n, j), ṗ (m, j) and ṫ (j,); t_dot = None means ṫ = 0.

        span: the length of the step, in units of time.
        """
        try:
            return self._jvp(u0_dot, p_dot, t_dot, span)
        except NonFiniteField:
            raise
        except NonFinite as error:
            raise self._domain_edge_error("The tangent sweep fails", error) from error

    def _jvp(
        self, u0_dot: Array, p_dot: Array, t_dot: Array | None, span: float
    ) -> tuple[Array, Array]:
        """`jvp` without the error message for derivatives that are not finite."""
        system, t, u = self.system, self.t, self.u
        moving: Array | float = 0.0
        if t_dot is not None and t_dot.any() and (self.derived or self.moved):
            moving = np.multiply.outer(self._time_rate(span), t_dot)
        u_dot, k_dot = u0_dot, np.zeros(u0_dot.shape, dtype=system.dtype)
        if not (self.derived or self.moved):
            return u_dot, k_dot
        J = system.jacobian(t, u)
        if self.moved:
            nulls = self._nulls
            rate = times(J, u_dot, "N") + parameter_tangents(system, t, u, None, p_dot) + moving
            change = self._constraints(J).solve(np.asarray(nulls.Z.conj().T @ rate), "N")
            u_dot = u_dot - nulls.N @ change
        if self.derived:
            rate = times(J, u_dot, "N") + parameter_tangents(system, t, u, self.k, p_dot) + moving
            k_dot = rate if self.inverse is None else self.inverse.solve(rate, "N")
        return u_dot, k_dot

    def vjp_rates(
        self, u_bars: Array, k_bars: Array, tangents: tuple[Array, Array, Array]
    ) -> InitialRates:
        """`vjp` with rates, from ∂J/∂u and ∂J/∂k with rates, (n, 1 + j) each.

        tangents: (u̇ (n, j), k̇ (n, j), ṗ (m, j)). See docs/math/second_derivatives.md,
        eqs. 307 and 308.
        """
        try:
            return self._vjp_rates(u_bars, k_bars, *tangents)
        except NonFiniteField:
            raise
        except NonFinite as error:
            raise self._domain_edge_error("The reverse sweep fails", error) from error

    def _vjp_rates(
        self, u_bars: Array, k_bars: Array, u_dot: Array, k_dot: Array, p_dot: Array
    ) -> InitialRates:
        """`vjp_rates` without the error message for derivatives that are not finite."""
        system, t, u = self.system, self.t, self.u
        p_rate = np.zeros(p_dot.shape, dtype=system.p.dtype)
        if not (self.derived or self.moved):
            return InitialRates(u_bars, p_rate)
        J, u_bars = system.jacobian(t, u), np.array(u_bars)
        if self.derived:
            w = np.array(k_bars)
            w[:, 0] = self._by_mass(np.ascontiguousarray(k_bars[:, 0]))
            found = contraction(
                system, t, u, self.k, np.ascontiguousarray(w[:, 0]), (u_dot, k_dot, p_dot)
            )
            rates = k_bars[:, 1:] if found.mass is None else k_bars[:, 1:] - found.mass
            w[:, 1:] = self._by_mass(np.ascontiguousarray(rates))
            u_bars += times(J, w, "H")
            u_bars[:, 1:] += found.u
            p_rate += found.p + parameter_cotangents(system, t, u, self.k, w[:, 1:])
        if self.moved:
            nulls, constraints = self._nulls, self._constraints(J)
            along = np.asarray(nulls.N.conj().T @ u_bars[:, :1])
            mu = nulls.Z @ constraints.solve(along, "H")
            found = contraction(
                system, t, u, None, np.ascontiguousarray(mu[:, 0]), (u_dot, None, p_dot)
            )
            u_bars[:, 1:] -= found.u
            along = np.asarray(nulls.N.conj().T @ u_bars[:, 1:])
            mu_rates = nulls.Z @ constraints.solve(along, "H")
            u_bars = u_bars - times(J, np.concatenate([mu, mu_rates], axis=1), "H")
            p_rate -= found.p + parameter_cotangents(system, t, u, None, mu_rates)
        return InitialRates(u_bars, p_rate)

    def _by_mass(self, k_bar: Array) -> Array:
        """M⁻ᴴ k̄, (n,) or (n, j)."""
        return k_bar if self.inverse is None else self.inverse.solve(k_bar, "H")

    def _constraints(self, J: Array | sparse.csc_array) -> "Solver":
        """A solver for Zᴴ J N: factors of this matrix, or refinement by the factors of a step."""
        if self.near is None:
            return self._factored
        nulls, scale = self._nulls, self.system.atol + self.system.rtol * np.abs(self.u)
        matrix = ConstraintMatrix(
            sparse.csc_array(nulls.Z.conj().T @ sparse.csc_array(J) @ nulls.N)
        )
        sizes = np.asarray(np.abs(nulls.N).T @ scale)
        return StageSolver(matrix, NearConstraints(nulls, *self.near), sizes, Recent(), [])

    @cached_property
    def _factored(self) -> Factorization:
        """The factors of Zᴴ ∂f/∂u N."""
        J = self.system.jacobian(self.t, self.u)
        return constraint_factors(self.system, (self.t, 0), J, self._nulls)

    @property
    def _nulls(self) -> NullSpace:
        """The null spaces of M, which must be singular."""
        assert self.nulls is not None
        return self.nulls


def initial_values_at(
    system: System,
    t: float,
    seen: float,
    u0: Array,
    nulls: NullSpace | None,
    consistent: bool,
    derived: bool,
) -> InitialValues:
    """The initial values at (t, u₀), with consistent algebraic unknowns if `consistent`.

    seen: t⁺, at which f is evaluated. consistent: True to compute the algebraic
    unknowns. derived: True if the method needs K₁. Raises InconsistentStart if
    algebraic unknowns are not consistent or cannot be computed, NonFiniteField if f is
    nan or inf, SingularMatrix if M is singular although no null vectors of M were
    found.
    """
    f = system.first_rate(t, seen, u0)
    if u0.dtype.kind == "c" and not system.perturbed:
        # Derived fields refuse complex states. Let them do so before the integration.
        system.jacobian(seen, u0)
    if nulls is None:
        k = np.zeros(system.n, dtype=system.dtype)
        if derived:
            k = f if system.mass_inverse is None else system.mass_inverse.solve(f, "N")
        return InitialValues(
            system, seen, u0, k, None, False, derived, system.mass_inverse if derived else None
        )
    u = consistent_unknowns(system, (t, 0), seen, u0, nulls) if consistent else u0
    if not consistent:
        require_consistent(system, (t, 0), seen, u0, f, nulls)
    return InitialValues(
        system, seen, u, np.zeros(system.n, dtype=system.dtype), nulls, consistent, False, None
    )
