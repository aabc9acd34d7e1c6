"""The augmented Lagrangian method: many constraints, by an algorithm that knows only bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import dot
from ..._validation import has, named, require_settings
from ...bounds import Bounds
from ...reduced import Function
from ...typing import Array
from ..constraints.constraint import Constraint
from ..constraints.state_constraints import StateConstraints
from ..constraints.values import values_at
from ..inner_products import InnerProduct
from ..memory import Shape, packed, require_entries, require_packed, unpacked
from ..revaluation import revalued
from ..scaling import scaling
from ..settings import require_constraints, require_no_manifold
from ..state import Algorithm, State
from ..status import Status
from ..trial import first_point, gradient_of
from .augmented_function import (
    Augmented,
    Measured,
    Penalized,
    finite,
    measured,
    scaled,
)

SOLVED = 0.01
"""Measure of optimality of a solved subproblem, relative to its beginning; at most that of
the subproblem before."""


DECREASE = 0.25
"""Factor by which violation and complementarity have to fall between two subproblems;
otherwise the penalty grows."""


MET = 1e-10
"""Scaled violation below which the penalty does not grow: the rest is rounding."""


STEEPEST = 1e10
"""Growth of the penalty after which a larger penalty is not expected to help."""


VIOLATED = 1e-6
"""Scaled violation above which, after this growth, the constraints are infeasible."""


LARGEST = 1e20
"""Bound on the multipliers, in units of the first penalty: the safeguard of the
convergence proof."""


RESTARTS = 12
"""Number of subproblems begun at one design before an inner algorithm without a step ends
the run."""


@dataclass(frozen=True, eq=False)
class AugmentedLagrangian:
    """min f + Σ (w² − λ²)/2ρ, with w = max(0, λ + ρc) or λ + ρh; when solved, λ ← w.

    c and h are the scaled constraints (c − bound) / scale ≤ 0 and (h − bound) / scale =
    0, see `State.scales`. Each iteration is an iteration of the inner algorithm on this
    function. If the inner stationarity has fallen to a hundredth, or after `iterations`
    iterations, the subproblem is solved: λ becomes w, and ρ grows by the factor
    `growth` unless max(|h|, |max(c, −λ/ρ)|) has fallen to a quarter. Then the inner
    algorithm begins again, without memory. A gradient of the augmented function costs
    one transposed solve for f and all constraints on the state, whatever their number.
    At accepted designs the gradient of f alone costs another transposed solve; this
    gradient is free for compliances and volumes, which need no transposed solve.

    In a state `value` and `gradient` are f and ∇f, and `multipliers` are the
    first-order estimates w. `stationarity` is the inner algorithm's measure of ∇f + Σ
    λ∇c, or max|λc| divided by the length of the design at the start if this quotient is
    larger. The inner algorithm gives `rejected` and `step`. If ρ has grown by 10¹⁰
    without success, the run ends as INFEASIBLE; it ends as STUCK if the constraints are
    met to 10⁻⁶, because the solution then has no multipliers.

    Parameters
    ----------
    algorithm : Algorithm
        The inner algorithm, which also has the bounds; LBFGS is recommended. NewtonCG
        needs Hessian–vector products of f and of all constraints.
    constraints : sequence of Constraint or StateConstraints
        c ≤ bound.
    equalities : sequence of Constraint or StateConstraints
        h = bound.
    penalty : float or None
        The first ρ, in the units of f. None: the violation at the start then costs about
        |f|, and ρ is at most 10 |f|.
    growth : float
        Factor by which ρ grows, above 1.
    iterations : int
        Largest number of inner iterations for one subproblem.

    Raises
    ------
    TypeError
        If the algorithm or a constraint has the wrong type; in an iteration, if a
        Hessian–vector product is missing.
    ValueError
        If there are no constraints, or if a setting is out of range.

    References
    ----------
    Birgin & Martínez (2014), Practical Augmented Lagrangian Methods for Constrained
    Optimization, alg. 4.1. Nocedal & Wright (2006), section 17.4.
    """

    algorithm: Algorithm
    constraints: Sequence[Constraint | StateConstraints] = ()
    equalities: Sequence[Constraint | StateConstraints] = ()
    penalty: float | None = None
    growth: float = 10.0
    iterations: int = 100

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        if not has(self.algorithm, "start", "advance"):
            raise TypeError(
                f"AugmentedLagrangian: got {named(self.algorithm)} as the inner algorithm, "
                "expected one such as LBFGS()"
            )
        require_no_manifold("AugmentedLagrangian", self.algorithm)
        for constraints in (self.constraints, self.equalities):
            require_constraints("AugmentedLagrangian", constraints, (StateConstraints,))
        if not self._all:
            raise ValueError(
                "AugmentedLagrangian: got no constraints; use the inner algorithm itself"
            )
        if not (self.penalty is None or 0.0 < self.penalty < np.inf):
            raise ValueError(
                f"AugmentedLagrangian: got penalty={self.penalty}, expected a positive number or "
                "None"
            )
        if not (1.0 < self.growth < np.inf and self.iterations >= 1):
            raise ValueError(
                f"AugmentedLagrangian: got growth={self.growth}, iterations={self.iterations}; "
                "expected growth > 1 and at least one iteration"
            )

    @property
    def bounds(self) -> Bounds:
        """The bounds of the inner algorithm."""
        return self.algorithm.bounds

    @property
    def inner(self) -> InnerProduct:
        """The inner product of the inner algorithm."""
        return self.algorithm.inner

    @property
    def _all(self) -> tuple[Constraint | StateConstraints, ...]:
        return (*self.constraints, *self.equalities)

    @property
    def constrained(self) -> Sequence[Constraint]:
        """The constraints and the equalities, without vectors of constraints."""
        return [c for c in self._all if not isinstance(c, StateConstraints)]

    def start(self, f: Function, x: Array) -> State:
        """The state at x.

        It costs one evaluation of f, and the gradients of f and of the augmented
        function.
        """
        point = first_point(f, x, self.bounds, "AugmentedLagrangian")
        parts = finite(values_at(self._all, point))
        found = scaling(f, self._all, point, parts, self.bounds, self.inner)
        at = scaled(parts, point, found.scales)
        equal = self._equal(at)
        rho = self.penalty or _first_penalty(at, equal, self.inner, found.sizes)
        unsolved = _Subproblem(
            Penalized(np.zeros(equal.size), rho, equal), rho, np.inf, np.inf, found.length
        )
        subproblem, inner = self._begun(f, at, unsolved)
        return _state(
            at, subproblem, inner, subproblem.remembered | packed(inner), 0, 1 + found.evaluations
        )

    def advance(self, f: Function, state: State) -> State:
        """The state after an inner iteration, with new multipliers if the subproblem is solved."""
        subproblem, inner = _Subproblem.of(state), unpacked(state.memory, state.x, None)
        if state.point is not None:  # The inner algorithm needs more than the gradient there.
            known = measured(self._all, state.point, state.scales)
            around = Augmented(f, self._all, state.scales, subproblem.penalized).around(known)
            inner = replace(inner, point=around)
        evaluations, stopped = state.evaluations, state
        for _ in range(RESTARTS):
            if subproblem.hopeless:
                # Nearly met constraints whose gradients vanish, or depend on each other, have no
                # multipliers.
                infeasible = state.violation > VIOLATED
                return replace(stopped, ending=Status.INFEASIBLE if infeasible else Status.STUCK)
            augmented = Augmented(f, self._all, state.scales, subproblem.penalized)
            after = self.algorithm.advance(augmented, inner)
            evaluations += after.evaluations - inner.evaluations
            if after.ending is None:
                return self._accepted(
                    f, state.iteration + 1, subproblem, after, augmented, evaluations
                )
            stopped = replace(
                state,
                rejected=after.rejected,
                evaluations=evaluations,
                ending=after.ending,
                failure=after.failure,
            )
            if after.ending is not Status.STUCK:
                return stopped
            at, evaluations = augmented.accepted(state.x), evaluations + 1
            stopped = replace(stopped, evaluations=evaluations)
            following = self._updated(subproblem, at)
            if following.penalized.agrees(subproblem.penalized):
                return stopped
            subproblem, inner = self._begun(f, at, following)
        return stopped

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, with the same multipliers and penalty.

        The inner algorithm goes on from its own state at this design.
        """
        point = first_point(f, state.x, self.bounds, "AugmentedLagrangian")
        at, subproblem = measured(self._all, point, state.scales), _Subproblem.of(state)
        augmented = Augmented(f, self._all, state.scales, subproblem.penalized)
        inner = revalued(
            self.algorithm,
            lambda _: augmented.around(at),
            unpacked(state.memory, state.x, None),
        )
        memory = subproblem.remembered | packed(inner)
        evaluations = state.evaluations + 1
        return _state(at, subproblem, inner, memory, state.iteration, evaluations)

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the state has a subproblem and an inner state."""
        k = state.constraints.size
        shapes: dict[str, Shape] = {"multipliers": (k,), "equal": (k,), "penalty": ()}
        shapes |= {name: () for name in ("first", "measure", "target", "length")}
        require_entries("AugmentedLagrangian", state.memory, shapes)
        require_packed("AugmentedLagrangian", self.algorithm, state)

    def _accepted(
        self,
        f: Function,
        iteration: int,
        subproblem: "_Subproblem",
        after: State,
        augmented: Augmented,
        evaluations: int,
    ) -> State:
        """The state after an inner iteration.

        If the current subproblem is solved, the memory of this state has the next
        subproblem.
        """
        at, solved = augmented.accepted(after.x), subproblem
        following = after
        if after.stationarity <= subproblem.target or after.iteration >= self.iterations:
            subproblem, following = self._begun(f, at, self._updated(subproblem, at))
        memory = subproblem.remembered | packed(following)
        return _state(at, solved, after, memory, iteration, evaluations)

    def _equal(self, at: Measured) -> Array:
        """True for equalities, (k,) booleans."""
        kinds = [index >= len(self.constraints) for index in range(len(at.terms))]
        return np.repeat(kinds, [term.values.size for term in at.terms])

    def _begun(
        self, f: Function, at: Measured, subproblem: "_Subproblem"
    ) -> "tuple[_Subproblem, State]":
        """The subproblem with its target, and the inner algorithm's first state on this subproblem.

        f and the constraints are known there and are not evaluated.
        """
        augmented = Augmented(f, self._all, at.scales, subproblem.penalized)
        inner = self.algorithm.start(lambda _: augmented.around(at), at.point.x)
        return replace(
            subproblem, target=min(SOLVED * inner.stationarity, subproblem.target)
        ), inner

    def _updated(self, subproblem: "_Subproblem", at: Measured) -> "_Subproblem":
        """The next subproblem: λ ← w, and a larger ρ if the measure has not fallen enough.

        The measure is that of violation and complementarity, `Penalized.measure`.
        """
        old = subproblem.penalized
        measure = old.measure(at.values)
        grows = measure > max(DECREASE * subproblem.measure, MET)
        most = LARGEST * subproblem.first
        lam = np.clip(old.weights(at.values), -most, most)
        penalty = old.penalty * (self.growth if grows else 1.0)
        return replace(subproblem, penalized=Penalized(lam, penalty, old.equal), measure=measure)


@dataclass(frozen=True, eq=False)
class _Subproblem:
    """The augmented function of a subproblem, and the stationarity at which it is solved.

    first: the penalty at the start of the run; measure: violation and complementarity
    after the last subproblem; target: the inner stationarity to be reached; length:
    length of the design at the start, see `Scaling`.
    """

    penalized: Penalized
    first: float
    measure: float
    target: float
    length: float

    @classmethod
    def of(cls, state: State) -> "_Subproblem":
        """The subproblem that is stored in the memory of a state."""
        memory = state.memory
        penalized = Penalized(memory["multipliers"], memory["penalty"].item(), memory["equal"])
        return cls(
            penalized, *(memory[name].item() for name in ("first", "measure", "target", "length"))
        )

    @property
    def remembered(self) -> dict[str, Array]:
        """The subproblem as arrays for the memory of a state."""
        numbers = {
            "first": self.first,
            "measure": self.measure,
            "target": self.target,
            "length": self.length,
        }
        penalized = {"multipliers": self.penalized.multipliers, "equal": self.penalized.equal}
        return (
            penalized
            | {name: np.asarray(value) for name, value in numbers.items()}
            | {"penalty": np.asarray(self.penalized.penalty)}
        )

    @property
    def hopeless(self) -> bool:
        """True if the penalty has grown beyond its limit."""
        return self.penalized.penalty > STEEPEST * self.first


def _first_penalty(at: Measured, equal: Array, inner: InnerProduct, sizes: Array) -> float:
    """ρ = 2 |f| / ‖c₊‖², between 10⁻⁶ |f| and 10 |f|: the violation then costs |f|.

    At least max|x_i ∂f/∂x_i| is used for |f|, because f may be zero by chance. sizes:
    sizes of the variables, used instead of x if this maximum is zero.
    """
    violated = np.where(equal, at.values, np.maximum(at.values, 0.0))
    g = gradient_of(at.point)
    size = (
        max(abs(at.point.value), inner.largest(np.abs(at.point.x * g)))
        or inner.largest(sizes * np.abs(g))
        or 1.0
    )
    return size * float(np.clip(2.0 / max(dot(violated, violated), 1e-60), 1e-6, 10.0))


def _state(
    at: Measured,
    subproblem: _Subproblem,
    inner: State,
    memory: dict[str, Array],
    iteration: int,
    evaluations: int,
) -> State:
    """The state of f and the constraints at the design of the inner algorithm's state `inner`.

    subproblem: the subproblem on which the inner algorithm works.
    """
    penalized = subproblem.penalized
    multipliers = penalized.weights(at.values)
    violations = np.where(penalized.equal, np.abs(at.values), at.values)
    return replace(
        inner,
        iteration=iteration,
        value=at.point.value,
        gradient=gradient_of(at.point),
        stationarity=max(
            inner.stationarity, float(np.abs(multipliers * at.values).max()) / subproblem.length
        ),
        constraints=at.values,
        scales=at.scales,
        multipliers=multipliers,
        violation=float(violations.max(initial=0.0)),
        evaluations=evaluations,
        memory=memory,
        point=None if inner.point is None else at.point,
    )
