"""A conductivity field recovered from noisy temperatures: one unknown parameter in every cell.

    python -m scripts.parameter_fit --out out/parameter_fit

minimize ½‖C u(eˣ) − d‖² + α TV(x) over x, the logarithm of the conductivity; u solves nonlinear conduction with
advection, C u − d are misfits of temperatures at the sensors, in units of the noise. Gauss–Newton from x = 0; α is
chosen by the discrepancy principle (Engl, Hanke & Neubauer, 1996): it ends at the noise. Writes fit.png and fit.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import Curve, Graph, LoopProgress, Map, Shades, write_sheet
from adjoint.report.figures.style import BLUE, VERMILLION
from problems.optimization.thermography import Exponential, Thermography
from problems.optimization.variation import TotalVariation
from scripts.gauss_newton import Iterate, fit
from scripts.options import parsed

CELLS, SENSORS, SMALL = (120, 90), (40, 30), ((40, 30), (20, 15))
CORNER, ANCHOR = 0.1, 1e-3  # of the total variation: 1/m, and 1


def main(options: argparse.Namespace) -> dict[str, float]:
    """Fit the conductivity, write the figure and the numbers; returns the numbers."""
    cells, sensors = SMALL if options.small else (CELLS, SENSORS)
    case = Thermography(cells, sensors, noise=options.noise)
    prior = TotalVariation(cells, case.model.spacing, CORNER, ANCHOR)
    f = adjoint.Reduced(case.problem, adjoint.LeastSquares(case.data, case.observe), Exponential())
    report = adjoint.check(f, 0.5 * case.truth)
    if not report.ok:
        raise adjoint.errors.WrongGradient(report.table())
    start = time.perf_counter()
    with LoopProgress(options.iterations + 1, quiet=options.quiet) as show:
        path = fit(case, prior, options.iterations, show)
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
        "check: order of the remainder": report.orders[1],
        "check: relative error": report.relative_error,
        "history": [[each.counts.numeric, each.ratio, each.gradient, each.alpha] for each in path],
    }
    draw(case, path, numbers["seconds"], Path(options.out) / "fit.png")
    Path(options.out, "fit.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(
        "\n".join(f"{name:32s} {value:.6g}" for name, value in numbers.items() if name != "history")
    )
    return numbers


def draw(case: Thermography, path: list[Iterate], seconds: float, file: Path) -> None:
    """Truth, estimate, their ratio; temperatures with sensors, misfit, convergence."""
    shape, size, last = case.cells, case.model.size, path[-1]
    true, found = np.exp(case.truth).reshape(shape), last.solution.p.reshape(shape)
    limits = (float(true.min()), float(true.max()))
    centres = np.stack(case.centres, axis=1)[case.measured]
    misfit = case.observe @ last.solution.u - case.data
    work = np.array([each.counts.numeric for each in path])
    ratios, falls = (
        np.array([getattr(each, name) for each in path]) for name in ("ratio", "gradient")
    )
    unit = "conductivity / heat capacity, m²/s"
    plots = [
        Map("Truth", true, size, unit, logarithmic=True, limits=limits),
        Map("Estimate", found, size, unit, logarithmic=True, limits=limits),
        Map(
            "Error",
            np.log(found / true),
            size,
            "ln (estimate / truth)",
            shades=Shades.DIVERGING,
            limits=(-1.0, 1.0),
        ),
        Map(
            "Temperature and sensors", last.solution.u.reshape(shape), size, "u / K", points=centres
        ),
        Map(
            "Misfit at the sensors",
            true,
            size,
            "misfit / σ",
            shades=Shades.DIVERGING,
            points=centres,
            at_points=misfit,
        ),
        Graph(
            "Convergence",
            "factorizations",
            "relative to noise, to first gradient",
            [
                Curve(work, ratios, "misfit / noise", BLUE, marker="o"),
                Curve(work, falls / falls[0], "gradient", VERMILLION, marker="o"),
            ],
            logarithmic=(False, True),
            level=1.0,
        ),
    ]
    subtitle = (
        f"{case.truth.size} parameters from {case.data.size} temperatures with noise of σ = {case.noise:g} K: misfit "
        f"{last.ratio:.3f} of the noise after {len(path) - 1} iterations, {work[-1]} factorizations, {seconds:.0f} s"
    )
    write_sheet(file, "Conductivity recovered from noisy temperatures", subtitle, plots, 3, 4.0)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.parameter_fit", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--noise", type=float, default=5e-3, help="standard deviation, K (default: 0.005)"
    )
    parser.add_argument("--iterations", type=int, default=60, help="at most so many (default: 60)")
    parser.add_argument("--small", action="store_true", help="40 x 30 cells: seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return parsed(parser, arguments)


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError, adjoint.errors.WrongGradient) as error:
        sys.exit(f"parameter_fit: {error}")
