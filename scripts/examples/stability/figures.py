"""The figure of the stability of channel flow."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Plot, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, GREEN, INK, ORANGE, VERMILLION
from adjoint.typing import Array

RANGES = (
    (0.0, 1e3, BLUE, r"condition below $10^3$"),
    (1e3, 1e5, ORANGE, r"$10^3$ to $10^5$"),
    (1e5, np.inf, VERMILLION, r"above $10^5$"),
)
"""Ranges of the condition of an eigenvalue, with colours."""


def spectrum_graph(values: Array, conditions: Array) -> Graph:
    """Plot eigenvalues c, coloured by their conditions."""
    curves = []
    for low, high, color, label in RANGES:
        inside = (conditions >= low) & (conditions < high)
        if inside.any():
            points = values[inside]
            curves.append(Curve(points.real, points.imag, label, color, marker="o", loose=True))
    wave = values[0]
    notes = [(wave.real, wave.imag, "growing wave")]
    return Graph("Spectrum, α = 1, Re = 10⁴", "Re c", "Im c", curves, notes=notes, level=0.0)


def draw(
    file: Path,
    spectrum: tuple[Array, Array],
    arms: list[Array],
    iterates: Array,
    profile: tuple[Array, Array, Array],
) -> None:
    """Draw spectrum, neutral curve, wave and sensitivity, and Newton's iteration.

    spectrum: values and conditions; arms: rows (α, Re, c) of both arms; iterates: (α, Re)
    of Newton's method; profile: y, |φ|, and d Im c/dU.
    """
    y, wave, sensitivity = profile
    nose = iterates[-1]
    lower, upper = arms
    errors = np.abs(iterates[:-1] / nose - 1.0)
    numbers = np.arange(errors.shape[0])
    plots: list[Plot] = [
        spectrum_graph(*spectrum),
        Graph(
            "Neutral curve Im c = 0",
            "Re",
            "α",
            [
                Curve(lower[:, 1], lower[:, 0], "lower arm", BLUE),
                Curve(upper[:, 1], upper[:, 0], "upper arm", GREEN),
                Curve(nose[1:], nose[:1], "critical point", VERMILLION, marker="D", loose=True),
            ],
            notes=[(nose[1], nose[0], f"Re = {nose[1]:.2f}")],
            logarithmic=(True, False),
        ),
        Graph(
            "Wave, and sensitivity of its growth",
            "y",
            "largest value 1",
            [
                Curve(y, wave / np.abs(wave).max(), "|φ|", INK),
                Curve(y, sensitivity / np.abs(sensitivity).max(), "d Im c / dU", VERMILLION),
            ],
            level=0.0,
        ),
        Graph(
            "Newton's method for the nose",
            "iteration",
            "relative error",
            [
                Curve(numbers, np.maximum(errors[:, 1], 1e-16), "Re", BLUE, marker="o"),
                Curve(numbers, np.maximum(errors[:, 0], 1e-16), "α", GRAY, marker="o"),
            ],
            logarithmic=(False, True),
        ),
    ]
    subtitle = (
        f"Re_c = {nose[1]:.4f}, α_c = {nose[0]:.6f}; published 5772.22, 1.02056; Newton on "
        "gradients and Hessian products of one eigenvalue"
    )
    write_sheet(file, "Stability of plane channel flow", subtitle, plots, 2, 4.0)
