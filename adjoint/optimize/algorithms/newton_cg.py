"""Newton's method with a trust region, its steps by conjugate gradients on Hessian–vector products."""

from dataclasses import dataclass, field

import numpy as np

from ..._repr import short_repr
from ..._validation import require_settings
from ...bounds import Bounds
from ...reduced import Function
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..settings import require_geometry
from ..state import State
from ..trial import first_point
from .trust_region import TrustRegion
from .trust_region_cg import Model


@dataclass(frozen=True, eq=False)
class NewtonCG:
    """x ← x + s, s = argmin g·s + ½ s·Hs over ‖s‖_M ≤ Δ, about, by CG with products point.hvp(v) alone.

    CG ends at ‖g + Hs‖ ≤ η‖g‖, η = min(½, (‖g‖/‖g₀‖)^exponent): convergence of order 1 + exponent; at Δ; along a
    direction of negative curvature, which it follows to Δ; or after `products` products. With ρ the decrease of f
    relative to that of the model: Δ ← ‖s‖/4 for ρ < ¼, 2Δ for ρ > ¾ with ‖s‖ about Δ. A step with ρ ≤ `accept` is
    refused: it costs one evaluation, no gradient; a failed solve is refused as well. Differences of f below its
    rounding are taken to be as predicted, so that g can fall to rounding.

    radius: the first Δ; None: ten times as far as the model's minimum along −M⁻¹g. inner: M, and CG is preconditioned
    by M⁻¹. With bounds, M diagonal, s is made from a projected gradient step, and CG over the variables between their
    bounds, which it projects. The point of a state is not in files: a resumed run evaluates it again.

    Raises ValueError for other settings, for bounds with another M, and from `start` for an x outside of the bounds;
    TypeError for points without hvp: see `DifferencedHessian`. Steihaug (1983), SIAM J. Numer. Anal. 20, 626; Nocedal &
    Wright (2006), algorithms 4.1 and 7.2; Lin & Moré (1999), SIAM J. Optim. 9, 1100; Conn, Gould & Toint (2000),
    Trust-Region Methods, section 17.4.2, on rounding.
    """

    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Bounds = field(default_factory=Bounds)
    radius: float | None = None
    exponent: float = 0.5
    accept: float = 1e-4
    products: int = 200

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_geometry("NewtonCG", self.bounds, self.inner)
        if not (self.radius is None or 0.0 < self.radius < np.inf):
            raise ValueError(
                f"NewtonCG: got radius={self.radius}, expected a positive number or None"
            )
        if not (0.0 < self.exponent <= 1.0 and 0.0 <= self.accept < 0.25 and self.products >= 1):
            raise ValueError(
                f"NewtonCG: got exponent={self.exponent}, accept={self.accept}, products={self.products}; expected "
                "0 < exponent ≤ 1, 0 ≤ accept < ¼, at least one product"
            )
        if not (self.bounds.everywhere or self.inner.diagonal):
            raise ValueError(
                "NewtonCG: bounds ask for a diagonal inner product, such as Weighted(lumped masses)"
            )

    @property
    def constrained(self) -> tuple[()]:
        """None."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x: one evaluation, one gradient."""
        point = first_point(f, x, self.bounds, "NewtonCG")
        if not callable(getattr(point, "hvp", None)):
            raise TypeError(
                f"NewtonCG: {type(point).__name__} has no hvp(v), the product of the Hessian and v; expected a point "
                "with one, as those of adjoint.Reduced. Without second derivatives: adjoint.optimize.DifferencedHessian(f)"
            )
        return self._region.begun(point, self.radius)

    def advance(self, f: Function, state: State) -> State:
        """One accepted step: an evaluation for each trial, one gradient."""
        point = self._region.point(f, state)
        model = Model(self.inner, self.bounds, state.x, state.gradient, point.hvp, self.products)
        return self._region.advanced(f, state, model, {})

    @property
    def _region(self) -> TrustRegion:
        return TrustRegion(self.inner, self.bounds, self.accept, self.exponent)
