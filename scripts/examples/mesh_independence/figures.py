"""The figure of the mesh-independence study: iterations, gradients, state and controls."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from adjoint.report import Curve, Graph, Map, Shades, write_sheet
from adjoint.report.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from adjoint.typing import Array
from problems.optimization.mother_problem import MotherProblem
from scripts.examples.mesh_independence.runs import EARLY, NAMES, RIGHT, TOLERANCE, WRONG, Run

STYLES = ((BLUE, "o"), (SKY, "s"), (GREEN, "^"), (VERMILLION, "o"), (ORANGE, "s"))
MESH_COLORS = (PURPLE, ORANGE, GREEN, SKY, BLUE, VERMILLION)  # the coarsest mesh first
SQUARES = 201  # pixels of a map along each side


def draw(runs: Sequence[Run], file: Path) -> None:
    """Draw iterations over n, gradients over iterations, and controls on the finest meshes."""
    right, wrong = _named(runs, f"descent, {RIGHT}"), _named(runs, f"descent, {WRONG}")
    last, early = right[-1], wrong[-1]
    largest = float(np.abs(last.control).max())
    state = last.case.field(last.case.f(last.control).solution.u)
    plots = [
        Graph(
            f"Iterations until the gradient has fallen to {TOLERANCE:g}",
            "cells along a side, n",
            "iterations",
            [
                _iterations(_named(runs, name), name, color, marker)
                for name, (color, marker) in zip(NAMES, STYLES, strict=True)
            ],
            logarithmic=(True, True),
        ),
        _falls(f"Steepest descent, {RIGHT}", right),
        _falls(f"Steepest descent, {WRONG}", wrong),
        Map(
            f"State at the optimum, n = {last.n}",
            _resampled(last.case, state),
            (1.0, 1.0),
            "v",
            length="",
        ),
        _control(f"Optimal control, n = {last.n}", last.case, last.control, largest),
        _control(
            f"Control after {EARLY} iterations, {WRONG}, n = {early.n}",
            early.case,
            early.early,
            largest,
        ),
    ]
    subtitle = (
        f"Steepest descent with Barzilai–Borwein steps: {right[0].iterations} … "
        f"{last.iterations} iterations for n = {right[0].n} … {last.n} in the product of the "
        f"mass matrix, {wrong[0].iterations} … {early.iterations} for n = {wrong[0].n} … "
        f"{early.n} in the Euclidean one"
    )
    title = "The mother problem on graded meshes: iterations over mesh size"
    write_sheet(file, title, subtitle, plots, 3, 4.0)


def _named(runs: Sequence[Run], name: str) -> list[Run]:
    """Return the runs of this name, the coarsest mesh first."""
    return [run for run in runs if run.name == name]


def _iterations(runs: Sequence[Run], label: str, color: str, marker: str) -> Curve:
    """Plot iterations over n; SciPy's curve is dashed, because it may lie on another curve."""
    n, iterations = np.array([[run.n, run.iterations] for run in runs], dtype=float).T
    return Curve(n, iterations, label, color, dashed=marker == "^", marker=marker)


def _falls(title: str, runs: Sequence[Run]) -> Graph:
    """Plot the norm of the gradient over the iterations, one curve per mesh."""
    curves = [
        Curve(np.arange(len(run.falls)), run.falls, f"n = {run.n}", color)
        for run, color in zip(runs, MESH_COLORS, strict=False)
    ]
    return Graph(
        title, "iteration", "gradient / first", curves, logarithmic=(False, True), level=TOLERANCE
    )


def _control(title: str, case: MotherProblem, control: Array, largest: float) -> Map:
    """Map a control with colors from −largest to largest."""
    values, limits = _resampled(case, control.reshape(case.shape)), (-largest, largest)
    return Map(title, values, (1.0, 1.0), "u", length="", shades=Shades.DIVERGING, limits=limits)


def _resampled(case: MotherProblem, values: Array) -> Array:
    """Interpolate nodal values to the centres of SQUARES × SQUARES squares."""
    centres = (np.arange(SQUARES) + 0.5) / SQUARES
    x, y = np.meshgrid(centres, centres, indexing="ij")
    return np.asarray(RegularGridInterpolator(case.lines, values)((x, y)))
