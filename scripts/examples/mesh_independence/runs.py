"""Runs on the mother problem until one common measure of the gradient has fallen."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint import interop
from adjoint.interop.scipy import LBFGSB
from adjoint.optimize import LBFGS, Algorithm, Euclidean, MassMatrix, State, SteepestDescent
from adjoint.typing import Array
from problems.optimization.mother_problem import MotherProblem

TOLERANCE = 1e-6
"""Norm of the gradient that ends a run, relative to the first."""

ITERATIONS = 2000
"""Maximum number of iterations of a run."""

FINEST_EUCLIDEAN = 128
"""Cells along a side of the finest mesh with the Euclidean product, whose runs take longer
than all other runs together."""

EARLY = 5
"""Iterations after which a control is stored for the figure."""

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

    falls: norm of the gradient relative to the first, for each iterate; early: control
    after EARLY iterations; control: at the end; seconds: of wall time.
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
        """Iterations to convergence."""
        return len(self.falls) - 1


def all_runs(case: MotherProblem) -> Iterator[Run]:
    """Yield the runs of NAMES from u = 0, on fine meshes without the two Euclidean runs.

    In z = Rᵀu, with M = R Rᵀ, the product of the mass matrix M is Euclidean: in these
    variables SciPy's L-BFGS-B uses the right product.
    """
    mass, euclidean = MassMatrix(case.mass), Euclidean()
    mass.direction(case.areas)  # Factors M before any clock runs.
    yield _ours(NAMES[0], case, SteepestDescent(mass), mass)
    yield _ours(NAMES[1], case, LBFGS(inner=mass), mass)
    yield _scipy(NAMES[2], case, mass)
    if max(case.shape) > FINEST_EUCLIDEAN + 1:
        return
    yield _ours(NAMES[3], case, SteepestDescent(euclidean), mass)
    yield _ours(NAMES[4], case, LBFGS(inner=euclidean), mass)


def _ours(name: str, case: MotherProblem, algorithm: Algorithm, mass: MassMatrix) -> Run:
    """Run an algorithm of `adjoint.optimize` and measure its gradients with the mass matrix."""
    norms: list[float] = []
    start = time.perf_counter()
    for state in adjoint.descend(case.f, np.zeros(case.areas.size), algorithm):
        norms.append(mass.dual_norm(state.gradient))
        if state.iteration <= EARLY:
            early = state.x
        converged = norms[-1] <= TOLERANCE * norms[0]
        if converged or state.ending is not None or state.iteration >= ITERATIONS:
            break
    return _finished(name, case, norms, start, early, state)


def _scipy(name: str, case: MotherProblem, mass: MassMatrix) -> Run:
    """Run SciPy's L-BFGS-B; `stationarity` is measured with the mass matrix already."""
    states: list[State] = []
    stop = adjoint.Stopping(iterations=ITERATIONS, stationarity=TOLERANCE)
    start, x = time.perf_counter(), np.zeros(case.areas.size)
    interop.minimize(case.f, x, LBFGSB(inner=mass), stop=stop, check=False, callback=states.append)
    norms = [state.stationarity for state in states]
    return _finished(name, case, norms, start, states[EARLY].x, states[-1])


def _finished(
    name: str, case: MotherProblem, norms: list[float], start: float, early: Array, last: State
) -> Run:
    """Return the run; raise adjoint.SolveError if it did not converge."""
    seconds = time.perf_counter() - start
    if not norms[-1] <= TOLERANCE * norms[0]:
        raise adjoint.SolveError(
            f"{name}, {case.shape} nodes: gradient {norms[-1] / norms[0]:.1e} of the first after "
            f"{len(norms) - 1} iterations, expected {TOLERANCE:.0e}"
        )
    return Run(name, case, np.array(norms) / norms[0], last.evaluations, seconds, early, last.x)
