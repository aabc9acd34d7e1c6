"""Files that are written completely or not at all; checks of paths."""

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
    """Return the kind of a path that is not a regular file.

    Return "" for a regular file, and for a file that does not exist.

    Irregular files must not be written: renaming a file over a device would replace the
    device, and opening a named pipe would block.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:  # The path does not exist, or may not be read: writing to it raises the error.
        return ""
    return (
        ""
        if stat.S_ISREG(mode)
        else next((name for is_kind, name in KINDS.items() if is_kind(mode)), "no file")
    )


def require_regular(path: Path) -> None:
    """Raise ValueError if a path is a directory, a device, a pipe or a socket."""
    if found := irregular(path):
        raise ValueError(f"{path} is {found}, expected the path of a regular file")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`.

    At the end of the `with` block the temporary file is renamed to `path`; if the block
    raises, the temporary file is removed.

    Raise ValueError if `path` is not a regular file, and OSError with the name of the
    file, for example if the disk is full.
    """
    require_regular(path)
    # The suffix stays at the end: Matplotlib takes the format from it.
    aside = path.with_name(f"{path.name}.part{path.suffix}")
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
    """Return the error with the name of the file, which an error of a write does not have."""
    return type(error)(
        error.errno,
        f"{error.strerror or error}; a file written there before is unchanged",
        str(path),
    )
