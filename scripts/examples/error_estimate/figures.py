"""The figure: predicted, true and corrected errors over the tolerance, and the indicators."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, Plot, write_sheet
from adjoint.report.figures.style import BLUE, GREEN, VERMILLION
from adjoint.typing import Array
from scripts.examples.error_estimate.comparison import Row
from scripts.examples.error_estimate.models import Model

LOWEST = 1e-16
"""Least error that is drawn."""


def errors(rows: list[Row], what: str, title: str) -> Graph:
    """Plot the errors of the value or of the gradient."""
    tolerance = np.array([row.tolerance for row in rows])

    def curve(kind: str, label: str, color: str, *, loose: bool) -> Curve:
        values = np.array([getattr(row, f"{kind}_{what}") for row in rows])
        return Curve(tolerance, np.maximum(values, LOWEST), label, color, marker="o", loose=loose)

    return Graph(
        title,
        "tolerance of the solver",
        "relative error",
        [
            curve("predicted", "predicted", BLUE, loose=False),
            curve("true", "true", VERMILLION, loose=True),
            curve("corrected", "left after the correction", GREEN, loose=False),
        ],
        logarithmic=(True, True),
    )


def draw(
    models: list[Model], tables: list[list[Row]], maps: list[Array], shown: float, file: Path
) -> None:
    """Draw one row of plots for each model.

    maps: indicators of the elements, (n_e,) each, at the tolerance `shown`.
    """
    plots: list[Plot] = []
    for model, rows, values in zip(models, tables, maps, strict=True):
        nx, ny = model.grid.cells
        field = values.reshape(nx, ny)[:, ::-1]
        width, height = (
            float(n * h) for n, h in zip(model.grid.cells, model.grid.spacing, strict=True)
        )
        plots += [
            errors(rows, "gradient", f"{model.name}: error of the gradient"),
            errors(rows, "value", f"{model.name}: error of J"),
            Map(
                f"{model.name}: where the error of J arises",
                np.maximum(field, field.max() * 1e-4),
                (width, height),
                "dual-weighted residual",
                length="",
                logarithmic=True,
            ),
        ]
    solvers = "; ".join(f"{model.name.lower()}: {model.solver}" for model in models)
    subtitle = f"{solvers}; maps at the tolerance {shown:.0e}"
    write_sheet(file, "Errors of gradients, predicted and true", subtitle, plots, 3, 3.35)
