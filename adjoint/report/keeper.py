"""The designs of a run on disk: one PNG each, thinned while the run goes on, read back for its report."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from matplotlib.image import imread

from .._files import require_regular, whole
from .._validation import as_path, require_function, require_settings
from ..factor.counts import phase
from ..optimize.state import State
from ..typing import Array
from .images import LARGEST_PICTURE, SIGNATURE, design_png
from .strip import Designs

FOLDER = "designs"
"""Of a run's directory."""
LONGEST, FINEST = 20, 4  # aspect of an element; pixels across its shorter side

Picture = Callable[[State], Array]
"""State ↦ the design as (rows, columns) densities in [0, 1], top row first."""


@dataclass(frozen=True, eq=False)
class DesignKeeper:
    """Keep the designs of a run, each in designs/<iteration>.png of its directory: `minimize(..., callback=[keeper])`.

    Kept are the last one, those whose iteration is a power of two, and about `most` more, evenly spaced: every one
    at first, then every second, every fourth, … picture: state ↦ (rows, columns) densities in [0, 1], top row first.
    resume: go on with the designs that are there; those of iterations beyond the state that the run is resumed from are
    dropped. Else all that are there are. aspect: width over height of an element, whose pixels are repeated so that the
    picture has the proportions of the body, to a few percent. Raises ValueError for what is no design.
    """

    directory: Path | str
    picture: Picture
    most: int = 120
    resume: bool = False
    aspect: float = 1.0

    def __post_init__(self) -> None:
        require_settings(self)
        as_path("DesignKeeper", "directory", self.directory)
        require_function("DesignKeeper", "picture", self.picture, "a function of a state that returns a design")
        if not (self.most >= 1 and 1 / LONGEST <= self.aspect <= LONGEST):
            raise ValueError(
                f"DesignKeeper: got most={self.most}, aspect={self.aspect}, expected at least 1, and an element's "
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
        times = (long.denominator, long.numerator) if self.aspect >= 1.0 else (long.numerator, long.denominator)
        return design.repeat(times[0], axis=0).repeat(times[1], axis=1) if design.ndim == 2 else design


def stored(directory: Path | str) -> dict[int, Path]:
    """The files of designs in a run's directory, by iteration."""
    found = (path for path in (Path(directory) / FOLDER).glob("*.png") if path.stem.isdecimal())
    return {int(path.stem): path for path in sorted(found)}


def read_designs(directory: Path | str) -> Designs:
    """What `DesignKeeper` wrote, to 1/255, by iteration; nothing where there is none. Raises ValueError for no PNG."""
    return [(iteration, _densities(path)) for iteration, path in stored(directory).items()]


def _densities(path: Path) -> Array:
    require_regular(path)
    with path.open("rb") as file:
        head = file.read(24)
    size = struct.unpack(">II", head[16:]) if len(head) == 24 else (0, 0)
    if head[:8] == SIGNATURE and size[0] * size[1] > LARGEST_PICTURE:  # Before it is decoded.
        raise ValueError(f"{path}: a picture of {size[0]} x {size[1]} pixels, expected at most {LARGEST_PICTURE}")
    try:
        gray = imread(path, format="png")
    except Exception as error:  # Whatever a decoder says of a file that somebody else has written.
        raise ValueError(f"{path}: not a picture ({error}); remove it, the report is drawn without it") from error
    shade = gray if gray.ndim == 2 else gray[..., :3].mean(axis=2)
    return 1.0 - shade
