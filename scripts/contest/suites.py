"""Three suites: sums of squares without constraints, few variables with constraints, compliance at a given volume."""

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
from problems.filters import density_filter
from problems.optimization.more_garbow_hillstrom import PROBLEMS, Counted
from problems.optimization.svanberg import Program, cantilever, eight_bar_truss, two_bar_truss
from problems.steady.elasticity import mbb
from scripts.contest.trace import Trace, traced

STATIONARY = 1e-6  # ‖g‖₂ at which an unconstrained problem counts as solved
ITERATIONS = 2000
OPTIMAL, FEASIBLE, FEW = (
    1e-6,
    1e-6,
    500,
)  # of f, relative, of constraints, and iterations: few variables
NEAR, VOLUME = 1e-3, 1e-3  # of the best compliance found, and of the volume, relative
RADIUS, DESIGNS = 0.04, 200  # of the filter, relative to the length; iterations

PROGRAMS = (cantilever(), two_bar_truss(), eight_bar_truss())

Costs = Mapping[str, Mapping[str, float]]
"""Problem ↦ algorithm ↦ cost until solved, inf if it is not."""


@dataclass(frozen=True, eq=False)
class Suite:
    """title; unit of the cost; costs; traces of the problems worth drawing."""

    title: str
    unit: str
    costs: Costs
    traces: Mapping[str, Mapping[str, Trace]]


def unconstrained(numbers: Sequence[int], show: Callable[[str], None]) -> Suite:
    """Moré, Garbow & Hillstrom: cost in values of f, gradients, and twice the Hessian products."""
    algorithms = {
        "SteepestDescent": SteepestDescent(),
        "BFGS": BFGS(),
        "LBFGS": LBFGS(),
        "NewtonCG": NewtonCG(),
        "SciPy L-BFGS-B": LBFGSB(),
    }
    stop = Stopping(iterations=ITERATIONS, stationarity=0.0, absolute=STATIONARY)
    costs = {}
    for number in numbers:
        problem = PROBLEMS[number - 1]
        show(problem.name)
        costs[problem.name] = {
            name: _squares(problem, method, stop) for name, method in algorithms.items()
        }
    return Suite(
        "Sums of squares (Moré, Garbow & Hillstrom)",
        "values, gradients, 2 x Hessian products",
        costs,
        {},
    )


def _squares(problem: object, method: object, stop: Stopping) -> float:
    f = Counted(problem)
    tally = f.tally
    trace = traced(
        f,
        problem.start,
        method,
        stop,
        lambda: tally.evaluations + tally.gradients + 2 * tally.products,
    )
    return trace.first(trace.gradient <= STATIONARY)


def constrained(programs: Sequence[Program], show: Callable[[str], None]) -> Suite:
    """Svanberg's problems: cost in evaluations of f and all constraints."""
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
    spent = [0]

    def f(x: Array) -> object:
        spent[0] += 1
        return program.f(x)

    stop = Stopping(iterations=FEW, stationarity=1e-8)
    trace = traced(f, program.start, make(program), stop, lambda: float(spent[0]))
    error = np.abs(trace.value - program.optimum) / program.optimum
    return trace.first((error <= OPTIMAL) & (trace.violation <= FEASIBLE))


@dataclass(frozen=True, eq=False)
class Beam:
    """Half an MBB beam of nelx × nely elements, filtered, SIMP with exponent 3, half of the volume."""

    nelx: int
    nely: int

    @cached_property
    def density(self) -> adjoint.protocols.DesignMap:
        """The filter."""
        return density_filter(mbb(self.nelx, self.nely).grid, max(1.5, RADIUS * self.nelx))

    @cached_property
    def algorithms(self) -> Mapping[str, object]:
        """Those for densities at a given volume."""
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
        """All algorithms, cost in factorizations."""
        found = {}
        for name, algorithm in self.algorithms.items():
            f = mbb(self.nelx, self.nely).compliance(self.density >> adjoint.design.SIMP(3.0))
            with adjoint.counting() as counts:
                stop = Stopping(iterations=DESIGNS, stationarity=1e-8)
                start = np.full(self.nelx * self.nely, 0.5)
                found[name] = traced(
                    f, start, algorithm, stop, lambda counts=counts: float(counts.numeric)
                )
        return found


def compliance(sizes: Sequence[tuple[int, int]], show: Callable[[str], None]) -> Suite:
    """Half MBB beams: cost in factorizations, solved within 0.1 % of the best compliance that any algorithm found."""
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
