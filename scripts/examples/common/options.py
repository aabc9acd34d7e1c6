"""The command line of an example."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from adjoint.errors import RestartError, SolveError, WrongGradient

FAILURES = (ValueError, OSError, SolveError, WrongGradient, RestartError)
"""Errors whose message says enough: the command line shows no traceback for them."""


def parser(
    example: str, description: str, small: str, progress: bool = True
) -> argparse.ArgumentParser:
    """Return a parser with the options --out, --small and, for an example with progress, --quiet.

    example: name of its folder; description: docstring of its `__main__`, of which the
    first line is shown; small: help text of --small.
    """
    options = argparse.ArgumentParser(
        f"python -m scripts.examples.{example}", description=description.splitlines()[0]
    )
    options.add_argument(
        "--out", type=directory, required=True, help="directory for everything that is written"
    )
    options.add_argument("--small", action="store_true", help=small)
    if progress:
        options.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return options


def directory(text: str) -> Path:
    """Return the path; raise ArgumentTypeError if the text is empty."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty, expected a directory")
    return Path(text)


def run(
    main: Callable[..., object], parse: Callable[[list[str]], argparse.Namespace], example: str
) -> None:
    """Call `main` with the options of this process; exit with a message for FAILURES."""
    options = parse(sys.argv[1:])
    try:
        main(**vars(options))
    except FAILURES as error:
        sys.exit(f"{example}: {error}")
