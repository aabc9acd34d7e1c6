"""The cost of a gradient beyond one assembly, factorization and solve; and elsewhere.

    python -m scripts.benchmarks.steady.linear --out out/benchmarks

The limit is measured in the same process: assemble K, factor it with the same backend
and the same analysis, solve once, without verification. Each run of a task stands
between two runs of the limit; the ratios are medians over the rounds. Other libraries
that are not installed (pymoto, jax) are left out, and the results say so.
"""

import argparse
import json
import tracemalloc
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import adjoint
from adjoint.typing import Array
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import Elastic, mbb
from scripts.benchmarks.steady.linear_peers import PEERS
from scripts.benchmarks.timing import timed

MESHES = {"300x100": (300, 100), "600x200": (600, 200)}
SMALL = {"60x20": (60, 20)}
FILTER_RADIUS = 6.0  # elements
PEERS_AT_600 = ("pyMOTO (CHOLMOD)",)  # the others take minutes there


def main(out: Path, small: bool, rounds: int) -> dict[str, object]:
    """Measure all meshes; returns and writes the ratios."""
    results: dict[str, object] = {}
    for name, (nelx, nely) in (SMALL if small else MESHES).items():
        names = PEERS if nelx <= 300 else PEERS_AT_600
        results[name] = measure(mbb(nelx, nely), rounds, tuple(names))
        print(name)
        for key, value in results[name].items():
            print(
                f"  {key:42s} {value:.4g}" if isinstance(value, float) else f"  {key:42s} {value}"
            )
    out.mkdir(parents=True, exist_ok=True)
    (out / "linear.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def measure(body: Elastic, rounds: int, peers: tuple[str, ...]) -> dict[str, float | str]:
    """Return ratios to the limit, and ratios of other libraries to our value and gradient."""
    elements = len(body.K.dofs)
    x = np.random.default_rng(0).uniform(0.3, 1.0, elements)
    smooth = density_filter(body.grid, FILTER_RADIUS)
    f, filtered = (
        body.compliance(adjoint.design.SIMP(3.0)),
        body.compliance(smooth >> adjoint.design.SIMP(3.0)),
    )
    volume = adjoint.optimize.LinearConstraint.volume(smooth, np.ones(elements), 0.5)
    states = adjoint.descend(
        filtered, np.full(elements, 0.5), adjoint.optimize.OptimalityCriteria(volume)
    )
    moduli = adjoint.design.SIMP(3.0)(x)

    def gradient() -> Array:
        return f(x).gradient

    result: dict[str, float | str] = {"unknowns": float(body.K.n), "parameters": float(elements)}
    tasks: dict[str, Callable[[], object]] = {
        "value only": lambda: f(x),
        "value and gradient": gradient,
        "design iteration": lambda: next(states),
    }
    for name, task in tasks.items():
        ratio, seconds = compared(task, lambda: limit(body, moduli), rounds)
        result[f"{name} / limit"] = ratio
        result["limit, s"] = seconds
    result["gradient memory / nnz(K) doubles"] = gradient_memory(f, x) / (
        8.0 * body.K.scatter[1].nnz
    )
    expected = gradient()
    for name in peers:
        try:
            evaluate = PEERS[name](body)
        except ImportError as error:
            result[name] = f"not installed ({error.name})"
            continue
        error = np.abs(evaluate(x)[1] - expected).max() / np.abs(expected).max()
        result[f"{name} / ours"] = compared(partial(evaluate, x), gradient, rounds)[0]
        result[f"{name}: gradient differs by"] = float(error)
    return result


def compared(
    task: Callable[[], object], other: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Return the median ratio of a task to the runs of `other` around it.

    The second result is the median of the seconds of `other`.
    """
    task()
    others, ratios = [timed(other), timed(other)][1:], []
    for _ in range(rounds):
        seconds = timed(task)
        others.append(timed(other))
        ratios.append(seconds / (0.5 * (others[-2] + others[-1])))
    return float(np.median(ratios)), float(np.median(others))


def limit(body: Elastic, moduli: Array) -> Array:
    """Assemble, factor and solve by calls of the backend alone."""
    A = body.K(moduli)
    factors = adjoint.cholesky.choice.analysis_of(A).factor(A, "limit")
    return factors.solve(np.asfortranarray(body.load[:, None]), "N")


def gradient_memory(f: adjoint.Reduced, x: Array) -> float:
    """Return the peak bytes of a gradient, beyond the memory of the solved point."""
    point = f(x)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    point.gradient  # noqa: B018
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak - before)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.steady.linear", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="directory for linear.json")
    parser.add_argument("--small", action="store_true", help="one small mesh: seconds")
    parser.add_argument(
        "--rounds", type=int, default=7, help="measurements of each ratio (default: 7)"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own, about conversions of sparse matrices
    main(options.out, options.small, 2 if options.small else options.rounds)
