"""The courses of scripts/optimal_control.py over time: powers, λ, steps; and how the powers were found."""

from pathlib import Path

import numpy as np

from adjoint.report import Curve, Graph, Plot, Raster, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, VERMILLION
from adjoint.typing import Array
from scripts.ode_figures import COLORS, TIME, accumulated, step_sizes, timeline
from scripts.steering.fields import Story
from scripts.steering.plate import Steering

SHOWN = (
    9,
    21,
    27,
    46,
)  # heaters whose courses are drawn: where it is warm first, on the ring, inside, outside


def name(case: Steering, heater: int) -> str:
    """Where a heater is."""
    x, y = case.plate.places[heater]
    return f"({x:.2f}, {y:.2f}) m"


def powers(story: Story) -> Graph:
    """s of some heaters at the knots, over what λ asks for."""
    case, best = story.case, story.found.point
    s = best.p.reshape(case.knots, -1)
    t, lam = story.adjoints(best)
    asked = case.asked(lam)
    curves = []
    for heater, color in zip(SHOWN, COLORS, strict=False):
        curves.append(
            Curve(case.plate.knots, s[:, heater], name(case, heater), color, marker="o", loose=True)
        )
        curves.append(Curve(t, asked[:, heater], "_", color))
    title = r"Powers: dots; lines: $-B^T M^{-1}\lambda/\alpha$ within the limits"
    return Graph(title, TIME, "s / (K/s)", curves, level=0.0)


def accumulation(story: Story) -> Graph:
    """Shares in dJ/d(power of a heater at all knots), without heating."""
    case, trajectory = story.case, story.rest.solution.trajectory
    shares = trajectory.accumulation(*story.cotangents(story.rest)).reshape(
        -1, case.knots, len(case.plate.places)
    )
    shown = {name(case, heater): shares[:, :, heater].sum(axis=1) for heater in SHOWN}
    title = "Accumulation of dJ/ds without heating"
    return accumulated(title, "dJ/ds up to t / (K m² s)", trajectory, shown, False)


def both(
    story: Story, title: str, y: str, curves: list[tuple[Array, Array]], logarithmic: bool
) -> Graph:
    """A quantity over time, without heating and steered."""
    names = (("without heating", GRAY), ("steered", BLUE))
    drawn = [
        Curve(*curve, label, color) for curve, (label, color) in zip(curves, names, strict=True)
    ]
    return Graph(title, TIME, y, drawn, logarithmic=(False, logarithmic))


def draw_course(story: Story, subtitle: str, file: Path) -> None:
    """Powers, distances, λ, accumulation, convergence, steps, checkpoints, Taylor remainders."""
    case, found, points = story.case, story.found, (story.rest, story.found.point)
    distances = [
        (case.plate.knots, np.array([case.distance(u) for u in point.solution.trajectory.u]))
        for point in points
    ]
    sizes = []
    for t, lam in map(story.adjoints, points):
        sizes.append((t, np.sqrt(np.einsum("kn,nk->k", lam, case.mass.solve(lam.T)))))
    done = np.arange(1, len(found.history) + 1)
    J, flat = found.history.T
    check = story.check
    powers_of_all = found.point.p.reshape(case.knots, -1)
    plots: list[Plot] = [
        Raster(
            "Powers of all heaters", TIME, "heater", case.plate.knots, powers_of_all, "s / (K/s)"
        ),
        powers(story),
        both(story, "Distance from the target", r"$\|u(t) - d\|_M / \|d\|_M$", distances, False),
        both(story, "Size of the adjoint", r"$\|\lambda(t)\|_{M^{-1}}$ / (K m)", sizes, True),
        accumulation(story),
        Graph(
            "Convergence",
            "gradients",
            "relative to the first",
            [
                Curve(done, J / J[0], "J", BLUE),
                Curve(done, flat / flat[0], "projected gradient", VERMILLION),
            ],
            logarithmic=(False, True),
        ),
        step_sizes(found.point.solution.trajectory, False),
        timeline("Few states kept: which step is done when", story.few.events),
        Graph(
            "Taylor test of the gradient",
            "step h along a random direction v",
            "remainder / (K² m²)",
            [
                Curve(
                    check.steps,
                    check.first,
                    f"f(x+hv) − f(x): order {check.orders[0]:.2f}",
                    BLUE,
                    marker="o",
                ),
                Curve(
                    check.steps,
                    check.second,
                    f"… − h g·v: order {check.orders[1]:.2f}",
                    VERMILLION,
                    marker="o",
                ),
            ],
            logarithmic=(True, True),
        ),
    ]
    write_sheet(
        file, "Optimal powers of the heaters, and how they were found", subtitle, plots, 3, 4.0
    )
