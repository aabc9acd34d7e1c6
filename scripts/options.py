"""What all scripts take on the command line."""

import argparse


def parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """The options of a script, with the directory it writes to, which must be given."""
    parser.add_argument("--out", required=True, help="directory for everything that is written")
    options = parser.parse_args(arguments)
    if not options.out:
        parser.error("--out is empty, expected a directory")
    return options
