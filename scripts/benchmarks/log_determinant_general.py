"""The cost of a selected inverse of a general matrix, as multiples of a factorization.

    python -m scripts.benchmarks.log_determinant_general --out out/benchmarks

The unit is a factorization by SuperLU in symmetric mode, with its analysis. A selected inverse
includes a factorization that keeps its pivots on the diagonal, the export of the factors, the
recurrence, and the comparison of five columns and five rows with refined solves. "known
pattern" is the shortest time of matrices with one pattern after the first.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import scipy.sparse as sparse
from scipy.sparse.linalg import splu

import adjoint
from adjoint.factor.backends.superlu import lu


def advection(size: int) -> sparse.csc_array:
    """Return diffusion and advection on a square grid, cell Péclet number 0.5."""
    laplacian, unit = _laplacian(size), sparse.eye_array(size)
    central = sparse.diags_array([-1.0, 1.0], offsets=[-1, 1], shape=(size, size))
    flow = 0.4 * sparse.kron(central, unit) + 0.3 * sparse.kron(unit, central)
    return sparse.csc_array(laplacian + flow)


def helmholtz(size: int) -> sparse.csc_array:
    """Return a damped Helmholtz operator on a square grid."""
    return sparse.csc_array(_laplacian(size) - (1.0 - 0.1j) * sparse.eye_array(size**2))


def _laplacian(size: int) -> sparse.csc_array:
    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(size, size))
    unit = sparse.eye_array(size)
    return sparse.csc_array(sparse.kron(line, unit) + sparse.kron(unit, line))


def main(out: Path, small: bool, rounds: int) -> dict[str, dict[str, float]]:
    """Measure both matrices; returns, prints and writes the ratios."""
    size = 20 if small else 300
    results = {}
    for name, A in {"advection": advection(size), "Helmholtz": helmholtz(size)}.items():
        results[f"{name} {size}^2"] = found = measure(A, rounds)
        print(f"{name} {size}^2", *(f"  {key:36s} {x:.4g}" for key, x in found.items()), sep="\n")
    out.mkdir(parents=True, exist_ok=True)
    (out / "log_determinant_general.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def measure(A: sparse.csc_array, rounds: int) -> dict[str, float]:
    """Return the ratios for one matrix."""
    lu(A).examine()  # With the analysis of the factors for the solves.
    first = _selected(A)
    factor, known, columns = [], [], []
    for _ in range(rounds):
        factor.append(elapsed(lambda: _symmetric_mode(A)))
        columns.append(elapsed(lambda: splu(A)))
        known.append(_selected(A))
    f = lu(A)
    with adjoint.counting() as counts:
        error = f.selected.error
    return {
        "unknowns": A.shape[0],
        "factorization, s": min(factor),
        "selected inverse, first / factorization": first / min(factor),
        "known pattern / factorization": min(known) / min(factor),
        "known pattern / COLAMD factorization": min(known) / min(columns),
        "error of verified entries": error,
        "factorizations": counts.numeric,
        "right-hand sides": counts.rhs,
    }


def _symmetric_mode(A: sparse.csc_array) -> object:
    return splu(
        A, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
    )


def _selected(A: sparse.csc_array) -> float:
    f = lu(A)
    f.examine()
    return elapsed(f.selected_inverse)


def elapsed(task: Callable[[], object]) -> float:
    """Return the processor seconds of a call of the task."""
    start = time.process_time()
    task()
    return time.process_time() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    main(arguments.out, arguments.small, arguments.rounds)
