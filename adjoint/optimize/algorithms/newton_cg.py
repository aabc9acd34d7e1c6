"""Newton's method in a trust region, with steps by CG on Hessian–vector products."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import require_settings
from ...bounds import Bounds
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..manifolds.manifold import Manifold, inner_at
from ..manifolds.model import RetractedModel
from ..memory import require_entries
from ..settings import require_geometry, require_manifold
from ..state import State
from ..trial import first_point, gradient_of
from .trust_region import REGION, TrustRegion
from .trust_region_cg import Model


@dataclass(frozen=True, eq=False)
class NewtonCG:
    """x ← x + s, s ≈ argmin g·s + ½ s·Hs over ‖s‖_M ≤ Δ, by CG with products point.hvp(v) alone.

    CG ends at ‖g + Hs‖ ≤ η‖g‖ with η = min(½, (‖g‖/‖g₀‖)^exponent), which gives
    convergence of order 1 + exponent; at Δ; along a direction of negative curvature,
    which it follows to Δ; or after `products` products. With ρ, the decrease of f
    divided by the decrease of the model: Δ ← ‖s‖/4 if ρ < ¼, Δ ← 2Δ if ρ > ¾ and ‖s‖ is
    about Δ. A step with ρ ≤ `accept` is refused, which costs one evaluation and no
    gradient; a step to a design at which a solve fails is refused, too. A difference of
    f below the rounding error of f counts as the predicted difference, so that g can
    fall to rounding.

    With bounds s is a projected gradient step, followed by projected steps of CG over
    the variables between their bounds. The point of a state is not stored in files: a
    resumed run evaluates f again.

    Parameters
    ----------
    inner : InnerProduct
        M; CG is preconditioned by M⁻¹. With bounds M must be diagonal.
    bounds : Bounds
        Bounds on the design.
    radius : float or None
        The first Δ, in the norm of M. None: ten times the distance to the model's minimum
        along −M⁻¹g.
    exponent : float
        Exponent of the tolerance of CG, in (0, 1].
    accept : float
        Least ρ of an accepted step, in [0, ¼).
    products : int
        Largest number of products with H in one run of CG.
    manifold : Manifold or None
        The manifold on which the design stays, such as
        `adjoint.optimize.manifolds.Stiefel(n, k)`; without bounds and inner product. H is
        the Riemannian Hessian, from the products point.hvp(v).

    Raises
    ------
    TypeError
        If a setting has the wrong type; at the start, if points of f have no `hvp`, see
        `DifferencedHessian`.
    ValueError
        If a setting is out of range, or if there are bounds and M is not diagonal; at the
        start, if x is outside of the bounds, or not on the manifold.

    References
    ----------
    Steihaug (1983), SIAM J. Numer. Anal. 20, 626. Nocedal & Wright (2006), algorithms 4.1
    and 7.2. Lin & Moré (1999), SIAM J. Optim. 9, 1100. Rounding: Conn, Gould & Toint
    (2000), Trust-Region Methods, section 17.4.2. Manifolds: Absil, Baker & Gallivan (2007),
    Found. Comput. Math. 7, 303.
    """

    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Bounds = field(default_factory=Bounds)
    radius: float | None = None
    exponent: float = 0.5
    accept: float = 1e-4
    products: int = 200
    manifold: Manifold | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_geometry("NewtonCG", self.bounds, self.inner)
        require_manifold("NewtonCG", self.manifold, self.bounds, self.inner)
        if not (self.radius is None or 0.0 < self.radius < np.inf):
            raise ValueError(
                f"NewtonCG: got radius={self.radius}, expected a positive number or None"
            )
        if not (0.0 < self.exponent <= 1.0 and 0.0 <= self.accept < 0.25 and self.products >= 1):
            raise ValueError(
                f"NewtonCG: got exponent={self.exponent}, accept={self.accept}, "
                f"products={self.products}; expected 0 < exponent ≤ 1, 0 ≤ accept < ¼, at least "
                "one product"
            )
        if not (self.bounds.everywhere or self.inner.diagonal):
            raise ValueError(
                "NewtonCG: bounds ask for a diagonal inner product, such as Weighted(lumped masses)"
            )

    @property
    def constrained(self) -> tuple[()]:
        """(): the method takes no constraints."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x. It costs one evaluation and one gradient."""
        point = first_point(f, x, self.bounds, "NewtonCG", self.manifold)
        if not callable(getattr(point, "hvp", None)):
            raise TypeError(
                f"NewtonCG: {type(point).__name__} has no hvp(v), the product of the Hessian and "
                "v; expected a point with hvp, such as the points of adjoint.Reduced. Without "
                "second derivatives: adjoint.optimize.DifferencedHessian(f)"
            )
        return self._region.begun(point, self.radius)

    def advance(self, f: Function, state: State) -> State:
        """The state after one accepted step. It costs one evaluation per trial and one gradient."""
        point = self._region.point(f, state)
        x, manifold = state.x, self.manifold
        hessian: Callable[[Array], Array] = point.hvp
        if manifold is not None:
            hessian = _riemannian_hessian(manifold, point)
        inner = inner_at(manifold, self.inner, x)
        model = Model(inner, self.bounds, x, state.gradient, hessian, self.products)
        if manifold is None:
            return self._region.advanced(f, state, model, {})
        return self._region.advanced(f, state, RetractedModel(model, manifold), {})

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the memory has Δ, ‖g₀‖ and the number of products."""
        require_entries("NewtonCG", state.memory, REGION)

    @property
    def _region(self) -> TrustRegion:
        return TrustRegion(self.inner, self.bounds, self.accept, self.exponent, self.manifold)


def _riemannian_hessian(manifold: Manifold, point: Point) -> Callable[[Array], Array]:
    """v ↦ the Riemannian Hessian times v, as a derivative, for tangent v at the point."""
    x, g = point.x, gradient_of(point)  # The part of g normal to the manifold counts.

    def product(v: Array) -> Array:
        Hv = np.asarray(point.hvp(v))
        if Hv.shape != v.shape:
            raise ValueError(f"the hvp of the objective has shape {Hv.shape}, the design {v.shape}")
        return manifold.hessian(x, g, v, Hv)

    return product
