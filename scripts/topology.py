"""Compliance minimization of the half MBB beam, with its convergence report.

    python -m scripts.topology --nelx 300 --nely 100 --filter density --out out/mbb

minimize the work of the load over the densities x of the elements, 0 ≤ x ≤ 1, at a given volume, by optimality
criteria; the modulus is SIMP's, 10⁻⁹ + xᵖ (1 − 10⁻⁹). Writes history.jsonl, designs/, design.png, design.vti and the
report as .html, .png and .pdf. Andreassen, Clausen, Schevenels, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim.
43, 1.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import adjoint
from adjoint.optimize import State
from adjoint.report import (
    DesignKeeper,
    ProgressLine,
    Recorder,
    convergence_report,
    environment,
    write_design,
    write_vti,
)
from problems.filters import density_filter, helmholtz_filter
from problems.grid import Grid
from problems.steady.elasticity import mbb
from scripts.options import parsed

RADIUS, CHANGE = (
    0.04,
    0.01,
)  # of the filter, relative to the width; of the densities, at which the run ends
FILTERS, SMALL = ("density", "sensitivity", "helmholtz"), (60, 20)


def main(options: argparse.Namespace) -> adjoint.Result:
    """Optimize the beam of the given options and write its report; returns the result."""
    nelx, nely, out = options.nelx, options.nely, Path(options.out)
    elements = nelx * nely
    radius = RADIUS * nelx if options.radius is None else options.radius
    body = mbb(nelx, nely)
    smooth, heuristic = filters(body.grid, options.filter, radius)
    f = body.compliance(adjoint.design.Composed(smooth, adjoint.design.SIMP(options.penalty)))
    volume = adjoint.optimize.LinearConstraint.volume(smooth, np.ones(elements), options.volume)
    algorithm = adjoint.optimize.OptimalityCriteria(volume, sensitivity_filter=heuristic)
    stop = adjoint.Stopping(iterations=options.iterations, change=CHANGE, stationarity=0.0)
    start = np.full(elements, options.volume)

    def measures(state: State) -> dict[str, float | None]:
        density = smooth(state.x)
        return {
            "volume": float(density.mean()),
            "grayness": float(4.0 * np.mean(density * (1.0 - density))),
        }

    def picture(state: State) -> np.ndarray:
        return np.clip(smooth(state.x), 0.0, 1.0).reshape(nelx, nely).T

    recorder = Recorder(out / "history.jsonl", measures)
    recorder.header(
        f"MBB beam, {nelx} x {nely} elements, {options.filter} filter",
        problem={
            "unknowns": body.K.n,
            "design variables": elements,
            "nonzeros of K": body.K.scatter[1].nnz,
            "filter": f"{options.filter}, radius {radius:g} elements",
            "penalty": options.penalty,
            "volume fraction": options.volume,
        },
        environment=environment(f(start).solution.evidence),
        algorithm=algorithm,
        stop=stop,
        constraints=["volume"],
        taylor=adjoint.check(f, start),
    )
    keeper = DesignKeeper(out, picture)
    with ProgressLine(stop, quiet=options.quiet) as progress:
        each = (recorder, keeper, progress)
        result = adjoint.minimize(f, start, algorithm, stop=stop, check=False, callback=each)
    recorder.result(result)
    write_design(out / "design.png", picture(result.found))
    write_vti(out / "design.vti", {"density": picture(result.found)}, body.grid.spacing, (0.0, 0.0))
    convergence_report([out], out)
    print(
        f"compliance {result.value:.6f} after {result.iterations} iterations. {result.status.value}"
    )
    return result


def filters(
    grid: Grid, name: str, radius: float
) -> tuple[adjoint.protocols.DesignMap, adjoint.optimize.SensitivityFilter | None]:
    """The filter of the densities, and the heuristic of the sensitivities, for one of FILTERS."""
    if name == "sensitivity":
        return adjoint.design.Identity(), adjoint.optimize.SensitivityFilter(
            density_filter(grid, radius)
        )
    return (density_filter if name == "density" else helmholtz_filter)(grid, radius), None


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.topology", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--nelx", type=int, default=300, help="elements along the beam (default: 300)"
    )
    parser.add_argument(
        "--nely", type=int, default=100, help="elements over its height (default: 100)"
    )
    parser.add_argument("--filter", choices=FILTERS, default="density", help="default: density")
    parser.add_argument(
        "--radius", type=float, help="of the filter, in elements (default: 0.04 nelx)"
    )
    parser.add_argument(
        "--volume", type=float, default=0.5, help="solid fraction of the area (default: 0.5)"
    )
    parser.add_argument("--penalty", type=float, default=3.0, help="SIMP exponent (default: 3)")
    parser.add_argument(
        "--iterations", type=int, default=300, help="at most so many (default: 300)"
    )
    parser.add_argument("--small", action="store_true", help="the published 60 x 20 mesh: seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    options = parsed(parser, arguments)
    options.nelx, options.nely = SMALL if options.small else (options.nelx, options.nely)
    return options


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError) as error:
        sys.exit(f"topology: {error}")
