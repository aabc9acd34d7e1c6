"""GCMMA, globally convergent MMA: conservative approximations, a monotone objective."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...._dataclasses import short_repr
from ...._validation import require_settings
from ....bounds import Bounds
from ....errors import SolveError
from ....reduced import Function
from ....typing import Array
from ...constraints.constraint import Constraint
from ...inner_products import Euclidean, InnerProduct
from ...state import State
from ...trial import given_up
from .approximation import Approximation, Asymptotes, Region
from .constrained_problem import ConstrainedProblem, Curvature, Evaluated
from .opposite_constraints import intervals

SHARE = 0.1
"""ρ_i at the start, relative to the mean change of g_i by a variable: Svanberg (2007),
section 4."""


EASED = 0.5
"""Factor on ρ in the next iteration; with the 0.1 of Svanberg (2002) a fifth more trials
are refused."""


LEAST = 1e-6
"""The least ρ."""


RAISED = 1.1
"""Factor on a ρ_i that would have sufficed, for the next trial."""


MOST_RAISED = 10.0
"""Largest factor by which ρ_i grows from trial to trial: Svanberg (2002)."""


LARGEST = 1e100
"""Bound on ρ, for functions that no approximation ever exceeds."""


TRIALS = 40
"""Largest number of trials in an iteration: the last trials move variables by their
rounding."""


ROUNDING = 1e-14
"""Relative amount by which an approximation may be below its function."""


@dataclass(frozen=True, eq=False)
class GCMMA:
    """MMA with conservative approximations: g̃_i(x⁺) ≥ g_i(x⁺) at the next design, i = 0 … k.

    g̃_i has a further term ρ_i Σ_j (x_j − x⁰_j)²/…. If g̃_i is below g_i at the
    solution of the subproblem, ρ_i is raised and the subproblem is solved again. A
    refused trial costs an evaluation of f and the constraints and no gradient; a failed
    solve counts as a refused trial. So f falls in every iteration, a feasible design is
    followed by feasible designs, and the designs converge from any start. Two
    constraints that leave a narrow interval between them, such as an equality, are met
    at the end and not in each iteration, because the approximations of the two
    constraints cannot both be conservative.

    Parameters
    ----------
    constraints : tuple of Constraint
        See `MMA`.
    bounds : Bounds
        Bounds on the design, finite.
    move : float
        See `MMA`.
    asymptotes : Asymptotes
        How the poles move.
    elastic : float
        See `MMA`.
    scale : float or None
        See `MMA`.
    inner : InnerProduct
        M, diagonal.

    Raises
    ------
    TypeError
        If a setting has the wrong type.
    ValueError
        If a setting is out of range, if a bound is infinite, or if M is not diagonal.

    References
    ----------
    Svanberg (2002), SIAM J. Optim. 12, 555. Constants: Svanberg (2007), MMA and GCMMA: two
    methods for nonlinear optimization, KTH Stockholm, section 4.
    """

    constraints: tuple[Constraint, ...]
    bounds: Bounds
    move: float = 0.5
    asymptotes: Asymptotes = field(default_factory=Asymptotes)
    elastic: float = 1000.0
    scale: float | None = None
    inner: InnerProduct = field(default_factory=Euclidean)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        self._problem.require_settings()

    @property
    def _problem(self) -> ConstrainedProblem:
        settings = (self.move, self.asymptotes, self.elastic, self.scale, self.inner)
        return ConstrainedProblem("GCMMA", self.constraints, self.bounds, *settings)

    @property
    def constrained(self) -> Sequence[Constraint]:
        """All constraints."""
        return self.constraints

    def start(self, f: Function, x: Array) -> State:
        """The state at x, with the first proposal.

        It costs one evaluation and all gradients once.
        """
        return self._state(self._problem.first(f, x), None, (), self._first)

    def advance(self, f: Function, state: State) -> State:
        """The state at the first trial for which all approximations are conservative.

        An iteration costs one evaluation per trial, and all gradients once.
        """
        if (reason := self._problem.standstill(state)) is not None:
            return replace(state, ending=reason)
        rejected: list[float] = []
        last: SolveError | None = None
        model = Model.of(state, self._problem)
        x, rho = state.memory["proposal"], state.memory["curvature"]
        for _ in range(TRIALS):
            at, failure = self._problem.tried(f, x, state)
            last = failure or last
            gaps = model.gaps(at, x, rho)
            if at is not None and np.all(gaps <= 0.0):
                return self._state(at, state, tuple(rejected), _eased(rho))
            rejected.append(np.nan if at is None else at.point.value)
            rho = model.raised(gaps, x, rho)
            x = model.proposal(rho)
            if not self._problem.differs(x, state.x):
                break
        ending = given_up(np.array(rejected), state.value)
        return replace(
            state,
            rejected=np.array(rejected),
            evaluations=state.evaluations + len(rejected),
            ending=ending,
            failure=last,
        )

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, with the same poles and ρ, and a new proposal."""
        rho = state.memory["curvature"]
        at, after = self._problem.revalued(f, state, lambda values, slopes, span: rho)
        return replace(after, memory={**after.memory, "slopes": at.slopes})

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the memory of the state has the arrays that MMA needs.

        The gradients of the constraints belong to these arrays.
        """
        m, k = state.x.size, len(self.constraints)
        self._problem.require_memory(state, {"slopes": (k, m)})

    def _state(
        self, at: Evaluated, before: State | None, rejected: tuple[float, ...], curvature: Curvature
    ) -> State:
        width = self._problem.width(at.point.x, before, 1.0)
        state = self._problem.state(at, before, np.array(rejected), width, curvature)
        return replace(state, memory={**state.memory, "slopes": at.slopes})

    def _first(self, values: Array, slopes: Array, span: Array) -> Array:
        """ρ at the start, (k+1,): a fixed part of Σ_j |∂g_i/∂x_j| Δ_j / m.

        Δ: distances between lower and upper bounds.
        """
        changes = np.abs(slopes) * span
        return np.maximum(
            LEAST, SHARE * self.inner.total(changes) / self.inner.total(np.ones_like(changes))
        )


def _eased(rho: Array) -> Curvature:
    return lambda values, slopes, span: np.maximum(LEAST, EASED * rho)


@dataclass(frozen=True, eq=False)
class Model:
    """The approximations g̃_i of f and the constraints at an iterate of the run, for any ρ."""

    state: State
    problem: ConstrainedProblem
    region: Region
    values: Array
    slopes: Array

    @classmethod
    def of(cls, state: State, problem: ConstrainedProblem) -> "Model":
        """The approximations with the same bits as when the state was made."""
        slopes = np.concatenate([state.scale * state.gradient[None], state.memory["slopes"]])
        values = np.append(state.scale * state.value, state.constraints)
        return cls(state, problem, problem.region(state.x, state.memory["width"]), values, slopes)

    def _approximation(self, rho: Array) -> Approximation:
        return Approximation.of(self.values, self.slopes, self.region, rho)

    def gaps(self, at: Evaluated | None, x: Array, rho: Array) -> Array:
        """g_i − g̃_i − rounding error at a trial, (k+1,); inf if the trial failed."""
        if at is None:
            return np.full(len(self.values), np.inf)
        values = np.append(self.state.scale * at.point.value, at.constraints)
        s = (x - self.region.at) / self.region.width
        gaps = (
            values
            - self._approximation(rho).at(s, self.problem.inner)
            - ROUNDING * np.maximum(1.0, np.abs(values))
        )
        # No approximation is conservative for both ends of an interval without interior.
        for each in intervals(self.values[1:], self.slopes[1:], self.region.span):
            gaps[1 + np.array(each.members)] = -np.inf
        return gaps

    def raised(self, gaps: Array, x: Array, rho: Array) -> Array:
        """The next ρ, (k+1,): min(10 ρ, 1.1 (ρ + gap/w)) if the gap is positive, else ρ.

        w: the term of g̃ that ρ multiplies.
        """
        s = (x - self.region.at) / self.region.width
        w = self.problem.inner.pairing(
            self.region.width / self.region.span, 2.0 * s * s / (1.0 - s * s)
        )
        enough = RAISED * (rho + np.maximum(0.0, gaps) / max(w, np.finfo(float).tiny))
        return np.where(gaps > 0.0, np.minimum(MOST_RAISED * np.minimum(rho, LARGEST), enough), rho)

    def proposal(self, rho: Array) -> Array:
        """The design at the minimum of the approximations, (m,)."""
        start = self.state.multipliers * self.state.scale
        return self.region.design(
            self.problem.solved(self._approximation(rho), self.region, start).s
        )
