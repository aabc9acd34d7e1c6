"""f(x) = Σ r_i(x)² with its derivatives at a point, and counts of the evaluations."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from adjoint.typing import Array

STEP = 1e-30
"""Size of the complex step: far below the rounding of any x, so that only rounding remains."""


@dataclass(eq=False)
class Tally:
    """Numbers of values of f, of gradients (one Jacobian each) and of products ∇²f v."""

    evaluations: int = 0
    gradients: int = 0
    products: int = 0


@dataclass(frozen=True, eq=False)
class SumOfSquares:
    """f(x) = Σ_i r_i(x)², without a factor ½ and without bounds, with a standard start.

    Parameters
    ----------
    number, name : int, str
        Number and name of the problem in the paper.
    start : (n,) array
        Standard start x₀.
    residual : callable
        x ↦ r, (m,); analytic, also for complex x.
    jacobian : callable
        x ↦ ∂r/∂x, (m, n); analytic, also for complex x.
    minima : tuple of float
        Published values of f at local minima, the lowest first; some minima are at
        infinity.
    """

    number: int
    name: str
    start: Array
    residual: Callable[[Array], Array]
    jacobian: Callable[[Array], Array]
    minima: tuple[float, ...]

    @property
    def n(self) -> int:
        """The number of variables."""
        return self.start.size

    @cached_property
    def m(self) -> int:
        """The number of residuals."""
        return self.residual(self.start).size

    def __call__(self, x: Array) -> "Evaluation":
        """Return the point of f at x, (n,); overflow gives inf or nan without a warning."""
        return self.evaluate(x, Tally())

    def evaluate(self, x: Array, tally: Tally) -> "Evaluation":
        """Return the point of f at x, (n,); `tally` counts its value and its later derivatives."""
        x = np.array(x, dtype=float)
        if x.shape != self.start.shape:
            raise ValueError(f"{self.name}: got x of shape {x.shape}, expected {self.start.shape}")
        tally.evaluations += 1
        with np.errstate(all="ignore"):
            r = self.residual(x)
            return Evaluation(self, x, r, float(np.sum(r * r)), tally)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A point of f at x: the value is computed at once, derivatives when they are first used.

    x: (n,); residual: r(x), (m,).
    """

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
        """∇²f v, (n,), by a complex step of the gradient: Im ∇f(x + ihv)/h; v: (n,)."""
        self.tally.products += 1
        z = self.x + 1j * STEP * v
        with np.errstate(all="ignore"):
            g = 2.0 * np.einsum("ij,i->j", self.problem.jacobian(z), self.problem.residual(z))
        return g.imag / STEP


@dataclass(frozen=True, eq=False)
class Counted:
    """A problem that counts the evaluations at all its points."""

    problem: SumOfSquares
    tally: Tally = field(default_factory=Tally)

    def __call__(self, x: Array) -> Evaluation:
        """Return the point of f at x, (n,)."""
        return self.problem.evaluate(x, self.tally)
