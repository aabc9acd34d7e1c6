"""Iterations over mesh size for the mother problem, by steps in the right inner product and in the wrong one.

    python -m scripts.mesh_independence --out out/mesh_independence

minimize ½‖v − v_d‖² + ½β‖u‖² subject to −Δv = u, from u = 0, on n × n cells, the least in the middle. Right is
the product of the mass matrix, ‖u‖² = ∫u²; wrong is the sum over the nodes. Whatever the steps, a run ends when the
gradient's norm in the right product is 10⁻⁶ of the first. Writes iterations.png and iterations.json.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adjoint.report import LoopProgress
from problems.optimization.mother_problem import MotherProblem, graded
from scripts.mesh_figures import draw
from scripts.mesh_runs import NAMES, TOLERANCE, Run, all_runs
from scripts.options import parsed

SIZES, SMALL = (16, 32, 64, 128, 256, 512), 64
POWER = 2.0  # of the grading: the narrowest cells are 2/n as wide as the mean


def main(options: argparse.Namespace) -> dict[str, object]:
    """Run every algorithm on every mesh, draw, and write the numbers; returns them."""
    sizes = [n for n in SIZES if n <= (SMALL if options.small else SIZES[-1])]
    runs: list[Run] = []
    with LoopProgress(len(NAMES) * len(sizes), quiet=options.quiet) as show:  # At most: see FINEST.
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
        "narrowest over widest cell": [float(_ratio(graded(n, POWER))) for n in sizes],
        "iterations": iterations,
        "most less least iterations": {
            name: max(counts) - min(counts) for name, counts in iterations.items()
        },
        "evaluations": table(lambda run: run.evaluations),
        "seconds": table(lambda run: run.seconds),
        "last gradient over first": table(lambda run: float(run.falls[-1])),
    }
    draw(runs, Path(options.out) / "iterations.png")
    Path(options.out, "iterations.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(f"{'n':32s}", *(f"{n:5d}" for n in sizes))
    for name, counts in iterations.items():
        print(f"{name:32s}", *(f"{count:5d}" for count in counts))
    return numbers


def _ratio(lines: np.ndarray) -> float:
    return np.diff(lines).min() / np.diff(lines).max()


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.mesh_independence", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--small", action="store_true", help=f"n to {SMALL}: seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return parsed(parser, arguments)


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, RuntimeError) as error:  # SolveError is a RuntimeError.
        sys.exit(f"mesh_independence: {error}")
