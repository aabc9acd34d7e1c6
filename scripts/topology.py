"""Compliance minimization of the half MBB beam, with its convergence report.

    python -m scripts.topology --nelx 300 --nely 100 --filter density --out out/mbb

Minimize the work of the load over the design variables x of the elements, 0 ≤ x ≤ 1, at a
given volume. The densities are ρ = projection(filter(x)), Young's modulus is SIMP's,
10⁻⁹ + ρᵖ (1 − 10⁻⁹). SiMPL stops when the KKT residual is 10⁻⁴ of the first one. Two
options give the published benchmark, 60 x 20 elements by optimality criteria:

    python -m scripts.topology --small --algorithm oc --projection 0 --out out/published

Writes history.jsonl, designs/, design.png, design.vti and the report as .html, .png and
.pdf.

Andreassen, Clausen, Schevenels, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43,
1; Kim, Lazarov, Surowiec & Keith (2024), arXiv 2411.19421.
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
    read_history,
    write_design,
    write_vti,
)
from problems.filters import density_filter, helmholtz_filter
from problems.grid import Grid
from problems.steady.elasticity import mbb
from scripts.options import parsed

RADIUS = 0.04
"""Of the filter, relative to the length of the beam."""

KKT = 1e-4
"""SiMPL: the KKT residual that ends the run, relative to the first. A run of five times as
many iterations lowers the compliance of the 300 x 100 beam by another 0.4 %, and shows the
same members."""

CHANGE = 0.01
"""Optimality criteria: the change of a density in one iteration that ends the run, as published."""

FILTERS, ALGORITHMS, SMALL = ("density", "sensitivity", "helmholtz"), ("simpl", "oc"), (60, 20)


def main(options: argparse.Namespace) -> adjoint.Result:
    """Optimize the beam of the given options and write its report; returns the result."""
    nelx, nely, out = options.nelx, options.nely, Path(options.out)
    elements = nelx * nely
    radius = RADIUS * nelx if options.radius is None else options.radius
    body = mbb(nelx, nely)
    smooth, heuristic = filters(body.grid, options.filter, radius)
    density, volume = densities(smooth, options.projection, np.ones(elements), options.volume)
    f = body.compliance(adjoint.design.Composed(density, adjoint.design.SIMP(options.penalty)))
    if options.algorithm == "oc":
        algorithm = adjoint.optimize.OptimalityCriteria(volume, sensitivity_filter=heuristic)
        stop = adjoint.Stopping(iterations=options.iterations, change=CHANGE, stationarity=0.0)
    else:
        algorithm = adjoint.optimize.SiMPL(volume)
        stop = adjoint.Stopping(iterations=options.iterations, stationarity=KKT)
    start = np.full(elements, options.volume)

    def measures(state: State) -> dict[str, float | None]:
        rho = density(state.x)
        return {"volume": float(rho.mean()), "grayness": float(4.0 * np.mean(rho * (1.0 - rho)))}

    def picture(state: State) -> np.ndarray:
        return np.clip(density(state.x), 0.0, 1.0).reshape(nelx, nely).T

    recorder = Recorder(out / "history.jsonl", measures)
    recorder.header(
        f"MBB beam, {nelx} x {nely} elements, {options.filter} filter",
        problem={
            "unknowns": body.K.n,
            "design variables": elements,
            "nonzeros of K": body.K.scatter[1].nnz,
            "filter": f"{options.filter}, radius {radius:g} elements",
            "projection": f"beta = {options.projection:g}" if options.projection else "none",
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
    if options.algorithm == "simpl":
        kkt = [record["kkt"] for record in read_history(out / "history.jsonl").iterations]
        print(
            f"KKT residual: first {kkt[0]:.3g}, last {kkt[-1]:.3g}, {kkt[-1] / kkt[0]:.1e} of the first."
        )
        print(f"Tolerance: {KKT:g} of the first.")
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


def densities(
    smooth: adjoint.protocols.DesignMap, beta: float, areas: np.ndarray, fraction: float
) -> tuple[
    adjoint.protocols.DesignMap,
    adjoint.optimize.LinearConstraint | adjoint.optimize.DesignConstraint,
]:
    """The map to the densities, with the constraint on their volume; beta: of the projection, 0: none."""
    if beta == 0.0:
        return smooth, adjoint.optimize.LinearConstraint.volume(smooth, areas, fraction)
    projected = adjoint.design.Composed(smooth, adjoint.design.HeavisideProjection(beta))
    return projected, adjoint.optimize.DesignConstraint.volume(projected, areas, fraction)


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
        "--projection", type=float, default=8.0, help="its steepness, 0: none (default: 8)"
    )
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="simpl", help="default: simpl")
    parser.add_argument(
        "--radius", type=float, help="of the filter, in elements (default: 0.04 nelx)"
    )
    parser.add_argument(
        "--volume", type=float, default=0.5, help="solid fraction of the area (default: 0.5)"
    )
    parser.add_argument("--penalty", type=float, default=3.0, help="SIMP exponent (default: 3)")
    parser.add_argument(
        "--iterations", type=int, default=300, help="maximum number of iterations (default: 300)"
    )
    parser.add_argument("--small", action="store_true", help="60 x 20 elements: seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    options = parsed(parser, arguments)
    if options.filter == "sensitivity" and (options.algorithm != "oc" or options.projection):
        parser.error(
            "--filter sensitivity is an option of optimality criteria: add --algorithm oc --projection 0"
        )
    options.nelx, options.nely = SMALL if options.small else (options.nelx, options.nely)
    return options


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError) as error:
        sys.exit(f"topology: {error}")
