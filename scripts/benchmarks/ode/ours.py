"""Our gradients of the cases: methods, tolerances, and runs."""

import time
from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.checkpointing.policies import Memory
from adjoint.ode.methods.method import Method
from adjoint.typing import Array
from scripts.benchmarks.ode.cases import Case

STIFF = {
    **{
        "TR-BDF2": adjoint.ode.TRBDF2(),
        "ESDIRK4": adjoint.ode.ESDIRK4(),
        "ESDIRK5": adjoint.ode.ESDIRK5(),
    },
    **{"Radau5": adjoint.ode.Radau5(), "Radau9": adjoint.ode.Radau9()},
}
METHODS = {
    "Robertson": STIFF,
    "Lotka-Volterra": {
        "Tsit5": adjoint.ode.Tsit5(),
        "Tsit5, dense output": adjoint.ode.Tsit5(),
        "DOP853": adjoint.ode.DOP853(),
    },
    "Brusselator": STIFF,
}
TOLERANCES = {
    "TR-BDF2": (1e-3, 1e-4, 1e-5, 1e-6),
    "ESDIRK4": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
    "ESDIRK5": (1e-3, 1e-4, 1e-5, 3e-6, 1e-6, 1e-7, 1e-8, 1e-9),
    "Radau5": (1e-3, 1e-4, 1e-5, 1e-6),
    "Radau9": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "Tsit5": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10),
    "Tsit5, dense output": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10),
    "DOP853": (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11),
}
HEADLINE = {
    "Robertson": ("Radau9", 1e-3),
    "Lotka-Volterra": ("Tsit5", 1e-8),
    "Brusselator": ("ESDIRK5", 1e-5),
}
"""Method and rtol of the run against which all other runs of a case are timed."""

BYTES = 8 * 2**30
"""Memory budget, large enough to store everything."""

ROBERTSON = np.array([7.68377326601e5, -3.06892091999, 5.11488997881e-4])
"""dG/dp to twelve digits, from several methods in extended precision."""


@dataclass(frozen=True, eq=False)
class Run:
    """Seconds of trajectory and gradient, J, dJ/dp and the number of steps."""

    forward: float
    reverse: float
    value: float
    gradient: Array
    steps: float

    @property
    def seconds(self) -> float:
        """Seconds of trajectory and gradient together."""
        return self.forward + self.reverse


@dataclass(frozen=True, eq=False)
class Ours:
    """A case, by one method at one tolerance.

    memory: policy for the stages and states of the trajectory. dense: True if
    observations are interpolated between steps, False if steps end at the observations.
    """

    case: Case
    method: Method
    rtol: float
    memory: Memory
    dense: bool

    def __call__(self) -> Run:
        """Compute one trajectory and one gradient."""
        case, n = self.case, self.case.u0.size
        integral = None if case.observed else adjoint.ode.LinearIntegrand(case.c)
        problem = adjoint.ODEProblem(
            case.physics,
            case.u0,
            t=(0.0, case.tf),
            observe=case.times if case.observed else None,
            method=self.method,
            rtol=self.rtol,
            atol=case.atol(self.rtol),
            dense=self.dense,
            integrand=integral,
            memory=self.memory,
        )
        start = time.perf_counter()
        path = problem.solve(case.p)
        solved = time.perf_counter()
        if case.observed:
            value, u_bar = case.objective(path.u)
            gradient = path.vjp(u_bar)
        else:
            value, gradient = float(path.integrals[0]), path.vjp(np.zeros((1, n)), np.ones(1))
        end = time.perf_counter()
        return Run(solved - start, end - solved, value, gradient, float(path.grid.size - 1))


def ours(case: Case, name: str, rtol: float, memory: Memory) -> Ours:
    """Return a case by the method of this name."""
    return Ours(case, METHODS[case.name][name], rtol, memory, dense=name.endswith("dense output"))


def headline(case: Case) -> Ours:
    """Return the run against which other runs are timed."""
    return ours(case, *HEADLINE[case.name], adjoint.checkpointing.Budget(BYTES))


def exact(case: Case, rtol: float) -> Array:
    """Return dJ/dp to about rtol, (m,), by our method of highest order.

    For Robertson's reaction more digits are known.
    """
    if case.name == "Robertson":
        return ROBERTSON
    return ours(
        case, "ESDIRK5" if case.stiff else "DOP853", rtol, adjoint.checkpointing.Budget(BYTES)
    )().gradient
