"""BFGS: x ← x − α H g, H the inverse Hessian that all steps so far stand for, kept as a product: for few variables."""

import math
from dataclasses import dataclass, field

import numpy as np

from ..._repr import short_repr
from ..._validation import require_settings
from ...bounds import Bounds
from ...errors import SingularMatrix
from ...reduced import Function
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..line_search.strong_wolfe import Step, StrongWolfe
from ..state import State
from ..trial import first_point, gradient_of
from .lbfgs import curved
from .quasi_newton import Setting, idle, stopped


@dataclass(frozen=True, eq=False)
class BFGS:
    """x ← x − α H g, H = Z Zᵀ from √γ M⁻¹ᐟ² by every pair s = Δx, y = Δg: H y = s for the newest; α strong Wolfe.

    The m × m matrix Z is updated, not H: then H cannot lose its definiteness to rounding, whatever the scaling of f. It
    takes 8 m² bytes in the state and O(m³) operations a step: for up to some hundred variables; `LBFGS` for more.
    γ = ⟨s, M s⟩ / ⟨y, s⟩ is set at the first pair. A pair without curvature changes nothing. Where H g is no descent
    direction, or no step along it is accepted, H starts again from M⁻¹.

    With bounds, variables that −γ M⁻¹ g would carry to a bound, or holds there, take that step; the others minimize the
    quadratic model with these held. The search is strong Wolfe up to the first bound met, or Armijo along the projected
    arc if a full step meets one.

    inner: ⟨a, b⟩ = aᵀ M b; with bounds M must be diagonal (ValueError). search: the line search. first_step: α of the
    first trial along −M⁻¹ g; None for one that changes x by half its largest entry; if x is zero half of what f and
    the bounds tell of its size, 0.5 without bounds.

    Raises SingularMatrix if a kink of f has driven the steps, and Z with them, to zero.

    Nocedal & Wright (2006), chapter 6; Z: Powell (1987), Math. Program. 38, 29; bounds: Bertsekas (1982),
    SIAM J. Control Optim. 20, 221.
    """

    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Bounds = field(default_factory=Bounds)
    search: StrongWolfe = field(default_factory=StrongWolfe)
    first_step: float | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        self._setting.check()

    @property
    def _setting(self) -> Setting:
        return Setting("BFGS", self.inner, self.bounds, self.search, self.first_step)

    @property
    def constrained(self) -> tuple[()]:
        """None."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x, with H = M⁻¹: one evaluation, one gradient."""
        point = first_point(f, x, self.bounds, "BFGS")
        return self._setting.state(
            point, None, Step(0.0, point, ()), self._first(point.x.size).arrays
        )

    def advance(self, f: Function, state: State) -> State:
        """One step: as many evaluations as the search needs."""
        if idle(state):
            return stopped(state, ())
        product = Product(*(state.memory[name] for name in ("Z", "gamma", "pairs")))
        step = self._step(f, state, product)
        if step.point is None and product.pairs:
            product = self._first(state.x.size)
            step = step.then(self._step(f, state, product))
        if step.point is None:
            return stopped(state, step.rejected)
        s, y = step.point.x - state.x, gradient_of(step.point) - state.gradient
        return self._setting.state(
            step.point, state, step, product.with_pair(s, y, self.inner).arrays
        )

    def _step(self, f: Function, state: State, product: "Product") -> Step:
        d = self._direction(state, product)
        return self._setting.searched(
            f, state, d, 1.0 if product.pairs else self._setting.first_trial(state, d)
        )

    def _direction(self, state: State, product: "Product") -> Array:
        """−H g; with bounds, of the free variables, and the way to their bounds of the others."""
        x, g = state.x, state.gradient
        if self.bounds.everywhere:
            return -product.times(g, self.inner)
        # Without pairs H is M⁻¹, of another unit than the design: it gets the length of a first trial.
        unit = 1.0 if product.pairs else self._setting.first_trial(state, self.inner.direction(g))
        free, to = self._setting.free(x, g, unit * float(product.gamma))
        return np.where(free, -unit * product.reduced_times(g, free, self.inner), to - x)

    def _first(self, m: int) -> "Product":
        """M⁻¹ = Z Zᵀ, by Cholesky."""
        inverse = np.stack([self.inner.direction(unit) for unit in np.eye(m)])
        return Product(
            np.ascontiguousarray(np.linalg.cholesky(inverse).T), np.array(1.0), np.array(0)
        )


@dataclass(frozen=True, eq=False)
class Product:
    """H = Z Zᵀ. Z: (m, m), the columns of Z as rows, directions z_k; gamma: γ; pairs: how many are in it."""

    Z: Array
    gamma: Array
    pairs: Array

    @property
    def arrays(self) -> dict[str, Array]:
        """As a state remembers them."""
        return {"Z": self.Z, "gamma": self.gamma, "pairs": self.pairs}

    def times(self, g: Array, inner: InnerProduct) -> Array:
        """H g = Σ_k (z_k·g) z_k, (m,)."""
        return np.asarray(np.einsum("k,km->m", inner.total(self.Z * g), self.Z))

    def reduced_times(self, g: Array, free: Array, inner: InnerProduct) -> Array:
        """B⁻¹ g on the free variables, B the part of H⁻¹ on them; zero on the others.

        It is H w for w = g where free, and elsewhere what makes H w zero there.
        """
        w, held = np.where(free, g, 0.0), ~free
        if held.any():
            part = self.Z[:, held]
            w[held] = -_solved(np.einsum("ki,kj->ij", part, part), self.times(w, inner)[held])
        return np.where(free, self.times(w, inner), 0.0)

    def with_pair(self, s: Array, y: Array, inner: InnerProduct) -> "Product":
        """(I − s yᵀ/⟨y,s⟩) Z + s σᵀ / √(⟨y,s⟩ σᵀσ), Zσ = s: so H satisfies the BFGS formula, and H y = s.

        The same where the pair has no curvature.
        """
        if not curved(s, y, inner):
            return self
        curvature = inner.pairing(y, s)
        first = not self.pairs
        Z = self.Z * (inner.norm(s) / math.sqrt(curvature)) if first else self.Z
        sigma = _solved(Z.T, s)
        v = sigma / math.hypot(*sigma) / math.sqrt(curvature) - inner.total(Z * y) / curvature
        gamma = inner.norm(s) ** 2 / curvature if first else self.gamma
        return Product(
            Z + np.einsum("k,m->km", v, s), np.asarray(gamma), np.asarray(self.pairs + 1)
        )


def _solved(A: Array, b: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(A, b))
    except np.linalg.LinAlgError as error:
        raise SingularMatrix(
            "BFGS: the inverse Hessian has lost a direction to rounding. Usual cause: an objective with a kink at its "
            "minimum, towards which the steps become ever shorter"
        ) from error
