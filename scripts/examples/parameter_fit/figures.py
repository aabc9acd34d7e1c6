"""The figure of the fit: conductivities, temperatures, misfit, convergence."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Map, Shades, write_sheet
from adjoint.report.figures.style import BLUE, VERMILLION
from problems.optimization.thermography import Thermography
from scripts.examples.parameter_fit.gauss_newton import Iterate


def draw(case: Thermography, path: list[Iterate], seconds: float, file: Path) -> None:
    """Draw truth, estimate, their ratio, temperatures with sensors, misfit and convergence."""
    shape, size, last = case.cells, case.model.size, path[-1]
    true, found = np.exp(case.truth).reshape(shape), last.solution.p.reshape(shape)
    limits = (float(true.min()), float(true.max()))
    centres = np.stack(case.centres, axis=1)[case.measured]
    misfit = case.observe @ last.solution.u - case.data
    work = np.array([each.counts.numeric for each in path])
    ratios = np.array([each.ratio for each in path])
    falls = np.array([each.gradient for each in path]) / path[0].gradient
    unit = "conductivity / heat capacity, m²/s"
    plots = [
        Map("Truth", true, size, unit, logarithmic=True, limits=limits),
        Map("Estimate", found, size, unit, logarithmic=True, limits=limits),
        Map(
            "Error",
            np.log(found / true),
            size,
            "ln (estimate / truth)",
            shades=Shades.DIVERGING,
            limits=(-1.0, 1.0),
        ),
        Map(
            "Temperature and sensors", last.solution.u.reshape(shape), size, "u / K", points=centres
        ),
        Map(
            "Misfit at the sensors",
            true,
            size,
            "misfit / σ",
            shades=Shades.DIVERGING,
            points=centres,
            at_points=misfit,
        ),
        Graph(
            "Convergence",
            "factorizations",
            "relative to noise, to first gradient",
            [
                Curve(work, ratios, "misfit / noise", BLUE, marker="o"),
                Curve(work, falls, "gradient", VERMILLION, marker="o"),
            ],
            logarithmic=(False, True),
            level=1.0,
        ),
    ]
    subtitle = (
        f"{case.truth.size} parameters from {case.data.size} temperatures with noise of "
        f"σ = {case.noise:g} K: misfit {last.ratio:.3f} of the noise after {len(path) - 1} "
        f"iterations, {work[-1]} factorizations, {seconds:.0f} s"
    )
    write_sheet(file, "Conductivity recovered from noisy temperatures", subtitle, plots, 3, 4.0)
