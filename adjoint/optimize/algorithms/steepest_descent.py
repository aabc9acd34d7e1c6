"""Steepest descent, x ← P(x − α M⁻¹ g), with Barzilai–Borwein steps."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..._dataclasses import short_repr
from ..._validation import require_settings
from ...bounds import Bounds
from ...reduced import Function, Point
from ...typing import Array
from ..inner_products import Euclidean, InnerProduct
from ..line_search.backtracking import Backtracking
from ..line_search.step import Step
from ..manifolds.manifold import Manifold, derivative_of, inner_at
from ..memory import require_entries
from ..scaling import reach
from ..settings import require_geometry, require_kind, require_manifold
from ..state import State
from ..trial import first_point, given_up

GROWTH = 2.0
"""Factor on α if the curvature along the last step is not positive, and gives no length."""


FAR = 1e5
"""Largest factor between α and the last α; on a quadratic the factor is at most the
condition number."""


LONGEST = 1e100
"""Largest α: far beyond any useful step, and without overflow."""


@dataclass(frozen=True, eq=False)
class BarzilaiBorwein:
    """α₁ = ⟨s, Ms⟩/⟨s, y⟩, or the least recent α₂ = ⟨s, y⟩/⟨y, M⁻¹y⟩ if α₂ is much shorter.

    s = x_k − x_{k−1}, y = g_k − g_{k−1}. 1/α₁ ≤ 1/α₂ are means of the Hessian's
    eigenvalues in the inner product M. Short steps remove the components of the
    gradient with large eigenvalues; for the remaining gradient long steps are good
    (method ABBmin; docs/math/optimization.md, eq. 75).

    Parameters
    ----------
    threshold : float
        α₂/α₁ below which the least recent α₂ is taken; from 0 (never) to 1 (always).
    recent : int
        Number of last steps whose α₂ are compared.

    Raises
    ------
    TypeError
        If a setting is not a number.
    ValueError
        If a setting is out of range.

    References
    ----------
    Barzilai & Borwein (1988), IMA J. Numer. Anal. 8, 141. The defaults: Frassoldati,
    Zanghirati & Zanni (2008), J. Ind. Manag. Optim. 4, 299, section 3.
    """

    threshold: float = 0.8
    recent: int = 9

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not (0.0 <= self.threshold <= 1.0 and self.recent >= 1):
            raise ValueError(
                f"BarzilaiBorwein: got {self}, expected a threshold from 0 to 1 and recent ≥ 1"
            )

    def __call__(
        self, ss: float, sy: float, yy: float, last: float, short: Array
    ) -> tuple[float, Array]:
        """The next α, and the recent values of α₂ up to this step.

        ss: ⟨s, Ms⟩; sy: ⟨s, y⟩; yy: ⟨y, M⁻¹y⟩; last: α of the step; short: the recent
        values of α₂ before the step.
        """
        if not (sy > 0.0 and yy > 0.0):
            return min(GROWTH * last, LONGEST), short
        long, brief = ss / sy, sy / yy
        recent = np.append(short, brief)[-self.recent :]
        alpha = float(recent.min()) if brief < self.threshold * long else long
        return min(max(alpha, last / FAR), last * FAR, LONGEST), recent


@dataclass(frozen=True, eq=False)
class SteepestDescent:
    """x ← P(x − α M⁻¹ g), α by Barzilai & Borwein, shortened until f decreases enough.

    P is the projection onto the bounds (docs/math/optimization.md, eq. 28). An
    iteration costs one evaluation per trial, one gradient and one solve with M. A
    failed solve at a trial shortens the step. If no trial is accepted the run ends: as
    FAILED if solves failed at the last trials, else as STUCK.

    Parameters
    ----------
    inner : InnerProduct
        M; with bounds M must be diagonal.
    bounds : Bounds
        Bounds on the design.
    search : Backtracking
        Shortens α until f is below the largest of its last `history` values.
    steps : BarzilaiBorwein
        α of the first trial of an iteration.
    history : int
        Number of last values that f is compared with; 1: f decreases in every iteration.
    first_step : float or None
        α of the very first trial. None: the trial changes x by a tenth of its largest
        entry; if x is zero, by a tenth of the size that f and the bounds give, or by 0.1
        without bounds.
    manifold : Manifold or None
        The manifold on which the design stays, such as
        `adjoint.optimize.manifolds.Stiefel(n, k)`; without bounds and inner product.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range, or if there are bounds and M is not diagonal; at the
        start, if x is outside of the bounds, or not on the manifold.

    References
    ----------
    Raydan (1997), SIAM J. Optim. 7, 26. Bounds: Birgin, Martínez & Raydan (2000), SIAM J.
    Optim. 10, 1196, algorithm 2.1 (SPG1), the spectral projected gradient method. Variables
    that stay at a bound do not count in y of α₂: Crisci, Ruggiero & Zanni (2019), Appl.
    Math. Comput. 356, 312. Manifolds: Iannazzo & Porcelli (2018), IMA J. Numer. Anal. 38, 495.
    """

    inner: InnerProduct = field(default_factory=Euclidean)
    bounds: Bounds = field(default_factory=Bounds)
    search: Backtracking = field(default_factory=Backtracking)
    steps: BarzilaiBorwein = field(default_factory=BarzilaiBorwein)
    history: int = 10
    first_step: float | None = None
    manifold: Manifold | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        require_geometry("SteepestDescent", self.bounds, self.inner)
        require_manifold("SteepestDescent", self.manifold, self.bounds, self.inner)
        require_kind("SteepestDescent", "the search", self.search, Backtracking)
        require_kind("SteepestDescent", "the steps", self.steps, BarzilaiBorwein)
        if not (self.first_step is None or 0.0 < self.first_step < np.inf):
            raise ValueError(
                f"SteepestDescent: got first_step={self.first_step}, expected a positive number or "
                "None"
            )
        if not self.history >= 1:
            raise ValueError(
                f"SteepestDescent: got history={self.history}, expected at least 1 value to "
                "compare with"
            )
        if not (self.bounds.everywhere or self.inner.diagonal):
            raise ValueError(
                "SteepestDescent: got bounds and an inner product that is not diagonal, for which "
                "the projection onto bounds is not a clip; expected a diagonal inner product, such "
                "as Weighted(lumped masses)"
            )

    @property
    def constrained(self) -> tuple[()]:
        """(): the method takes no constraints."""
        return ()

    def start(self, f: Function, x: Array) -> State:
        """The state at x. It costs one evaluation and one gradient."""
        point = first_point(f, x, self.bounds, "SteepestDescent", self.manifold)
        g = derivative_of(self.manifold, point)
        d = inner_at(self.manifold, self.inner, point.x).direction(g)
        state = self._at(point, g, d)
        memory = {"values": np.array([point.value]), "alpha": np.array(self._first_trial(state, d))}
        return replace(state, memory={**memory, "short": np.zeros(0), "direction": d})

    def advance(self, f: Function, state: State) -> State:
        """The state after one step. It costs one evaluation per trial and one gradient."""
        trial = self._searched(f, state)
        rejected = np.array(trial.rejected)
        if trial.point is None:
            evaluations, ending = state.evaluations + rejected.size, given_up(rejected, state.value)
            return replace(
                state,
                rejected=rejected,
                evaluations=evaluations,
                ending=ending,
                failure=trial.failure,
            )
        return self._after(state, trial, trial.point)

    def _searched(self, f: Function, state: State) -> Step:
        x, d = state.x, state.memory["direction"]
        reference, alpha = float(state.memory["values"].max()), float(state.memory["alpha"])
        manifold = self.manifold
        if manifold is not None:
            slope = -self.inner.pairing(state.gradient, d)
            return self.search.along(
                f, lambda alpha: manifold.retract(x, -alpha * d).y, slope, reference, alpha
            )
        return self.search(
            f,
            lambda alpha: self.bounds.clip(x - alpha * d),
            lambda there: self.inner.pairing(state.gradient, there - x),
            reference,
            alpha,
        )

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design; earlier values are no longer compared with."""
        at = self.start(f, state.x)
        memory = {**state.memory, **{name: at.memory[name] for name in ("values", "direction")}}
        return replace(
            at,
            iteration=state.iteration,
            step=state.step,
            change=state.change,
            rejected=state.rejected,
            evaluations=state.evaluations + 1,
            memory=memory,
        )

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the memory has the last values of f, α, α₂ and M⁻¹ g."""
        m = state.x.size
        require_entries(
            "SteepestDescent",
            state.memory,
            {"values": ("values",), "alpha": (), "short": ("short",), "direction": (m,)},
        )

    def _after(self, before: State, trial: Step, point: Point) -> State:
        """The state at the accepted point, with the first α of the next iteration.

        This α follows from the change of the gradient.
        """
        g = derivative_of(self.manifold, point)
        d = inner_at(self.manifold, self.inner, point.x).direction(g)
        if self.manifold is None:
            products = self._products(before, point.x - before.x, g, d)
        else:
            products = self._transported_products(before, trial.alpha, point.x, d)
        alpha, short = self.steps(*products, trial.alpha, before.memory["short"])
        values = np.append(before.memory["values"], point.value)[-self.history :]
        return replace(
            self._at(point, g, d),
            iteration=before.iteration + 1,
            step=trial.alpha,
            change=self.inner.largest(np.abs(point.x - before.x)),
            rejected=np.array(trial.rejected),
            evaluations=before.evaluations + len(trial.rejected) + 1,
            memory={"values": values, "alpha": np.array(alpha), "short": short, "direction": d},
        )

    def _products(self, before: State, s: Array, g: Array, d: Array) -> tuple[float, float, float]:
        """⟨s, Ms⟩, ⟨s, y⟩ and ⟨y, M⁻¹y⟩ of the last step."""
        y = g - before.gradient
        sy = self.inner.pairing(y, s)
        if self.bounds.everywhere:
            yy = self.inner.pairing(y, d - before.memory["direction"])
        else:
            yy = self.inner.dual_norm(np.where(s == 0.0, 0.0, y)) ** 2
        return self.inner.norm(s) ** 2, sy, yy

    def _transported_products(
        self, before: State, alpha: float, x: Array, d: Array
    ) -> tuple[float, float, float]:
        """⟨s, s⟩, ⟨s, y⟩ and ⟨y, y⟩ in the metric at x; s and the last gradient are transported."""
        assert self.manifold is not None
        inner = inner_at(self.manifold, self.inner, x)
        last = self.manifold.transport(before.x, x, before.memory["direction"])
        s, y = -alpha * last, d - last
        return inner.norm(s) ** 2, inner.pairing(inner.covector(y), s), inner.norm(y) ** 2

    def _first_trial(self, state: State, d: Array) -> float:
        if self.first_step is not None:
            return self.first_step
        largest = self.inner.largest(np.abs(d))
        size = reach(state.x, state.value, state.gradient, self.bounds, self.inner)
        return 0.1 * size / largest if largest > 0.0 else 1.0

    def _at(self, point: Point, g: Array, d: Array) -> State:
        """The state of iteration 0 at the point; d: M⁻¹ g."""
        x = point.x
        free = self.bounds.everywhere
        return State(
            iteration=0,
            x=x,
            value=point.value,
            gradient=g,
            stationarity=math.sqrt(self.inner.pairing(g, d))
            if free
            else self.inner.dual_norm(self.bounds.held(x, g)),
            projected=self.inner.largest(np.abs(self.bounds.clip(x - d) - x)),
        )
