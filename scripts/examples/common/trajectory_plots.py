"""Plots of a trajectory: step sizes, growth of a gradient over time, order of the steps."""

from collections.abc import Sequence

import numpy as np

import adjoint
from adjoint.report import Curve, Graph
from adjoint.report.figures.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILLION
from adjoint.typing import Array

TIME = "t / s"
COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
KINDS = {
    "forward": ("forward", BLUE),
    "advance": ("repeated", VERMILLION),
    "reverse": ("reverse", GREEN),
}
"""Label and color of each kind of event that is one time step."""


def step_sizes(trajectory: adjoint.ode.Trajectory, logarithmic: bool) -> Graph:
    """Plot h over time, with a mark at each step that computed new factors for Newton's method.

    logarithmic: True for a logarithmic time axis.
    """
    t, h = trajectory.grid[1:], np.diff(trajectory.grid)
    renewed = np.array(trajectory.sweeps.accepted.base) == np.arange(h.size)
    marks = f"new ∂f/∂u and factors ({renewed.sum()})"
    curves = [
        Curve(t, h, f"step ({h.size} of them)", BLUE),
        Curve(t[renewed], h[renewed], marks, ORANGE, marker=".", loose=True),
    ]
    return Graph("Step sizes", TIME, "h / s", curves, logarithmic=(logarithmic, True))


def accumulated(
    title: str,
    y: str,
    trajectory: adjoint.ode.Trajectory,
    shares: dict[str, Array],
    logarithmic: bool,
) -> Graph:
    """Plot the part of a gradient that the time before t contributes, for each component.

    y: label of the axis; shares: contribution of each step, (N,), by name of the
    component; logarithmic: True for a logarithmic time axis.
    """
    t = trajectory.grid[1:]
    curves = [
        Curve(t, np.cumsum(share), name, color)
        for (name, share), color in zip(shares.items(), COLORS, strict=False)
    ]
    return Graph(title, TIME, y, curves, logarithmic=(logarithmic, False), level=0.0)


def timeline(title: str, events: Sequence[adjoint.checkpointing.SweepEvent]) -> Graph:
    """Plot the number of each step over the count of steps done before, for both sweeps.

    events: of a forward sweep and a reverse sweep. A dot is a stored state.
    """
    kinds = np.array([event.kind for event in events])
    numbers = np.array([event.step for event in events], dtype=float)
    counted = np.isin(kinds, list(KINDS))
    work = np.asarray(np.cumsum(counted) - counted, dtype=float)
    curves = []
    for kind, (name, color) in KINDS.items():
        at, k = work[kinds == kind], numbers[kinds == kind]
        before, after = (k + 1.0, k) if kind == "reverse" else (k, k + 1.0)
        gaps = np.full(k.size, np.nan)  # They separate the strokes: one stroke per step.
        strokes = [
            np.stack(ends, axis=1).ravel() for ends in ((at, at + 1.0, gaps), (before, after, gaps))
        ]
        curves.append(Curve(*strokes, f"{name} ({k.size})", color))
    stored, swept = kinds == "store", np.cumsum(np.isin(kinds, ["advance", "reverse"])) > 0
    # The forward sweep stores a state after the step that follows it.
    at = np.where(swept, work, numbers)[stored]
    label = f"state stored ({stored.sum()})"
    curves.append(Curve(at, numbers[stored], label, INK, marker=".", loose=True))
    return Graph(title, "steps done, of any kind", "number of the step", curves)
