"""The designs of a run on disk, one PNG file per design; a report reads these files."""

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
"""First eight bytes of each PNG file."""

LARGEST_PICTURE = 100_000_000
"""Largest number of pixels of a picture that is written or read.

A larger picture is a mistake.
"""


def design_png(design: Array, pixels: int = 1) -> bytes:
    """Return a PNG file with `pixels` × `pixels` pixels per element; density 1 is black.

    Parameters
    ----------
    design : (rows, columns) array
        Densities in [0, 1], rows from top to bottom.
    pixels : int
        Number of pixels along the side of an element.

    Returns
    -------
    bytes
        The contents of the file, in 8 bits per colour; density 0 is white.

    Raises
    ------
    ValueError
        If the design is not a matrix, if a density is not in [0, 1], or if the picture
        has more than 10⁸ pixels.
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
    """Write a design as a PNG file with square elements.

    The longer side of the picture has at least 800 pixels.

    Parameters
    ----------
    path : path
        Path of the file.
    design : (rows, columns) array
        Densities in [0, 1], rows from top to bottom.

    Raises
    ------
    ValueError
        If the design is not a matrix, or if a density is not in [0, 1].
    """
    pixels = -(-SMALLEST_PICTURE // max(checked(design).shape))
    data = design_png(design, pixels)
    with whole(as_path("write_design", "path", path)) as aside:
        aside.write_bytes(data)


def checked(design: Array) -> Array:
    """Return the design as float64, clipped to [0, 1].

    Only rounding errors are clipped: values outside [−10⁻⁶, 1 + 10⁻⁶] raise ValueError.
    Raises TypeError if a density is not real, ValueError if the design is not a matrix.
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
    """Return the designs, sorted by iteration.

    Raises ValueError if two designs have the same iteration or different shapes.
    """
    ordered = sorted(((int(k), checked(design)) for k, design in designs), key=lambda item: item[0])
    iterations = [iteration for iteration, _ in ordered]
    if len(set(iterations)) < len(iterations):
        raise ValueError(f"got two designs of one iteration in {iterations}, expected one each")
    if len({design.shape for _, design in ordered}) > 1:
        raise ValueError("got designs of different shapes, expected one shape for all")
    return ordered


def found_place(designs: Sequence[tuple[int, Array]], history: History) -> int:
    """Return the index of the design that the run found.

    The index is that of the last design if the design found was not kept.
    """
    found = history.result.get("found") if history.result else None
    iterations = [iteration for iteration, _ in designs]
    return (
        iterations.index(found)
        if isinstance(found, int) and found in iterations
        else len(designs) - 1
    )


def log_spaced(iterations: Sequence[int], most: int) -> list[int]:
    """Return the indices of at most `most` iterations, about evenly spaced in the logarithm.

    The first and the last iteration are among them.
    """
    if len(iterations) <= most:
        return list(range(len(iterations)))
    since = np.asarray(iterations) - iterations[0] + 1.0
    targets = np.geomspace(1.0, since[-1], most)
    return sorted({int(np.argmin(np.abs(np.log(since / target)))) for target in targets})


FOLDER = "designs"
"""Name of the folder with the pictures, in the directory of a run."""
LONGEST, FINEST = 20, 4  # maximum aspect of an element; maximum pixels across its shorter side

Picture = Callable[[State], Array]
"""State ↦ the design as (rows, columns) densities in [0, 1], top row first."""


@dataclass(frozen=True, eq=False)
class DesignKeeper:
    """Keep pictures of the designs of a run: `minimize(..., callback=[keeper])`.

    Each design is written to designs/<iteration>.png in the directory, where reports
    look for designs. The keeper keeps the last design, the designs whose iteration is a
    power of two, and about `most` evenly spaced designs: at first each iteration, later
    each second iteration, each fourth iteration, and so on. For meshes, use `MeshKeeper`.

    Parameters
    ----------
    directory : path
        Directory of the run.
    picture : callable
        State ↦ (rows, columns) densities in [0, 1], top row first.
    most : int
        Approximate number of evenly spaced designs that are kept.
    resume : bool
        True keeps the pictures in the directory, except pictures of iterations after the
        state from which the run continues. False deletes all pictures in the directory.
    aspect : float
        Width of an element divided by its height. Pixels of an element are repeated, so
        that the picture has the proportions of the body, to a few percent.

    Raises
    ------
    ValueError
        If `most` < 1, or if `aspect` is not between 1/20 and 20. During the run: if the
        picture is not a matrix, or if a density is not in [0, 1].

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
        """Write the picture of a state, and delete the pictures that are not kept any longer.

        The picture is written to a temporary file, which is then renamed.
        """
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
        """Return the design with rows or columns repeated, so that elements have their aspect."""
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
    """Return the files of the designs in a run's directory: iteration ↦ path."""
    found = (path for path in (Path(directory) / FOLDER).glob("*.png") if path.stem.isdecimal())
    return {int(path.stem): path for path in sorted(found)}


def read_designs(directory: Path | str) -> Designs:
    """Read the designs that a keeper wrote into a run's directory.

    The densities have errors up to 1/510, because a PNG file has 256 grays.

    Parameters
    ----------
    directory : path
        Directory of the run.

    Returns
    -------
    list of (int, (rows, columns) array)
        Iteration and densities in [0, 1], top row first; empty if no design was kept.

    Raises
    ------
    ValueError
        If a file is not a PNG picture, or if it has more than 10⁸ pixels.
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
    except Exception as error:  # A decoder may raise any error for a damaged file.
        raise ValueError(
            f"{path}: not a picture ({error}); remove it, the report is drawn without it"
        ) from error
    shade = gray if gray.ndim == 2 else gray[..., :3].mean(axis=2)
    return 1.0 - shade
