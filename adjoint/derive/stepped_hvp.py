"""`hvp` of residuals and fields by hand, by complex steps of their first derivatives."""

from dataclasses import dataclass, field
from typing import cast, overload

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._validation import missing_methods, named
from ..protocols import Field, Residual, TimeDerivative
from ..typing import Array
from .hvp import SteppedRate


@dataclass(eq=False)
class WithHvp:
    """A hand-written residual with `hvp`, by complex steps of its `jacobian` and `vjp`.

    `with_hvp` returns such residuals. The class has all methods of
    `adjoint.protocols.Residual`. An object remembers the latest point at which `jacobian`
    and `vjp` passed an examination.

    Parameters
    ----------
    inner : Residual
        The hand-written residual.
    """

    inner: Residual
    _examined: tuple[Array, Array, float] | None = field(default=None, init=False, repr=False)

    __repr__ = short_repr

    def residual(self, u: Array, p: Array) -> Array:
        """R(u, p)."""
        return self.inner.residual(u, p)

    def jacobian(self, u: Array, p: Array) -> sparse.csc_array:
        """∂R/∂u, (n, n)."""
        return self.inner.jacobian(u, p)

    def vjp(self, u: Array, p: Array, lam: Array) -> Array:
        """(∂R/∂p)ᵀ λ, (m,)."""
        return self.inner.vjp(u, p, lam)

    def jvp(self, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂R/∂p) ṗ, (n,)."""
        return self.inner.jvp(u, p, p_dot)

    def hvp(
        self, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,).

        Cost: one complex Jacobian and one complex vjp. Before the first product at a
        point, the derivative along a random direction is compared with finite
        differences. NotComplexSafe is raised if the two disagree. TypeError is raised
        if u, p or a direction is complex.
        """
        rate = SteppedRate(self._pulled_back, "R", type(self.inner).__name__)
        u_part, p_part = rate.along(u, p, lam, u_dot, p_dot)
        return u_part, self._sign(rate, u, p) * p_part

    def _pulled_back(self, u: Array, p: Array, lam: Array) -> Array:
        """((∂R/∂u)ᵀλ, (∂R/∂p)ᵀλ) as one vector, (n + m,)."""
        return np.concatenate([self.inner.jacobian(u, p).T @ lam, self.inner.vjp(u, p, lam)])

    def _sign(self, rate: SteppedRate, u: Array, p: Array) -> float:
        """The sign of the vjp, see `SteppedRate.sign`; remembered for the latest point."""
        if self._examined is not None:
            v, q, sign = self._examined
            if np.array_equal(u, v) and np.array_equal(p, q):
                return sign
        sign = rate.sign(u, p)
        self._examined = (u.copy(), p.copy(), sign)
        return sign


@dataclass(eq=False)
class FieldWithSteppedHvp:
    """A hand-written field with `hvp`, by complex steps of its `jacobian` and `vjp`.

    `with_hvp` returns such fields. The class has all methods of
    `adjoint.protocols.Field`. An object remembers the number of products so far, and the
    sign of the vjp that the latest examination found: −1 if `inner.vjp` conjugates.

    Parameters
    ----------
    inner : Field
        The hand-written field.
    """

    inner: Field
    _products: int = field(default=0, init=False, repr=False)
    _sign: float | None = field(default=None, init=False, repr=False)

    __repr__ = short_repr

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f(t, u, p), (n,)."""
        return self.inner(t, u, p)

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂u, (n, n)."""
        return self.inner.jacobian(t, u, p)

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᵀ λ, (m,)."""
        return self.inner.vjp(t, u, p, lam)

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (n,)."""
        return self.inner.jvp(t, u, p, p_dot)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (n,); raises TypeError if the field has no such method."""
        if not isinstance(self.inner, TimeDerivative):
            raise TypeError(
                f"{type(self.inner).__name__}: time_derivative(t, u, p) is not provided, and "
                "derivatives with respect to times need it"
            )
        return self.inner.time_derivative(t, u, p)

    def hvp(
        self, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of (u, p) ↦ ((∂f/∂u)ᵀλ, (∂f/∂p)ᵀλ) along (u̇, ṗ), (n,) and (m,).

        Cost: one complex Jacobian and one complex vjp. At the 1st, 2nd, 4th, 8th, …
        product the derivative along a random direction is compared with finite
        differences. NotComplexSafe is raised if the two disagree, TypeError if u, p or a
        direction is complex.
        """

        def pulled_back(v: Array, q: Array, w: Array) -> Array:
            J = self.inner.jacobian(t, v, q)
            return np.concatenate([np.asarray(J.T @ w), self.inner.vjp(t, v, q, w)])

        rate = SteppedRate(pulled_back, "f", type(self.inner).__name__)
        self._products += 1
        sign = self._sign
        if sign is None or self._products & (self._products - 1) == 0:
            sign = self._sign = rate.sign(u, p)
        u_part, p_part = rate.along(u, p, lam, u_dot, p_dot)
        return u_part, sign * p_part


@overload
def with_hvp(physics: Residual) -> WithHvp: ...
@overload
def with_hvp(physics: Field) -> FieldWithSteppedHvp: ...
def with_hvp(physics: Residual | Field) -> WithHvp | FieldWithSteppedHvp:
    """Add second derivatives to a hand-written residual or field, by complex steps.

    Parameters
    ----------
    physics : Residual or Field
        Object with `residual` (a field: ``__call__``), `jacobian`, `vjp` and `jvp` for
        real u and p. `jacobian` and `vjp` must also work for complex arguments near the
        real line, see `complex_step_residual`.

    Returns
    -------
    WithHvp or FieldWithSteppedHvp
        The residual or field with `hvp`, for Hessian–vector products of reduced
        functions.

    Raises
    ------
    TypeError
        If a method is missing.

    Notes
    -----
    `hvp` raises NotComplexSafe if `jacobian` or `vjp` loses imaginary parts. The test
    is made at each point of a residual, and at the 1st, 2nd, 4th, 8th, … product of a
    field. Fields by `complex_step_field` and `jax_field`, and residuals by
    `complex_step_residual`, `finite_difference_residual` and `jax_residual`, have second
    derivatives already.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sparse
    >>> from adjoint.derive import with_hvp
    >>> class Root:
    ...     def residual(self, u, p):
    ...         return u**2 - p
    ...     def jacobian(self, u, p):
    ...         return sparse.csc_array(sparse.diags_array(2.0 * u))
    ...     def vjp(self, u, p, lam):
    ...         return -lam
    ...     def jvp(self, u, p, p_dot):
    ...         return -p_dot
    >>> root, u, p, one = with_hvp(Root()), np.array([3.0]), np.array([9.0]), np.ones(1)
    >>> root.hvp(u, p, lam=one, u_dot=one, p_dot=one)[0]
    array([2.])
    """
    if isinstance(physics, type):
        raise TypeError(f"with_hvp: got {named(physics)}, expected an object of the class")
    is_field = callable(physics) and not hasattr(physics, "residual")
    first, kind = ("__call__", "field") if is_field else ("residual", "residual")
    if missing := missing_methods(physics, (first, "jacobian", "vjp", "jvp")):
        raise TypeError(
            f"with_hvp: {type(physics).__name__} has no method {missing[0]}, expected a {kind}"
        )
    return (
        FieldWithSteppedHvp(cast(Field, physics)) if is_field else WithHvp(cast(Residual, physics))
    )
