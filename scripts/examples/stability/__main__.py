"""Stability of plane channel flow: critical Reynolds number by Newton on eigenvalue gradients.

    python -m scripts.examples.stability --out out/stability

The Orr–Sommerfeld equation as a sparse general pencil: the growing wave at α = 1,
Re = 10⁴, the critical point (α_c, Re_c), where Im c = 0 and ∂ Im c/∂α = 0, the neutral
curve, and the sensitivity of the growth to the velocity profile. Writes stability.png
and stability.json.

Values: Orszag (1971), J. Fluid Mech. 50, 689.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import adjoint
from adjoint.eigen import GeneralEigenSolution
from adjoint.typing import Array
from problems.steady.orr_sommerfeld import NEAR_WAVE, basis
from scripts.examples.common import options
from scripts.examples.stability.figures import draw
from scripts.examples.stability.neutral_curve import find_nose, growth, nearest, trace

UNKNOWNS, SMALL_UNKNOWNS = 120, 60
"""Basis functions."""

COUNT, SMALL_COUNT = 40, 10
"""Eigenvalues of the spectrum."""

HIGHEST, SMALL_HIGHEST = 1e5, 7e3
"""Reynolds number at which the traces of the neutral curve end."""

STEP, SMALL_STEP = 0.02, 0.03
"""Length of a step along the neutral curve, in (α, log₁₀ Re)."""

EXAMPLE = np.array([1.0, 1e4])
"""(α, Re) of the growing wave."""

START = np.array([1.0, 6000.0])
"""(α, Re) from which Newton's method starts."""


def main(out: Path, small: bool) -> dict[str, object]:
    """Compute wave, critical point and neutral curve, draw them; returns the numbers."""
    n, count, highest, step = (
        (SMALL_UNKNOWNS, SMALL_COUNT, SMALL_HIGHEST, SMALL_STEP)
        if small
        else (UNKNOWNS, COUNT, HIGHEST, STEP)
    )
    out.mkdir(parents=True, exist_ok=True)
    with adjoint.counting() as counts:
        point = growth(n, NEAR_WAVE)(EXAMPLE)
        gradient = point.gradient
    nose = find_nose(n, START, NEAR_WAVE)
    arms = [trace(n, nose, direction, highest, step) for direction in (-1.0, 1.0)]
    values, conditions = nearest(n, EXAMPLE, count, NEAR_WAVE)
    y = np.linspace(-1.0, 1.0, 401)
    wave, sensitivity = structure(n, point, y)
    draw(
        out / "stability.png",
        (values, conditions),
        arms,
        nose.iterates,
        (y, np.abs(wave), sensitivity),
    )
    c = complex(values[0])
    numbers: dict[str, object] = {
        "basis functions": n,
        "c at alpha = 1, Re = 1e4": [c.real, c.imag],
        "d Im c/d alpha, d Im c/d Re": gradient.tolist(),
        "condition of c": float(conditions[0]),
        "factorizations for c and its gradient": counts.numeric,
        "Re_c": float(nose.x[1]),
        "alpha_c": float(nose.x[0]),
        "c at the critical point": nose.c.real,
        "Newton steps to the critical point": len(nose.iterates) - 1,
        "points of the neutral curve": sum(len(arm) for arm in arms),
        "eigenvalues shown": int(values.size),
        "largest condition shown": float(conditions.max()),
        "y of the largest sensitivity": float(abs(y[np.argmax(np.abs(sensitivity))])),
    }
    (out / "stability.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(*(f"{name}: {value}" for name, value in numbers.items()), sep="\n")
    return numbers


def structure(n: int, point: adjoint.Point, y: Array) -> tuple[Array, Array]:
    """Return the wave φ(y) and the density of d Im c/dU: dIm c = ∫ density δU dy.

    From δc = ∫ ψ* (δU (φ″ − α²φ) − δU″ φ) dy, integrated by parts twice:
    density = Im(−α² ψ*φ − (ψ*)″ φ − 2 (ψ*)′ φ′).
    """
    alpha, rows, solution = point.x[0], basis(n, y), point.solution
    assert isinstance(solution, GeneralEigenSolution)
    phi, phi_y, _ = (row @ solution.vectors[:, 0] for row in rows)
    psi, psi_y, psi_yy = (np.conj(row @ solution.left[:, 0]) for row in rows)
    return phi, np.imag(-(alpha**2) * psi * phi - psi_yy * phi - 2.0 * psi_y * phi_y)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    parser = options.parser("stability", __doc__, "60 basis functions: seconds", progress=False)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "stability")
