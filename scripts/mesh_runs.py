"""Runs on the mother problem until the gradient has fallen, all by one measure whatever the steps are."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint import interop
from adjoint.interop.scipy import LBFGSB
from adjoint.optimize import LBFGS, Algorithm, State
from adjoint.typing import Array
from problems.optimization.mother_problem import MotherProblem

TOLERANCE, MOST = 1e-6, 2000
FINEST = 128  # cells along a side up to which the wrong product is tried: it takes longer than all the rest
EARLY = 5  # iterations, after which a control is kept to be shown
RIGHT, WRONG = "mass matrix", "Euclidean"
NAMES = (
    f"descent, {RIGHT}",
    f"L-BFGS, {RIGHT}",
    "SciPy's, in z",
    f"descent, {WRONG}",
    f"L-BFGS, {WRONG}",
)


@dataclass(frozen=True, eq=False)
class Run:
    """A run that converged.

    falls: the gradient's norm over the first one, one an iterate; early, control: u after EARLY iterations, at the end.
    """

    name: str
    case: MotherProblem
    falls: Array
    evaluations: int
    seconds: float
    early: Array
    control: Array

    @property
    def n(self) -> int:
        """Cells along a side."""
        return self.case.shape[0] - 1

    @property
    def iterations(self) -> int:
        """To convergence."""
        return len(self.falls) - 1


def all_runs(case: MotherProblem) -> Iterator[Run]:
    """The runs of NAMES, in their order, from u = 0; beyond FINEST without the last two.

    In z = Rᵀu, M = R Rᵀ, the product of the mass matrix M is Euclidean: there SciPy's L-BFGS-B is in the right one.
    """
    mass, wrong = adjoint.optimize.MassMatrix(case.mass), adjoint.optimize.Euclidean()
    mass.direction(case.areas)  # Factored before any clock runs.
    yield _ours(NAMES[0], case, adjoint.optimize.SteepestDescent(mass), mass)
    yield _ours(NAMES[1], case, LBFGS(inner=mass), mass)
    yield _foreign(NAMES[2], case, mass)
    if max(case.shape) > FINEST + 1:
        return
    yield _ours(NAMES[3], case, adjoint.optimize.SteepestDescent(wrong), mass)
    yield _ours(NAMES[4], case, LBFGS(inner=wrong), mass)


def _ours(
    name: str, case: MotherProblem, algorithm: Algorithm, mass: adjoint.optimize.MassMatrix
) -> Run:
    norms: list[float] = []
    start = time.perf_counter()
    for state in adjoint.descend(case.f, np.zeros(case.areas.size), algorithm):
        norms.append(
            mass.dual_norm(state.gradient)
        )  # Not its own measure, which is of its own product.
        if state.iteration <= EARLY:
            early = state.x
        if norms[-1] <= TOLERANCE * norms[0] or state.ending is not None or state.iteration >= MOST:
            break
    return _finished(name, case, norms, start, early, state)


def _foreign(name: str, case: MotherProblem, mass: adjoint.optimize.MassMatrix) -> Run:
    states: list[State] = []
    start, stop = time.perf_counter(), adjoint.Stopping(iterations=MOST, stationarity=TOLERANCE)
    x = np.zeros(case.areas.size)
    interop.minimize(case.f, x, LBFGSB(inner=mass), stop=stop, check=False, callback=states.append)
    norms = [
        state.stationarity for state in states
    ]  # In the mass matrix: its own measure is the common one.
    return _finished(name, case, norms, start, states[EARLY].x, states[-1])


def _finished(
    name: str, case: MotherProblem, norms: list[float], start: float, early: Array, last: State
) -> Run:
    """The run; raises RuntimeError if it did not converge."""
    seconds = time.perf_counter() - start
    if not norms[-1] <= TOLERANCE * norms[0]:
        raise RuntimeError(
            f"{name}, {case.shape} nodes: {norms[-1] / norms[0]:.1e} after {len(norms) - 1} iterations"
        )
    return Run(name, case, np.array(norms) / norms[0], last.evaluations, seconds, early, last.x)
