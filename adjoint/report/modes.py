"""Eigenvalues and mode shapes of a run, kept in its directory: modes.npz."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .._dataclasses import short_repr
from .._files import require_regular, whole
from .._validation import (
    as_array,
    as_path,
    as_reals,
    named,
    require_bool,
    require_function,
    require_kind,
)
from ..eigen.mode_tracking import ModeTracker, TrackedModes
from ..eigen.solution import EigenSolution
from ..factor.counts import phase
from ..optimize.state import State
from ..reduced import Function, Point
from ..typing import Array

FILE = "modes.npz"

MOST = 6
"""Maximum number of modes that are kept."""

RECENT = 4
"""Number of evaluations whose eigenpairs are remembered: the accepted one is among the last."""

CORNERS = (2, 3, 4)
"""Numbers of corners of a cell: bars, triangles, quadrilaterals."""


@dataclass(frozen=True, eq=False)
class ModeShapes:
    """Where the unknowns of mode shapes are: a plane mesh, for pictures of modes.

    Parameters
    ----------
    points : (n, 2) array
        Coordinates of the points.
    cells : (k, c) array of integers
        Point indices of the corners: bars (c = 2), triangles or quadrilaterals.
    unknowns : (n, 1) or (n, 2) array of integers
        The unknown that is the displacement of each point: one deflection across the
        plane, or the displacements along x and y; −1 for fixed.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range.
    """

    points: Array
    cells: Array
    unknowns: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        points = as_reals("ModeShapes", "points", self.points, 2, "(n, 2) coordinates")
        n = len(points)
        if points.shape[1] != 2:
            raise ValueError(f"ModeShapes: got points of shape {points.shape}, expected (n, 2)")
        for name, widths, least in (("cells", CORNERS, 0), ("unknowns", (1, 2), -1)):
            given = as_array("ModeShapes", name, getattr(self, name))
            if given.dtype.kind not in "iu":
                raise TypeError(f"ModeShapes: got {name} of {given.dtype}, expected integers")
            if given.ndim != 2 or given.shape[1] not in widths or not given.size:
                raise ValueError(
                    f"ModeShapes: got {name} of shape {given.shape}, expected (…, j) with j in "
                    f"{widths}"
                )
            if given.min() < least or (name == "cells" and given.max() >= n):
                raise ValueError(
                    f"ModeShapes: got {name} from {given.min()} to {given.max()}, expected "
                    f"{'0 to ' + str(n - 1) if name == 'cells' else 'numbers from −1 on'}"
                )
        if len(self.unknowns) != n:
            raise ValueError(
                f"ModeShapes: got unknowns of {len(self.unknowns)} points, expected {n}"
            )

    def displacements(self, vectors: Array) -> Array:
        """Return the displacements of the points.

        Parameters
        ----------
        vectors : (unknowns, k) array
            Mode shapes, one per column.

        Returns
        -------
        (n, d, k) array
            The displacements; zero for fixed ones.

        Raises
        ------
        ValueError
            If a number in `unknowns` is not a row of the vectors.
        """
        unknowns = np.asarray(self.unknowns)
        if unknowns.max() >= len(vectors):
            raise ValueError(
                f"ModeShapes: got unknowns up to {unknowns.max()}, but the mode shapes have "
                f"{len(vectors)} entries"
            )
        extended = np.vstack([vectors, np.zeros((1, vectors.shape[1]))])
        return np.asarray(extended[unknowns])


@dataclass(frozen=True, eq=False)
class Modes:
    """Eigenvalues over the iterations of a run, and the mode shapes of its last design.

    Attributes
    ----------
    iterations : (r,) array of integers
        Iterations, ascending.
    values : (r, k) array
        Eigenvalues in the order of the solution.
    tracked : (r, k) array
        Eigenvalues of the modes that began as mode 1, 2, …, followed by their shapes;
        nan while a mode is lost.
    label : str
        What the eigenvalues are, such as "load factor".
    shapes : ModeShapes or None
        The mesh.
    vectors : (unknowns, k) array
        Mode shapes of the last iteration; a lost mode keeps its last shape.
    densities : (cells,) array or None
        Densities of the cells at the last iteration, with which they are drawn.
    """

    iterations: Array
    values: Array
    tracked: Array
    label: str
    shapes: ModeShapes | None
    vectors: Array
    densities: Array | None = None

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class _Seen:
    """Eigenpairs of one evaluation at x, as a `ModeTracker` needs them."""

    x: Array
    values: Array
    vectors: Array
    clusters: tuple[tuple[int, ...], ...]


@dataclass(eq=False)
class ModeKeeper:
    """Keep the eigenvalues and mode shapes of a run, for its report.

    The keeper sees the eigenpairs through the function that is minimized, so that nothing
    is solved twice: minimize `keeper.watching(f)` with the keeper among the callbacks. The
    keeper remembers the eigenpairs of the last evaluations, and follows modes from design
    to design by their shapes, as `ModeTracker` does. It writes modes.npz into the
    directory of the run, where reports look for modes.

    Parameters
    ----------
    directory : path
        Directory of the run.
    shapes : ModeShapes, optional
        A mesh on which the modes are drawn.
    label : str
        What the eigenvalues are, such as "load factor" or "frequency² / s⁻²".
    densities : callable, optional
        State ↦ densities of the cells in [0, 1], (cells,): cells without material are not
        drawn.
    resume : bool
        True keeps what an earlier session wrote, up to the state from which the run
        continues.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type. During the run: if the function has no real
        eigenpairs, or if the mesh does not fit them.

    Examples
    --------
    ::

        keeper = ModeKeeper("run", ModeShapes(points, cells, unknowns), label="load factor")
        adjoint.minimize(keeper.watching(f), x, algorithm, callback=[recorder, keeper])
    """

    directory: Path | str
    shapes: ModeShapes | None = None
    label: str = "eigenvalue"
    densities: Callable[[State], Array] | None = None
    resume: bool = False
    _recent: list[_Seen] = field(init=False, repr=False, default_factory=list)
    _function: Function | None = field(init=False, repr=False, default=None)
    _tracker: ModeTracker | None = field(init=False, repr=False, default=None)
    _kept: Modes | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.directory = as_path("ModeKeeper", "directory", self.directory).resolve()
        require_kind("ModeKeeper", "shapes", self.shapes, ModeShapes | None, "ModeShapes(…)")
        require_kind("ModeKeeper", "label", self.label, str, "a text")
        if self.densities is not None:
            expected = "a function of a state that returns a density for each cell"
            require_function("ModeKeeper", "densities", self.densities, expected)
            require_kind("ModeKeeper", "shapes", self.shapes, ModeShapes, "ModeShapes(…)")
        require_bool("ModeKeeper", "resume", self.resume)
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.resume:
            self._kept = read_modes(self.directory)
        else:
            (self.directory / FILE).unlink(missing_ok=True)

    def watching(self, f: Function) -> Callable[[Array], Point]:
        """Return x ↦ f(x); the keeper remembers the eigenpairs of the points.

        Parameters
        ----------
        f : callable
            A `Reduced` of an eigenproblem, or a `BoundFormulation`.

        Returns
        -------
        callable
            The function to minimize.
        """
        require_function("ModeKeeper.watching", "f", f, "a function x ↦ point")
        self._function = f

        def watched(x: Array) -> Point:
            point = f(x)
            self._recent = [*self._recent[1 - RECENT :], self._seen(point)]
            return point

        return watched

    def _seen(self, point: Point) -> _Seen:
        solution: object = getattr(point, "solution", None)
        if not all(hasattr(solution, name) for name in ("values", "vectors", "clusters")):
            raise TypeError(
                f"ModeKeeper: got a point with the solution {named(solution)}, expected that of an "
                "eigenproblem"
            )
        pairs: EigenSolution = solution  # type: ignore[assignment]
        if pairs.values.dtype.kind == "c" or pairs.vectors.dtype.kind == "c":
            raise TypeError("ModeKeeper: got complex eigenpairs, expected real ones")
        if self.shapes is not None:
            self.shapes.displacements(pairs.vectors[:, :1])  # Raises before the run goes on.
        return _Seen(np.array(point.x), pairs.values.copy(), pairs.vectors.copy(), pairs.clusters)

    def __call__(self, state: State) -> None:
        """Add the eigenpairs of a state, and write the file."""
        with phase("output"):
            self._add(state)

    def _add(self, state: State) -> None:
        seen = self._of(state.x)
        modes = self._followed(seen)
        tracked = np.where(np.isin(np.arange(modes.values.size), modes.lost), np.nan, modes.values)
        k = modes.values.size
        before = self._kept
        values, followed = seen.values[None, :k], tracked[None]
        iterations = np.array([state.iteration])
        if before is not None:
            earlier = before.iterations < state.iteration
            values = np.vstack([before.values[earlier], values])
            followed = np.vstack([before.tracked[earlier], followed])
            iterations = np.append(before.iterations[earlier], iterations)
        densities = None if self.densities is None else self._checked(self.densities(state))
        self._kept = Modes(
            iterations, values, followed, self.label, self.shapes, modes.vectors, densities
        )
        _write(Path(self.directory) / FILE, self._kept)

    def _checked(self, densities: Array) -> Array:
        cells = np.asarray(self.shapes.cells) if self.shapes is not None else np.zeros((0, 3))
        given = as_reals("ModeKeeper", "densities", densities, 1, "a density for each cell")
        if given.size != len(cells):
            raise ValueError(
                f"ModeKeeper: got {given.size} densities, expected one for each of {len(cells)} "
                "cells"
            )
        return np.clip(given, 0.0, 1.0)

    def _of(self, x: Array) -> _Seen:
        """Return the eigenpairs at x; evaluate f if they were not remembered."""
        if self._function is None:
            raise ValueError(
                "ModeKeeper: the function of the run is not watched, expected "
                "adjoint.minimize(keeper.watching(f), …, callback=[keeper])"
            )
        for seen in reversed(self._recent):
            if np.array_equal(seen.x, x):
                return seen
        return self._seen(self._function(x))  # After a restart.

    def _followed(self, seen: _Seen) -> TrackedModes:
        """Return the modes, matched with those of the last iteration."""
        if self._tracker is None:
            reference = seen.vectors[:, :MOST]
            before = self._kept
            if before is not None and before.vectors.shape == reference.shape:
                reference = before.vectors  # The last modes of the earlier session.
            self._tracker = ModeTracker(reference)
        pairs: EigenSolution = seen  # type: ignore[assignment]
        return self._tracker(pairs)


def _write(path: Path, modes: Modes) -> None:
    arrays = {
        "iterations": modes.iterations,
        "values": modes.values,
        "tracked": modes.tracked,
        "label": np.array(modes.label),
        "vectors": modes.vectors,
    }
    if modes.densities is not None:
        arrays["densities"] = modes.densities
    if modes.shapes is not None:
        arrays |= {
            name: np.asarray(getattr(modes.shapes, name))
            for name in ("points", "cells", "unknowns")
        }
    with whole(path) as aside, zipfile.ZipFile(aside, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def read_modes(directory: Path | str) -> Modes | None:
    """Read the modes that a `ModeKeeper` wrote into a run's directory.

    Parameters
    ----------
    directory : path
        Directory of the run.

    Returns
    -------
    Modes or None
        None if no modes were kept.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    path = as_path("read_modes", "directory", directory) / FILE
    require_regular(path)
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            shapes = (
                ModeShapes(stored["points"], stored["cells"], stored["unknowns"])
                if "points" in stored
                else None
            )
            modes = Modes(
                stored["iterations"],
                stored["values"],
                stored["tracked"],
                str(stored["label"]),
                shapes,
                stored["vectors"],
                stored.get("densities"),
            )
    except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path}: not a file of modes ({error}); remove it, the report is drawn without it"
        ) from error
    r, k = modes.values.shape if modes.values.ndim == 2 else (-1, -1)
    if not (
        modes.iterations.shape == (r,)
        and modes.tracked.shape == (r, k)
        and modes.vectors.ndim == 2
        and modes.vectors.shape[1] == k
        and (shapes is None or np.asarray(shapes.unknowns).max() < len(modes.vectors))
        and (
            modes.densities is None
            or (shapes is not None and modes.densities.shape == np.shape(shapes.cells)[:1])
        )
    ):
        raise ValueError(
            f"{path}: not a file of modes (its arrays do not fit each other); remove it, the "
            "report is drawn without it"
        )
    return modes
