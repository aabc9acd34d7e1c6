"""BFGS: x ← x − α H g, for few variables; H is an inverse Hessian from all steps so far."""

import math
from dataclasses import dataclass, field

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import require_settings
from ...bounds import Bounds
from ...errors import SingularMatrix
from ...reduced import Function
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..line_search.step import Step
from ..line_search.strong_wolfe import StrongWolfe
from ..memory import Shape, require_entries
from ..state import State
from ..trial import first_point, gradient_of
from .lbfgs import curved
from .quasi_newton import GAINS, Setting, idle, revalued, stopped


@dataclass(frozen=True, eq=False)
class BFGS:
    """x ← x − α H g, with H = Z Zᵀ built from all pairs s = Δx, y = Δg, such that H y = s.

    The first H is γ M⁻¹ with γ = ⟨s, M s⟩ / ⟨y, s⟩ of the first pair. The (m, m) matrix
    Z is updated instead of H, so that rounding cannot make H indefinite, whatever the
    scale of f. Z takes 8 m² bytes in the state, and an iteration takes O(m³)
    operations: use BFGS for up to a few hundred variables and `LBFGS` for more
    variables. A pair without positive curvature is ignored. If −H g is not a descent
    direction, or if no step along it is accepted, H is reset to M⁻¹.

    With bounds, the variables that the step −γ M⁻¹ g would carry to a bound, or hold
    there, take this step; the other variables minimize the quadratic model while the
    first ones are fixed. The line search demands the strong Wolfe conditions up to the
    first bound. If a full step meets a bound, an Armijo search along the projected arc
    is made instead.

    Parameters
    ----------
    inner : InnerProduct
        ⟨a, b⟩ = aᵀ M b; with bounds M must be diagonal.
    bounds : Bounds
        Bounds on the design.
    search : StrongWolfe
        The line search.
    first_step : float or None
        α of the first trial along −M⁻¹ g. None: the trial changes x by half its largest
        entry; if x is zero, by half the size that f and the bounds give, or by 0.5 without
        bounds.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If the first step is not positive, or if there are bounds and M is not diagonal.
    SingularMatrix
        In an iteration, if the steps, and therefore Z, have become zero at a kink of f.

    References
    ----------
    Nocedal & Wright (2006), chapter 6. Z: Powell (1987), Math. Program. 38, 29. Bounds:
    Bertsekas (1982), SIAM J. Control Optim. 20, 221.
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
        return Setting("BFGS", self.inner, self.bounds, self.search, self.first_step, None)

    @property
    def constrained(self) -> tuple[()]:
        """(): BFGS takes no constraints."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x, with H = M⁻¹. It costs one evaluation and one gradient."""
        point = first_point(f, x, self.bounds, "BFGS")
        return self._setting.state(
            point, None, Step(0.0, point, ()), self._first(point.x.size).arrays
        )

    def advance(self, f: Function, state: State) -> State:
        """The state after one step. It costs the evaluations of the line search."""
        if idle(state):
            return stopped(state, None)
        product = Product(*(state.memory[name] for name in ("Z", "gamma", "pairs")))
        step = self._step(f, state, product)
        if step.point is None and product.pairs:
            product = self._first(state.x.size)
            step = step.then(self._step(f, state, product))
        if step.point is None:
            return stopped(state, step)
        s, y = step.point.x - state.x, gradient_of(step.point) - state.gradient
        return self._setting.state(
            step.point, state, step, product.with_pair(s, y, self.inner).arrays
        )

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, with the same approximation of the Hessian."""
        return revalued(self.start(f, state.x), state)

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has Z, γ and the number of pairs."""
        m = state.x.size
        shapes: dict[str, Shape] = {"Z": (m, m), "gamma": (), "pairs": (), **GAINS}
        require_entries("BFGS", state.memory, shapes)

    def _step(self, f: Function, state: State, product: "Product") -> Step:
        d = self._direction(state, product)
        return self._setting.searched(
            f, state, d, 1.0 if product.pairs else self._setting.first_trial(state, d)
        )

    def _direction(self, state: State, product: "Product") -> Array:
        """−H g; with bounds, the step to the minimum of the model over the free variables.

        The other variables move to their bounds.
        """
        x, g = state.x, state.gradient
        if self.bounds.everywhere:
            return -product.times(g, self.inner)
        # Without pairs H is M⁻¹, in another unit than the design: a first trial's length scales H.
        unit = 1.0 if product.pairs else self._setting.first_trial(state, self.inner.direction(g))
        free, to = self._setting.free(x, g, unit * float(product.gamma))
        return np.where(free, -unit * product.reduced_times(g, free, self.inner), to - x)

    def _first(self, m: int) -> "Product":
        """Z with Z Zᵀ = M⁻¹, by Cholesky's factorization."""
        inverse = np.stack([self.inner.direction(unit) for unit in np.eye(m)])
        return Product(
            np.ascontiguousarray(np.linalg.cholesky(inverse).T), np.array(1.0), np.array(0)
        )


@dataclass(frozen=True, eq=False)
class Product:
    """H = Z Zᵀ.

    Z: (m, m) array whose row k is column z_k of the matrix; gamma: γ; pairs: number of
    pairs used.
    """

    Z: Array
    gamma: Array
    pairs: Array

    @property
    def arrays(self) -> dict[str, Array]:
        """Z, γ and the number of pairs, as arrays for the memory of a state."""
        return {"Z": self.Z, "gamma": self.gamma, "pairs": self.pairs}

    def times(self, g: Array, inner: InnerProduct) -> Array:
        """H g = Σ_k (z_k·g) z_k, (m,)."""
        return np.asarray(np.einsum("k,km->m", inner.total(self.Z * g), self.Z))

    def reduced_times(self, g: Array, free: Array, inner: InnerProduct) -> Array:
        """B⁻¹ g on the free variables, where B is the block of H⁻¹ for them; zero elsewhere.

        The result is H w. The vector w equals g on the free variables; its other
        entries are such that H w is zero on the other variables.
        """
        w, held = np.where(free, g, 0.0), ~free
        if held.any():
            part = self.Z[:, held]
            w[held] = -_solved(np.einsum("ki,kj->ij", part, part), self.times(w, inner)[held])
        return np.where(free, self.times(w, inner), 0.0)

    def with_pair(self, s: Array, y: Array, inner: InnerProduct) -> "Product":
        """(I − s yᵀ/⟨y,s⟩) Z + s σᵀ / √(⟨y,s⟩ σᵀσ) with Zσ = s: the BFGS update, so that H y = s.

        A pair without positive curvature changes nothing.
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
            "BFGS: the inverse Hessian has lost a direction to rounding. Usual cause: an objective "
            "with a kink at its minimum, towards which the steps become ever shorter"
        ) from error
