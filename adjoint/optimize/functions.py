"""Objectives from plain Python functions, for optimizers: no problem, no solve, no adjoint.

Hessian–vector products of a function that has gradients only: differences of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._numerics import dot
from .._repr import short_repr
from .._validation import as_array, as_parameters, named
from ..checks.gradient import sizes_of
from ..factor.counts import phase
from ..reduced import Function, Point
from ..typing import Array
from .settings import require_function
from .trial import attempt, gradient_of, require_point

STEP = 2.0 * float(np.sqrt(np.finfo(float).eps))
"""Relative change of a variable where truncation and rounding of a forward difference are about equal."""


APART = 1e3
"""Ratio of the sizes of variables up to which they take one step together: rounding costs a larger one three digits."""


SEEN = 1e-9
"""Relative change of a gradient below which a step is too short for what it is to tell."""


@dataclass(frozen=True, eq=False)
class DifferencedPoint:
    """A point of f with hvp. x: (m,); value: f(x)."""

    function: Function
    point: Point

    @property
    def x(self) -> Array:
        """The design, (m,)."""
        return self.point.x

    @property
    def value(self) -> float:
        """f(x)."""
        return self.point.value

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m,)."""
        return gradient_of(self.point)

    def hvp(self, v: Array) -> Array:
        """Σ_k (∇f(x + ε_k v_k) − ∇f(x)) / ε_k, (m,), v = Σ v_k: about eight digits.

        v_k: the part of v for variables of one size, within a factor of a thousand, which one evaluation and one
        gradient serve; ε_k: 3·10⁻⁸ of these sizes. Raises what f raises on both sides of x.
        """
        v = np.asarray(v, dtype=float)
        if v.shape != self.x.shape:
            raise ValueError(f"hvp: got v of shape {v.shape}, expected {self.x.shape}")
        size = sizes_of(self.x)
        return np.asarray(
            sum((self._part(part, size) for part in _parts(v, size)), np.zeros(v.size))
        )

    def _part(self, v: Array, size: Array) -> Array:
        """H v for variables of one size; with longer steps, up to those for the largest one, where nothing is seen.

        A variable may be far smaller than the scale on which f changes, next to zero above all.
        """
        moved = v != 0.0
        step = STEP * float((size[moved] / np.abs(v[moved])).min())
        longest = STEP * max(1.0, float(size.max())) / float(np.abs(v).max())
        found = self._change(v, step)
        if found is None:
            return (
                gradient_of(self.function(self.x + step * v)) - self.gradient
            ) / step  # Raises what f raises.
        while not np.any(np.abs(found) > SEEN * np.abs(self.gradient)) and step * APART <= longest:
            if (longer := self._change(v, step * APART)) is None:
                break
            found, step = longer, step * APART
        return found / step

    def _change(self, v: Array, step: float) -> Array | None:
        """∇f(x + εv) − ∇f(x), or what it is by the other side; None where f cannot be evaluated.

        At bounds f may be defined ahead of one variable and behind another: then v is taken in two parts.
        """
        for h in (step, -step):
            if (near := attempt(self.function, self.x + h * v)) is not None:
                return (gradient_of(near) - self.gradient) * np.sign(h)
        parts = [np.maximum(v, 0.0), np.minimum(v, 0.0)]
        if not all(part.any() for part in parts):
            return None
        changes = [self._change(part, step) for part in parts]
        return None if changes[0] is None or changes[1] is None else changes[0] + changes[1]


def _parts(v: Array, size: Array) -> Iterator[Array]:
    """v in parts for variables whose sizes are within a factor of a thousand, from the largest on."""
    left = v != 0.0
    while left.any():
        taken = left & (size * APART >= float(size[left].max()))
        yield np.where(taken, v, 0.0)
        left &= ~taken


@dataclass(frozen=True, eq=False)
class DifferencedHessian:
    """f with points whose `hvp` is a difference of gradients: one more forward and adjoint solve for each product.

    function: f. For `NewtonCG` where second derivatives are missing. Each variable is stepped by 3·10⁻⁸ of its own
    size: variables whose sizes differ by more than a thousand take a solve for each size. A variable that is zero has
    the size of the others, at most 1. The points next to x may be beyond bounds by as much; a failed solve there is
    tried on the other side.
    """

    function: Callable[[Array], Point]

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("DifferencedHessian", "function", self.function)

    def __call__(self, x: Array) -> DifferencedPoint:
        """f at x; raises what f raises."""
        return DifferencedPoint(
            self.function, require_point(self.function(x), "the function of a DifferencedHessian")
        )


Values = Callable[[Array], float]


Vectors = Callable[[Array], Array]


Products = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class ScalarPoint:
    """A plain function at x: the value at once, the gradient when first asked for."""

    x: Array
    value: float
    derivative: Vectors
    product: Products | None

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m,)."""
        return np.array(as_array("ScalarFunction", "gradient", self.derivative(_read_only(self.x))))

    def hvp(self, v: Array) -> Array:
        """(d²f/dx²) v, (m,); raises TypeError where the function was given none."""
        if self.product is None:
            raise TypeError(
                "ScalarFunction: got no product (x, v) -> H v; see also adjoint.optimize.DifferencedHessian"
            )
        with phase("model"):
            return np.array(self.product(_read_only(self.x), v))


@dataclass(frozen=True, eq=False)
class ScalarFunction:
    """f from a function of x and its gradient: `minimize(ScalarFunction(value, gradient), x, LBFGS())`.

    value: x (m,) ↦ f, a number; gradient: x ↦ df/dx, (m,); product: (x, v) ↦ (d²f/dx²) v, (m,), for `NewtonCG`. They
    get an x that cannot be written to. Where f is not defined value returns nan, or raises a `SolveError`: a step there
    is too long. Raises TypeError for what are no functions, and for a value that is no number.
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
        """f from one function x ↦ (f, df/dx), called once a point, also where no gradient is asked for."""
        return JointFunction(function, product)

    def __call__(self, x: Array) -> ScalarPoint:
        """f at x."""
        x = as_parameters(x, "x")
        return ScalarPoint(x, _number(self.value(_read_only(x))), self.gradient, self.product)


@dataclass(frozen=True, eq=False)
class JointFunction:
    """What `ScalarFunction.of` returns. function: x (m,) ↦ (f, df/dx)."""

    function: Callable[[Array], tuple[float, Array]]
    product: Products | None

    def __post_init__(self) -> None:
        require_function("ScalarFunction.of", "function", self.function)
        _require_product(self.product)

    def __call__(self, x: Array) -> ScalarPoint:
        """f at x; raises TypeError where the function returns something else."""
        x = as_parameters(x, "x")
        both = self.function(_read_only(x))
        if not (isinstance(both, tuple) and len(both) == 2):
            raise TypeError(
                f"ScalarFunction.of: the function returned {named(both)}, expected the pair (f, gradient)"
            )
        g = np.array(both[1])
        return ScalarPoint(x, _number(both[0]), lambda _: g, self.product)


@dataclass(frozen=True, eq=False)
class ResidualPoint:
    """A `ResidualFunction` at x."""

    x: Array
    residual: Array
    function: "ResidualFunction"

    @property
    def value(self) -> float:
        """½‖r‖²."""
        return 0.5 * dot(self.residual, self.residual)

    @cached_property
    def jacobian(self) -> Array:
        """dr/dx, (k, m); raises ValueError for another shape."""
        with phase("model"):
            J = np.array(
                as_array("ResidualFunction", "jacobian", self.function.jacobian(_read_only(self.x)))
            )
        expected = (self.residual.size, self.x.size)
        if J.shape != expected:
            raise ValueError(
                f"ResidualFunction: jacobian returned an array of shape {J.shape}, expected {expected}"
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


@dataclass(frozen=True, eq=False)
class ResidualFunction:
    """f = ½‖r(x)‖² from a function of x and its derivative: `minimize(ResidualFunction(r, J), x, GaussNewton())`.

    residual: x (m,) ↦ r, (k,), in units of its standard deviations; jacobian: x ↦ dr/dx, (k, m). They get an x that
    cannot be written to. Raises TypeError for what are no functions, ValueError for other shapes.
    """

    residual: Vectors
    jacobian: Vectors

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_function("ResidualFunction", "residual", self.residual)
        require_function("ResidualFunction", "jacobian", self.jacobian)

    def __call__(self, x: Array) -> ResidualPoint:
        """f at x."""
        x = as_parameters(x, "x")
        r = as_array(
            "ResidualFunction", "what residual returned", self.residual(_read_only(x))
        ).astype(float)
        if r.ndim != 1:
            raise ValueError(
                f"ResidualFunction: residual returned an array of shape {r.shape}, expected (k,)"
            )
        return ResidualPoint(x, r, self)


def _read_only(x: Array) -> Array:
    """x for a function of the user's, which would move the algorithm by writing to it."""
    view = x.view()
    view.flags.writeable = False
    return view


def _number(value: object) -> float:
    if isinstance(value, tuple | list):
        raise TypeError(
            f"ScalarFunction: value returned {named(value)}, expected a number; ScalarFunction.of(f) takes a function "
            "that returns (value, gradient)"
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
            f"ScalarFunction: got {named(product)} as product, expected a function (x, v) -> H v, or None"
        )
