"""The designs of a run on disk: one PNG each, thinned while the run goes on, read back for its report."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.image import imread

from ..arrays import Array
from ..factor.counting import phase
from ..optimize import State
from .images import design_png
from .strip import Designs

FOLDER = "designs"
"""Of a run's directory."""

Picture = Callable[[State], Array]
"""State ↦ the design as (rows, columns) densities in [0, 1], top row first."""


@dataclass(frozen=True, eq=False)
class DesignKeeper:
    """Keep the designs of a run, each in designs/<iteration>.png of its directory: `minimize(..., each=[keeper])`.

    Kept are the last one, those whose iteration is a power of two, and about `most` more, evenly spaced: every one
    at first, then every second, every fourth, … resume: go on with the designs that are there; those of iterations
    beyond the state that the run is resumed from are dropped. Else all that are there are. Raises ValueError for
    what is no design.
    """

    directory: Path | str
    picture: Picture
    most: int = 120
    resume: bool = False

    def __post_init__(self) -> None:
        if not self.most >= 1:
            raise ValueError(f"DesignKeeper: got most={self.most}, expected at least 1")
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
            aside = path.with_suffix(".part")
            aside.write_bytes(design_png(self.picture(state)))
            os.replace(aside, path)
            every = 1 << (number // self.most).bit_length()
            for k, other in stored(self.directory).items():
                if k > number or (k < number and k % every and k & (k - 1)):
                    other.unlink()


def stored(directory: Path | str) -> dict[int, Path]:
    """The files of designs in a run's directory, by iteration."""
    found = (path for path in (Path(directory) / FOLDER).glob("*.png") if path.stem.isdecimal())
    return {int(path.stem): path for path in sorted(found)}


def read_designs(directory: Path | str) -> Designs:
    """What `DesignKeeper` wrote, to 1/255, by iteration; nothing where there is none. Raises ValueError for no PNG."""
    return [(iteration, _densities(path)) for iteration, path in stored(directory).items()]


def _densities(path: Path) -> Array:
    try:
        gray = imread(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: not a picture ({error}); remove it, the report is drawn without it") from error
    shade = gray if gray.ndim == 2 else gray[..., :3].mean(axis=2)
    return 1.0 - shade
