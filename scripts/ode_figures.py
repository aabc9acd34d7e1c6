"""Plots of any trajectory: its step sizes, what each time adds to a gradient, which steps were repeated when."""

from collections.abc import Sequence

import numpy as np

import adjoint
from adjoint.report import Curve, Graph
from adjoint.report.axes import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION
from adjoint.typing import Array

TIME = "t / s"
COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
DONE = {
    "forward": ("forward", BLUE),
    "advance": ("repeated", VERMILLION),
    "reverse": ("reverse", GREEN),
}


def step_sizes(trajectory: adjoint.ode.Trajectory, logarithmic: bool) -> Graph:
    """h over time, marked where the matrix of Newton's method was made anew; logarithmic: the axis of time."""
    t, h = trajectory.grid[1:], np.diff(trajectory.grid)
    renewed = np.array(trajectory.sweeps.accepted.base) == np.arange(h.size)
    curves = [
        Curve(t, h, f"step ({h.size} of them)", BLUE),
        Curve(
            t[renewed],
            h[renewed],
            f"new ∂f/∂u and factors ({renewed.sum()})",
            ORANGE,
            marker=".",
            loose=True,
        ),
    ]
    return Graph("Step sizes", TIME, "h / s", curves, logarithmic=(logarithmic, True))


def accumulated(
    title: str,
    y: str,
    trajectory: adjoint.ode.Trajectory,
    shares: dict[str, Array],
    logarithmic: bool,
) -> Graph:
    """What the time before t contributes to each component of a gradient; shares: of each step, (N,), by name."""
    t = trajectory.grid[1:]
    curves = [
        Curve(t, np.cumsum(share), name, color)
        for (name, share), color in zip(shares.items(), COLORS, strict=False)
    ]
    return Graph(title, TIME, y, curves, logarithmic=(logarithmic, False), level=0.0)


def timeline(title: str, events: Sequence[adjoint.checkpointing.SweepEvent]) -> Graph:
    """The number of each step over the steps done before it, of a forward and a reverse sweep with few states kept."""
    kinds, numbers = (
        np.array([event.kind for event in events]),
        np.array([event.step for event in events], dtype=float),
    )
    counted = np.isin(kinds, list(DONE))
    work = np.asarray(np.cumsum(counted) - counted, dtype=float)
    curves = []
    for kind, (name, color) in DONE.items():
        at, k = work[kinds == kind], numbers[kinds == kind]
        before, after = (k + 1.0, k) if kind == "reverse" else (k, k + 1.0)
        gaps = np.full(k.size, np.nan)  # One stroke a step.
        strokes = [
            np.stack(ends, axis=1).ravel() for ends in ((at, at + 1.0, gaps), (before, after, gaps))
        ]
        curves.append(Curve(*strokes, f"{name} ({k.size})", color))
    kept, swept = kinds == "store", np.cumsum(np.isin(kinds, ["advance", "reverse"])) > 0
    at = np.where(swept, work, numbers)[
        kept
    ]  # In the forward sweep a state is put away when the next one is there.
    curves.append(
        Curve(at, numbers[kept], f"state kept ({kept.sum()})", INK, marker=".", loose=True)
    )
    return Graph(title, "steps done, of any kind", "number of the step", curves)
