"""The figure of the brachistochrone: curves, errors over N, and iterations over N."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, GREEN, INK, ORANGE, VERMILLION
from scripts.examples.brachistochrone.curve import Brachistochrone, Cycloid, Run

COLORS = (VERMILLION, ORANGE, GREEN, BLUE, INK)  # of the inner products, and of Newton–CG


def draw(
    cases: Sequence[Brachistochrone],
    fastest: Cycloid,
    runs: Mapping[str, Sequence[Run | None]],
    numbers: Mapping[str, object],
    file: Path,
) -> None:
    """Draw the curves after a few iterations, errors over N, and iterations over N."""
    sizes = np.array([case.intervals for case in cases], dtype=float)
    excess, residuals, components = (
        np.array(numbers[name])
        for name in (
            "time of the polygon less time of the cycloid, s",
            "gradient less Euler-Lagrange residual, s/m2",
            "largest component of the gradient, s/m",
        )
    )
    plots = [
        _curves(cases[2], fastest, runs),
        Graph(
            "Excess of the time of the polygon",
            "intervals N",
            "seconds",
            [
                Curve(sizes, excess, "T_h − T", BLUE, marker="o"),
                Curve(sizes, excess[0] * (sizes[0] / sizes) ** 2, "order 2", GRAY, dashed=True),
            ],
            logarithmic=(True, True),
        ),
        Graph(
            "Gradient at the straight line",
            "intervals N",
            "largest component",
            [
                Curve(sizes, components, "Euclidean, s/m", VERMILLION, marker="s"),
                Curve(sizes, residuals, "L² less Euler–Lagrange, s/m²", BLUE, marker="o"),
                Curve(sizes, residuals[0] * (sizes[0] / sizes) ** 2, "order 2", GRAY, dashed=True),
            ],
            logarithmic=(True, True),
        ),
        Graph(
            "Iterations to the same gradient",
            "intervals N",
            "iterations",
            [
                _iterations(sizes, name, found, color)
                for (name, found), color in zip(runs.items(), COLORS, strict=True)
            ],
            logarithmic=(True, True),
        ),
    ]
    subtitle = (
        f"The cycloid takes {fastest.time:.6f} s, the straight line "
        f"{numbers['time of the straight line, s']:.6f} s; the inner product, not the mesh, "
        "decides the number of iterations"
    )
    write_sheet(file, "Brachistochrone", subtitle, plots, 2, 4.0)


def _curves(
    case: Brachistochrone, fastest: Cycloid, runs: Mapping[str, Sequence[Run | None]]
) -> Graph:
    """Plot the cycloid, the straight line, and curves after a few iterations."""
    theta = np.linspace(0.0, fastest.end, 200)
    x, y = fastest.radius * (theta - np.sin(theta)), fastest.radius * (1.0 - np.cos(theta))
    curves = [
        Curve(x, -y, "cycloid", INK),
        Curve(
            np.array([0.0, case.width]), np.array([0.0, -case.depth]), "start", GRAY, dashed=True
        ),
    ]
    for (name, found), color in zip(list(runs.items())[:4], COLORS, strict=False):
        if (one := found[2]) is not None:
            curves.append(Curve(case.polygon(one.early), -case.y, name, color))
    return Graph(f"After three iterations, N = {case.intervals}", "x, m", "height, m", curves)


def _iterations(sizes: np.ndarray, name: str, found: Sequence[Run | None], color: str) -> Curve:
    """Plot iterations over N, for the runs that converged."""
    counts = [
        (n, one.iterations)
        for n, one in zip(sizes, found, strict=True)
        if one is not None and one.iterations is not None
    ]
    n, iterations = np.array(counts, dtype=float).T
    return Curve(n, iterations, name, color, marker="o", dashed=color == INK)
