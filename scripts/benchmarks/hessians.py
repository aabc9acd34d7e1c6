"""Hessian–vector products of trajectories against a value and its gradient, in one process.

``python -m scripts.benchmarks.hessians [--out DIR] [--small]`` prints, for each case, the
ratio of CPU times and the factorizations of a product, and writes hessians.json. CPU times
include threads that wait: set OMP_NUM_THREADS, MKL_NUM_THREADS and OPENBLAS_NUM_THREADS to 1.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import adjoint
from adjoint.ode.trajectory import Trajectory
from adjoint.typing import Array
from problems.time.brusselator import brusselator
from problems.time.kinetics import reaction_chain, robertson

REPEATS = 5
"""Number of runs of each task; the shortest CPU time counts."""


@dataclass(frozen=True, eq=False)
class Case:
    """An initial value problem, and the number of directions of one block.

    The objective is the first integral if the problem has one, otherwise ½ Σ u(t_f)².
    """

    name: str
    problem: adjoint.ODEProblem
    columns: int
    repeats: int = REPEATS

    @property
    def nominal(self) -> Array:
        """The parameters."""
        return np.asarray(self.problem.field.nominal)  # type: ignore[attr-defined]

    def gradient(self, trajectory: Trajectory) -> Array:
        """∂J/∂p, (m,)."""
        if trajectory.integrals.size:
            return trajectory.vjp(None, np.eye(trajectory.integrals.size)[0])
        return trajectory.vjp(trajectory.u)

    def products(self, trajectory: Trajectory) -> Array:
        """H V, (m, columns), for directions along single parameters, in their units."""
        p = trajectory.p
        along = trajectory.linearized(np.diag(p)[:, : self.columns])
        if trajectory.integrals.size:
            q_bar = np.eye(trajectory.integrals.size)[0]
            return along.vjp_rate(None, None, q_bar, np.zeros(along.q_dot.shape))
        return along.vjp_rate(trajectory.u, along.u_dot)


def cases(small: bool) -> list[Case]:
    """The cases of the benchmark; small: of few unknowns, which take seconds."""
    size, cells = (6, (8, 9)) if small else (32, (122, 123))
    few = 1 if small else REPEATS
    tight = replace(reaction_chain(), rtol=1e-10, atol=1e-12)
    return [
        Case("reaction chain, 2 columns", tight, 2, few),
        Case("Robertson, 3 columns", robertson(4e7), 3, few),
        Case(
            f"Brusselator, 2·{size}²",
            brusselator(size, size, periodic=True, tf=1.0),
            1,
            min(few, 2),
        ),
        Case(
            f"Brusselator, n = {2 * cells[0] * cells[1]}",
            brusselator(*cells, periodic=True, tf=0.5),
            1,
            1,
        ),
    ]


def measured(case: Case) -> dict[str, float | int | str | None]:
    """The CPU seconds of a value and gradient and of a product, their ratio, and counts."""
    problem, p = case.problem, case.nominal
    trajectory = problem.solve(p)
    case.gradient(trajectory)

    def once() -> None:
        case.gradient(problem.solve(p))

    gradient = _shortest(once, case.repeats)
    product = _shortest(lambda: case.products(trajectory), case.repeats)
    with adjoint.counting() as counts:
        HV = case.products(trajectory)
    S = p[: case.columns, None] * HV[: case.columns]
    return {
        "case": case.name,
        "steps": trajectory.grid.size - 1,
        "value and gradient, s": gradient,
        "product, s": product,
        "ratio": product / gradient,
        "factorizations": counts.numeric,
        "solves": counts.solves,
        "asymmetry": float(np.abs(S - S.T).max() / np.abs(S).max()) if case.columns > 1 else None,
        "kept": trajectory.evidence.storage.kept,
    }


def _shortest(task: Callable[[], object], repeats: int) -> float:
    """The shortest CPU time of a task, in seconds."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        task()
        found.append(time.process_time() - start)
    return min(found)


def main(out: Path | None, small: bool) -> list[dict[str, float | int | str | None]]:
    """Run all cases, print them, and write hessians.json into `out`."""
    results = []
    for case in cases(small):
        result = measured(case)
        results.append(result)
        print(
            f"{result['case']:28s} product / (value and gradient) = {result['ratio']:.2f}, "
            f"{result['factorizations']} factorizations, asymmetry {result['asymmetry']}",
            flush=True,
        )
    if out is not None:
        (out / "hessians.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    main(arguments.out, arguments.small)
