"""Iterations over mesh size for the mother problem, with two inner products.

    python -m scripts.examples.mesh_independence --out out/mesh_independence

Minimize ½‖v − v_d‖² + ½β‖u‖² subject to −Δv = u, from u = 0, on n × n cells whose narrowest
are in the middle. The right inner product belongs to the mass matrix, ‖u‖² = ∫u². The wrong
inner product is the sum over the nodes. Every run ends when the norm of the gradient,
measured with the mass matrix, is 10⁻⁶ of the first. Writes iterations.png and
iterations.json.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adjoint.report import LoopProgress
from problems.optimization.mother_problem import MotherProblem, graded
from scripts.examples.common import options
from scripts.examples.mesh_independence.figures import draw
from scripts.examples.mesh_independence.runs import NAMES, TOLERANCE, Run, all_runs

SIZES = (16, 32, 64, 128, 256, 512)
"""Cells along a side, n."""

SMALL_SIZES = (16, 32, 64)

POWER = 2.0
"""Exponent of the grading: the narrowest cells are 2/n times as wide as the mean."""


def main(out: Path, small: bool, *, quiet: bool = False) -> dict[str, object]:
    """Run every algorithm on every mesh, draw, and write the numbers; returns the numbers."""
    sizes = SMALL_SIZES if small else SIZES
    runs: list[Run] = []
    with LoopProgress(len(NAMES) * len(sizes), quiet=quiet) as show:
        for n in sizes:
            case = MotherProblem((graded(n, POWER), graded(n, POWER)))
            for run in all_runs(case):
                runs.append(run)
                show(len(runs), f"{run.name}, n = {n}: {run.iterations}")

    def table(entry: Callable[[Run], float]) -> dict[str, list[float]]:
        return {name: [entry(run) for run in runs if run.name == name] for name in NAMES}

    iterations = table(lambda run: run.iterations)
    numbers: dict[str, object] = {
        "n": sizes,
        "beta": case.beta,
        "tolerance": TOLERANCE,
        "narrowest over widest cell": [width_ratio(graded(n, POWER)) for n in sizes],
        "iterations": iterations,
        "most less least iterations": {
            name: max(counts) - min(counts) for name, counts in iterations.items()
        },
        "evaluations": table(lambda run: run.evaluations),
        "seconds": table(lambda run: run.seconds),
        "last gradient over first": table(lambda run: float(run.falls[-1])),
    }
    draw(runs, out / "iterations.png")
    (out / "iterations.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(f"{'n':32s}", *(f"{n:5d}" for n in sizes))
    for name, counts in iterations.items():
        print(f"{name:32s}", *(f"{count:5d}" for count in counts))
    return numbers


def width_ratio(lines: np.ndarray) -> float:
    """Return the narrowest over the widest interval between grid lines."""
    return float(np.diff(lines).min() / np.diff(lines).max())


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    small = f"n up to {SMALL_SIZES[-1]}: seconds"
    return options.parser("mesh_independence", __doc__, small).parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "mesh_independence")
