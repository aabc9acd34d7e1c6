"""Three suites: sums of squares, few variables with constraints, compliance at a given volume."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

import adjoint
from adjoint.interop.scipy import LBFGSB, SLSQP, TrustConstr
from adjoint.optimize import (
    BFGS,
    GCMMA,
    LBFGS,
    MMA,
    AugmentedLagrangian,
    NewtonCG,
    OptimalityCriteria,
    SiMPL,
    SteepestDescent,
    Stopping,
)
from adjoint.typing import Array
from problems.finite_elements.filters import density_filter
from problems.optimization.more_garbow_hillstrom import PROBLEMS, Counted
from problems.optimization.svanberg import Program, cantilever, eight_bar_truss, two_bar_truss
from problems.steady.elasticity import mbb
from scripts.examples.shootout.trace import Trace, traced

STATIONARY, ITERATIONS = 1e-6, 2000
"""Sums of squares: ‖g‖₂ of a solved problem; maximum number of iterations."""

OPTIMAL, FEASIBLE, PROGRAM_ITERATIONS = 1e-6, 1e-6, 500
"""Few variables: relative error of f and violation of a solved problem; maximum number of
iterations."""

NEAR, VOLUME, DESIGN_ITERATIONS = 1e-3, 1e-3, 200
"""Compliance: relative distance to the best compliance and relative violation of the volume of
a solved problem; maximum number of iterations."""

RADIUS = 0.04
"""Radius of the density filter, relative to the length of the beam."""

PROGRAMS = (cantilever(), two_bar_truss(), eight_bar_truss())

Costs = Mapping[str, Mapping[str, float]]
"""Problem ↦ algorithm ↦ cost until the problem is solved, inf if it is not solved."""


@dataclass(frozen=True, eq=False)
class Suite:
    """The results of a suite.

    unit: of the costs; traces: problem ↦ algorithm ↦ trace, for problems to be drawn.
    """

    title: str
    unit: str
    costs: Costs
    traces: Mapping[str, Mapping[str, Trace]]

    @property
    def algorithms(self) -> list[str]:
        """The names of the algorithms."""
        return list(next(iter(self.costs.values())))


def unconstrained(numbers: Sequence[int], show: Callable[[str], None]) -> Suite:
    """Run the problems of Moré, Garbow & Hillstrom with these numbers.

    The cost is the number of values of f, gradients, and twice the Hessian products.
    """
    algorithms = {
        "SteepestDescent": SteepestDescent(),
        "BFGS": BFGS(),
        "LBFGS": LBFGS(),
        "NewtonCG": NewtonCG(),
        "SciPy L-BFGS-B": LBFGSB(),
    }
    costs = {}
    for number in numbers:
        problem = PROBLEMS[number - 1]
        show(problem.name)
        costs[problem.name] = {
            name: _sum_of_squares(problem, method) for name, method in algorithms.items()
        }
    unit = "values, gradients, 2 x Hessian products"
    return Suite("Sums of squares (Moré, Garbow & Hillstrom)", unit, costs, {})


def _sum_of_squares(problem: object, method: object) -> float:
    f = Counted(problem)
    tally = f.tally

    def cost() -> float:
        return tally.evaluations + tally.gradients + 2 * tally.products

    stop = Stopping(iterations=ITERATIONS, stationarity=0.0, absolute=STATIONARY)
    trace = traced(f, problem.start, method, stop, cost)
    return trace.first(trace.gradient <= STATIONARY)


def constrained(programs: Sequence[Program], show: Callable[[str], None]) -> Suite:
    """Run Svanberg's problems; the cost is the number of evaluations of f and all constraints."""
    costs = {}
    for program in programs:
        show(program.name)
        costs[program.name] = {name: _program(program, make) for name, make in _CONSTRAINED.items()}
    return Suite("Few variables, with constraints (Svanberg)", "evaluations", costs, {})


_CONSTRAINED: Mapping[str, Callable[[Program], object]] = {
    "MMA": lambda program: MMA(program.constraints, program.bounds),
    "GCMMA": lambda program: GCMMA(program.constraints, program.bounds),
    "AugmentedLagrangian": lambda program: AugmentedLagrangian(
        LBFGS(bounds=program.bounds), program.constraints
    ),
    "SciPy SLSQP": lambda program: SLSQP(program.constraints, bounds=program.bounds),
    "SciPy trust-constr": lambda program: TrustConstr(program.constraints, bounds=program.bounds),
}


def _program(program: Program, make: Callable[[Program], object]) -> float:
    evaluations = 0

    def f(x: Array) -> object:
        nonlocal evaluations
        evaluations += 1
        return program.f(x)

    stop = Stopping(iterations=PROGRAM_ITERATIONS, stationarity=1e-8)
    trace = traced(f, program.start, make(program), stop, lambda: float(evaluations))
    error = np.abs(trace.value - program.optimum) / program.optimum
    return trace.first((error <= OPTIMAL) & (trace.violation <= FEASIBLE))


@dataclass(frozen=True, eq=False)
class Beam:
    """Half an MBB beam of nelx × nely elements, with a density filter and SIMP of exponent 3."""

    nelx: int
    nely: int

    @cached_property
    def density(self) -> adjoint.protocols.DesignMap:
        """The density filter."""
        return density_filter(mbb(self.nelx, self.nely).grid, max(1.5, RADIUS * self.nelx))

    @cached_property
    def algorithms(self) -> Mapping[str, object]:
        """The algorithms for densities at a given volume."""
        volume = adjoint.optimize.LinearConstraint.volume(
            self.density, np.ones(self.nelx * self.nely), 0.5
        )
        unit = adjoint.Bounds(0.0, 1.0)
        return {
            "OptimalityCriteria": OptimalityCriteria(volume),
            "MMA": MMA((volume,), unit),
            "GCMMA": GCMMA((volume,), unit),
            "SiMPL": SiMPL(volume),
            "AugmentedLagrangian": AugmentedLagrangian(LBFGS(bounds=unit), (volume,)),
        }

    def traces(self) -> dict[str, Trace]:
        """Run all algorithms; the cost is the number of factorizations."""
        found = {}
        for name, algorithm in self.algorithms.items():
            f = mbb(self.nelx, self.nely).compliance(self.density >> adjoint.design.SIMP(3.0))
            with adjoint.counting() as counts:
                stop = Stopping(iterations=DESIGN_ITERATIONS, stationarity=1e-8)
                start = np.full(self.nelx * self.nely, 0.5)
                found[name] = traced(
                    f, start, algorithm, stop, lambda counts=counts: float(counts.numeric)
                )
        return found


def compliance(sizes: Sequence[tuple[int, int]], show: Callable[[str], None]) -> Suite:
    """Run half MBB beams; the cost is the number of factorizations.

    A beam is solved within NEAR of the best compliance that any algorithm found.
    """
    traces, costs = {}, {}
    for nelx, nely in sizes:
        show(f"beam of {nelx} x {nely} elements")
        traces[f"{nelx} x {nely}"] = Beam(nelx, nely).traces()
    for size, runs in traces.items():
        feasible = [trace.value[trace.violation <= VOLUME] for trace in runs.values()]
        best = min(float(values.min(initial=np.inf)) for values in feasible)
        costs[size] = {
            name: trace.first((trace.value <= (1.0 + NEAR) * best) & (trace.violation <= VOLUME))
            for name, trace in runs.items()
        }
    return Suite("Compliance at half the volume", "factorizations", costs, traces)
