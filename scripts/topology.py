"""Compliance minimization of the half MBB beam, with its convergence report.

    python -m scripts.topology --nelx 300 --nely 100 --filter density --out out/mbb

minimize the work of the load over the densities x of the elements, 0 ≤ x ≤ 1, at a given volume, by optimality
criteria; the modulus is SIMP's, 10⁻⁹ + xᵖ (1 − 10⁻⁹). Writes history.jsonl, design.png, design.vti, report.png and
report.html. Andreassen, Clausen, Schevenels, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43, 1.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

import adjoint
from adjoint.optimize import CriteriaState
from adjoint.report import HistoryWriter, read_history, write_design, write_report, write_vti
from adjoint.report.environment import environment
from adjoint.report.recorder import Recorder
from problems.elasticity import mbb
from problems.filters import density_filter, helmholtz_filter

RADIUS = 0.04  # of the width: 2.4 elements on the published 60 x 20 mesh
CHANGE = 0.01  # the run ends when no density changes by more in an iteration
LINE = 50  # iterations from one line of progress to the next, where the output is no terminal
MOST_DESIGNS = 240  # kept for the report; every second one is dropped when there are more
SMALL = {"nelx": 60, "nely": 20}
PROGRESS = "iteration {n} of at most {total} [{elapsed}, at most {remaining} left, {rate_fmt}]{postfix}"


def main(options: argparse.Namespace) -> adjoint.Result:
    """Optimize the beam of the given options and write its report; returns the result."""
    nelx, nely = options.nelx, options.nely
    radius = options.radius or RADIUS * nelx
    body = mbb(nelx, nely)
    elements = nelx * nely
    heuristic, smooth = None, adjoint.Identity()
    if options.filter == "sensitivity":
        heuristic = adjoint.SensitivityFilter(density_filter(body.grid, radius))
    elif options.filter == "density":
        smooth = density_filter(body.grid, radius)
    else:
        smooth = helmholtz_filter(body.grid, radius)
    f = body.compliance(adjoint.Composed(smooth, adjoint.Simp(options.penalty)))
    volume = adjoint.LinearConstraint.volume(smooth, np.ones(elements), options.volume)
    algorithm = adjoint.OptimalityCriteria(volume, sensitivity_filter=heuristic)
    stop = adjoint.Stopping(iterations=options.iterations, change=CHANGE, stationarity=0.0)
    start = np.full(elements, options.volume)

    def image(x: np.ndarray) -> np.ndarray:
        return np.clip(smooth(x), 0.0, 1.0).reshape(nelx, nely).T

    def measures(state: CriteriaState) -> dict[str, float | None]:
        density = smooth(state.x)
        return {
            "projected_gradient": state.projected,
            "kkt": state.stationarity,
            "multiplier": state.multiplier,
            "step": algorithm.move,
            "volume": float(density.mean()),
            "constraint_violation": state.violation / elements,
            "grayness": float(4.0 * np.mean(density * (1.0 - density))),
        }

    out = Path(options.out)
    recorder = Recorder(HistoryWriter(out / "history.jsonl"), measures)
    taylor = adjoint.check(f, start)
    recorder.header(
        f"MBB beam, {nelx} x {nely} elements, {options.filter} filter",
        {
            "unknowns": body.K.n,
            "design variables": elements,
            "nonzeros of K": int(body.K(np.ones(elements)).nnz),
            "filter": f"{options.filter}, radius {radius:g} elements",
            "penalty": options.penalty,
            "volume fraction": options.volume,
        },
        environment(f(start).solution.evidence),
        "optimality criteria, move limit 0.2, exponent 1/2",
        {"change": CHANGE},
        taylor,
    )
    designs = []
    terminal = sys.stdout.isatty()
    with tqdm(
        total=options.iterations,
        unit="it",
        bar_format=PROGRESS,
        disable=options.quiet or not terminal,
        file=sys.stdout,
    ) as bar:

        def each(state: CriteriaState) -> None:
            recorder(state)
            designs.append((state.iteration, image(state.x)))
            if len(designs) > MOST_DESIGNS:
                del designs[1::2]
            progress = f"c = {state.value:.4f}, change {state.change:.3f}"
            bar.set_postfix_str(progress, refresh=False)
            bar.update()
            if not (terminal or options.quiet) and state.iteration % LINE == 0:
                print(f"iteration {state.iteration} of at most {options.iterations}: {progress}", flush=True)

        with recorder.running():
            result = adjoint.minimize(f, start, algorithm, stop=stop, check=False, each=each)
    recorder.result(result)
    write_design(out / "design.png", designs[-1][1])
    write_vti(out / "design.vti", {"density": designs[-1][1]}, body.grid.spacing, (0.0, 0.0))
    write_report(read_history(out / "history.jsonl"), designs, out)
    print(f"compliance {result.value:.6f} after {result.state.iteration} iterations. {result.status.value}")
    return result


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nelx", type=int, default=300, help="elements along the beam")
    parser.add_argument("--nely", type=int, default=100, help="elements over its height")
    parser.add_argument("--filter", choices=("density", "sensitivity", "helmholtz"), default="density")
    parser.add_argument("--radius", type=float, help="of the filter, in elements (default: 0.04 nelx)")
    parser.add_argument("--volume", type=float, default=0.5, help="fraction of the area that may be solid")
    parser.add_argument("--penalty", type=float, default=3.0, help="SIMP exponent")
    parser.add_argument("--iterations", type=int, default=300, help="at most so many")
    parser.add_argument("--small", action="store_true", help="the published 60 x 20 mesh: seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument("--out", required=True, help="directory for everything that is written")
    options = parser.parse_args(arguments)
    if options.small:
        options.nelx, options.nely = SMALL["nelx"], SMALL["nely"]
    return options


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
