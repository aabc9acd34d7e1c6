"""Nearest correlation matrices: of full rank, of low rank, and the common part of all series.

    python -m scripts.examples.correlation --out out/correlation

First the 3 × 3 matrix of Higham (2002), IMA J. Numer. Anal. 22, 329, whose nearest correlation
matrix is published. Then a matrix of correlations between series with missing values: each
entry is computed from the days that both series have, so that the matrix is not positive
definite. Writes correlation.png and correlation.json.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from adjoint.typing import Array
from scripts.examples.common import options
from scripts.examples.correlation.figures import Study, draw
from scripts.examples.correlation.nearest import common_part, nearest_by_dual, nearest_of_rank

HIGHAM = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
"""Higham (2002), section 4: the nearest correlation matrix has 0.7607 and 0.1573 beside the
diagonal, at the distance 0.5278."""

SERIES, SMALL_SERIES = 40, 12
"""Number of series."""

DAYS, MISSING, FACTORS = 80, 0.5, 3
"""Days, the part of the values that is missing, and the number of common factors."""

RANKS, SMALL_RANKS = (1, 2, 3, 4, 5, 8, 12, 20, 40), (1, 2, 3, 5, 12)
"""Ranks of the nearest matrices of low rank; the last is the number of series."""

WEIGHTS, SMALL_WEIGHTS = (0.5, 1.0, 2.0, 4.0, 8.0), (0.5, 1.0, 2.0)
"""Weights μ of the nuclear norm."""


def series(n: int) -> tuple[Array, Array]:
    """True correlations of n series with common factors, and correlations with missing values."""
    rng = np.random.default_rng(7)
    loadings = rng.standard_normal((n, FACTORS)) * np.array([1.0, 0.6, 0.4])
    covariance = loadings @ loadings.T + np.diag(rng.uniform(0.3, 1.0, n))
    size = np.sqrt(np.diag(covariance))
    truth = covariance / np.outer(size, size)
    values = rng.standard_normal((DAYS, n)) @ np.linalg.cholesky(truth).T
    known = rng.uniform(size=values.shape) > MISSING
    A = np.eye(n)
    for i in range(n):
        for j in range(i):
            both = known[:, i] & known[:, j]
            A[i, j] = A[j, i] = np.corrcoef(values[both, i], values[both, j])[0, 1]
    return truth, A


def main(out: Path, small: bool) -> dict[str, dict[str, object]]:
    """Find the nearest matrices, draw them, and write the numbers; returns the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    n, ranks, weights = (
        (SMALL_SERIES, SMALL_RANKS, SMALL_WEIGHTS) if small else (SERIES, RANKS, WEIGHTS)
    )
    truth, A = series(n)
    by_dual = nearest_by_dual(A)
    of_ranks = [nearest_of_rank(A, k) for k in ranks]
    parts = [common_part(A, mu) for mu in weights]
    draw(Study(truth, A, by_dual, ranks, of_ranks, weights, parts), out / "correlation.png")
    numbers: dict[str, dict[str, object]] = {
        "Higham 2002": published(),
        "series with missing values": {
            "series": n,
            "least eigenvalue of A": float(np.linalg.eigvalsh(A)[0]),
            "negative eigenvalues of A": int(np.count_nonzero(np.linalg.eigvalsh(A) < 0.0)),
            "distance to the nearest": by_dual.distance,
            "the same on spheres": of_ranks[-1].distance,
            "largest difference of the two": float(np.abs(by_dual.X - of_ranks[-1].X).max()),
            "iterations, products of the dual": [by_dual.gradients.size - 1, by_dual.products],
            "gradient of the dual": by_dual.gradients.tolist(),
            "truth to A": float(np.linalg.norm(truth - A)),
            "truth to the nearest": float(np.linalg.norm(truth - by_dual.X)),
            "ranks": list(ranks),
            "distance of the nearest of these ranks": [each.distance for each in of_ranks],
            "truth to the nearest of these ranks": [
                float(np.linalg.norm(truth - each.X)) for each in of_ranks
            ],
        },
        "nuclear norm": {
            "weights": list(weights),
            "ranks": [part.rank for part in parts],
            "nuclear norms": [part.nuclear for part in parts],
            "largest eigenvalue of the rest, over the weight": [part.excess for part in parts],
        },
    }
    (out / "correlation.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for title, values in numbers.items():
        print(title, *(f"  {name}: {value}" for name, value in values.items()), sep="\n")
    return numbers


def published() -> dict[str, object]:
    """The nearest correlation matrix of Higham's example, by both methods."""
    by_dual, on_spheres = nearest_by_dual(HIGHAM), nearest_of_rank(HIGHAM, 3)
    return {
        "entries": [float(by_dual.X[0, 1]), float(by_dual.X[0, 2])],
        "distance": by_dual.distance,
        "entries on spheres": [float(on_spheres.X[0, 1]), float(on_spheres.X[0, 2])],
        "distance on spheres": on_spheres.distance,
        "distance of rank 1": nearest_of_rank(HIGHAM, 1).distance,
    }


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    parser = options.parser("correlation", __doc__, "fewer series: seconds", progress=False)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "correlation")
