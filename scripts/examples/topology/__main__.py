"""Compliance minimization of the half MBB beam, with its convergence report.

    python -m scripts.examples.topology --nelx 300 --nely 100 --filter density --out out/mbb

Minimize the work of the load over the design variables x of the elements, 0 ≤ x ≤ 1, at a
given volume. The densities are ρ = projection(filter(x)), and Young's modulus is that of
SIMP, 10⁻⁹ + ρᵖ (1 − 10⁻⁹). The algorithm SiMPL stops when the KKT residual, relative to its
first value, is 10⁻⁴. The following options give the published benchmark, 60 x 20 elements
with optimality criteria (OC) and no projection:

    python -m scripts.examples.topology --small --algorithm oc --projection 0 --out out/oc

The files written are history.jsonl, designs/, design.png, design.vti, and the report as
.html, .png and .pdf.

Andreassen, Clausen, Schevenels, Lazarov & Sigmund (2011), Struct. Multidiscip. Optim. 43,
1; Kim, Lazarov, Surowiec & Keith (2024), arXiv 2411.19421.
"""

import argparse
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

import adjoint
from adjoint.optimize import OptimalityCriteria, SiMPL, State
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
from scripts.examples.common import options
from scripts.examples.topology.beam import FILTERS, Beam

ALGORITHMS = ("simpl", "oc")
"""Values of --algorithm."""

ITERATIONS = 300
"""Default of --iterations."""

BEAM = Beam()
"""Defaults of the options of the beam: 300 x 100 elements."""

SMALL = (60, 20)
"""Numbers of elements with --small."""

KKT = 1e-4
"""KKT residual, relative to the first, at which a run of SiMPL stops.

Five times as many iterations lower the compliance of the 300 x 100 beam by another 0.4 %,
and give the same members.
"""

CHANGE = 0.01
"""Largest change of a design variable in an iteration at which a run of OC stops.

The value is that of the publication.
"""


def main(
    out: Path,
    small: bool,
    *,
    beam: Beam = BEAM,
    algorithm: str = "simpl",
    iterations: int = ITERATIONS,
    quiet: bool = False,
) -> adjoint.Result:
    """Optimize the beam, write the files to `out`, and return the result.

    small: True for SMALL elements instead of those of `beam`. iterations: maximum number
    of iterations. quiet: True for no progress line.
    """
    if small:
        beam = replace(beam, nelx=SMALL[0], nely=SMALL[1])
    f, volume = beam.compliance, beam.volume_constraint
    if algorithm == "oc":
        method = OptimalityCriteria(volume, sensitivity_filter=beam.sensitivity_filter)
        stop = adjoint.Stopping(iterations=iterations, change=CHANGE, stationarity=0.0)
    else:
        method = SiMPL(volume)
        stop = adjoint.Stopping(iterations=iterations, stationarity=KKT)

    def measures(state: State) -> dict[str, float | None]:
        """Fractions for the report: volume; grayness, 0 for ρ = 0 or 1 everywhere, 1 for ρ = ½."""
        rho = beam.density(state.x)
        return {"volume": float(rho.mean()), "grayness": float(4.0 * np.mean(rho * (1.0 - rho)))}

    recorder = Recorder(out / "history.jsonl", measures)
    recorder.header(
        f"MBB beam, {beam.nelx} x {beam.nely} elements, {beam.filter} filter",
        problem={
            "unknowns": beam.body.K.n,
            "design variables": beam.elements,
            "nonzeros of K": beam.body.K.scatter[1].nnz,
            "filter": f"{beam.filter}, radius {beam.filter_radius:g} elements",
            "projection": f"beta = {beam.projection:g}" if beam.projection else "none",
            "penalty": beam.penalty,
            "volume fraction": beam.volume,
        },
        environment=environment(f(beam.start).solution.evidence),
        algorithm=method,
        stop=stop,
        constraints=["volume"],
        taylor=adjoint.check(f, beam.start),
    )
    keeper = DesignKeeper(out, lambda state: beam.picture(state.x))
    with ProgressLine(stop, quiet=quiet) as progress:
        callback = (recorder, keeper, progress)
        # check=False: the header has a Taylor test of the gradient already.
        result = adjoint.minimize(f, beam.start, method, stop=stop, check=False, callback=callback)
    recorder.result(result)

    picture = beam.picture(result.found.x)
    write_design(out / "design.png", picture)
    write_vti(out / "design.vti", {"density": picture}, beam.body.grid.spacing, (0.0, 0.0))
    convergence_report([out], out)
    print(f"compliance {result.value:.6f} after {result.iterations} iterations.", end=" ")
    print(result.status.value)
    if algorithm == "simpl":
        kkt = [record["kkt"] for record in read_history(out / "history.jsonl").iterations]
        print(f"KKT residual: first {kkt[0]:.3g}, last {kkt[-1]:.3g}", end="")
        print(f", {kkt[-1] / kkt[0]:.1e} of the first.")
        print(f"Tolerance: {KKT:g} of the first.")
    return result


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line, and return the arguments of `main`."""
    parser = options.parser("topology", __doc__, "60 x 20 elements: seconds")

    def add(name: str, kind: type, text: str) -> None:
        """Add an option with the default of BEAM."""
        default = getattr(BEAM, name)
        shown = "0.04 nelx" if default is None else f"{default:g}"
        parser.add_argument(
            f"--{name}", type=kind, default=default, help=f"{text} (default: {shown})"
        )

    add("nelx", int, "elements along the beam")
    add("nely", int, "elements over its height")
    parser.add_argument(
        "--filter", choices=FILTERS, default="density", help="filter (default: density)"
    )
    add("projection", float, "steepness of the projection, 0: none")
    add("radius", float, "radius of the filter, in elements")
    add("volume", float, "solid fraction of the area")
    add("penalty", float, "SIMP exponent")
    parser.add_argument(
        "--algorithm", choices=ALGORITHMS, default="simpl", help="algorithm (default: simpl)"
    )
    parser.add_argument(
        "--iterations",
        type=int,
        default=ITERATIONS,
        help=f"maximum number of iterations (default: {ITERATIONS})",
    )
    given = vars(parser.parse_args(arguments))
    if given["filter"] == "sensitivity" and (given["algorithm"] != "oc" or given["projection"]):
        parser.error(
            "--filter sensitivity is an option of optimality criteria: "
            "add --algorithm oc --projection 0"
        )
    beam = Beam(**{field.name: given.pop(field.name) for field in fields(Beam)})
    return argparse.Namespace(beam=beam, **given)


if __name__ == "__main__":
    options.run(main, parse, "topology")
