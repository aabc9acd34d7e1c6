"""Files that are written whole or not at all, and paths where no file can be."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KINDS = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a named pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def irregular(path: Path) -> str:
    """What stands at a path, if it is not a regular file; "" for a regular file, or if the path does not exist.

    A file renamed over a device would replace it; a named pipe would be waited for.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:  # Nothing is there, or it cannot be looked at: writing will tell.
        return ""
    return (
        ""
        if stat.S_ISREG(mode)
        else next((name for is_kind, name in KINDS.items() if is_kind(mode)), "no file")
    )


def require_regular(path: Path) -> None:
    """Raise ValueError where a path is a directory, a device, a pipe or a socket."""
    if found := irregular(path):
        raise ValueError(f"{path} is {found}, expected the path of a regular file")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed over it at the end, removed where that failed.

    Raises ValueError for a path of no regular file, OSError with the name of the file where the disk is full.
    """
    require_regular(path)
    aside = path.with_name(
        f"{path.name}.part{path.suffix}"
    )  # With the suffix, which tells Matplotlib the format.
    require_regular(aside)
    try:
        yield aside
        os.replace(aside, path)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            raise named(error, path) from error
        raise


def named(error: OSError, path: Path) -> OSError:
    """The error with the name of the file: that of a write has none."""
    return type(error)(
        error.errno,
        f"{error.strerror or error}; the last file, if there was any, is whole",
        str(path),
    )
