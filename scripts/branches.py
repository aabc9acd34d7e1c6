"""Bratu's branch through its fold, ∇²u + λeᵘ = 0, with the sensitivities on both arms and at the fold itself.

    python -m scripts.branches --out out/branches

On a line: J = ∫u and dJ/dλ along the branch, and λ_c on finer and finer meshes, extrapolated to mesh width zero. On a
square: states of one λ on both arms, and what the local reactivity s does to ignition, dλ_c/ds, at rest and in a flow.
Writes line.png, square.png and branches.json. Closed form on the line: Mohsen (2014), Comput. Math. Appl. 67, 26.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.steady.bratu import bratu
from problems.steady.ignition import ignition
from scripts.branch import Branch
from scripts.branch_figures import draw_line, draw_square
from scripts.options import parsed

MESHES, SQUARE = (15, 31, 63, 127, 255, 511), (95, 71)  # interior points on the line; on the square
SMALL_MESHES, SMALL_SQUARE = (15, 31, 63, 127), (23, 15)
COARSE, FINE = 0.2, 0.05  # longest arc steps of a branch; of the one that is drawn
HIGHEST = (8.0, 5.5)  # u up to which branches are traced, on the line and on the square
FLOW = 20.0  # Péclet number
NAMES = (
    "lambda_c",
    "u_max",
    "J(1) below",
    "dJ/dlambda(1) below",
    "J(1) above",
    "dJ/dlambda(1) above",
)


def extrapolated(values: Array) -> list[Array]:
    """The columns of the Richardson table of values on meshes of width h, h/2, …, whose errors are h², h⁴, …"""
    table = [values]
    while table[-1].size > 1:
        last, power = table[-1], 4.0 ** len(table)
        table.append((power * last[1:] - last[:-1]) / (power - 1.0))
    return table


def line(meshes: tuple[int, ...], out: Path) -> dict[str, object]:
    """Trace the branch on the line, draw it, and extrapolate λ_c, J and dJ/dλ; returns the numbers."""
    rows = []
    for n in meshes:
        found = Branch.of(
            bratu(n), np.full(1, 0.1), HIGHEST[0], FINE if n == meshes[-1] else COARSE
        )
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


def square(points: tuple[int, int], out: Path) -> dict[str, object]:
    """Trace the branches on the square, at rest and in a flow, and draw them with dλ_c/ds; returns the numbers."""
    problems = [ignition(*points, velocity=(speed, 0.0)) for speed in (0.0, FLOW)]
    branches = [
        Branch.of(problem, np.append(0.1, np.ones(problem.u0.size)), HIGHEST[1], COARSE)
        for problem in problems
    ]
    draw_square(branches, points, out / "square.png")
    return {
        "points": points,
        "lambda_c at rest, in the flow": [each.fold.value for each in branches],
        "sum of dlambda_c/ds, to be -lambda_c": [
            float(each.fold.gradient.sum()) for each in branches
        ],
        "iterations to the folds": [each.fold.iterations for each in branches],
    }


def main(options: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Trace, draw, and write the numbers; returns them."""
    out = Path(options.out)
    meshes, points = (SMALL_MESHES, SMALL_SQUARE) if options.small else (MESHES, SQUARE)
    out.mkdir(parents=True, exist_ok=True)
    numbers = {"line": line(meshes, out), "square": square(points, out)}
    (out / "branches.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for where, values in numbers.items():
        print(where, *(f"  {name}: {value}" for name, value in values.items()), sep="\n")
    return numbers


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.branches", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--small", action="store_true", help="coarse meshes: seconds")
    return parsed(parser, arguments)


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError) as error:
        sys.exit(f"branches: {error}")
