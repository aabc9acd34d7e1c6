"""Where a run stands: one frozen record for all algorithms, and what an algorithm is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .._repr import short_repr
from ..bounds import Bounds
from ..reduced import Function, Point
from ..typing import Array
from .constraints import Constraint
from .inner_products import InnerProduct
from .status import Status


@dataclass(frozen=True, eq=False)
class State:
    """An accepted iterate, and what its algorithm needs to go on from it; to a file and back without loss.

    iteration: steps accepted so far. x: (m,) design; value: f(x); gradient: (m,) df/dx, the derivative.
    stationarity: a measure of optimality that is zero at a solution: the dual norm of the gradient without
    components held by bounds; with constraints, of the Lagrangian's (the KKT residual). projected: the same as a
    change of the design, max|P(x − M⁻¹∇L) − x|. step: the last one's length, in the algorithm's own measure;
    change: its max|Δx|, inf before the first.

    constraints: (k,) (c − bound)/scales, met where ≤ 0; multipliers: (k,) of these scaled constraints, for f as given;
    violation: the largest scaled violation, at least 0. scales: (k,) of the constraints, positive, in the units of
    c, chosen at the start of the run: |bound|, or what c varies by where the bound is zero or far away from that;
    `constraints * scales` is in the units of c, and df/dbound at an optimum is `-multipliers / scales`. scale: what
    the algorithm multiplied f by. rejected: values of the trials refused on the way here, nan for failed solves.
    evaluations: of f so far. stage: of a continuation; left: its stages still to come; while there are any, no
    measure of convergence ends a run.

    memory: arrays by name, the algorithm's own. ending: why the algorithm cannot go on, None if it can. point: f at
    x, where an algorithm wants more than its gradient; not in files: it is evaluated again. function: the f of a stage,
    where it is not the one of the run; not in files either.
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
    stage: int = 0
    left: int = 0
    memory: Mapping[str, Array] = field(default_factory=dict)
    ending: Status | None = None
    point: Point | None = None
    function: "Function | None" = None

    __repr__ = short_repr

    def __getstate__(self) -> dict[str, object]:
        """As in files: without the point, which holds factors, and the function."""
        return {**self.__dict__, "point": None, "function": None}


class Algorithm(Protocol):
    """An algorithm: a frozen dataclass of its settings with these two functions."""

    @property
    def bounds(self) -> Bounds:
        """Of the design; every x that f is evaluated at is within."""

    @property
    def inner(self) -> InnerProduct:
        """On designs; all sums over a design are its."""

    @property
    def constrained(self) -> "Sequence[Constraint]":
        """Its constraints, equalities too, whose gradients are to be checked."""

    def start(self, f: Function, x: Array) -> State:
        """The first state, at x: one evaluation, one gradient. Raises what f raises; ValueError for an x that is not
        within the bounds."""

    def advance(self, f: Function, state: State) -> State:
        """The next state; or the same one with an `ending`. Depends on nothing but f and the state."""
