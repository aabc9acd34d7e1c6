"""The figure of the mesh-independence study."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from adjoint.report import Curve, Graph, Map, Shades, write_sheet
from adjoint.report.figures.style import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from adjoint.typing import Array
from problems.optimization.mother_problem import MotherProblem
from scripts.mesh_runs import EARLY, NAMES, RIGHT, TOLERANCE, WRONG, Run

LOOKS = ((BLUE, "o"), (SKY, "s"), (GREEN, "^"), (VERMILLION, "o"), (ORANGE, "s"))
SHADES = (PURPLE, ORANGE, GREEN, SKY, BLUE, VERMILLION)  # of the meshes, the coarsest first
SQUARES = 201  # of a map, along each side


def draw(runs: Sequence[Run], file: Path) -> None:
    """Iterations over n, the falls of the gradient in either product, and controls on the finest meshes."""
    right, wrong = _of(runs, f"descent, {RIGHT}"), _of(runs, f"descent, {WRONG}")
    last, lost = right[-1], wrong[-1]
    largest = float(np.abs(last.control).max())
    state = last.case.field(last.case.f(last.control).solution.u)
    plots = [
        Graph(
            f"Iterations until the gradient has fallen to {TOLERANCE:g}",
            "cells along a side, n",
            "iterations",
            [
                _counts(_of(runs, name), name, color, marker)
                for name, (color, marker) in zip(NAMES, LOOKS, strict=True)
            ],
            logarithmic=(True, True),
        ),
        _falls(f"Steepest descent, {RIGHT}", right),
        _falls(f"Steepest descent, {WRONG}", wrong),
        Map(
            f"State at the optimum, n = {last.n}",
            _even(last.case, state),
            (1.0, 1.0),
            "v",
            length="",
        ),
        _control(f"Optimal control, n = {last.n}", last.case, last.control, largest),
        _control(
            f"Control after {EARLY} iterations, {WRONG}, n = {lost.n}",
            lost.case,
            lost.early,
            largest,
        ),
    ]
    subtitle = (
        f"Steepest descent with Barzilai–Borwein steps: {right[0].iterations} … {last.iterations} iterations for n = "
        f"{right[0].n} … {last.n} in the product of the mass matrix, {wrong[0].iterations} … {lost.iterations} for n = "
        f"{wrong[0].n} … {lost.n} in the Euclidean one"
    )
    write_sheet(
        file,
        "The mother problem on graded meshes: iterations over mesh size",
        subtitle,
        plots,
        3,
        4.0,
    )


def _of(runs: Sequence[Run], name: str) -> list[Run]:
    """The runs of a name, the coarsest mesh first."""
    return [run for run in runs if run.name == name]


def _counts(runs: Sequence[Run], label: str, color: str, marker: str) -> Curve:
    """Iterations over n; SciPy's dashed, for they may be the same as ours."""
    n, iterations = np.array([[run.n, run.iterations] for run in runs], dtype=float).T
    return Curve(n, iterations, label, color, dashed=marker == "^", marker=marker)


def _falls(title: str, runs: Sequence[Run]) -> Graph:
    """The gradient's norm over the iterations, a curve a mesh."""
    curves = [
        Curve(np.arange(len(run.falls)), run.falls, f"n = {run.n}", color)
        for run, color in zip(runs, SHADES, strict=False)
    ]
    return Graph(
        title, "iteration", "gradient / first", curves, logarithmic=(False, True), level=TOLERANCE
    )


def _control(title: str, case: MotherProblem, control: Array, largest: float) -> Map:
    values, limits = _even(case, control.reshape(case.shape)), (-largest, largest)
    return Map(title, values, (1.0, 1.0), "u", length="", shades=Shades.DIVERGING, limits=limits)


def _even(case: MotherProblem, values: Array) -> Array:
    """Values at the nodes, interpolated to the centres of SQUARES × SQUARES squares."""
    centres = (np.arange(SQUARES) + 0.5) / SQUARES
    x, y = np.meshgrid(centres, centres, indexing="ij")
    return np.asarray(RegularGridInterpolator(case.lines, values)((x, y)))
