"""The cost of a gradient beyond Newton's method, by hand and automatically; and elsewhere.

    python -m scripts.benchmarks.steady.nonlinear --out out/benchmarks

All runs are in one process. Each run of a task stands between two runs of what it is
compared with; ratios are medians over the rounds. Other libraries that are not
installed (openmdao, optimistix) are left out, and the results say so.
"""

import argparse
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import adjoint
from adjoint.typing import Array
from scripts.benchmarks.steady.nonlinear_peers import MODELS, PEERS, Model
from scripts.benchmarks.timing import clocked, timed

SIDES = (100, 316, 632)  # cells: 10⁴, 10⁵ and 4·10⁵ unknowns
SMALL = (8, 12)
PATIENCE = 10.0  # seconds; a longer run is measured once
PARTS = ("value", "gradient", "both")

Numbers = dict[str, float | str]


def main(out: Path, small: bool, rounds: int) -> dict[str, dict[str, Numbers]]:
    """Measure all models on all grids; returns and writes the numbers."""
    results: dict[str, dict[str, Numbers]] = {}
    out.mkdir(parents=True, exist_ok=True)
    for name, make in MODELS.items():
        sizes = results[name] = {}
        for k in SMALL if small else SIDES:
            sizes[f"{k}x{k}"] = measure(make(k), rounds)
            print(f"{name}, {k}x{k}")
            for key, value in sizes[f"{k}x{k}"].items():
                print(
                    f"  {key:58s} {value:.4g}"
                    if isinstance(value, float)
                    else f"  {key:58s} {value}",
                    flush=True,
                )
        sizes["exponents"] = exponents(list(sizes.values()))
        print(f"{name}: seconds grow as n to the power", sizes["exponents"])
        (out / "nonlinear.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def measure(model: Model, rounds: int) -> Numbers:
    """Return gradient / value, automatic / by hand and other libraries / ours, for one model."""
    n, p = model.p.size, model.p
    J = adjoint.LeastSquares(np.zeros(n), weights=np.full(n, 1.0 / n))
    f = adjoint.Reduced(adjoint.NonlinearProblem(model.physics, model.u0), J)
    expected = f(p).gradient
    runs = np.array([stages(f, p) for _ in range(rounds + 1)])
    seconds = dict(zip(PARTS, np.median(runs, axis=0).tolist(), strict=True))
    result: Numbers = {"unknowns": float(n)} | {
        f"{part}, s": spent for part, spent in seconds.items()
    }
    result["gradient / value"] = float(
        np.median(runs[:-1, 1] / (0.5 * (runs[:-1, 0] + runs[1:, 0])))
    )
    residual = adjoint.complex_step_residual(model.plain, n, n)
    result["automatic: detection and colouring, s"] = preparation(residual, model)
    automatic = adjoint.Reduced(adjoint.NonlinearProblem(residual, model.u0), J)
    result["automatic: gradient differs by"] = difference(automatic(p).gradient, expected)
    ratios = compared(partial(stages, automatic, p), partial(stages, f, p), rounds)
    result |= {
        f"automatic / by hand, {part}": float(ratio)
        for part, ratio in zip(PARTS, ratios, strict=True)
    }
    return result | peers(model, f, expected, rounds)


def peers(model: Model, f: adjoint.Reduced, expected: Array, rounds: int) -> Numbers:
    """Return ratios of other libraries to ours, and the difference of the gradients."""
    result: Numbers = {}
    for name, (make, most) in PEERS.items():
        try:
            run = make(model)
        except ImportError as error:
            result[f"{name} / ours"] = f"not installed ({error.name})"
            continue
        if expected.size > most:
            result[f"{name} / ours"] = f"not measured beyond {most} unknowns"
            continue
        seconds, cells, gradient = run(model.p)
        if seconds < PATIENCE:
            ratios = compared(lambda run=run: run(model.p)[0], partial(stages, f, model.p), rounds)
        else:
            ratios = seconds / stages(f, model.p)
        result[f"{name} / ours"] = float(ratios[-1])
        result[f"{name}: gradient differs by"] = difference(gradient, expected[cells])
    return result


def stages(f: adjoint.Reduced, p: Array) -> Array:
    """Return the seconds of the value, of the gradient after it, and of both, (3,)."""
    value, point = clocked(partial(f, p))
    gradient, _ = clocked(lambda: point.gradient)
    return np.array([value, gradient, value + gradient])


def compared(task: Callable[[], Array], other: Callable[[], Array], rounds: int) -> Array:
    """Return the median ratio of a task to the runs of `other` around it.

    Both have run before. They return their seconds.
    """
    others, ratios = [other()], []
    for _ in range(rounds):
        seconds = task()
        others.append(other())
        ratios.append(seconds / (0.5 * (others[-2] + others[-1])))
    return np.asarray(np.median(ratios, axis=0))


def preparation(residual: adjoint.protocols.Residual, model: Model) -> float:
    """Return the seconds for patterns and colours: first derivatives minus second derivatives."""
    u, p = model.u0, model.p
    first, second = (
        timed(lambda: (residual.jacobian(u, p), residual.vjp(u, p, p))) for _ in range(2)
    )
    return first - second


def difference(gradient: Array, expected: Array) -> float:
    """max |g − e| / max |e|."""
    return float(np.abs(gradient - expected).max() / np.abs(expected).max())


def exponents(sizes: list[Numbers]) -> Numbers:
    """Return α of seconds ∝ n^α, by least squares of the logarithms."""
    n = np.log([size["unknowns"] for size in sizes])
    return {
        part: round(float(np.polyfit(n, np.log([s[f"{part}, s"] for s in sizes]), 1)[0]), 2)
        for part in PARTS
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.steady.nonlinear", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", type=Path, required=True, help="directory for nonlinear.json")
    parser.add_argument("--small", action="store_true", help="two small grids: seconds")
    parser.add_argument(
        "--rounds", type=int, default=5, help="measurements of each ratio (default: 5)"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the peers' own
    main(options.out, options.small, 2 if options.small else options.rounds)
