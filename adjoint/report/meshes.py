"""Designs on meshes: pictures of plane meshes and of the surfaces of solids; VTU files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np

from .._dataclasses import short_repr
from .._files import whole
from .._validation import as_array, as_path, as_reals, require_bool, require_function
from ..factor.counts import phase
from ..optimize.state import State
from ..typing import Array
from .designs import DesignKeeper, stored

LONGEST = 640  # px, longer side of a picture
FINER = 2  # pixels drawn along the side of a pixel kept: no steps, and no gaps between cells
MARGIN = 0.02  # margin around the mesh, as a share of the longer side
SOLID = 0.5  # density from which a cell in three dimensions is drawn
LEAST = 0.02  # density below which a cell is never drawn
DARK, LIT = 0.2, 0.65  # brightness of a solid face in the shade; increase by light
OUTLINE = 0.72  # brightness of the outline of a mesh, or of the box around it
KINDS = {
    (2, 3): "triangle",
    (3, 3): "triangle",
    (2, 4): "quad",
    (3, 4): "tetra",
    (3, 8): "hexahedron",
}
"""VTK's name of a cell: (dimension of space, number of corners) ↦ name."""
FACES: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "triangle": ((0, 1, 2),),
    "quad": ((0, 1, 2, 3),),
    "tetra": ((0, 1, 2), (0, 1, 3), (1, 2, 3), (0, 2, 3)),
    "hexahedron": (
        (0, 1, 2, 3),
        (4, 5, 6, 7),
        (0, 1, 5, 4),
        (1, 2, 6, 5),
        (2, 3, 7, 6),
        (3, 0, 4, 7),
    ),
}

Values = Callable[[State], Array]
"""State ↦ one number for each cell of a mesh, or one for each point."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh of cells of one kind, in the plane or in space.

    points: coordinates, (n, d) with d = 2 or 3; cells: point indices of the c corners of
    each cell in the order of VTK, (k, c).
    """

    points: Array
    cells: Array

    @classmethod
    def of(cls, who: str, points: Array, cells: Array) -> "Mesh":
        """Return the mesh; who: name of the caller, for messages.

        Raises TypeError if `cells` are not integers, ValueError if the shapes are not
        those of a kind of cell in KINDS, or if a corner is not an index of `points`.
        """
        coordinates = as_reals(who, "points", points, 2, "(points, 2) or (points, 3) coordinates")
        corners = as_array(who, "cells", cells)
        if corners.dtype.kind not in "iu":
            raise TypeError(
                f"{who}: got cells of dtype {corners.dtype}, expected integers, the numbers of "
                "points"
            )
        if (
            corners.ndim != 2
            or not corners.size
            or (coordinates.shape[1], corners.shape[1]) not in KINDS
        ):
            raise ValueError(
                f"{who}: got points of shape {coordinates.shape} and cells of shape "
                f"{corners.shape}, expected "
                "triangles (k, 3) or quadrilaterals (k, 4) in the plane, triangles (k, 3), "
                "tetrahedra (k, 4) or "
                "hexahedra (k, 8) in space"
            )
        if not (corners.min() >= 0 and corners.max() < len(coordinates)):
            raise ValueError(
                f"{who}: cells name the points {corners.min()} to {corners.max()}, expected 0 to "
                f"{len(coordinates) - 1}. Usual cause: numbers that begin at 1"
            )
        return cls(coordinates, corners.astype(np.int64))

    @property
    def kind(self) -> str:
        """VTK's name of the cells, such as "tetra"."""
        return KINDS[self.points.shape[1], self.cells.shape[1]]

    def of_cells(self, who: str, values: Array) -> Array:
        """Return one value per cell, (k,); values at points are averaged over the corners.

        Raises ValueError if there is neither one value per cell nor one per point.
        """
        given = as_reals(who, "values", values, 1, "one number for each cell, or for each point")
        if given.size == len(self.cells):
            return given
        if given.size == len(self.points):
            return np.asarray(given[self.cells].mean(axis=1))
        raise ValueError(
            f"{who}: got {given.size} values, expected one for each of {len(self.cells)} cells "
            "or of "
            f"{len(self.points)} points"
        )

    def surface(self, drawn: Array) -> tuple[Array, Array]:
        """Return the outer faces of the drawn cells, and the cell of each face.

        The faces are point indices, (f, 3) or (f, 4); the cells are indices, (f,). An
        outer face of a solid belongs to exactly one drawn cell. If the cells are triangles or
        quadrilaterals, each drawn cell is a face. drawn: (k,) mask.
        """
        chosen = np.flatnonzero(drawn)
        faces = np.concatenate([self.cells[chosen][:, corners] for corners in FACES[self.kind]])
        owners = np.tile(chosen, len(FACES[self.kind]))
        _, first, counts = np.unique(
            np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True
        )
        alone = (
            np.sort(first[counts == 1])
            if self.kind in ("tetra", "hexahedron")
            else np.arange(len(faces))
        )
        return faces[alone], owners[alone]

    def boundary(self) -> Array:
        """The edges at the boundary of a plane mesh, as point indices, (e, 2).

        Such an edge belongs to exactly one cell.
        """
        edges = np.concatenate([self.cells[:, [i, i - 1]] for i in range(self.cells.shape[1])])
        _, first, counts = np.unique(
            np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
        )
        return edges[first[counts == 1]]


def mesh_picture(mesh: Mesh, density: Array, view: tuple[float, float]) -> Array:
    """Draw densities of cells as a picture, (rows, columns): 0 white, 1 black, top row first.

    density: (k,), in [0, 1]; view: azimuth and elevation of the eye in degrees, for meshes
    in space.
    """
    return _in_plane(mesh, density) if mesh.points.shape[1] == 2 else _in_space(mesh, density, view)


def _in_plane(mesh: Mesh, density: Array) -> Array:
    """Draw each cell of a plane mesh in its gray, and the outline of the mesh."""
    return _drawn(
        mesh.points, mesh.points[mesh.cells], 1.0 - density, mesh.points[mesh.boundary()], over=True
    )


def _in_space(mesh: Mesh, density: Array, view: tuple[float, float]) -> Array:
    """Draw the surface of the solid cells in the box around the mesh, lit from above the eye.

    A cell is solid if its density is at least SOLID, or at least half of the largest
    density if that half is smaller than SOLID. Cells with a density below LEAST are never
    drawn.
    """
    azimuth, elevation = np.deg2rad(view)
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    eye = np.array(
        [*(np.cos(elevation) * np.array([np.cos(azimuth), np.sin(azimuth)])), np.sin(elevation)]
    )
    up = np.cross(eye, right)
    flat = np.stack([right, up], axis=1)
    faces, owners = mesh.surface(density >= max(LEAST, min(SOLID, 0.5 * float(density.max()))))
    corners = mesh.points[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1)
    normal = normal / np.where(length > 0.0, length, 1.0)[:, None]
    normal *= np.where(normal @ eye < 0.0, -1.0, 1.0)[
        :, None
    ]  # What is seen of a face is its side to the eye.
    light = eye + 0.7 * up - 0.5 * right
    brightness = DARK + LIT * (0.5 + 0.5 * normal @ (light / np.linalg.norm(light)))
    gray = 1.0 - density[owners] * (1.0 - brightness)
    # The farthest first: what is nearer is drawn over it.
    order = np.argsort(corners.mean(axis=1) @ eye, kind="stable")
    box = _box(mesh.points)
    return _drawn(
        box.reshape(-1, 3) @ flat, corners[order] @ flat, gray[order], box @ flat, over=False
    )


def _box(points: Array) -> Array:
    """Return the end points of the twelve edges of the box around the points, (12, 2, 3)."""
    low, high = points.min(axis=0), points.max(axis=0)
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    edges = [
        (a, b)
        for a in range(8)
        for b in range(a + 1, 8)
        if np.abs(corners[a] - corners[b]).sum() == 1
    ]
    return np.asarray(low + (high - low) * corners[np.array(edges)])


def _drawn(extent: Array, polygons: Array, gray: Array, lines: Array, over: bool) -> Array:
    """Draw polygons, (k, c, 2), in grays, (k,), and lines, (e, 2, 2), as a picture.

    extent: points, (n, 2), around which the picture is cut; over: True draws the lines over
    the polygons, False behind them.
    """
    # Here: matplotlib is imported when the first picture is drawn.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PolyCollection
    from matplotlib.figure import Figure

    low, high = extent.min(axis=0), extent.max(axis=0)
    margin = MARGIN * float((high - low).max())
    low, high = low - margin, high + margin
    pixels = np.maximum(1, np.round(LONGEST * (high - low) / (high - low).max())).astype(int)
    figure = Figure(figsize=tuple(FINER * pixels / 100.0), dpi=100)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    ax.set_axis_off()
    # Without smoothed edges: between two cells they would leave a pale line.
    shade = np.repeat(gray[:, None], 3, axis=1)
    cells = cast("list[Array]", polygons)  # An array is drawn faster than a list, and not declared.
    ax.add_collection(
        PolyCollection(cells, facecolors=shade, edgecolors="none", antialiaseds=False, zorder=1)
    )
    outline = LineCollection(
        list(lines), colors=str(OUTLINE), linewidths=FINER * 0.72, zorder=2 if over else 0
    )
    ax.add_collection(outline)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    fine = drawn[..., 0].astype(float) / 255.0
    rows, columns = (size // FINER for size in fine.shape)
    blocks = fine[: rows * FINER, : columns * FINER].reshape(rows, FINER, columns, FINER)
    return np.asarray(1.0 - blocks.mean(axis=(1, 3)))


@dataclass(frozen=True, eq=False)
class MeshKeeper:
    """Keep pictures of a design on a mesh during a run, as `DesignKeeper` does for grids.

    A design in the plane is drawn cell by cell. For a design in space, the surface of the
    cells with a density of at least ½ is drawn, as seen from `view`. The pictures are
    written to designs/<iteration>.png in the directory, where reports look for designs.

    Parameters
    ----------
    directory : path
        Directory of the run.
    values : callable
        State ↦ densities of the cells, (k,), or of the points, (n,).
    points : (n, 2) or (n, 3) array
        Coordinates of the points.
    cells : (k, c) array of integers
        Point indices of the corners, in the order of VTK. In the plane the cells are
        triangles or quadrilaterals; in space triangles, tetrahedra or hexahedra.
    most : int
        Approximate number of pictures that are kept; see `DesignKeeper`.
    resume : bool
        True keeps the pictures in the directory; see `DesignKeeper`.
    limits : (float, float)
        Values that are drawn white and black. Values outside these limits are clipped.
    view : (float, float)
        Azimuth and elevation of the eye in degrees, for meshes in space.
    vtu : bool
        True writes designs/<iteration>.vtu beside each picture, for ParaView. This needs
        meshio, from the extra `mesh`.

    Raises
    ------
    ValueError
        If the cells are of another kind, if a corner is not an index of `points`, or if
        not low < high in `limits`. During the run: if there is neither one value per cell
        nor one per point, or if a value is not finite.

    Examples
    --------
    ::

        keeper = MeshKeeper("run", lambda state: density(state.x), points, triangles)
        adjoint.minimize(f, x, algorithm, callback=[recorder, keeper])
    """

    directory: Path | str
    values: Values
    points: Array
    cells: Array
    most: int = field(default=120, kw_only=True)
    resume: bool = field(default=False, kw_only=True)
    limits: tuple[float, float] = field(default=(0.0, 1.0), kw_only=True)
    view: tuple[float, float] = field(default=(-60.0, 25.0), kw_only=True)
    vtu: bool = field(default=False, kw_only=True)
    _mesh: Mesh = field(init=False, repr=False)
    _keeper: DesignKeeper = field(init=False, repr=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        name = type(self).__name__
        require_function(
            name, "values", self.values, "a function of a state that returns a number for each cell"
        )
        require_bool(name, "vtu", self.vtu)
        for which, pair in (("limits", self.limits), ("view", self.view)):
            as_reals(name, which, np.asarray(pair), 1, "a pair of numbers")
        if not (len(self.limits) == len(self.view) == 2 and self.limits[0] < self.limits[1]):
            raise ValueError(
                f"{name}: got limits={self.limits}, view={self.view}, expected low < high, and "
                "two angles"
            )
        object.__setattr__(self, "_mesh", Mesh.of(name, self.points, self.cells))
        if self.vtu:
            _meshio()
        object.__setattr__(
            self, "_keeper", DesignKeeper(self.directory, self.picture, self.most, self.resume)
        )
        self._drop()

    def picture(self, state: State) -> Array:
        """Draw the design of a state.

        Parameters
        ----------
        state : State
            State of the run.

        Returns
        -------
        (rows, columns) array
            Values in [0, 1], 0 white and 1 black, top row first.
        """
        values = self._mesh.of_cells(type(self).__name__, np.asarray(self.values(state)))
        low, high = self.limits
        return mesh_picture(self._mesh, np.clip((values - low) / (high - low), 0.0, 1.0), self.view)

    def __call__(self, state: State) -> None:
        """Write the picture of a state and, if `vtu` is True, its values."""
        self._keeper(state)
        if self.vtu:
            with phase("output"):
                values = np.asarray(self.values(state))
                path = Path(self._keeper.directory) / "designs" / f"{state.iteration:06d}.vtu"
                write_vtu(path, self.points, self.cells, {"design": values})
                self._drop()

    def _drop(self) -> None:
        """Delete the VTU files of designs whose pictures are not kept any longer."""
        folder, kept = Path(self._keeper.directory) / "designs", stored(self._keeper.directory)
        for path in folder.glob("*.vtu"):
            if path.stem.isdecimal() and int(path.stem) not in kept:
                path.unlink()


def write_vtu(path: Path | str, points: Array, cells: Array, fields: Mapping[str, Array]) -> None:
    """Write fields on a mesh as a VTK unstructured grid (.vtu) for ParaView, by meshio.

    Parameters
    ----------
    path : path
        Path of the file.
    points : (n, 2) or (n, 3) array
        Coordinates of the points. Plane meshes are written at z = 0.
    cells : (k, c) array of integers
        Point indices of the corners; see `MeshKeeper`.
    fields : mapping of str to (k,), (n,), (k, j) or (n, j) array
        Name ↦ values of the k cells or of the n points. If k = n, they are values of
        cells.

    Raises
    ------
    ValueError
        If the cells are of another kind, or if the length of a field is neither k nor n.
    ImportError
        If meshio is not installed.
    """
    meshio, mesh = _meshio(), Mesh.of("write_vtu", points, cells)
    of_cells, of_points = {}, {}
    for name, given in fields.items():
        values = as_array("write_vtu", f"fields[{name!r}]", given)
        if len(values) == len(mesh.cells):
            of_cells[name] = [values]
        elif len(values) == len(mesh.points):
            of_points[name] = values
        else:
            raise ValueError(
                f"write_vtu: got the field {name!r} of shape {values.shape}, expected one value "
                "for each of "
                f"{len(mesh.cells)} cells or of {len(mesh.points)} points"
            )
    flat = np.zeros((len(mesh.points), 3 - mesh.points.shape[1]))
    with whole(as_path("write_vtu", "path", path)) as aside:
        meshio.Mesh(
            np.hstack([mesh.points, flat]),
            [(mesh.kind, mesh.cells)],
            point_data=of_points,
            cell_data=of_cells,
        ).write(aside, file_format="vtu")


def _meshio() -> ModuleType:
    """Import meshio; raise ImportError with the remedy if meshio is not installed."""
    try:
        import meshio
    except ImportError as error:
        raise ImportError(
            f"VTU files need meshio: pip install 'sparse-adjoint[mesh]' ({error})"
        ) from error
    module: ModuleType = meshio
    return module
