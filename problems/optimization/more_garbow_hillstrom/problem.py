"""f(x) = Σ r_i(x)² and its derivatives at a point; a count of what was asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from adjoint.typing import Array

STEP = 1e-30
"""Of the complex step: far below the rounding of any x, so that nothing but rounding is lost."""


@dataclass(eq=False)
class Tally:
    """What has been computed: values of f (one r each), gradients (one Jacobian each), products with the Hessian."""

    evaluations: int = 0
    gradients: int = 0
    products: int = 0


@dataclass(frozen=True, eq=False)
class SumOfSquares:
    """f(x) = Σ_i r_i(x)², not halved, to be minimized from a standard start; there are no bounds.

    number, name: as in the paper. start: x₀, (n,). residual: x ↦ r, (m,); jacobian: x ↦ ∂r/∂x, (m, n); both are
    analytic, and take a complex x. minima: published values of f at local minima, some of them at infinity, the
    lowest first.
    """

    number: int
    name: str
    start: Array
    residual: Callable[[Array], Array]
    jacobian: Callable[[Array], Array]
    minima: tuple[float, ...]

    @property
    def n(self) -> int:
        """How many variables."""
        return self.start.size

    @cached_property
    def m(self) -> int:
        """How many residuals."""
        return self.residual(self.start).size

    def __call__(self, x: Array) -> "Evaluation":
        """f at x, (n,); inf or nan, without a warning, where it overflows."""
        return self.evaluate(x, Tally())

    def evaluate(self, x: Array, tally: Tally) -> "Evaluation":
        """f at x, counted; what is asked of the point later counts too."""
        x = np.array(x, dtype=float)
        if x.shape != self.start.shape:
            raise ValueError(f"{self.name}: got x of shape {x.shape}, expected {self.start.shape}")
        tally.evaluations += 1
        with np.errstate(all="ignore"):
            r = self.residual(x)
            return Evaluation(self, x, r, float(np.sum(r * r)), tally)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """f at x: the value at once, derivatives when first asked for. x: (n,); residual: r(x), (m,)."""

    problem: SumOfSquares
    x: Array
    residual: Array
    value: float
    tally: Tally

    @cached_property
    def jacobian(self) -> Array:
        """∂r/∂x, (m, n)."""
        self.tally.gradients += 1
        with np.errstate(all="ignore"):
            return self.problem.jacobian(self.x)

    @cached_property
    def gradient(self) -> Array:
        """2 (∂r/∂x)ᵀ r, (n,)."""
        J = self.jacobian
        with np.errstate(all="ignore"):
            return 2.0 * np.einsum("ij,i->j", J, self.residual)

    def hvp(self, v: Array) -> Array:
        """∇²f v, (n,): the complex step of the gradient, Im ∇f(x + ihv)/h, exact to rounding; v: (n,)."""
        self.tally.products += 1
        z = self.x + 1j * STEP * v
        with np.errstate(all="ignore"):
            g = 2.0 * np.einsum("ij,i->j", self.problem.jacobian(z), self.problem.residual(z))
        return g.imag / STEP


@dataclass(frozen=True, eq=False)
class Counted:
    """A problem that counts what is computed of it, at all its points together."""

    problem: SumOfSquares
    tally: Tally = field(default_factory=Tally)

    def __call__(self, x: Array) -> Evaluation:
        """f at x, (n,)."""
        return self.problem.evaluate(x, self.tally)
