"""The figure of the mode converter: design, field, history, spectrum."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, Shades, write_sheet
from adjoint.report.figures.style import BLUE, VERMILLION
from adjoint.typing import Array
from scripts.examples.waveguide.converter import Converter


def draw(guide: Converter, rho: Array, u: Array, numbers: Mapping[str, object], file: Path) -> None:
    """Draw the permittivity, the field, the power over iterations and over the frequency.

    rho: densities of the rounded design; u: its field.
    """
    size = (guide.length, 1.0)
    real = guide.field(u).real
    path = np.array(numbers["path"])
    frequencies, spectrum = (np.array(numbers[name]) for name in ("frequencies", "spectrum"))
    plots = [
        Map(
            "Dielectric (rounded design)",
            guide.picture(guide.permittivity(rho)),
            size,
            "relative permittivity",
            length="widths",
        ),
        Map(
            "Field: mode 1 enters at the left",
            0.25 * (real[1:, 1:] + real[:-1, 1:] + real[1:, :-1] + real[:-1, :-1]),
            size,
            "Re u / amplitude of the mode",
            length="widths",
            shades=Shades.DIVERGING,
        ),
        Graph(
            "Power lost during the design",
            "iterations",
            "1 − power in mode 2",
            [Curve(np.arange(path.size), np.maximum(1.0 - path, 1e-16), "gray design", BLUE)],
            logarithmic=(False, True),
        ),
        Graph(
            "Spectrum of the rounded design",
            "frequency / frequency of the design",
            "power in mode 2",
            [Curve(frequencies, spectrum, "rounded design", VERMILLION)],
        ),
    ]
    subtitle = (
        f"{numbers['design variables']} densities at one wavelength: "
        f"{100.0 * float(str(numbers['power in mode 2, rounded design'])):.2f} % of the power "
        f"converted by the rounded design, after {numbers['factorizations']} factorizations"
    )
    write_sheet(file, "Mode converter in a waveguide", subtitle, plots, 2, 3.8)
