"""Predicted against true errors of J and of its gradient, over six decades of tolerance.

    python -m scripts.examples.error_estimate --out out/error_estimate

A beam by CG and a transport problem by GMRES, solved to relative tolerances from 1e-2 to 1e-8.
`Point.accuracy()` predicts the errors of J and of ∇J from solves to the same tolerance; the
true errors are differences from a direct solve. Writes error_estimate.png and
error_estimate.json.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from adjoint.typing import Array
from scripts.examples.common import options
from scripts.examples.error_estimate.comparison import Row, compared
from scripts.examples.error_estimate.figures import draw
from scripts.examples.error_estimate.models import Model, beam, transport

TOLERANCES = tuple(float(t) for t in 10.0 ** -np.arange(2.0, 8.1, 0.5))
SMALL_TOLERANCES = TOLERANCES[::4]

CELLS, SMALL_CELLS = (60, 30), (16, 8)
"""Elements along x and y."""

SHOWN = 1e-4
"""Tolerance of the picture of the indicators."""


def main(out: Path, small: bool) -> dict[str, list[dict[str, object]]]:
    """Estimate, compare, draw, and write the numbers; returns the numbers."""
    tolerances, cells = (SMALL_TOLERANCES, SMALL_CELLS) if small else (TOLERANCES, CELLS)
    out.mkdir(parents=True, exist_ok=True)
    models = [beam(*cells), transport(*cells)]
    tables = [compared(model, tolerances) for model in models]
    maps = [indicators(model) for model in models]
    draw(models, tables, maps, SHOWN, out / "error_estimate.png")
    numbers: dict[str, list[dict[str, object]]] = {
        model.name: [written(row) for row in rows]
        for model, rows in zip(models, tables, strict=True)
    }
    (out / "error_estimate.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for model, rows in zip(models, tables, strict=True):
        print(model.name, *(f"  {row}" for row in rows), sep="\n")
    return numbers


def written(row: Row) -> dict[str, object]:
    """The row for a file, where a refused number is null."""
    return {name: None if entry != entry else entry for name, entry in asdict(row).items()}


def indicators(model: Model) -> Array:
    """Return the dual-weighted residuals of each element, for the tolerance of the picture."""
    return model.f(model.iterative(SHOWN))(model.x).accuracy().element_indicators(model.dofs)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    parser = options.parser("error_estimate", __doc__, "coarse grids: seconds", progress=False)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "error_estimate")
