"""The Gauss–Newton method for f = ½‖r‖², in a trust region."""

from dataclasses import dataclass, field

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import dot
from ..._validation import require_settings
from ...bounds import Bounds
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..memory import Shape, require_entries
from ..settings import require_geometry
from ..state import State
from ..trial import first_point
from .levenberg_marquardt import FewParameters
from .trust_region import REGION, TrustRegion
from .trust_region_cg import Model

SQUARES = 1e-8
"""Largest relative difference of f and ½‖r‖²."""


@dataclass(frozen=True, eq=False)
class GaussNewton:
    """x ← x + s, s = argmin ½‖r + Js‖² in a trust region of radius Δ, J = dr/dx, for f = ½‖r‖².

    The points of f have `residual`, r, (k,), `jvp_residual(v)` = Jv and
    `vjp_residual(w)` = Jᵀw, for single vectors and for blocks of columns. Points of
    `Reduced` with `LeastSquares`, or with a `Sum` of `LeastSquares`, have these
    methods. Points of `Reduced(Outputs(ode), …)` and of `ResidualFunction` have them as
    well.

    With at most `few` parameters J is formed, by a block of m tangent or k transposed
    solves (the smaller number), and the minimizer s is exact: (JᵀJ + μD²) s = −Jᵀr is
    solved by singular values, with a μ ≥ 0 for which ‖Ds‖ ≤ Δ (Levenberg–Marquardt).
    D_jj is the largest ‖J e_j‖ so far, so that units of parameters do not matter. With
    more parameters s is found by CG preconditioned by M⁻¹, with products JᵀJv that cost
    one tangent and one transposed solve each, and ‖s‖_M ≤ Δ, as in `NewtonCG`. In both
    cases Δ follows from the ratio test, and a refused or failed trial costs one
    evaluation and no derivative. Variables that meet a bound are fixed there, and the
    step of the remaining variables is computed again. Convergence is quadratic if r
    vanishes at the solution, else linear. The method may not converge if r is large and
    strongly nonlinear: then use `NewtonCG`.

    Parameters
    ----------
    inner : InnerProduct
        M, whose dual norm also measures stationarity; with bounds M must be diagonal.
    bounds : Bounds
        Bounds on the design.
    radius : float or None
        The first Δ. None: ‖Dx‖, or with many parameters ten times the distance to the
        model's minimum along −M⁻¹g.
    few : int
        Largest number of parameters for which J is formed.
    exponent : float
        See `NewtonCG`.
    accept : float
        See `NewtonCG`.
    products : int
        See `NewtonCG`.

    Raises
    ------
    TypeError
        If a setting has the wrong type; at the start, if points of f have no residual.
    ValueError
        If a setting is out of range, or if there are bounds and M is not diagonal; at the
        start, if x is outside of the bounds or f is not ½‖r‖².

    References
    ----------
    Moré (1978), Lecture Notes in Mathematics 630, 105. Nocedal & Wright (2006), section
    10.3. Steihaug (1983), SIAM J. Numer. Anal. 20, 626.
    """

    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Bounds = field(default_factory=Bounds)
    radius: float | None = None
    few: int = 100
    exponent: float = 0.5
    accept: float = 1e-4
    products: int = 200

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_geometry("GaussNewton", self.bounds, self.inner)
        if not (self.radius is None or 0.0 < self.radius < np.inf):
            raise ValueError(
                f"GaussNewton: got radius={self.radius}, expected a positive number or None"
            )
        if not (
            0.0 < self.exponent <= 1.0
            and 0.0 <= self.accept < 0.25
            and self.products >= 1
            and self.few >= 0
        ):
            raise ValueError(
                f"GaussNewton: got exponent={self.exponent}, accept={self.accept}, "
                f"products={self.products}, few={self.few}; expected 0 < exponent ≤ 1, "
                "0 ≤ accept < ¼, at least one product, few ≥ 0"
            )
        if not (self.bounds.everywhere or self.inner.diagonal):
            raise ValueError(
                "GaussNewton: bounds ask for a diagonal inner product, such as Weighted(lumped "
                "masses)"
            )

    @property
    def constrained(self) -> tuple[()]:
        """(): the method takes no constraints."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x. It costs one evaluation and one gradient."""
        point = first_point(f, x, self.bounds, "GaussNewton")
        if not (
            callable(getattr(point, "jvp_residual", None))
            and callable(getattr(point, "vjp_residual", None))
        ):
            raise TypeError(
                f"GaussNewton: {type(point).__name__} has no residual, jvp_residual and "
                "vjp_residual; expected a point with these, such as the points of "
                "Reduced(problem, LeastSquares(…)) or of ResidualFunction(residual, jacobian)"
            )
        r = point.residual
        if not abs(0.5 * dot(r, r) - point.value) <= SQUARES * abs(point.value):
            raise ValueError(
                f"GaussNewton: f is {point.value}, and ½‖r‖² is {0.5 * dot(r, r)}; expected equal "
                "numbers"
            )
        return self._region.begun(point, self.radius)

    def advance(self, f: Function, state: State) -> State:
        """The state after one accepted step.

        An iteration costs one evaluation per trial, one gradient, and either J or
        products with J.
        """
        point = self._region.point(f, state)
        if state.x.size > self.few:
            model = Model(
                self.inner,
                self.bounds,
                state.x,
                state.gradient,
                lambda v: point.vjp_residual(point.jvp_residual(v)),
                self.products,
            )
            return self._region.advanced(f, state, model, {})
        J = _jacobian(point)
        lengths = np.sqrt(np.einsum("ij,ij->j", J, J))
        scale = np.maximum(lengths, state.memory.get("scale", 0.0))
        units = np.where(scale > 0.0, scale, 1.0)
        few = FewParameters(self.bounds, state.x, point.residual, J, units)
        return self._region.advanced(f, state, few, {"scale": scale})

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has Δ and, after a step with few parameters, D."""
        m = state.x.size
        scale: dict[str, Shape] = {"scale": (m,)} if state.iteration and m <= self.few else {}
        require_entries("GaussNewton", state.memory, REGION | scale)

    @property
    def _region(self) -> TrustRegion:
        return TrustRegion(self.inner, self.bounds, self.accept, self.exponent, None)


def _jacobian(point: Point) -> Array:
    """dr/dx, (k, m), by m tangent or k transposed solves, whichever number is smaller."""
    k, m = point.residual.size, point.x.size
    J = point.jvp_residual(np.eye(m)) if m <= k else point.vjp_residual(np.eye(k)).T
    J = np.asarray(J)
    if J.shape != (k, m):
        raise ValueError(
            f"GaussNewton: the derivative of the residual has shape {J.shape}, expected {(k, m)}"
        )
    return J
