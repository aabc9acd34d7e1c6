"""BFGS and L-BFGS, ours and SciPy's, on the 35 problems of Moré, Garbow & Hillstrom.

    python -m scripts.benchmarks.optimizers.quasi_newton --out out/benchmarks

A problem is solved if ‖g‖₂ ≤ 10⁻⁶ at the end. A run ends at ‖g‖₂ ≤ 10⁻⁶ or if its
algorithm fails; other settings have their defaults. The cost is the number of values of
f. Totals and mean ratios are over the problems that both algorithms of a pair solve.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import adjoint
from adjoint.optimize import BFGS, LBFGS
from adjoint.typing import Array
from problems.optimization.more_garbow_hillstrom import PROBLEMS, Counted, SumOfSquares
from scripts.benchmarks.optimizers.quasi_newton_scipy import scipy_bfgs, scipy_lbfgs

TOLERANCE = 1e-6  # of ‖g‖₂
ITERATIONS = 2000  # maximum: the longest run that solves a problem takes a third
SMALL = (1, 5, 7, 14, 21)  # the paper's numbers

Run = dict[str, float | bool]


def ours(algorithm: adjoint.optimize.Algorithm, f: Counted) -> Array:
    """Return the end of a run of ours, (n,)."""
    stop = adjoint.Stopping(iterations=ITERATIONS, stationarity=0.0, absolute=TOLERANCE)
    return adjoint.minimize(f, f.problem.start, algorithm, stop=stop, check=False).x


SOLVERS: dict[str, Callable[[Counted], Array]] = {
    "BFGS": partial(ours, BFGS()),
    "SciPy BFGS": partial(scipy_bfgs, tolerance=TOLERANCE, iterations=ITERATIONS),
    "LBFGS": partial(ours, LBFGS()),
    "SciPy L-BFGS-B": partial(scipy_lbfgs, tolerance=TOLERANCE, iterations=ITERATIONS),
}
PAIRS = (("BFGS", "SciPy BFGS"), ("LBFGS", "SciPy L-BFGS-B"))


def measured(solve: Callable[[Counted], Array], problem: SumOfSquares) -> Run:
    """Run one algorithm: solved or not, counts, end of the run."""
    f = Counted(problem)
    point = problem(solve(f))
    norm = float(np.linalg.norm(point.gradient))
    counts = {"evaluations": f.tally.evaluations, "gradients": f.tally.gradients}
    return {"solved": norm <= TOLERANCE, **counts, "value": point.value, "gradient norm": norm}


def compared(ours: list[Run], other: list[Run]) -> dict[str, float]:
    """Return evaluations of ours relative to the other, on the problems that both solve."""
    both = [
        pair for pair in zip(ours, other, strict=True) if pair[0]["solved"] and pair[1]["solved"]
    ]
    counts = np.array([[run["evaluations"] for run in pair] for pair in both])
    totals = counts.sum(axis=0)
    return {
        "both solve": len(both),
        "evaluations": int(totals[0]),
        "evaluations of the other": int(totals[1]),
        "ratio of totals": float(totals[0] / totals[1]),
        "geometric mean of ratios": float(np.exp(np.log(counts[:, 0] / counts[:, 1]).mean())),
    }


def table(
    problems: list[SumOfSquares], runs: dict[str, list[Run]], ratios: dict[str, dict[str, float]]
) -> str:
    """Return the evaluations as text, in parentheses if the problem is not solved."""
    lines = [f"{'values of f until |g| <= 1e-6':34s}" + "".join(f"{name:>16s}" for name in runs)]
    for k, problem in enumerate(problems):
        cells = [
            str(row[k]["evaluations"]) if row[k]["solved"] else f"({row[k]['evaluations']})"
            for row in runs.values()
        ]
        name = f"{problem.number:2d} {problem.name}, n = {problem.n}"
        lines.append(f"{name:34s}" + "".join(f"{cell:>16s}" for cell in cells))
    solved = [sum(run["solved"] for run in row) for row in runs.values()]
    lines.append(f"{'solved':34s}" + "".join(f"{count:16d}" for count in solved))
    for pair, numbers in ratios.items():
        lines.append(
            f"{pair}: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        )
    return "\n".join(lines) + "\n"


def main(out: Path, small: bool) -> dict[str, dict[str, float]]:
    """Run all; returns the ratio of each pair, and writes quasi_newton.json and .txt."""
    problems = [problem for problem in PROBLEMS if not small or problem.number in SMALL]
    runs = {
        name: [measured(solve, problem) for problem in problems] for name, solve in SOLVERS.items()
    }
    ratios = {f"{ours} / {other}": compared(runs[ours], runs[other]) for ours, other in PAIRS}
    names = [problem.name for problem in problems]
    report = {
        "ratios": ratios,
        "runs": {name: dict(zip(names, row, strict=True)) for name, row in runs.items()},
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "quasi_newton.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "quasi_newton.txt").write_text(table(problems, runs, ratios))
    print(table(problems, runs, ratios), end="")
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.optimizers.quasi_newton", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for quasi_newton.json and .txt"
    )
    parser.add_argument("--small", action="store_true", help="five problems")
    options = parser.parse_args()
    main(options.out, options.small)
