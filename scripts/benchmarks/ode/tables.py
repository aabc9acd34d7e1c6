"""The tables of docs/performance/time.md, from the numbers of a run.

python -m scripts.benchmarks.ode.tables out/ode/ode.json
"""

import argparse
import json
from pathlib import Path

from scripts.benchmarks.ode.figures import Row

CASES = ("Robertson", "Lotka-Volterra", "Brusselator")


def main(path: Path) -> str:
    """Return all tables as Markdown."""
    results = json.loads(path.read_text())
    parts = []
    for name in CASES:
        key = next(key for key in results if key.startswith(f"{name}: error"))
        bound = key.removeprefix(f"{name}:")
        parts.append(f"## {name}\n\nQuickest run with an{bound}:\n\n{quickest(results[key])}")
    parts.append(f"## Adjoint / forward\n\n{ratios(results['Brusselator: adjoint / forward'])}")
    sides = {key.removeprefix("Brusselator: "): rows for key, rows in results.items()}
    parts.append(
        f"## Sizes\n\n{by_size({side: rows for side, rows in sides.items() if side[0].isdigit()})}"
    )
    return "\n\n".join(parts)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def quickest(best: dict[str, Row]) -> str:
    """Return one line per library, the quickest first."""
    keys = ("rtol", "seconds", "over ours", "first, s", "error")
    head = ["", "rtol", "s", "/ ours", "first call, s", "error"]
    return table(
        head, [[name, *(_number(row.get(key)) for key in keys)] for name, row in best.items()]
    )


def ratios(measured: dict[str, list[Row]]) -> str:
    """Return one line per grid and method."""
    keys = [key for key in next(iter(measured.values()))[0] if key != "library"]
    rows = [
        [f"{k}x{k}, {row['library']}", *(_number(row[key]) for key in keys)]
        for k in measured
        for row in measured[k]
    ]
    return table(["", *keys], rows)


def by_size(sizes: dict[str, list[Row]]) -> str:
    """Return seconds and error of each library on each grid, or the reason of a failure."""
    names = dict.fromkeys(str(row["library"]) for rows in sizes.values() for row in rows)
    return table(
        ["", *sizes], [[name, *(_cell(rows, name) for rows in sizes.values())] for name in names]
    )


def _cell(rows: list[Row], name: str) -> str:
    row = next((row for row in rows if row["library"] == name), None)
    if row is None:
        return ""
    return (
        str(row["failed"])
        if "failed" in row
        else f"{_number(row['seconds'])} s ({_number(row['error'])})"
    )


def _number(value: float | str | None) -> str:
    return "" if value is None else f"{float(value):.3g}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.ode.tables", description=__doc__.splitlines()[0]
    )
    parser.add_argument("path", type=Path, help="ode.json of a run")
    print(main(parser.parse_args().path))
