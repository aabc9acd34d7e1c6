"""The command line, `python -m adjoint COMMAND`, with one entry of `COMMANDS` per command."""

import argparse
import math
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import doctor

WIDTH = 96
"""Largest number of columns printed."""


COMPARISON = "report"
"""The default directory of a report of several runs."""


@dataclass(frozen=True)
class Command:
    """A subcommand of `python -m adjoint`.

    summary: one line for the help. arguments: function that adds the options of the
    command to a parser. run: function that executes the command and returns the exit
    code.
    """

    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def table(solvers: Sequence[doctor.Solver]) -> str:
    """Return a table with one line per working solver: name, package, BLAS, seconds."""
    header = ("solver", "package", "BLAS it calls", "seconds")
    rows = [
        (one.name, one.package, "-" if one.blas is None else str(one.blas), _seconds(one.seconds))
        for one in solvers
        if not one.fault
    ]
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(3)]
    return "\n".join(
        "  ".join(
            [
                *(cell.ljust(width) for cell, width in zip(row, widths, strict=False)),
                row[3].rjust(7),
            ]
        )
        for row in [header, *rows]
    )


def _seconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds:.3f}"


def _paragraph(text: str, indent: int) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False)


def diagnosis(environment: Sequence[str], solvers: Sequence[doctor.Solver], verdict: str) -> str:
    """Return the output of `doctor`: machine, solvers, missing solvers with reasons, verdict."""
    missing = [_paragraph(f"{one.name}: {one.fault}", 4) for one in solvers if one.fault]
    return "\n\n".join(
        part
        for part in (
            "\n".join(environment),
            table(solvers),
            f"seconds: analyse, factor and solve the Laplacian of {doctor.GRID} x {doctor.GRID} "
            "points, once",
            "\n".join(["Not working here, and why:", *missing]) if missing else "",
            _paragraph(f"Verdict: {verdict}", 4),
        )
        if part
    )


def _doctor(_: argparse.Namespace) -> int:
    solvers = doctor.solvers(doctor.GRID)
    verdict = doctor.verdict(solvers, doctor.processor_has_avx2())
    print(diagnosis(doctor.environment(), solvers, verdict))
    return 0 if any(not one.fault for one in solvers) else 1


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="directory of a run, with its history.jsonl"
    )
    parser.add_argument(
        "--out", metavar="DIR", help=f"where to (default: the run's own; of several, {COMPARISON}/)"
    )


def _report(options: argparse.Namespace) -> int:
    from .report import (
        convergence_report,  # Here, since matplotlib takes longer to load than all the rest.
    )

    out = options.out or (options.runs[0] if len(options.runs) == 1 else COMPARISON)
    try:
        written = convergence_report(options.runs, out)
    except (ValueError, OSError) as error:
        print(f"report: {printable(str(error))}", file=sys.stderr)
        return 1
    except (
        Exception
    ) as error:  # A folder may hold anything, and whoever reads the terminal has not written it.
        print(
            f"report: cannot draw it ({type(error).__name__}: {printable(str(error))})",
            file=sys.stderr,
        )
        return 1
    print("\n".join(printable(str(path)) for path in written))
    return 0


def printable(text: str) -> str:
    """Return the text with escaped control characters: they could move the terminal's cursor."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def _no_arguments(_: argparse.ArgumentParser) -> None:
    pass


COMMANDS = {
    "doctor": Command(
        "which solvers and which BLAS are used here, and what would mend them",
        _no_arguments,
        _doctor,
    ),
    "report": Command(
        "the convergence report of a run, or of several runs compared", _report_arguments, _report
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run `python -m adjoint` with these arguments; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m adjoint", description="Adjoint gradients of sparse models."
    )
    parser.add_argument("--version", action="version", version=doctor.installed("sparse-adjoint"))
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.arguments(
            subparsers.add_parser(name, help=command.summary, description=command.summary)
        )
    parsed = parser.parse_args(arguments)
    return COMMANDS[parsed.command].run(parsed)
