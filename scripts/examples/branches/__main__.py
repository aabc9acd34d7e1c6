"""Bratu's branch through its fold, ∇²u + λeᵘ = 0, with sensitivities on both arms and at the fold.

    python -m scripts.examples.branches --out out/branches

On a line: J = ∫u and dJ/dλ along the branch, and λ_c on finer and finer meshes, extrapolated
to mesh width zero. On a square: the states of one λ on both arms, and the effect of the local
reactivity s on ignition, dλ_c/ds, at rest and in a flow. Writes line.png, square.png and
branches.json.

Closed form on the line: Mohsen (2014), Comput. Math. Appl. 67, 26.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from adjoint.typing import Array
from problems.steady.bratu import bratu
from problems.steady.ignition import ignition
from scripts.examples.branches.branch import Branch
from scripts.examples.branches.figures import draw_line, draw_square
from scripts.examples.common import options

MESHES, SMALL_MESHES = (15, 31, 63, 127, 255, 511), (15, 31, 63, 127)
"""Interior points on the line."""

SQUARE, SMALL_SQUARE = (95, 71), (23, 15)
"""Interior points on the square, along x and y."""

COARSE, FINE = 0.2, 0.05
"""Longest arc step of a branch, and of the branch that is drawn."""

HIGHEST_LINE, HIGHEST_SQUARE = 8.0, 5.5
"""Values of max u at which the traces end."""

FLOW = 20.0
"""Péclet number of the flow."""

NAMES = (
    "lambda_c",
    "u_max",
    "J(1) below",
    "dJ/dlambda(1) below",
    "J(1) above",
    "dJ/dlambda(1) above",
)


def main(out: Path, small: bool) -> dict[str, dict[str, object]]:
    """Trace the branches, draw them, and write the numbers; returns the numbers."""
    meshes, points = (SMALL_MESHES, SMALL_SQUARE) if small else (MESHES, SQUARE)
    out.mkdir(parents=True, exist_ok=True)
    numbers = {"line": line(meshes, out), "square": square(points, out)}
    (out / "branches.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for domain, values in numbers.items():
        print(domain, *(f"  {name}: {value}" for name, value in values.items()), sep="\n")
    return numbers


def line(meshes: tuple[int, ...], out: Path) -> dict[str, object]:
    """Trace the branch on the line and extrapolate λ_c, J and dJ/dλ; returns the numbers."""
    rows = []
    for n in meshes:
        longest = FINE if n == meshes[-1] else COARSE
        found = Branch.of(bratu(n), np.full(1, 0.1), HIGHEST_LINE, longest)
        mean = np.full(n, 1.0 / (n + 1))  # J = ∫u
        at_one = [(mean @ state.u, *state.vjp(mean)) for state in found.states(1.0)]
        rows.append([found.fold.value, found.fold.u.max(), *np.ravel(at_one)])
    tables = [extrapolated(column) for column in np.array(rows).T]
    draw_line(found, mean, 1.0 / (np.array(meshes) + 1), tables[0], out / "line.png")
    return {
        "meshes": meshes,
        "lambda_c on the meshes": tables[0][0].tolist(),
        **{name: float(table[-1][0]) for name, table in zip(NAMES, tables, strict=True)},
    }


def extrapolated(values: Array) -> list[Array]:
    """Return the columns of the Richardson table.

    values: on meshes of width h, h/2, …; their errors are a series in h², h⁴, …
    """
    table = [values]
    while table[-1].size > 1:
        last, power = table[-1], 4.0 ** len(table)
        table.append((power * last[1:] - last[:-1]) / (power - 1.0))
    return table


def square(points: tuple[int, int], out: Path) -> dict[str, object]:
    """Trace the branches on the square at rest and in a flow, draw dλ_c/ds; returns the numbers."""
    problems = [ignition(*points, velocity=(speed, 0.0)) for speed in (0.0, FLOW)]
    branches = [
        Branch.of(problem, np.append(0.1, np.ones(problem.u0.size)), HIGHEST_SQUARE, COARSE)
        for problem in problems
    ]
    draw_square(branches, points, out / "square.png")
    folds = [branch.fold for branch in branches]
    return {
        "points": points,
        "lambda_c at rest, in the flow": [fold.value for fold in folds],
        "sum of dlambda_c/ds, to be -lambda_c": [float(fold.gradient.sum()) for fold in folds],
        "iterations to the folds": [fold.iterations for fold in folds],
    }


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    parser = options.parser("branches", __doc__, "coarse meshes: seconds", progress=False)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "branches")
