"""L-BFGS: x ← x − α H g; H is an inverse Hessian from the last few steps."""

from dataclasses import dataclass, field

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import require_settings
from ...bounds import Bounds
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..line_search.step import Step
from ..line_search.strong_wolfe import StrongWolfe
from ..manifolds.manifold import Manifold, derivative_of, inner_at
from ..memory import Shape, require_entries
from ..state import State
from ..trial import first_point
from .quasi_newton import GAINS, Setting, idle, revalued, stopped

FLAT = 1e-14
"""Least ⟨y, s⟩ / (‖y‖‖s‖) of a pair with curvature; below it the curvature is rounding."""


@dataclass(frozen=True, eq=False)
class LBFGS:
    """x ← x − α H g, with H from γ M⁻¹ and the last pairs s = Δx, y = Δg, so that H y = s.

    The pairs do not depend on the inner product: s is a direction, y is a derivative,
    and ⟨y, s⟩ = yᵀ s. M appears in the initial matrix only, with γ = ⟨y, s⟩ / ⟨y, M⁻¹
    y⟩. A pair without positive curvature is not kept. If −H g is not a descent
    direction, or if no step along it is accepted, the pairs are dropped and the step is
    along −M⁻¹ g.

    With bounds, the variables that the step −γ M⁻¹ g would carry to a bound, or hold
    there, take this step; the step of the other variables is −H g with the entries of g
    and of the pairs for these variables alone. The line search demands the strong Wolfe
    conditions up to the first bound. If a full step meets a bound, an Armijo search
    along the projected arc is made instead.

    Parameters
    ----------
    memory : int
        Largest number of pairs kept.
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
    manifold : Manifold or None
        The manifold on which the design stays, such as
        `adjoint.optimize.manifolds.Stiefel(n, k)`; without bounds and inner product. After each
        step all pairs are transported to the new tangent space.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range, or if there are bounds and M is not diagonal; at the
        start, if x is outside of the bounds, or not on the manifold.

    References
    ----------
    Nocedal & Wright (2006), algorithm 7.5. Liu & Nocedal (1989), Math. Program. 45, 503.
    Bounds: Bertsekas (1982), SIAM J. Control Optim. 20, 221; Kim, Sra & Dhillon (2010),
    SIAM J. Sci. Comput. 32, 3548. Manifolds: Huang, Gallivan & Absil (2015), SIAM J. Optim. 25,
    1660.
    """

    memory: int = 20
    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Bounds = field(default_factory=Bounds)
    search: StrongWolfe = field(default_factory=StrongWolfe)
    first_step: float | None = None
    manifold: Manifold | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not self.memory >= 1:
            raise ValueError(f"LBFGS: got memory={self.memory}, expected at least one pair")
        self._setting.check()

    @property
    def _setting(self) -> Setting:
        return Setting(
            "LBFGS", self.inner, self.bounds, self.search, self.first_step, self.manifold
        )

    @property
    def constrained(self) -> tuple[()]:
        """(): L-BFGS takes no constraints."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x, without pairs. It costs one evaluation and one gradient."""
        point = first_point(f, x, self.bounds, "LBFGS", self.manifold)
        return self._setting.state(
            point, None, Step(0.0, point, ()), Pairs.none(point.x.size).arrays
        )

    def advance(self, f: Function, state: State) -> State:
        """The state after one step. It costs the evaluations of the line search."""
        if idle(state):
            return stopped(state, None)
        pairs = Pairs(*(state.memory[name] for name in ("S", "Y", "products")))
        d = self._direction(state, pairs)
        step = self._step(f, state, pairs, d)
        if step.point is None and pairs.count:
            pairs = Pairs.none(state.x.size)
            d = self._direction(state, pairs)
            step = step.then(self._step(f, state, pairs, d))
        if step.point is None:
            return stopped(state, step)
        pairs = self._following(state, pairs, d, step.alpha, step.point)
        return self._setting.state(step.point, state, step, pairs.arrays)

    def _following(
        self, state: State, pairs: "Pairs", d: Array, alpha: float, point: Point
    ) -> "Pairs":
        """The pairs at the point, with the pair of the step α d; on a manifold transported."""
        x, g = point.x, derivative_of(self.manifold, point)
        if self.manifold is None:
            return pairs.with_pair(x - state.x, g - state.gradient, self.memory, self.inner)
        inner = self._setting.inner_at(x)
        s = self.manifold.transport(state.x, x, alpha * d)
        y = g - transported(self.manifold, state.x, x, state.gradient)
        return pairs.transported(self.manifold, state.x, x).with_pair(s, y, self.memory, inner)

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, with the same approximation of the Hessian."""
        return revalued(self.start(f, state.x), state)

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has pairs (s, y) of the size of x."""
        m = state.x.size
        shapes: dict[str, Shape] = {"S": ("pairs", m), "Y": ("pairs", m), "products": ("pairs",)}
        require_entries("LBFGS", state.memory, shapes | GAINS)

    def _step(self, f: Function, state: State, pairs: "Pairs", d: Array) -> Step:
        return self._setting.searched(
            f, state, d, 1.0 if pairs.count else self._setting.first_trial(state, d)
        )

    def _direction(self, state: State, pairs: "Pairs") -> Array:
        """−H g; with bounds, −H g with the entries of g and of the pairs for the free variables.

        The other variables move to their bounds.
        """
        inner = self._setting.inner_at(state.x)
        x, g, gamma = state.x, state.gradient, pairs.scale(inner)
        if self.bounds.everywhere:
            return -pairs.inverse_times(g, gamma, inner)
        if not pairs.count:
            gamma = self._setting.first_trial(state, self.inner.direction(g))
        free, to = self._setting.free(x, g, gamma)
        pairs = pairs.of_free(free, self.inner)
        gamma = pairs.scale(self.inner) if pairs.count else gamma
        d = -pairs.inverse_times(np.where(free, g, 0.0), gamma, self.inner)
        return np.where(free, d, to - x)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Curvature pairs s = Δx, y = Δg, the oldest first.

    S: the vectors s, (k, m); Y: the vectors y, (k, m); products: ⟨y, s⟩ > 0, (k,).
    """

    S: Array
    Y: Array
    products: Array

    @classmethod
    def none(cls, m: int) -> "Pairs":
        """An empty list of pairs, for m variables."""
        return cls(np.zeros((0, m)), np.zeros((0, m)), np.zeros(0))

    @property
    def arrays(self) -> dict[str, Array]:
        """S, Y and the products, as arrays for the memory of a state."""
        return {"S": self.S, "Y": self.Y, "products": self.products}

    @property
    def count(self) -> int:
        """k, the number of pairs."""
        return len(self.products)

    def with_pair(self, s: Array, y: Array, memory: int, inner: InnerProduct) -> "Pairs":
        """The pairs with one more pair at the end; at most `memory` pairs are kept.

        A pair without positive curvature changes nothing.
        """
        if not curved(s, y, inner):
            return self
        last = slice(max(self.count + 1 - memory, 0), None)
        products = np.append(self.products[last], inner.pairing(y, s))
        return Pairs(np.vstack([self.S[last], s]), np.vstack([self.Y[last], y]), products)

    def transported(self, manifold: Manifold, x: Array, y: Array) -> "Pairs":
        """The pairs in the tangent space at y; pairs that lost their curvature are dropped."""
        S = [manifold.transport(x, y, s) for s in self.S]
        Y = [transported(manifold, x, y, each) for each in self.Y]
        inner = inner_at(manifold, Euclidean(), y)
        kept = [(s, t) for s, t in zip(S, Y, strict=True) if curved(s, t, inner)]
        if not kept:
            return Pairs.none(x.size)
        return Pairs(
            np.array([s for s, _ in kept]),
            np.array([t for _, t in kept]),
            np.array([inner.pairing(t, s) for s, t in kept]),
        )

    def of_free(self, free: Array, inner: InnerProduct) -> "Pairs":
        """The pairs with zeros in place of the entries for variables that are not free.

        Pairs without positive curvature are dropped. free: (m,) booleans.
        """
        S, Y = np.where(free, self.S, 0.0), np.where(free, self.Y, 0.0)
        products = inner.total(Y * S)
        kept = products > FLAT * np.sqrt(inner.total(S * S) * inner.total(Y * Y))
        return Pairs(S[kept], Y[kept], products[kept])

    def scale(self, inner: InnerProduct) -> float:
        """γ = ⟨y, s⟩ / ⟨y, M⁻¹ y⟩ of the last pair; 1 without pairs.

        Along y, γ M⁻¹ is then as large as the inverse Hessian.
        """
        if not self.count:
            return 1.0
        y = self.Y[-1]
        return float(self.products[-1]) / inner.pairing(y, inner.direction(y))

    def inverse_times(self, g: Array, gamma: float, inner: InnerProduct) -> Array:
        """H g, (m,), by the two-loop recursion with the initial matrix γ M⁻¹.

        M appears in the initial matrix only.

        Nocedal & Wright (2006), algorithm 7.4.
        """
        q, weights = g.copy(), np.zeros(self.count)
        for k in reversed(range(self.count)):
            weights[k] = inner.pairing(q, self.S[k]) / self.products[k]
            q -= weights[k] * self.Y[k]
        r = gamma * inner.direction(q)
        for k in range(self.count):
            r += (weights[k] - inner.pairing(self.Y[k], r) / self.products[k]) * self.S[k]
        return r


def transported(manifold: Manifold, x: Array, y: Array, g: Array) -> Array:
    """The derivative g at x, transported to y by way of its gradient."""
    return manifold.covector(y, manifold.transport(x, y, manifold.gradient(x, g)))


def curved(s: Array, y: Array, inner: InnerProduct) -> bool:
    """True if ⟨y, s⟩ is larger than its rounding error."""
    return 0.0 < FLAT * inner.norm(s) * inner.dual_norm(y) < inner.pairing(y, s)
