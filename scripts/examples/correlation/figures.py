"""The figure of the nearest correlation matrices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, Plot, Shades, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, GREEN, ORANGE, VERMILLION
from adjoint.typing import Array
from scripts.examples.correlation.nearest import Common, Found

SHOWN = 2
"""Number of the weight and of the rank that are shown."""


@dataclass(frozen=True, eq=False)
class Study:
    """What is drawn: the true matrix, the matrix A that was measured, and matrices near A."""

    truth: Array
    A: Array
    by_dual: Found
    ranks: Sequence[int]
    of_ranks: Sequence[Found]
    weights: Sequence[float]
    parts: Sequence[Common]


def draw(study: Study, file: Path) -> None:
    """Draw the matrices, eigenvalues, distances over rank, and the convergence."""
    n = len(study.A)
    plots: list[Plot] = [
        _matrix("Correlations from common days, A", study.A),
        _matrix("Nearest correlation matrix", study.by_dual.X),
        _matrix(f"Common part, μ = {study.weights[SHOWN]:g}", study.parts[SHOWN].X),
        Graph(
            "Eigenvalues",
            "number",
            "eigenvalue",
            [
                Curve(np.arange(1, n + 1), np.linalg.eigvalsh(matrix)[::-1], name, color)
                for matrix, name, color in (
                    (study.A, "A", VERMILLION),
                    (study.by_dual.X, "nearest", BLUE),
                    (study.truth, "truth", GRAY),
                )
            ],
            level=0.0,
        ),
        Graph(
            "Nearest matrices of low rank",
            "rank",
            "distance",
            [
                Curve(
                    np.array(study.ranks),
                    np.array([found.distance for found in study.of_ranks]),
                    "to A",
                    BLUE,
                    marker="o",
                ),
                Curve(
                    np.array(study.ranks),
                    np.array([np.linalg.norm(found.X - study.truth) for found in study.of_ranks]),
                    "to the truth",
                    ORANGE,
                    marker="s",
                ),
            ],
            logarithmic=(True, False),
            level=study.by_dual.distance,
        ),
        Graph(
            "Convergence of Newton-CG",
            "iteration",
            "gradient over first",
            [
                Curve(
                    np.arange(found.gradients.size),
                    np.maximum(found.gradients / found.gradients[0], 1e-17),
                    name,
                    color,
                    marker="o",
                )
                for found, name, color in (
                    (study.by_dual, "dual", BLUE),
                    (study.of_ranks[SHOWN], f"rank {study.ranks[SHOWN]}, on spheres", GREEN),
                )
            ],
            logarithmic=(False, True),
        ),
    ]
    subtitle = (
        f"{n} series; distance of A to the nearest correlation matrix "
        f"{study.by_dual.distance:.4f}, distance of A to the truth "
        f"{np.linalg.norm(study.A - study.truth):.4f}"
    )
    write_sheet(file, "Correlations of series with missing values", subtitle, plots, 3, 3.35)


def _matrix(title: str, X: Array) -> Map:
    """A matrix with its first row at the top."""
    n = float(len(X))
    return Map(
        title, X[::-1].T, (n, n), "correlation", length="", shades=Shades.DIVERGING, limits=(-1, 1)
    )
