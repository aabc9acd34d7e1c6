"""Every optimizer on three suites of problems: problems solved, costs, performance profiles.

    python -m scripts.examples.shootout --out out/shootout

Sums of squares without constraints (Moré, Garbow & Hillstrom 1981; solved: ‖g‖₂ ≤ 10⁻⁶), few
variables with constraints (Svanberg 1987; solved: f to 10⁻⁶, constraints to 10⁻⁶), and beams
of several sizes at half the volume (solved: within 0.1 % of the best compliance that any
algorithm found). Performance profiles: Dolan & Moré (2002). Writes shootout.png, shootout.json
and shootout.txt.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from scripts.examples.common import options
from scripts.examples.shootout.figures import draw
from scripts.examples.shootout.suites import (
    PROGRAMS,
    Suite,
    compliance,
    constrained,
    unconstrained,
)

NUMBERS, SMALL_NUMBERS = tuple(range(1, 36)), (1, 5, 7)
"""Problems of Moré, Garbow & Hillstrom, by their numbers in the paper."""

SIZES, SMALL_SIZES = ((60, 20), (120, 40), (240, 80)), ((30, 10),)
"""Elements of the beams, along the beam and over its height."""


def main(out: Path, small: bool, *, quiet: bool = False) -> dict[str, object]:
    """Run the suites, write figure and tables; returns the numbers."""
    start = time.perf_counter()

    def show(problem: str) -> None:
        if not quiet:
            print(f"{time.perf_counter() - start:6.0f} s  {problem}", flush=True)

    suites = (
        unconstrained(SMALL_NUMBERS if small else NUMBERS, show),
        constrained(PROGRAMS[:1] if small else PROGRAMS, show),
        compliance(SMALL_SIZES if small else SIZES, show),
    )
    numbers = {suite.title: {"unit": suite.unit, "costs": costs(suite)} for suite in suites}
    out.mkdir(parents=True, exist_ok=True)
    (out / "shootout.json").write_text(json.dumps(numbers, indent=2) + "\n")
    text = "\n\n".join(table(suite) for suite in suites)
    (out / "shootout.txt").write_text(text + "\n")
    draw(suites, time.perf_counter() - start, out / "shootout.png")
    print(text)
    return numbers


def costs(suite: Suite) -> dict[str, dict[str, float | None]]:
    """Return the costs with None instead of inf for a problem that was not solved."""
    return {
        problem: {name: cost if np.isfinite(cost) else None for name, cost in row.items()}
        for problem, row in suite.costs.items()
    }


def table(suite: Suite) -> str:
    """Return the costs as text, with a dash for a problem that was not solved."""
    names = suite.algorithms
    rows = [
        (problem, *(f"{row[name]:.0f}" if np.isfinite(row[name]) else "-" for name in names))
        for problem, row in suite.costs.items()
    ]
    solved = [sum(np.isfinite(row[name]) for row in suite.costs.values()) for name in names]
    counts = [f"{count} of {len(suite.costs)}" for count in solved]
    rows = [("", *names), *rows, ("solved", *counts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    return "\n".join([f"{suite.title}: {suite.unit}", *lines])


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    small = "a few problems, a small beam: seconds"
    return options.parser("shootout", __doc__, small).parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "shootout")
