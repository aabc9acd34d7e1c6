"""The figure of the example: truth, data, mode, standard deviation, errors, convergence."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, GREEN, VERMILLION
from adjoint.typing import Array
from scripts.examples.random_field.field import SIDE, FieldMap


def draw(
    field: FieldMap,
    truth: Array,
    counts: Array,
    mode: Array,
    deviations: Array,
    numbers: Mapping[str, object],
    file: Path,
) -> None:
    """Draw the field and its estimate, the standardized errors, and the path of the parameters.

    truth, mode: log rates, (n,); counts: events, (n,); deviations: of the mode, (n,).
    """
    low, high = np.quantile(truth, [0.002, 0.998])
    path = np.array(numbers["path"])
    errors = (mode - truth) / deviations
    edges = np.linspace(-4.0, 4.0, 65)
    middle = 0.5 * (edges[1:] + edges[:-1])
    share = np.histogram(errors, edges, density=True)[0]
    normal = np.exp(-0.5 * middle**2) / np.sqrt(2.0 * np.pi)
    seen = np.where(field.lake, np.nan, np.minimum(counts, _top(counts)))
    truths = np.array(numbers["true range and deviation"])
    evaluations = np.arange(len(path))
    plots = [
        _map("True log rate", field.picture(truth), "log rate", (low, high)),
        _map("Data: events at each node, none in the lake", field.picture(seen), "events", None),
        _map("Posterior mode", field.picture(mode), "log rate", (low, high)),
        _map("Posterior standard deviation", field.picture(deviations), "of the log rate", None),
        Graph(
            "Errors of the mode in standard deviations",
            "(mode − truth) / standard deviation",
            "density",
            [
                Curve(middle, share, "all nodes", BLUE),
                Curve(middle, normal, "standard normal", GRAY, dashed=True),
            ],
        ),
        Graph(
            "Calibration",
            "iterations of L-BFGS",
            "value / true value",
            [
                Curve(evaluations, path[:, 0] / truths[0], "range", VERMILLION, marker="o"),
                Curve(evaluations, path[:, 1] / truths[1], "standard deviation", GREEN, marker="o"),
            ],
        ),
    ]
    subtitle = (
        f"{truth.size} unknown log rates from {numbers['events']} events; value and gradient cost "
        f"{numbers['factorizations of a value and gradient']} factorizations of a "
        f"{field.nodes} × {field.nodes} field"
    )
    write_sheet(file, "Laplace approximation on a map", subtitle, plots, 3, 3.6)


def _top(counts: Array) -> float:
    """The number of events of the last colour: few nodes have more."""
    return max(1.0, float(np.quantile(counts, 0.998)))


def _map(title: str, values: Array, label: str, limits: tuple[float, float] | None) -> Map:
    known = values[np.isfinite(values)]
    limits = limits or (float(known.min()), float(known.max()))
    return Map(title, values, (SIDE, SIDE), label, length="km", limits=limits)
