"""The figure of the comparison: a performance profile per suite, and the largest beam."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Profile, write_sheet
from adjoint.report.figures.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from scripts.examples.shootout.suites import VOLUME, Suite
from scripts.examples.shootout.trace import Trace

COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE)  # as in the performance profiles


def draw(suites: Sequence[Suite], seconds: float, file: Path) -> None:
    """Draw the profiles, and the compliance of the largest beam of the last suite."""
    profiles = []
    for suite in suites:
        names = suite.algorithms
        costs = np.array([[row[name] for row in suite.costs.values()] for name in names])
        profiles.append(Profile(suite.title, names, costs, suite.unit))
    largest, runs = list(suites[-1].traces.items())[-1]
    problems = sum(len(suite.costs) for suite in suites)
    subtitle = f"{problems} problems, {seconds:.0f} s in all"
    plots = [*profiles, excess(largest, runs)]
    write_sheet(file, "Optimizers compared", subtitle, plots, 2, 5.6)


def excess(size: str, runs: Mapping[str, Trace]) -> Graph:
    """Plot the lowest feasible compliance so far, relative to the best, over factorizations."""
    values = {
        name: np.where(trace.violation <= VOLUME, trace.value, np.inf)
        for name, trace in runs.items()
    }
    best = min(float(value.min()) for value in values.values())
    curves = [
        Curve(trace.cost, np.minimum.accumulate(values[name]) / best - 1.0, name, color)
        for (name, trace), color in zip(runs.items(), COLORS, strict=True)
    ]
    return Graph(
        f"The beam of {size} elements: compliance above the best",
        "factorizations",
        "c / best - 1",
        curves,
        logarithmic=(True, True),
        level=1e-3,
        low=1e-6,
        high=10.0,
    )
