"""The brachistochrone: a discrete gradient, its Euler–Lagrange equation and its inner products.

    python -m scripts.examples.brachistochrone --out out/brachistochrone

The fastest curve from (0, 0) to (1 m, 1 m below) under gravity is a cycloid. The curve is a
polygon x(y) with N intervals, and the design holds its vertices. Measured over N: the excess of the
time, the distance of the gradient from the residual of the Euler–Lagrange equation, and the
iterations of L-BFGS in four inner products. Writes brachistochrone.png and brachistochrone.json.

Gelfand & Fomin (1963), Calculus of Variations, sections 4 and 7.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from adjoint.optimize import LBFGS, NewtonCG
from scripts.examples.brachistochrone.curve import TOLERANCE, Brachistochrone, Cycloid, Run, run
from scripts.examples.brachistochrone.figures import draw
from scripts.examples.common import options

SIZES, SMALL_SIZES = (16, 32, 64, 128, 256, 512, 1024), (16, 32, 64)
"""Intervals of the polygon, N."""

FINEST_WRONG = 64
"""Finest N with the products Euclidean and L², whose runs take longer than all other runs."""

EARLY = 3
"""Iterations after which a curve is stored for the figure."""

LOWER = 0.25
"""Depth, m, below which the Euler–Lagrange residual is compared: it is infinite at y = 0."""

NEWTON = "energy, Newton–CG"


def main(out: Path, small: bool) -> dict[str, object]:
    """Run all meshes, draw, and write the numbers; returns the numbers."""
    sizes = SMALL_SIZES if small else SIZES
    out.mkdir(parents=True, exist_ok=True)
    cases = [Brachistochrone(n) for n in sizes]
    fastest = Cycloid(cases[0].width, cases[0].depth)
    runs = {name: runs_in(name, cases) for name in (*cases[0].products, NEWTON)}
    newton = runs[NEWTON]
    excess = [
        case.time(one.x) - fastest.time for case, one in zip(cases, newton, strict=True) if one
    ]
    residuals = [
        float(np.abs(case.representative - case.euler_lagrange)[case.y[1:-1] > LOWER].max())
        for case in cases
    ]
    numbers: dict[str, object] = {
        "N": sizes,
        "tolerance": TOLERANCE,
        "time of the cycloid, s": fastest.time,
        "time of the straight line, s": cases[0].time(cases[0].line),
        "time of the polygon less time of the cycloid, s": excess,
        "order of the time": orders(excess),
        "largest error of the curve, m": [
            float(np.abs(one.x - fastest.at(case.y[1:-1])).max())
            for case, one in zip(cases, newton, strict=True)
            if one
        ],
        "gradient less Euler-Lagrange residual, s/m2": residuals,
        "order of the gradient": orders(residuals),
        "largest component of the gradient, s/m": [
            float(np.abs(case.gradient(case.line)[case.y[1:-1] > LOWER]).max()) for case in cases
        ],
        "iterations": {
            name: [one.iterations for one in found if one] for name, found in runs.items()
        },
    }
    draw(cases, fastest, runs, numbers, out / "brachistochrone.png")
    (out / "brachistochrone.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(*(f"{name}: {value}" for name, value in numbers.items()), sep="\n")
    return numbers


def runs_in(name: str, cases: list[Brachistochrone]) -> list[Run | None]:
    """Run L-BFGS, or Newton–CG, in one inner product on each mesh; None where it is left out."""
    found: list[Run | None] = []
    for case in cases:
        if name in ("Euclidean", "L²") and case.intervals > FINEST_WRONG:
            found.append(None)
        elif name == NEWTON:
            found.append(run(case, NewtonCG(inner=case.products["energy"])))
        else:
            found.append(run(case, LBFGS(inner=case.products[name]), EARLY))
    return found


def orders(errors: list[float]) -> list[float]:
    """Return log₂ of the ratios of errors on meshes of N, 2N, … intervals."""
    return [float(order) for order in np.log2(np.divide(errors[:-1], errors[1:])).round(3)]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    small = f"N up to {SMALL_SIZES[-1]}: seconds"
    parser = options.parser("brachistochrone", __doc__, small, progress=False)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "brachistochrone")
