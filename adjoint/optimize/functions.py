"""Objectives from plain Python functions: without a problem, a solve or an adjoint."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._dataclasses import short_repr
from .._numerics import by_columns, dot, read_only
from .._validation import as_array, as_parameters, named
from ..factor.counts import phase
from ..typing import Array
from .settings import require_function

Values = Callable[[Array], float]


Vectors = Callable[[Array], Array]


Products = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class ScalarFunction:
    """f(x) and df/dx from two plain functions.

    The functions get a read-only x. If f is not defined at x, `value` returns nan or raises
    a `SolveError`: an algorithm then takes a shorter step.

    Parameters
    ----------
    value : callable
        x, (m,) ↦ f, a real number.
    gradient : callable
        x, (m,) ↦ df/dx, (m,) array.
    product : callable or None
        (x, v) ↦ (d²f/dx²) v, (m,) array, which `NewtonCG` needs.

    Raises
    ------
    TypeError
        If an argument is not a function; when called, if `value` does not return a real
        number.

    Examples
    --------
    >>> import numpy as np
    >>> f = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    >>> f(np.array([1.0, 2.0])).gradient
    array([2., 4.])
    """

    value: Values
    gradient: Vectors
    product: Products | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("ScalarFunction", "value", self.value)
        require_function("ScalarFunction", "gradient", self.gradient)
        _require_product(self.product)

    @staticmethod
    def of(
        function: Callable[[Array], tuple[float, Array]], product: Products | None = None
    ) -> "JointFunction":
        """f from one function x ↦ (f, df/dx), which is called once per point.

        Parameters
        ----------
        function : callable
            x, (m,) ↦ (f, df/dx); called also if no gradient is asked for.
        product : callable or None
            (x, v) ↦ (d²f/dx²) v, (m,) array.

        Returns
        -------
        JointFunction
            A function for `minimize`, as `ScalarFunction` is.
        """
        return JointFunction(function, product)

    def __call__(self, x: Array) -> "ScalarPoint":
        """f at x."""
        x = as_parameters(x, "x")
        return ScalarPoint(x, _number(self.value(read_only(x))), self.gradient, self.product)


@dataclass(frozen=True, eq=False)
class ResidualFunction:
    """f = ½‖r(x)‖² from r and dr/dx: `minimize(ResidualFunction(r, J), x, GaussNewton())`.

    The functions get a read-only x.

    Parameters
    ----------
    residual : callable
        x, (m,) ↦ r, (k,) array, in units of its standard deviations.
    jacobian : callable
        x, (m,) ↦ dr/dx, (k, m) array.

    Raises
    ------
    TypeError
        If an argument is not a function.
    ValueError
        When called, if r is not a vector, or if dr/dx does not have the shape (k, m).
    """

    residual: Vectors
    jacobian: Vectors

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("ResidualFunction", "residual", self.residual)
        require_function("ResidualFunction", "jacobian", self.jacobian)

    def __call__(self, x: Array) -> "ResidualPoint":
        """f at x."""
        x = as_parameters(x, "x")
        r = as_array(
            "ResidualFunction", "what residual returned", self.residual(read_only(x))
        ).astype(float)
        if r.ndim != 1:
            raise ValueError(
                f"ResidualFunction: residual returned an array of shape {r.shape}, expected (k,)"
            )
        return ResidualPoint(x, r, self)


@dataclass(frozen=True, eq=False)
class JointFunction:
    """f from one function x, (m,) ↦ (f, df/dx); made by `ScalarFunction.of`."""

    function: Callable[[Array], tuple[float, Array]]
    product: Products | None

    def __post_init__(self) -> None:
        require_function("ScalarFunction.of", "function", self.function)
        _require_product(self.product)

    def __call__(self, x: Array) -> "ScalarPoint":
        """f at x; raise TypeError unless the function returns a pair of a number and a gradient."""
        x = as_parameters(x, "x")
        both = self.function(read_only(x))
        if not (isinstance(both, tuple) and len(both) == 2):
            raise TypeError(
                f"ScalarFunction.of: the function returned {named(both)}, expected the pair "
                "(f, gradient)"
            )
        g = np.array(both[1])
        return ScalarPoint(x, _number(both[0]), lambda _: g, self.product)


@dataclass(frozen=True, eq=False)
class ScalarPoint:
    """A plain function at x: its value, and its gradient when first asked for.

    derivative, product: see `ScalarFunction.gradient` and `ScalarFunction.product`.
    """

    x: Array
    value: float
    derivative: Vectors
    product: Products | None

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m,)."""
        return np.array(as_array("ScalarFunction", "gradient", self.derivative(read_only(self.x))))

    def hvp(self, v: Array) -> Array:
        """(d²f/dx²) v for v (m,), or for each column of v (m, j), of the shape of v.

        Raise TypeError if the function has no `product`.
        """
        if self.product is None:
            raise TypeError(
                "ScalarFunction: got no product (x, v) -> H v; see also "
                "adjoint.optimize.DifferencedHessian"
            )
        product, x = self.product, read_only(self.x)
        with phase("model"):
            return by_columns(lambda column: np.array(product(x, column)), np.asarray(v))

    def hessian(self) -> Array:
        """d²f/dx², (m, m), by m products; raise TypeError if the function has no `product`."""
        return self.hvp(np.eye(self.x.size))


@dataclass(frozen=True, eq=False)
class ResidualPoint:
    """½‖r‖² at x: the residual is known, dr/dx is computed when first asked for."""

    x: Array
    residual: Array
    function: "ResidualFunction"

    @property
    def value(self) -> float:
        """½‖r‖²."""
        return 0.5 * dot(self.residual, self.residual)

    @cached_property
    def jacobian(self) -> Array:
        """dr/dx, (k, m); raise ValueError if the function returned another shape."""
        with phase("model"):
            J = np.array(
                as_array("ResidualFunction", "jacobian", self.function.jacobian(read_only(self.x)))
            )
        expected = (self.residual.size, self.x.size)
        if J.shape != expected:
            raise ValueError(
                f"ResidualFunction: jacobian returned an array of shape {J.shape}, "
                f"expected {expected}"
            )
        return J

    @cached_property
    def gradient(self) -> Array:
        """Jᵀ r, (m,)."""
        return self.vjp_residual(self.residual)

    def jvp_residual(self, v: Array) -> Array:
        """J v, (k,) or (k, j)."""
        return np.asarray(np.einsum("km,m...->k...", self.jacobian, v))

    def vjp_residual(self, w: Array) -> Array:
        """Jᵀ w, (m,) or (m, j)."""
        return np.asarray(np.einsum("km,k...->m...", self.jacobian, w))


def _number(value: object) -> float:
    if isinstance(value, tuple | list):
        raise TypeError(
            f"ScalarFunction: value returned {named(value)}, expected a number; "
            "ScalarFunction.of(f) takes a function that returns (value, gradient)"
        )
    number = np.asarray(value)
    if number.ndim != 0 or number.dtype.kind not in "fiu":
        shape = f" of shape {number.shape}" if number.ndim else ""
        raise TypeError(
            f"ScalarFunction: value returned {named(value)}{shape}, expected a real number"
        )
    return float(number)


def _require_product(product: object) -> None:
    if not (product is None or callable(product)):
        raise TypeError(
            f"ScalarFunction: got {named(product)} as product, expected a function (x, v) -> H v, "
            "or None"
        )
