"""A mode converter in a metallic waveguide: all power of mode 1 leaves in mode 2.

    python -m scripts.examples.waveguide --out out/waveguide

Maximize the power that leaves in mode 2, over the density of a dielectric in the middle of
the guide, at one wavelength. The model is the complex Helmholtz equation with ideal ports.
L-BFGS runs at rising steepness of a projection, which removes intermediate densities. The
last design is rounded to dielectric and empty space, and computed again. Writes waveguide.png and
waveguide.json.

Jensen & Sigmund (2011), Topology optimization for nano-photonics, Laser Photonics Rev. 5, 308.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import adjoint
from adjoint.report import LoopProgress
from adjoint.typing import Array
from scripts.examples.common import options
from scripts.examples.waveguide.converter import Converter
from scripts.examples.waveguide.figures import draw

STEEPNESS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Steepness of the projection, one run of L-BFGS for each."""

STOP = adjoint.Stopping(iterations=60, stationarity=1e-3)
"""Rules that end a run."""

SPECTRUM = (0.92, 1.08)
"""First and last frequency of the spectrum, relative to the frequency of the design."""

CELLS = (240, 80)
SMALL_CELLS = (120, 40)


def main(out: Path, small: bool, *, quiet: bool = False) -> dict[str, float]:
    """Design the converter, write the figure and the numbers; returns the numbers."""
    guide = Converter(SMALL_CELLS if small else CELLS)
    k, problem = guide.k, guide.problem(guide.k)
    goal = adjoint.Sum([guide.transmitted(k, 2)], [-1.0])
    m = (guide.columns[1] - guide.columns[0]) * guide.cells[1]
    x = np.full(m, 0.5)
    check = adjoint.check(
        adjoint.Reduced(problem, goal, guide.density(2.0) >> guide.permittivity),
        np.random.default_rng(0).uniform(0.3, 0.7, m),
    )
    if not check.ok:
        raise adjoint.errors.WrongGradient(check.table())
    # Half a density everywhere is symmetric about the axis: mode 2, which is antisymmetric,
    # is not excited, and its power has a gradient of zero. A slope breaks the symmetry.
    x += 0.1 * np.tile(np.linspace(-1.0, 1.0, guide.cells[1]), guide.columns[1] - guide.columns[0])

    start, path = time.perf_counter(), []
    with adjoint.counting() as counts, LoopProgress(len(STEEPNESS), quiet=quiet) as show:
        for number, beta in enumerate(STEEPNESS, start=1):
            f = adjoint.Reduced(problem, goal, guide.density(beta) >> guide.permittivity)
            lbfgs = adjoint.optimize.LBFGS(bounds=adjoint.Bounds(0.0, 1.0))
            result = adjoint.minimize(
                f, x, lbfgs, stop=STOP, callback=lambda state: path.append(state.value)
            )
            x = result.x
            show(number, f"projection {beta:g}: {-result.value:.6f} of the power in mode 2")
    seconds = time.perf_counter() - start

    rho = guide.density(STEEPNESS[-1])(x)
    last = problem.solve(guide.permittivity(rho))
    rounded = problem.solve(guide.permittivity(np.round(rho)))
    frequencies = np.linspace(*SPECTRUM, 9 if small else 41)
    spectrum = np.array([_powers(guide, k * s, np.round(rho))[1] for s in frequencies])
    powers = _powers(guide, k, rho)
    empty = problem.solve(np.ones(len(guide.grid.elements)))
    numbers = {
        "unknowns": last.u.size,
        "design variables": m,
        "power in mode 2": powers[1],
        "power in mode 1": powers[0],
        "power reflected": powers[2],
        "energy balance": float(abs(powers.sum() - 1.0)),
        "power in mode 2, rounded design": guide.transmitted(k, 2).value(rounded.u, rounded.p),
        "reflection of the empty guide": float(guide.reflected(empty.u, k)[0]),
        "grayness": float(4.0 * np.mean(rho * (1.0 - rho))),
        "iterations": len(path) - len(STEEPNESS),
        "factorizations": counts.numeric,
        "seconds": seconds,
        "check: order of the remainder": check.orders[1],
        "check: relative error": check.relative_error,
        "frequencies": frequencies.tolist(),
        "spectrum": spectrum.tolist(),
        "path": [-value for value in path],
    }
    draw(guide, np.round(rho), rounded.u, numbers, out / "waveguide.png")
    (out / "waveguide.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for name, value in numbers.items():
        if not isinstance(value, list):
            print(f"{name:32s} {value:.6g}")
    return numbers


def _powers(guide: Converter, k: float, rho: Array) -> Array:
    """Return the powers that leave in modes 1 and 2, and that are reflected, (3,)."""
    solution = guide.problem(k).solve(guide.permittivity(rho))
    out = [guide.transmitted(k, mode).value(solution.u, solution.p) for mode in (1, 2)]
    return np.array([*out, guide.reflected(solution.u, k).sum()])


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    return options.parser("waveguide", __doc__, "120 x 40 cells: seconds").parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "waveguide")
