"""Plots of the eigenvalues and mode shapes of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from ..._dataclasses import short_repr
from ...typing import Array
from ..modes import Modes, ModeShapes
from . import style as look
from .plots import Curve, Graph, MeshMap, Plot, Shades

COLORS = (look.BLUE, look.VERMILLION, look.GREEN, look.PURPLE, look.ORANGE, look.SKY)

AMPLITUDE = 0.12
"""Largest displacement drawn, as a share of the longer side of the mesh."""

SHOWN = 4
"""Maximum number of mode shapes drawn."""

WIDE = 30.0
"""Ratio of the largest to the smallest eigenvalue above which the axis is logarithmic."""


def mode_plots(modes: Modes | None) -> list[Plot]:
    """Return the plots of a run: eigenvalues over iterations, then mode shapes on the mesh."""
    if modes is None or modes.iterations.size == 0:
        return []
    return [eigenvalues_plot(modes), *shape_plots(modes)]


def eigenvalues_plot(modes: Modes) -> Graph:
    """Return the eigenvalues over the iterations, each followed by its mode shape.

    The gray lines are the eigenvalues in their order: they show what a lost mode leaves
    out.
    """
    x = modes.iterations.astype(float)
    marker = "o" if x.size <= 2 else ""
    in_order = [
        Curve(x, y, "in order" if i == 0 else "_", look.FAINT) for i, y in enumerate(modes.values.T)
    ]
    followed = [
        Curve(x, y, f"mode {i + 1}", COLORS[i % len(COLORS)], marker=marker)
        for i, y in enumerate(modes.tracked.T)
    ]
    low, high = float(modes.values.min()), float(modes.values.max())
    logarithmic = low > 0.0 and high > WIDE * low
    name = modes.label[:1].upper() + modes.label[1:]
    return Graph(
        f"{name} of each mode",
        "iteration",
        modes.label,
        [*in_order, *followed],
        logarithmic=(False, logarithmic),
    )


def shape_plots(modes: Modes) -> Sequence[Plot]:
    """Return plots of the first mode shapes of the last design; none without a mesh."""
    if modes.shapes is None:
        return []
    last = modes.tracked[-1]
    order = [i for i in np.argsort(last, kind="stable") if np.isfinite(last[i])][:SHOWN]
    displacements = modes.shapes.displacements(modes.vectors)
    plots: list[Plot] = []
    for i in order:
        title = f"Mode {i + 1}, {modes.label} {last[i]:.4g}"
        shape = displacements[:, :, i]
        if shape.shape[1] == 1 and np.shape(modes.shapes.cells)[1] > 2:
            size = float(np.abs(shape).max()) or 1.0
            points, cells = modes.shapes.points, modes.shapes.cells
            plots.append(
                MeshMap(
                    title,
                    points,
                    cells,
                    shape[:, 0] / size,
                    "deflection",
                    "",
                    Shades.DIVERGING,
                    (-1.0, 1.0),
                )
            )
        else:
            plots.append(
                DeformedMesh(title, modes.shapes, shape, COLORS[i % len(COLORS)], modes.densities)
            )
    return plots


@dataclass(frozen=True, eq=False)
class DeformedMesh:
    """A mode shape in the plane: the deformed mesh over the mesh at rest; a `Plot`.

    displacements: (n, 2), or (n, 1) for bars, drawn across them. The largest displacement
    is drawn as AMPLITUDE of the longer side. densities: opacities of the cells, (k,).
    """

    title: str
    shapes: ModeShapes
    displacements: Array
    color: str
    densities: Array | None = None

    __repr__ = short_repr

    def draw(self, ax: Axes, room: tuple[float, float]) -> None:
        """Draw both meshes to the same scale, without axes."""
        points, cells = np.asarray(self.shapes.points, float), np.asarray(self.shapes.cells)
        moved = self._displacements()
        side = float(np.ptp(points, axis=0).max()) or 1.0
        largest = float(np.linalg.norm(moved, axis=1).max()) or 1.0
        deformed = points + moved * (AMPLITUDE * side / largest)
        if cells.shape[1] == 2:
            ax.add_collection(LineCollection(list(points[cells]), colors=look.GRAY, linewidths=1.0))
            ax.add_collection(
                LineCollection(
                    list(deformed[cells]), colors=self.color, linewidths=2.2, capstyle="round"
                )
            )
        else:
            # Without edges: translucent edges would overlap, and draw a grid.
            rest = PolyCollection(list(points[cells]), facecolors=look.FAINT, edgecolors="none")
            shown = np.ones(len(cells)) if self.densities is None else self.densities
            rest.set(alpha=0.6 * shown, antialiased=False, rasterized=True)
            ax.add_collection(rest)
            moving = PolyCollection(list(deformed[cells]), facecolors=self.color, edgecolors="none")
            moving.set(alpha=0.8 * shown, antialiased=False, rasterized=True)
            ax.add_collection(moving)
        every = np.vstack([points, deformed])
        low, high = every.min(axis=0), every.max(axis=0)
        margin = 0.03 * side
        ax.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
        ax.set_aspect("equal", adjustable="box", anchor="N")
        ax.set_axis_off()

    def _displacements(self) -> Array:
        if self.displacements.shape[1] == 2:
            return self.displacements
        # Across the bars: normal to the mean direction of the bars at each point.
        points, cells = np.asarray(self.shapes.points, float), np.asarray(self.shapes.cells)
        along = points[cells[:, 1]] - points[cells[:, 0]]
        direction = np.zeros_like(points)
        for corner in (0, 1):
            np.add.at(direction, cells[:, corner], along)
        length = np.linalg.norm(direction, axis=1, keepdims=True)
        direction = direction / np.where(length > 0.0, length, 1.0)
        normal = np.stack([-direction[:, 1], direction[:, 0]], axis=1)
        return np.asarray(self.displacements * normal)
