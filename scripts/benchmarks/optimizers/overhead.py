"""The time that optimizers take in a design iteration, besides the objective and its gradient.

    python -m scripts.benchmarks.optimizers.overhead --out out/benchmarks

Compliance of the half MBB beam with one volume constraint, density filter and SIMP. The
objective and its gradient measure their own time; the remainder of an iteration is the time of
the optimizer. The medians over the iterations go to optimizer_overhead.json, with the phases of
`adjoint.counting` as fractions of the whole run.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import adjoint
from adjoint.optimize import GCMMA, MMA, Algorithm, OptimalityCriteria
from adjoint.typing import Array
from problems.finite_elements.filters import density_filter
from problems.steady.elasticity import mbb

MESH, SMALL_MESH = (600, 200), (60, 20)
FILTER_RADIUS = 6.0  # elements
ITERATIONS = 20  # iterations of each algorithm
LIMIT = 0.05  # fraction of the iteration that an optimizer may take


@dataclass(eq=False)
class Timed:
    """f, which remembers the seconds spent in f and its gradients so far."""

    f: adjoint.Reduced
    seconds: float = 0.0

    def __call__(self, x: Array) -> "TimedPoint":
        """f at x."""
        started = time.perf_counter()
        point = self.f(x)
        self.seconds += time.perf_counter() - started
        return TimedPoint(self, point)


@dataclass(frozen=True, eq=False)
class TimedPoint:
    """The attributes of a point that these optimizers use."""

    of: Timed
    point: adjoint.Point

    @property
    def x(self) -> Array:
        """The design, (m,)."""
        return self.point.x

    @property
    def value(self) -> float:
        """f(x)."""
        return self.point.value

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m,)."""
        started = time.perf_counter()
        gradient = self.point.gradient
        self.of.seconds += time.perf_counter() - started
        return gradient


def main(out: Path, small: bool, iterations: int = ITERATIONS) -> dict[str, dict[str, float]]:
    """Measure all algorithms; returns and writes seconds and fractions for each algorithm."""
    nelx, nely = SMALL_MESH if small else MESH
    body = mbb(nelx, nely)
    smooth = density_filter(body.grid, FILTER_RADIUS)
    f = body.compliance(smooth >> adjoint.design.SIMP(3.0))
    volume = adjoint.optimize.LinearConstraint.volume(smooth, np.ones(nelx * nely), 0.5)
    unit = adjoint.Bounds(0.0, 1.0)
    algorithms: list[Algorithm] = [
        OptimalityCriteria(volume),
        MMA((volume,), unit),
        GCMMA((volume,), unit),
    ]
    f(np.full(nelx * nely, 0.5))  # The analysis and the weights of the filter are not timed.
    results = {
        type(each).__name__: measured(f, each, nelx * nely, iterations) for each in algorithms
    }
    for name, result in results.items():
        numbers = ", ".join(f"{key} {value:.4g}" for key, value in result.items())
        print(f"{name}, {nelx} x {nely}: {numbers}")
        print(f"  the optimizer takes {result['share']:.1%}, expected less than {LIMIT:.0%}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "optimizer_overhead.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def measured(
    f: adjoint.Reduced, algorithm: Algorithm, size: int, iterations: int
) -> dict[str, float]:
    """Return median seconds of an iteration and of the optimizer, and fractions of the time."""
    timed = Timed(f)
    states: Iterator[adjoint.State] = adjoint.descend(timed, np.full(size, 0.5), algorithm)
    whole, own = [], []
    with adjoint.counting() as counts:
        for _ in range(iterations):
            started, inside = time.perf_counter(), timed.seconds
            next(states)
            whole.append(time.perf_counter() - started)
            own.append(whole[-1] - (timed.seconds - inside))
    shares = [optimizer / iteration for optimizer, iteration in zip(own, whole, strict=True)]
    result = {"iteration, s": float(np.median(whole)), "optimizer, s": float(np.median(own))}
    phases = {name: seconds / sum(whole) for name, seconds in sorted(counts.seconds.items())}
    return {**result, "share": float(np.median(shares)), "largest share": max(shares), **phases}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.optimizers.overhead", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for optimizer_overhead.json"
    )
    parser.add_argument("--small", action="store_true", help="60 x 20 elements: seconds")
    parser.add_argument(
        "--iterations",
        type=int,
        default=ITERATIONS,
        help=f"iterations of each algorithm (default: {ITERATIONS})",
    )
    main(**vars(parser.parse_args()))
