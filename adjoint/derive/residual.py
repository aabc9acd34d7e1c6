"""Residuals whose derivatives come from the function itself: `complex_step_residual` and `finite_difference_residual`."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from ..errors import NonFinite
from ..factor.csc import SparseMatrix
from ..typing import Array
from .compressed import Block, as_pattern
from .differentiation.complex_step import ComplexStep
from .differentiation.directional import Rule
from .differentiation.finite_differences import CentralDifferences
from .hvp import rate_along
from .user_function import Function, ResidualFunction


@dataclass(frozen=True, eq=False)
class DerivedResidual:
    """R(u, p) from a function, with ∂R/∂u and ∂R/∂p by coloured directional derivatives: a `Residual`."""

    function: Function
    rule: Rule
    by_u: Block
    by_p: Block
    _examined: list[tuple[Array, Array]] = field(default_factory=list)

    __repr__ = short_repr

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,), as the function has it, nan included; u: (n,), p: (m,)."""
        return self.function(*self.function.point(u, p))

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n), canonical; one derivative a colour, and one to verify them.

        Raises SparsityError for a pattern that is too small, NotComplexSafe, NonFinite for nan.
        """
        return self.by_u.at(self.rule.in_u(*self.function.point(u, p)))

    def parameter_jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂p, (n, m), canonical; raises as `jacobian` does, and where the two do not fit R at this very point."""
        u, p = self.function.point(u, p)
        J = self.by_p.at(self.rule.in_p(u, p))
        self._examine(u, p)
        return J

    def _examine(self, u: Array, p: Array) -> None:
        """Let R show at each point where something is derived from the solution that derivatives can be trusted."""
        if not any(np.array_equal(u, v) and np.array_equal(p, q) for v, q in self._examined):
            self.rule.examine(u, p, self.by_p.terms(p) + self.by_u.terms(u))
            self._examined[:] = [(u.copy(), p.copy())]

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,), by `parameter_jacobian`; lam: (n,)."""
        lam = self.function.vector(lam, "lam", self.function.n)
        return np.asarray(self.parameter_jacobian(u, p).T @ lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,): one derivative; p_dot: (m,)."""
        p_dot = self.function.vector(p_dot, "p_dot", self.function.m)
        u, p = self.function.point(u, p)
        point = self.rule.in_p(u, p)
        self.by_p.examination.first(point)
        applied = point.along(p_dot)
        if not np.isfinite(applied).all():
            row = int(np.flatnonzero(~np.isfinite(applied))[0])
            raise NonFinite(
                f"{self.function.maker}: the derivative along p_dot is {applied[row]} in row {row}"
            )
        self._examine(u, p)
        return applied

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,).

        By differences of derivatives, six times both Jacobians, or some more: twelve digits for complex steps, seven
        for differences. Raises what the Jacobians raise, NonFinite where they are nan next to the point.
        """
        u, p = self.function.point(u, p)
        n, m = self.function.n, self.function.m
        lam = self.function.vector(lam, "lam", n)

        def pulled_back(x: Array) -> Array:
            by_u, by_p = self.rule.in_u(x[:n], x[n:]), self.rule.in_p(x[:n], x[n:])
            return np.concatenate([self.by_u.at(by_u).T @ lam, self.by_p.at(by_p).T @ lam])

        u_dot, p_dot = (
            self.function.vector(u_dot, "u_dot", n),
            self.function.vector(p_dot, "p_dot", m),
        )
        parts = rate_along(pulled_back, u, p, u_dot, p_dot)
        if not all(np.isfinite(part).all() for part in parts):
            raise NonFinite(
                f"{self.function.maker}: the second derivative along (u_dot, p_dot) is nan"
            )
        return parts

    def at(self, u: Array, p: Array) -> "AtPoint":
        """The same residual, which keeps ∂R/∂p at this point for many products with it."""
        return AtPoint(self, u, p)


def derived(
    function: Function, rule: Rule, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> DerivedResidual:
    """The residual of a function under a rule; patterns as given to the public functions."""
    blocks = []
    for x, columns, given in (("u", function.n, u_pattern), ("p", function.m, p_pattern)):
        what = f"{function.maker}: {x}_pattern"
        pattern = None if given is None else as_pattern(given, (function.n, columns), what)
        blocks.append(Block(f"∂R/∂{x}", f"{x}_pattern", function.maker, columns, pattern))
    return DerivedResidual(function, rule, blocks[0], blocks[1])


@dataclass(frozen=True, eq=False)
class AtPoint:
    """A derived residual that forms ∂R/∂p at (u, p) once: for several objectives, and for Gauss–Newton products."""

    derived: DerivedResidual
    u: Array
    p: Array

    @cached_property
    def _sensitivity(self) -> sparse.csc_array:
        return self.derived.parameter_jacobian(self.u, self.p)

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p), (n,)."""
        return self.derived.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n)."""
        return self.derived.jacobian(u, p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,)."""
        if u is not self.u or p is not self.p:
            return self.derived.vjp(u, p, lam)
        return np.asarray(self._sensitivity.T @ lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,): one derivative, or a product if ∂R/∂p is there."""
        if u is not self.u or p is not self.p or "_sensitivity" not in self.__dict__:
            return self.derived.jvp(u, p, p_dot)
        return np.asarray(self._sensitivity @ p_dot)

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """As that of the residual."""
        return self.derived.hvp(u, p, lam, u_dot, p_dot)


def complex_step_residual(
    residual: ResidualFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> DerivedResidual:
    """∂R/∂u and ∂R/∂p of a plain NumPy function by Im R(x + ihv)/h: exact to rounding.

    residual: R(u, p) of u (n,) and p (m,), real or complex, returns (n,); it must be continuous in the complex
    plane near the real line: +, ×, exp, power, @, np.where and comparisons are; abs, norm, conj are not, and
    `adjoint.derive.safe` has replacements. That is checked before the first derivative. u_pattern (n, n), p_pattern
    (n, m): the entries that may be other than zero; detected at the first point if not given.

    A Jacobian costs one complex evaluation a colour (5 on a 5-point grid), and one that verifies the pattern. A row
    that depends on all unknowns costs one for each of them: sums taken step by step, as unknowns, cost few.
    Its methods raise SparsityError, NotComplexSafe, NonFinite (nan in a derivative), TypeError and ValueError.
    """
    function = Function(residual, n, m, "complex_step_residual")
    return derived(function, ComplexStep(function), u_pattern, p_pattern)


def finite_difference_residual(
    residual: ResidualFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> DerivedResidual:
    """∂R/∂u and ∂R/∂p of any smooth function by extrapolated central differences: about ten digits.

    For checks, and for functions that cannot be complex; six evaluations a colour, more where the first steps are too
    long for R. Steps are relative, at most 1e-3 |p_j|: a parameter that is meant to be zero must be zero, not 1e-17.
    Otherwise as `complex_step_residual`.
    """
    function = Function(residual, n, m, "finite_difference_residual")
    return derived(function, CentralDifferences(function), u_pattern, p_pattern)
