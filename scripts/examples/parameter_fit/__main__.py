"""A conductivity field recovered from noisy temperatures: one unknown parameter in every cell.

    python -m scripts.examples.parameter_fit --out out/parameter_fit

Minimize ½‖C u(eˣ) − d‖² + α TV(x) over x, the logarithm of the conductivity. The
temperature u solves nonlinear conduction with advection. C u − d are the misfits of the
temperatures at the sensors, in units of the noise. Gauss–Newton starts from x = 0. The
discrepancy principle chooses α: the misfit of the fit equals the noise (Engl, Hanke &
Neubauer 1996). Writes fit.png and fit.json.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import LoopProgress
from problems.optimization.thermography import Exponential, Thermography
from problems.optimization.variation import TotalVariation
from scripts.examples.common import options
from scripts.examples.parameter_fit.figures import draw
from scripts.examples.parameter_fit.gauss_newton import fit

CELLS, SENSORS = (120, 90), (40, 30)
SMALL_CELLS, SMALL_SENSORS = (40, 30), (20, 15)
NOISE = 5e-3
"""Standard deviation of the temperatures, K."""

CORNER, ANCHOR = 0.1, 1e-3
"""Parameters of the total variation: slope at which it becomes quadratic, 1/m; weight of x²."""

ITERATIONS = 60


def main(
    out: Path,
    small: bool,
    *,
    noise: float = NOISE,
    iterations: int = ITERATIONS,
    quiet: bool = False,
) -> dict[str, float]:
    """Fit the conductivity, write the figure and the numbers; returns the numbers."""
    cells, sensors = (SMALL_CELLS, SMALL_SENSORS) if small else (CELLS, SENSORS)
    case = Thermography(cells, sensors, noise=noise)
    prior = TotalVariation(cells, case.model.spacing, CORNER, ANCHOR)

    f = adjoint.Reduced(case.problem, adjoint.LeastSquares(case.data, case.observe), Exponential())
    check = adjoint.check(f, 0.5 * case.truth)
    if not check.ok:
        raise adjoint.errors.WrongGradient(check.table())

    start = time.perf_counter()
    with LoopProgress(iterations + 1, quiet=quiet) as show:
        path = fit(case, prior, iterations, show)
    last, error = path[-1], path[-1].x - case.truth
    numbers = {
        "parameters": case.truth.size,
        "measurements": case.data.size,
        "noise, K": case.noise,
        "misfit / noise": last.ratio,
        "gradient / first": last.gradient / path[0].gradient,
        "error of ln p / norm of ln p": float(np.linalg.norm(error) / np.linalg.norm(case.truth)),
        "median error of p": float(np.median(np.abs(np.expm1(error)))),
        "iterations": len(path) - 1,
        "factorizations of dR/du": sum(each.solution.evidence.counts.numeric for each in path),
        "factorizations": last.counts.numeric,
        "seconds": time.perf_counter() - start,
        "check: order of the remainder": check.orders[1],
        "check: relative error": check.relative_error,
        "history": [[each.counts.numeric, each.ratio, each.gradient, each.alpha] for each in path],
    }
    draw(case, path, numbers["seconds"], out / "fit.png")
    (out / "fit.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for name, value in numbers.items():
        if name != "history":
            print(f"{name:32s} {value:.6g}")
    return numbers


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    parser = options.parser("parameter_fit", __doc__, "40 x 30 cells: seconds")
    parser.add_argument(
        "--noise", type=float, default=NOISE, help=f"standard deviation, K (default: {NOISE:g})"
    )
    parser.add_argument(
        "--iterations",
        type=int,
        default=ITERATIONS,
        help=f"maximum number of iterations (default: {ITERATIONS})",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "parameter_fit")
