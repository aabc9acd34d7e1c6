"""The designs of a run on disk: one PNG each, thinned during the run, read by its report."""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np

from .._dataclasses import short_repr
from .._files import require_regular, whole
from .._validation import as_array, as_path, require_function, require_integer, require_settings
from ..factor.counts import phase
from ..optimize.state import State
from ..typing import Array
from .history import History

SMALLEST_PICTURE = (
    800  # px, longer side of a written picture: a coarse design stays visible in a viewer
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""What every PNG begins with."""

LARGEST_PICTURE = 100_000_000
"""Largest number of pixels of a picture that is written or read; more are a slip."""


def design_png(design: Array, pixels: int = 1) -> bytes:
    """A PNG file, 8 bits a colour: 0 is white, 1 is black, `pixels` × `pixels` an element.

    Parameters
    ----------
    design : (rows, columns) array
        Densities in [0, 1], rows from top to bottom.
    pixels : int
        Pixels along the side of an element.

    Returns
    -------
    bytes
        The contents of the file.

    Raises
    ------
    ValueError
        For another shape, values outside [0, 1], or a picture of more than 10⁸ pixels.
    """
    from matplotlib.image import (
        imsave,  # Here: matplotlib is imported when the first picture is written.
    )

    require_integer("design_png", "pixels", pixels, 1)
    densities = checked(design)
    if densities.size * pixels**2 > LARGEST_PICTURE:
        raise ValueError(
            f"design_png: got a design of shape {np.shape(design)} and pixels={pixels}, a "
            "picture of more than "
            f"{LARGEST_PICTURE} pixels"
        )
    gray = (
        np.round(255 * (1 - densities))
        .astype(np.uint8)
        .repeat(pixels, axis=0)
        .repeat(pixels, axis=1)
    )
    stream = BytesIO()
    imsave(stream, np.repeat(gray[:, :, np.newaxis], 3, axis=2), format="png")
    return stream.getvalue()


def write_design(path: Path | str, design: Array) -> None:
    """Write a design as PNG: an element is a square, the longer side at least 800 px.

    Parameters
    ----------
    path : path
        Of the file.
    design : (rows, columns) array
        Densities in [0, 1], rows from top to bottom.

    Raises
    ------
    ValueError
        For other shapes or values.
    """
    pixels = -(-SMALLEST_PICTURE // max(checked(design).shape))
    data = design_png(design, pixels)
    with whole(as_path("write_design", "path", path)) as aside:
        aside.write_bytes(data)


def checked(design: Array) -> Array:
    """The design as float64, rounding errors beyond [0, 1] clipped.

    Raises TypeError for values that are not real, ValueError for other shapes and
    values outside [0, 1].
    """
    densities = as_array("design_png", "design", design)
    if densities.dtype.kind not in "fiub":
        raise TypeError(f"got a design of dtype {densities.dtype}, expected real densities")
    densities = densities.astype(float)
    if densities.ndim != 2 or densities.size == 0:
        raise ValueError(
            f"got a design of shape {densities.shape}, expected (rows, columns), at least (1, 1)"
        )
    if not (densities.min() >= -1e-6 and densities.max() <= 1 + 1e-6):
        raise ValueError(
            f"got a design with values from {densities.min():.6g} to {densities.max():.6g}, "
            "expected [0, 1]; "
            "usual cause: the parameters (stiffnesses) passed in place of the densities"
        )
    clipped: Array = np.clip(densities, 0.0, 1.0)
    return clipped


Designs: TypeAlias = Sequence[tuple[int, Array]]


def in_order(designs: Designs) -> list[tuple[int, Array]]:
    """The designs by iteration.

    Raises ValueError for two of one iteration, or of different shapes.
    """
    ordered = sorted(((int(k), checked(design)) for k, design in designs), key=lambda item: item[0])
    iterations = [iteration for iteration, _ in ordered]
    if len(set(iterations)) < len(iterations):
        raise ValueError(f"got two designs of one iteration in {iterations}, expected one each")
    if len({design.shape for _, design in ordered}) > 1:
        raise ValueError("got designs of different shapes, expected one shape for all")
    return ordered


def found_place(designs: Sequence[tuple[int, Array]], history: History) -> int:
    """The position of the design that the run found; the last one if it was not kept."""
    found = history.result.get("found") if history.result else None
    iterations = [iteration for iteration, _ in designs]
    return (
        iterations.index(found)
        if isinstance(found, int) and found in iterations
        else len(designs) - 1
    )


def log_spaced(iterations: Sequence[int], most: int) -> list[int]:
    """Positions of at most `most` iterations: the first, the last, log-spaced ones between."""
    if len(iterations) <= most:
        return list(range(len(iterations)))
    since = np.asarray(iterations) - iterations[0] + 1.0
    targets = np.geomspace(1.0, since[-1], most)
    return sorted({int(np.argmin(np.abs(np.log(since / target)))) for target in targets})


FOLDER = "designs"
"""Of a run's directory."""
LONGEST, FINEST = 20, 4  # aspect of an element; pixels across its shorter side

Picture = Callable[[State], Array]
"""State ↦ the design as (rows, columns) densities in [0, 1], top row first."""


@dataclass(frozen=True, eq=False)
class DesignKeeper:
    """Keep pictures of the designs of a run: `minimize(..., callback=[keeper])`.

    Each design is written to designs/<iteration>.png of the directory, where reports find
    it. Kept are the last one, those whose iteration is a power of two, and about `most`
    more, evenly spaced: every one at first, then every second, every fourth, and so on.
    For meshes: `MeshKeeper`.

    Parameters
    ----------
    directory : path
        Of the run.
    picture : callable
        State ↦ (rows, columns) densities in [0, 1], top row first.
    most : int
        About how many designs are kept, besides those at powers of two.
    resume : bool
        Go on with the pictures that are there; those beyond the state that the run is
        resumed from are dropped. Otherwise all that are there are dropped.
    aspect : float
        Width over height of an element. Its pixels are repeated so that the picture has
        the proportions of the body, to a few percent.

    Raises
    ------
    ValueError
        For densities outside [0, 1], other shapes, `most` < 1 or an aspect beyond 20.

    Examples
    --------
    ::

        keeper = DesignKeeper("run", lambda state: smooth(state.x).reshape(nx, ny).T)
        adjoint.minimize(f, x, algorithm, callback=[recorder, keeper])
    """

    directory: Path | str
    picture: Picture
    most: int = 120
    resume: bool = False
    aspect: float = 1.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        as_path("DesignKeeper", "directory", self.directory)
        require_function(
            "DesignKeeper", "picture", self.picture, "a function of a state that returns a design"
        )
        if not (self.most >= 1 and 1 / LONGEST <= self.aspect <= LONGEST):
            raise ValueError(
                f"DesignKeeper: got most={self.most}, aspect={self.aspect}, expected at least 1, "
                "and an element's "
                f"width over its height from 1/{LONGEST} to {LONGEST}"
            )
        object.__setattr__(self, "directory", Path(self.directory).resolve())
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            for path in stored(self.directory).values():
                path.unlink()

    @property
    def _folder(self) -> Path:
        return Path(self.directory) / FOLDER

    def __call__(self, state: State) -> None:
        """Write the design aside, rename it, and drop those that are too many."""
        with phase("output"):
            number = state.iteration
            path = self._folder / f"{number:06d}.png"
            data = design_png(self._proportioned(np.asarray(self.picture(state))))
            with whole(path) as aside:
                aside.write_bytes(data)
            every = 1 << (number // self.most).bit_length()
            for k, other in stored(self.directory).items():
                if k > number or (k < number and k % every and k & (k - 1)):
                    other.unlink()

    def _proportioned(self, design: Array) -> Array:
        """The design, each element repeated as often as its proportions ask for."""
        long = Fraction(max(self.aspect, 1.0 / self.aspect)).limit_denominator(FINEST)
        times = (
            (long.denominator, long.numerator)
            if self.aspect >= 1.0
            else (long.numerator, long.denominator)
        )
        return (
            design.repeat(times[0], axis=0).repeat(times[1], axis=1) if design.ndim == 2 else design
        )


def stored(directory: Path | str) -> dict[int, Path]:
    """The files of designs in a run's directory, by iteration."""
    found = (path for path in (Path(directory) / FOLDER).glob("*.png") if path.stem.isdecimal())
    return {int(path.stem): path for path in sorted(found)}


def read_designs(directory: Path | str) -> Designs:
    """The designs that a keeper wrote into a run's directory, to 1/255.

    Parameters
    ----------
    directory : path
        Of the run.

    Returns
    -------
    list of (int, (rows, columns) array)
        Iteration and densities in [0, 1], top row first; empty where none were kept.

    Raises
    ------
    ValueError
        For a file that is not a PNG.
    """
    return [(iteration, _densities(path)) for iteration, path in stored(directory).items()]


def _densities(path: Path) -> Array:
    require_regular(path)
    with path.open("rb") as file:
        head = file.read(24)
    size = struct.unpack(">II", head[16:]) if len(head) == 24 else (0, 0)
    if head[:8] == SIGNATURE and size[0] * size[1] > LARGEST_PICTURE:  # Before it is decoded.
        raise ValueError(
            f"{path}: a picture of {size[0]} x {size[1]} pixels, expected at most {LARGEST_PICTURE}"
        )
    from matplotlib.image import imread

    try:
        gray = imread(path, format="png")
    except Exception as error:  # Whatever a decoder says of a file that somebody else has written.
        raise ValueError(
            f"{path}: not a picture ({error}); remove it, the report is drawn without it"
        ) from error
    shade = gray if gray.ndim == 2 else gray[..., :3].mean(axis=2)
    return 1.0 - shade
