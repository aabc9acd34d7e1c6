"""Powers, λ and time steps over time, and the convergence of the optimization."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Plot, Raster, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, VERMILLION
from adjoint.typing import Array
from scripts.examples.common.trajectory_plots import (
    COLORS,
    TIME,
    accumulated,
    step_sizes,
    timeline,
)
from scripts.examples.optimal_control.figures import Results
from scripts.examples.optimal_control.plate import Steering

SHOWN = (9, 21, 27, 46)
"""Heaters whose powers are drawn: in the initial spot, on the ring, inside, outside."""


def draw_time_series(results: Results, subtitle: str, file: Path) -> None:
    """Draw powers, distances, λ, accumulation, convergence, steps, checkpoints, Taylor test."""
    case, found, points = results.case, results.found, (results.rest, results.found.point)
    distances = [
        (case.plate.knots, np.array([case.distance(u) for u in point.solution.trajectory.u]))
        for point in points
    ]
    norms = []
    for t, lam in map(results.adjoints, points):
        norms.append((t, np.sqrt(np.einsum("kn,nk->k", lam, case.mass.solve(lam.T)))))
    powers = found.point.p.reshape(case.knots, -1)
    distance, norm = r"$\|u(t) - d\|_M / \|d\|_M$", r"$\|\lambda(t)\|_{M^{-1}}$ / (K m)"
    plots: list[Plot] = [
        Raster("Powers of all heaters", TIME, "heater", case.plate.knots, powers, "s / (K/s)"),
        some_powers(results),
        both("Distance from the target", distance, distances, False),
        both("Norm of the adjoint", norm, norms, True),
        accumulation(results),
        convergence(found.history),
        step_sizes(found.point.solution.trajectory, False),
        timeline("Few stored states: order of the steps", results.few.events),
        taylor_test(results),
    ]
    title = "Optimal powers of the heaters, and how they were found"
    write_sheet(file, title, subtitle, plots, 3, 4.0)


def some_powers(results: Results) -> Graph:
    """Plot s of some heaters at the knots as dots, and Pontryagin's condition as lines."""
    case, best = results.case, results.found.point
    s = best.p.reshape(case.knots, -1)
    t, lam = results.adjoints(best)
    stationary = case.stationary_powers(lam)
    curves = []
    for heater, color in zip(SHOWN, COLORS, strict=False):
        name, knots = place(case, heater), case.plate.knots
        curves.append(Curve(knots, s[:, heater], name, color, marker="o", loose=True))
        curves.append(Curve(t, stationary[:, heater], "_", color))
    title = r"Powers: dots; lines: $-B^T M^{-1}\lambda/\alpha$ within the limits"
    return Graph(title, TIME, "s / (K/s)", curves, level=0.0)


def place(case: Steering, heater: int) -> str:
    """Return the coordinates of a heater as text."""
    x, y = case.plate.places[heater]
    return f"({x:.2f}, {y:.2f}) m"


def both(title: str, label: str, series: list[tuple[Array, Array]], logarithmic: bool) -> Graph:
    """Plot a quantity over time, without heating and steered.

    series: (t, values) of both; label: of the axis, which is logarithmic or not.
    """
    curves = [
        Curve(t, values, name, color)
        for (t, values), (name, color) in zip(
            series, (("without heating", GRAY), ("steered", BLUE)), strict=True
        )
    ]
    return Graph(title, TIME, label, curves, logarithmic=(False, logarithmic))


def accumulation(results: Results) -> Graph:
    """Plot the contribution of the time before t to dJ/ds of some heaters, without heating."""
    case, trajectory = results.case, results.rest.solution.trajectory
    shares = trajectory.accumulation(*results.cotangents(results.rest)).reshape(
        -1, case.knots, len(case.plate.places)
    )
    shown = {place(case, heater): shares[:, :, heater].sum(axis=1) for heater in SHOWN}
    title, label = "Accumulation of dJ/ds without heating", "dJ/ds up to t / (K m² s)"
    return accumulated(title, label, trajectory, shown, False)


def convergence(history: Array) -> Graph:
    """Plot J and the projected gradient over the evaluations; history: (k, 2)."""
    count = np.arange(1, len(history) + 1)
    J, gradient = history.T
    curves = [
        Curve(count, J / J[0], "J", BLUE),
        Curve(count, gradient / gradient[0], "projected gradient", VERMILLION),
    ]
    label = "relative to the first"
    return Graph("Convergence", "gradients", label, curves, logarithmic=(False, True))


def taylor_test(results: Results) -> Graph:
    """Plot the remainders of the Taylor test over the step."""
    check = results.check
    first = f"f(x+hv) − f(x): order {check.orders[0]:.2f}"
    second = f"… − h g·v: order {check.orders[1]:.2f}"
    return Graph(
        "Taylor test of the gradient",
        "step h along a random direction v",
        "remainder / (K² m²)",
        [
            Curve(check.steps, check.first, first, BLUE, marker="o"),
            Curve(check.steps, check.second, second, VERMILLION, marker="o"),
        ],
        logarithmic=(True, True),
    )
