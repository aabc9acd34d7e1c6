"""The cost of log det A and its gradient, as multiples of a factorization.

    python -m scripts.benchmarks.log_determinant --out out/benchmarks

Each ratio is the shortest time of a task over the shortest time of a factorization by the
same backend with a known analysis, in one process, the tasks in turn. The gradient includes the
export of the factors, the selected inverse, its verification and the contraction with ∂A/∂p.
Dense inverses are measured where they fit, n solves by 64 of them. Memory is the peak of
NumPy's arrays during the gradient, without the copy of L that the backend exports, as a
multiple of L with its indices.
"""

import argparse
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.determinant import LogDeterminant
from adjoint.factor.protocols import ReadableCholesky
from adjoint.protocols import Matrix
from problems.steady.elasticity import mbb

GRIDS = {"five-point 300^2": (300, 2), "five-point 600^2": (600, 2), "seven-point 40^3": (40, 3)}
SMALL = {"five-point 20^2": (20, 2)}
PLANE = (600, 200)
SMALL_PLANE = (30, 10)
SOLVED_COLUMNS = 64
LARGEST_DENSE = 1000


def grid(size: int, dimensions: int) -> tuple[Matrix, np.ndarray]:
    """Return a graph Laplacian with one conductance per edge, plus 1e-3, and conductances."""
    numbers = np.arange(size**dimensions).reshape((size,) * dimensions)
    pairs = np.concatenate(
        [
            np.stack(
                [
                    np.take(numbers, range(size - 1), axis).ravel(),
                    np.take(numbers, range(1, size), axis).ravel(),
                ],
                axis=1,
            )
            for axis in range(dimensions)
        ]
    )
    edges = adjoint.Elements(pairs, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    A = adjoint.Combination([(1.0, edges), (1e-3, sparse.eye_array(numbers.size, format="csc"))])
    return A, np.random.default_rng(0).uniform(0.5, 2.0, len(pairs))


def plane(nelx: int, nely: int) -> tuple[Matrix, np.ndarray]:
    """Return the stiffness of a plane elastic body with a modulus per element, and moduli."""
    body = mbb(nelx, nely)
    return body.K, np.random.default_rng(0).uniform(0.1, 1.0, nelx * nely)


def main(out: Path, small: bool, rounds: int) -> dict[str, dict[str, float]]:
    """Measure all matrices; returns, prints and writes the ratios."""
    matrices = {name: grid(*of) for name, of in (SMALL if small else GRIDS).items()}
    matrices["plane elasticity"] = plane(*(SMALL_PLANE if small else PLANE))
    results = {}
    for name, (A, p) in matrices.items():
        results[name] = measure(A, p, rounds)
        print(name, *(f"  {key:40s} {value:.4g}" for key, value in results[name].items()), sep="\n")
    out.mkdir(parents=True, exist_ok=True)
    (out / "log_determinant.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def measure(A: Matrix, p: np.ndarray, rounds: int) -> dict[str, float]:
    """Return the ratios for one matrix."""
    f = LogDeterminant(A)
    matrix = A(p)
    n = matrix.shape[0]
    first = elapsed(lambda: f(p).gradient)  # With the analysis and all maps.
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, task in tasks(f, matrix, p).items():
            seconds.setdefault(name, []).append(task())
    best = {name: min(times) for name, times in seconds.items()}
    factor = best["factorization"]
    with adjoint.counting() as counts:
        point = f(p)
        _ = point.gradient
    entries, peak = memory(f, p)
    results = {
        "unknowns": n,
        "parameters": p.size,
        "factorization, s": factor,
        "selected inverse / factorization": best["selected inverse"] / factor,
        "value / factorization": best["value"] / factor,
        "value and gradient / factorization": best["value and gradient"] / factor,
        "first value and gradient / factorization": first / factor,
        "peak memory of the gradient / L": peak / entries,
        "error of verified columns": point.evidence.error,
        "factorizations": counts.numeric,
        "right-hand sides": counts.rhs,
    }
    factors = adjoint.cholesky(matrix)
    units = np.eye(n, min(n, SOLVED_COLUMNS))
    per_column = elapsed(lambda: factors.unverified(units)) / units.shape[1]
    results["n solves / factorization"] = per_column * n / factor
    if n <= LARGEST_DENSE:
        dense = matrix.toarray()
        results["dense inverse / factorization"] = elapsed(lambda: np.linalg.inv(dense)) / factor
    return results


def tasks(
    f: LogDeterminant, matrix: sparse.csc_array, p: np.ndarray
) -> dict[str, Callable[[], float]]:
    """Return the tasks of one round; each returns its seconds."""

    def selected() -> float:
        factors = adjoint.cholesky(matrix)
        factors.examine()
        return elapsed(factors.selected_inverse)

    return {
        "factorization": lambda: elapsed(lambda: adjoint.cholesky(matrix)),
        "selected inverse": selected,
        "value": lambda: elapsed(lambda: f(p)),
        "value and gradient": lambda: elapsed(lambda: f(p).gradient),
    }


def elapsed(task: Callable[[], object]) -> float:
    """Return the processor seconds of a call of the task."""
    start = time.process_time()
    task()
    return time.process_time() - start


def memory(f: LogDeterminant, p: np.ndarray) -> tuple[int, int]:
    """Return the bytes of L with its indices, and the peak of new arrays during a gradient."""
    point = f(p)
    factors = point.determinant.factorization.factors
    if not isinstance(factors, ReadableCholesky) or (read := factors.lower()) is None:
        return 1, 0
    entries = read[0].data.nbytes + read[0].indices.nbytes
    del read
    tracemalloc.start()
    _ = point.gradient
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return entries, peak


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    main(arguments.out, arguments.small, arguments.rounds)
