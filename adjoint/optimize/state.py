"""State: where a run stands, one frozen record for all algorithms.

And the protocol of an algorithm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .._dataclasses import short_repr
from ..bounds import Bounds
from ..errors import SolveError
from ..reduced import Function, Point
from ..typing import Array
from .constraints.constraint import Constraint
from .inner_products import InnerProduct
from .status import Status


@dataclass(frozen=True, eq=False)
class State:
    """(x_k, f(x_k), ∇f(x_k)) and all that an algorithm needs to go on from iterate k.

    A state goes to a restart file and back without loss of a bit, except `point`,
    `function` and `failure`, which are not stored.

    Parameters
    ----------
    iteration : int
        Number of accepted steps so far.
    x : (m,) array
        The design, in its own units.
    value : float
        f(x), in the units of f.
    gradient : (m,) array
        df/dx, the derivative (not the direction M⁻¹ df/dx).
    stationarity : float
        Measure of optimality, zero at a solution: the dual norm of ∇f without the
        components that bounds hold; with constraints, of the gradient of the Lagrangian
        (the KKT residual).
    projected : float
        max|P(x − M⁻¹∇L) − x|: the measure of optimality as a change of the design, in units
        of x.
    step : float
        Length of the last step, in the algorithm's own measure; 0 before the first step.
    change : float
        max|Δx| of the last step, in units of x; inf before the first step.
    constraints : (k,) array
        (c − bound) / scales: met if ≤ 0.
    multipliers : (k,) array
        Lagrange multipliers of the scaled constraints, for f as given, in the units of f.
    violation : float
        The largest scaled violation of a constraint, at least 0.
    scales : (k,) array
        Scales of the constraints, positive, in the units of c, chosen at the start of a
        run: |bound|, or the amount by which c varies if the bound is zero or far from the
        values of c. The product `constraints * scales` is in the units of c. At an optimum
        df/dbound is `-multipliers / scales`.
    scale : float
        Factor by which the algorithm multiplied f.
    rejected : (j,) array
        Values of f at the refused trials of the last iteration; nan for a failed solve.
    evaluations : int
        Number of evaluations of f so far.
    rtol : float
        Relative tolerance of the iterative solves for this state, chosen by `minimize` with
        a gradient tolerance; 0: the tolerances of the problem itself.
    stage : int
        Index of the stage of a `Continuation`; 0 for other algorithms.
    left : int
        Number of stages still to come. If it is positive no measure of convergence ends the
        run.
    memory : mapping of str to array
        Arrays of the algorithm itself, such as curvature pairs or asymptotes.
    ending : Status or None
        Why the algorithm cannot go on from this state; None if it can.
    point : Point or None
        f at x, for algorithms that need more than its gradient. Not stored in files: f is
        evaluated again after a restart.
    function : callable or None
        The objective of a stage, if it is not the objective of the run. Not stored in
        files.
    failure : SolveError or None
        The last error at a trial of the last iteration, if the ending is `Status.FAILED`.
        Not stored in files.
    """

    iteration: int
    x: Array
    value: float
    gradient: Array
    stationarity: float
    projected: float
    step: float = 0.0
    change: float = np.inf
    constraints: Array = field(default_factory=lambda: np.zeros(0))
    multipliers: Array = field(default_factory=lambda: np.zeros(0))
    violation: float = 0.0
    scales: Array = field(default_factory=lambda: np.zeros(0))
    scale: float = 1.0
    rejected: Array = field(default_factory=lambda: np.zeros(0))
    evaluations: int = 1
    rtol: float = 0.0
    stage: int = 0
    left: int = 0
    memory: Mapping[str, Array] = field(default_factory=dict)
    ending: Status | None = None
    point: Point | None = None
    function: "Function | None" = None
    failure: SolveError | None = None

    __repr__ = short_repr

    def __getstate__(self) -> dict[str, object]:
        """The fields for a pickle, without `point`, `function` and `failure`.

        A point holds factors, which are large.
        """
        return {**self.__dict__, "point": None, "function": None, "failure": None}


class Algorithm(Protocol):
    """x_k ↦ x_{k+1}: a frozen dataclass of settings with the methods `start` and `advance`.

    An algorithm may also be an `AlgorithmWithMemoryCheck`.
    """

    @property
    def bounds(self) -> Bounds:
        """Bounds on the design; f is evaluated within the bounds only."""

    @property
    def inner(self) -> InnerProduct:
        """The inner product on designs; every sum over a design is one of its methods."""

    @property
    def constrained(self) -> "Sequence[Constraint]":
        """The constraints, equalities too, whose gradients are checked before the run."""

    def start(self, f: Function, x: Array) -> State:
        """The state at x: one evaluation of f and one gradient.

        Parameters
        ----------
        f : callable
            The objective: x ↦ a point with x, value and gradient.
        x : (m,) array
            The design at the start.

        Returns
        -------
        State
            The state of iteration 0.

        Raises
        ------
        ValueError
            If x is outside of the bounds.
        SolveError
            If f fails at x.
        """

    def advance(self, f: Function, state: State) -> State:
        """The state after one more iteration; a function of f and the state alone.

        Parameters
        ----------
        f : callable
            The objective.
        state : State
            The state of the last iteration.

        Returns
        -------
        State
            The next state; or the state given, with an `ending`, if no step was found.
        """


class AlgorithmWithRevaluation(Algorithm, Protocol):
    """An algorithm that goes on from values of f with another accuracy.

    `minimize` with a gradient tolerance calls `revalued` when the tolerance of the solves
    changes, so that a line search compares values of one tolerance. For other algorithms
    it takes value, gradient, optimality measures and point from `start`, and all else from
    the state.
    """

    def revalued(self, f: Function, state: State) -> State:
        """The state at the same design, by values and gradients of the f given.

        Parameters
        ----------
        f : callable
            The objective, by solves of another accuracy.
        state : State
            The state.

        Returns
        -------
        State
            The state with the same iteration and step. The memory of earlier steps stays;
            what belongs to values of f, such as the largest of the last values, is anew.

        Raises
        ------
        SolveError
            If f fails at the design.
        """


class AlgorithmWithMemoryCheck(Algorithm, Protocol):
    """An algorithm that verifies the memory of a state from a restart file.

    `minimize` calls `require_memory` before it goes on from a restart file. For other
    algorithms only the checksum, the fingerprint and the size of the design are verified.
    """

    def require_memory(self, state: State) -> None:
        """Raise ValueError unless the memory has the arrays that `advance` reads.

        Parameters
        ----------
        state : State
            A state from a file.

        Raises
        ------
        ValueError
            If an array is missing, or has another shape.
        """
