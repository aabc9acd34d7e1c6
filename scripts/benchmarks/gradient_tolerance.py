"""Topology optimization in 3-D with and without a gradient tolerance, in one process.

``python -m scripts.benchmarks.gradient_tolerance [--out DIR] [--small]`` prints, for each
optimizer and preconditioner, the ratios of CPU times and of Krylov iterations and the
difference of the compliances, and writes gradient_tolerance.json. Both runs solve to the
default tolerance of `cg`, 1e-10; one of the runs loosens solves by
``gradient_tolerance=0.1``. CPU times include threads that wait: set OMP_NUM_THREADS,
MKL_NUM_THREADS and OPENBLAS_NUM_THREADS to 1.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import adjoint
from adjoint.factor.protocols import Preconditioner
from adjoint.optimize import MMA, LinearConstraint, OptimalityCriteria, Result, State
from adjoint.optimize.state import Algorithm
from adjoint.typing import Array
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import Elastic, cantilever_3d

CELLS, SMALL = ((12, 6, 6), (24, 12, 12)), ((8, 4, 4),)
"""Numbers of elements along x, y and z."""

TOLERANCE = 0.1
"""The gradient tolerance."""

FRACTION, PENALTY, RADIUS = 0.3, 3.0, 1.5
"""Volume fraction, penalty of SIMP, and radius of the density filter in elements."""

STOP = adjoint.Stopping(iterations=150, change=0.01)
"""The published rule: a run has converged if no density changes by more than 0.01. The larger
problem spends its budget."""


Row = dict[str, float | int | str]
"""The figures of a case by their names."""


@dataclass(frozen=True, eq=False)
class Run:
    """A run of `minimize`: its result, and what it cost.

    seconds: CPU time. rtol: the tolerance of solves of each iteration, 0 for the user's own.
    """

    result: Result
    seconds: float
    krylov: int
    solves: int
    rtol: list[float]


def optimizers(volume: LinearConstraint) -> dict[str, Algorithm]:
    """The optimizers of the benchmark."""
    return {
        "OC": OptimalityCriteria(volume),
        "MMA": MMA((volume,), adjoint.Bounds(0.0, 1.0), move=0.2),
    }


def preconditioners(body: Elastic) -> dict[str, Callable[[], Preconditioner]]:
    """The preconditioners of the benchmark, made when they are needed."""

    def amg() -> Preconditioner:
        modes = adjoint.factor.rigid_body_modes(body.grid.nodes)
        return adjoint.factor.amg(modes[body.free])

    return {"jacobi": adjoint.factor.jacobi, "amg": amg}


def run(f: adjoint.Reduced, start: Array, algorithm: Algorithm, tolerance: float | None) -> Run:
    """One optimization from the given design."""
    rtol: list[float] = []

    def observe(state: State) -> None:
        rtol.append(state.rtol)

    began = time.process_time()
    with adjoint.counting() as counts:
        result = adjoint.minimize(
            f, start, algorithm, stop=STOP, gradient_tolerance=tolerance, callback=observe
        )
    seconds = time.process_time() - began
    return Run(result, seconds, counts.krylov, counts.solves, rtol)


def compared(
    name: str, unknowns: int, f: adjoint.Reduced, start: Array, algorithm: Algorithm
) -> Row:
    """The two runs of a case, one after the other, and their ratios."""
    plain = run(f, start, algorithm, None)
    tuned = run(f, start, algorithm, TOLERANCE)
    values = [each.result.value for each in (plain, tuned)]
    return {
        "case": name,
        "unknowns": unknowns,
        "compliance": values[0],
        "compliance, tuned": values[1],
        "difference": abs(values[1] - values[0]) / abs(values[0]),
        "status": plain.result.status.name,
        "status, tuned": tuned.result.status.name,
        "iterations": plain.result.iterations,
        "iterations, tuned": tuned.result.iterations,
        "krylov": plain.krylov,
        "krylov, tuned": tuned.krylov,
        "seconds": plain.seconds,
        "seconds, tuned": tuned.seconds,
        "ratio of krylov": plain.krylov / tuned.krylov,
        "ratio of seconds": plain.seconds / tuned.seconds,
        "tightest rtol of an iteration": min(tuned.rtol),
        "rtol of the result": tuned.result.found.rtol,
    }


def measured(cells: tuple[int, int, int]) -> Iterator[Row]:
    """The rows of a cantilever with these numbers of elements."""
    body = cantilever_3d(*cells)
    smooth = density_filter(body.grid, RADIUS)
    elements = int(np.prod(cells))
    volume = LinearConstraint.volume(smooth, np.ones(elements), FRACTION)
    start = np.full(elements, FRACTION)
    for solver, make in preconditioners(body).items():
        try:
            factorize = adjoint.cg(make(), max_iterations=10_000)
        except adjoint.errors.BackendMissing as reason:
            print(f"{solver}: left out ({reason})")
            continue
        problem = replace(body.problem, factorize=factorize)
        design = smooth >> adjoint.design.SIMP(PENALTY)
        f = adjoint.Reduced(problem, adjoint.Compliance(body.load), design)
        for name, algorithm in optimizers(volume).items():
            yield compared(f"{name}, {solver}", body.load.size, f, start, algorithm)


def main(out: Path | None, small: bool) -> list[Row]:
    """Run all cases, print them, and write gradient_tolerance.json into `out`."""
    rows: list[Row] = []
    for cells in SMALL if small else CELLS:
        for row in measured(cells):
            rows.append(row)
            print(
                f"{row['case']:12s} n = {row['unknowns']}, CPU time {row['ratio of seconds']:.2f} "
                f"and Krylov iterations {row['ratio of krylov']:.2f} times fewer, compliance "
                f"{row['compliance']:.7g} and {row['compliance, tuned']:.7g}, "
                f"{row['status']} and {row['status, tuned']}",
                flush=True,
            )
            if out is not None:
                text = json.dumps(rows, indent=1) + "\n"
                (out / "gradient_tolerance.json").write_text(text, encoding="utf-8")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    main(arguments.out, arguments.small)
