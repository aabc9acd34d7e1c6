"""Designs on meshes: pictures of plane meshes, of the surface of solids; VTU files."""

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
MARGIN = 0.02  # of the longer side, around the mesh
SOLID = 0.5  # density from which a cell in three dimensions is drawn
LEAST = 0.02  # density below which a cell is never drawn
DARK, LIT = 0.2, 0.65  # brightness of a solid face in the shade; what light adds
OUTLINE = 0.72  # brightness of the outline of a mesh, or of the box around it
KINDS = {
    (2, 3): "triangle",
    (3, 3): "triangle",
    (2, 4): "quad",
    (3, 4): "tetra",
    (3, 8): "hexahedron",
}
"""What VTK calls a cell, by the dimension of space and its number of corners."""
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
"""State ↦ one number for each cell, or for each point, of a mesh."""


@dataclass(frozen=True, eq=False)
class Mesh:
    """points: (n, d) coordinates, d = 2 or 3; cells: (k, c) corners, numbered as in VTK."""

    points: Array
    cells: Array

    @classmethod
    def of(cls, who: str, points: Array, cells: Array) -> "Mesh":
        """The mesh; raises ValueError for cells of other kinds and for unknown points."""
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
        """What VTK calls the cells."""
        return KINDS[self.points.shape[1], self.cells.shape[1]]

    def of_cells(self, who: str, values: Array) -> Array:
        """One value a cell, (k,): the values themselves, or means over the corners."""
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
        """Faces of only one of the drawn cells: corners (f, 3 or 4), cell of each (f,)."""
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
        """The edges that only one cell of a mesh in the plane has, (e, 2) points."""
        edges = np.concatenate([self.cells[:, [i, i - 1]] for i in range(self.cells.shape[1])])
        _, first, counts = np.unique(
            np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True
        )
        return edges[first[counts == 1]]


def mesh_picture(mesh: Mesh, density: Array, view: tuple[float, float]) -> Array:
    """Densities (k,) in [0, 1] as a picture (rows, columns), 0 white, 1 black, top row first.

    view: azimuth and elevation of the eye, degrees, for meshes in space.
    """
    return _in_plane(mesh, density) if mesh.points.shape[1] == 2 else _in_space(mesh, density, view)


def _in_plane(mesh: Mesh, density: Array) -> Array:
    """Each cell in its gray, and the outline."""
    return _drawn(
        mesh.points, mesh.points[mesh.cells], 1.0 - density, mesh.points[mesh.boundary()], over=True
    )


def _in_space(mesh: Mesh, density: Array, view: tuple[float, float]) -> Array:
    """The surface of the solid cells, lit from above the eye, in the box around the mesh.

    Where no cell is solid, those of at least half of the largest density.
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
    """The twelve edges of the box around the points, (12, 2, 3)."""
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
    """The picture of polygons (k, c, 2) in grays (k,), and of lines (e, 2, 2).

    extent: (n, 2), all of whose points are in the picture.
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

    A design in the plane is drawn cell by cell; in space the surface of the cells with
    a density of at least ½, as seen from `view`. The pictures go to
    designs/<iteration>.png of the directory, where reports find them.

    Parameters
    ----------
    directory : path
        Of the run.
    values : callable
        State ↦ (cells,) or (points,) densities.
    points : (n, 2) or (n, 3) array
        Coordinates.
    cells : (k, c) array of integers
        Corners: triangles or quadrilaterals in the plane, triangles, tetrahedra or
        hexahedra in space; numbered as in VTK.
    most : int
        About how many pictures are kept; see `DesignKeeper`.
    resume : bool
        Go on with the pictures that are there.
    limits : (float, float)
        Values drawn white and black; those beyond are clipped.
    view : (float, float)
        Azimuth and elevation of the eye, degrees, for meshes in space.
    vtu : bool
        Keep designs/<iteration>.vtu beside each picture, for ParaView; needs meshio,
        the extra `mesh`.

    Raises
    ------
    ValueError
        For a mesh of other cells, corners that are no points, values of another number
        or that are not finite.

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
        """The picture of a state's design.

        Parameters
        ----------
        state : State
            Of the run.

        Returns
        -------
        (rows, columns) array
            Values in [0, 1], 0 white and 1 black, top row first.
        """
        values = self._mesh.of_cells(type(self).__name__, np.asarray(self.values(state)))
        low, high = self.limits
        return mesh_picture(self._mesh, np.clip((values - low) / (high - low), 0.0, 1.0), self.view)

    def __call__(self, state: State) -> None:
        """Keep the picture of a state, and its values where they are asked for."""
        self._keeper(state)
        if self.vtu:
            with phase("output"):
                values = np.asarray(self.values(state))
                path = Path(self._keeper.directory) / "designs" / f"{state.iteration:06d}.vtu"
                write_vtu(path, self.points, self.cells, {"design": values})
                self._drop()

    def _drop(self) -> None:
        """Remove the values of designs whose pictures are kept no longer."""
        folder, kept = Path(self._keeper.directory) / "designs", stored(self._keeper.directory)
        for path in folder.glob("*.vtu"):
            if path.stem.isdecimal() and int(path.stem) not in kept:
                path.unlink()


def write_vtu(path: Path | str, points: Array, cells: Array, fields: Mapping[str, Array]) -> None:
    """Write fields on a mesh as a VTK unstructured grid (.vtu), for ParaView; needs meshio.

    Parameters
    ----------
    path : path
        Of the file.
    points : (n, 2) or (n, 3) array
        Coordinates; meshes in the plane are written at z = 0.
    cells : (k, c) array of integers
        Corners, as for `MeshKeeper`.
    fields : mapping of str to (k,), (n,), (k, j) or (n, j) array
        Values of cells or of points, by name; as many as there are cells are values of
        cells.

    Raises
    ------
    ValueError
        For a mesh of other cells, and for a field of another length.
    ImportError
        Without meshio.
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
    """The package; raises ImportError with the remedy."""
    try:
        import meshio
    except ImportError as error:
        raise ImportError(
            f"VTU files need meshio: pip install 'sparse-adjoint[mesh]' ({error})"
        ) from error
    module: ModuleType = meshio
    return module
