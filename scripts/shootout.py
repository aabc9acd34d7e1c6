"""Every algorithm on three suites: which are solved, at what cost, and how often which one is the cheapest.

    python -m scripts.shootout --out out/shootout

Sums of squares without constraints (Moré, Garbow & Hillstrom 1981; solved: ‖g‖₂ ≤ 10⁻⁶), few variables with constraints
(Svanberg 1987; solved: f to 10⁻⁶, constraints to 10⁻⁶), and beams of several sizes at half the volume (solved: within
0.1 % of the best compliance found by any of them). Performance profiles: Dolan & Moré (2002). Writes shootout.png,
shootout.json and shootout.txt.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import Curve, Graph, Profile, write_sheet
from adjoint.report.figures.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from scripts.contest.suites import PROGRAMS, VOLUME, Suite, compliance, constrained, unconstrained
from scripts.options import parsed

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)  # as in profiles
ALL, FEW = tuple(range(1, 36)), (1, 5, 7)  # the paper's numbers
SIZES, SMALL = ((60, 20), (120, 40), (240, 80)), ((30, 10),)


def main(options: argparse.Namespace) -> dict[str, object]:
    """Run the suites, write figure and tables; returns the numbers."""
    begun, out = time.perf_counter(), Path(options.out)

    def show(problem: str) -> None:
        if not options.quiet:
            print(f"{time.perf_counter() - begun:6.0f} s  {problem}", flush=True)

    suites = (
        unconstrained(FEW if options.small else ALL, show),
        constrained(PROGRAMS[:1] if options.small else PROGRAMS, show),
        compliance(SMALL if options.small else SIZES, show),
    )
    numbers = {suite.title: {"unit": suite.unit, "costs": finite(suite)} for suite in suites}
    out.mkdir(parents=True, exist_ok=True)
    (out / "shootout.json").write_text(json.dumps(numbers, indent=2) + "\n")
    text = "\n\n".join(table(suite) for suite in suites)
    (out / "shootout.txt").write_text(text + "\n")
    draw(suites, time.perf_counter() - begun, out / "shootout.png")
    print(text)
    return numbers


def finite(suite: Suite) -> dict[str, dict[str, float | None]]:
    """The costs, None where a problem was not solved."""
    return {
        problem: {name: cost if np.isfinite(cost) else None for name, cost in row.items()}
        for problem, row in suite.costs.items()
    }


def table(suite: Suite) -> str:
    """The costs as text, a dash where a problem was not solved, and how many each algorithm solved."""
    names = list(next(iter(suite.costs.values())))
    rows = [
        (problem, *(f"{row[name]:.0f}" if np.isfinite(row[name]) else "-" for name in names))
        for problem, row in suite.costs.items()
    ]
    solved = [sum(np.isfinite(row[name]) for row in suite.costs.values()) for name in names]
    rows = [
        ("", *names),
        *rows,
        ("solved", *(f"{count} of {len(suite.costs)}" for count in solved)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([f"{suite.title}: {suite.unit}", *lines])


def draw(suites: Sequence[Suite], seconds: float, file: Path) -> None:
    """A profile of each suite, and the compliance of the largest beam over factorizations."""
    profiles = []
    for suite in suites:
        names = list(next(iter(suite.costs.values())))
        costs = np.array([[row[name] for row in suite.costs.values()] for name in names])
        profiles.append(Profile(suite.title, names, costs, suite.unit))
    largest, runs = list(suites[-1].traces.items())[-1]
    values = {
        name: np.where(trace.violation <= VOLUME, trace.value, np.inf)
        for name, trace in runs.items()
    }
    best = min(float(value.min()) for value in values.values())
    curves = [
        Curve(trace.cost, np.minimum.accumulate(values[name]) / best - 1.0, name, colour)
        for (name, trace), colour in zip(runs.items(), COLOURS, strict=True)
    ]
    excess = Graph(
        f"The beam of {largest} elements: compliance above the best",
        "factorizations",
        "c / best - 1",
        curves,
        logarithmic=(True, True),
        level=1e-3,
        low=1e-6,
        high=10.0,
    )
    problems = sum(len(suite.costs) for suite in suites)
    write_sheet(
        file,
        "Optimizers compared",
        f"{problems} problems, {seconds:.0f} s in all",
        [*profiles, excess],
        2,
        5.6,
    )


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.shootout", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--small", action="store_true", help="a few problems, a small beam: seconds"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only the tables")
    return parsed(parser, arguments)


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError) as error:
        sys.exit(f"shootout: {error}")
