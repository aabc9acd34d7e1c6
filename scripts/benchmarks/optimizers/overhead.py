"""What optimizers take of a design iteration, beyond the objective, its gradient and the filter.

    python -m scripts.benchmarks.optimizers.overhead --out out/benchmarks

Compliance of the half MBB beam under one volume constraint, density filter, SIMP. The objective and its gradient are
timed from within; what is left of an iteration is the optimizer's. The medians over the iterations go to
optimizer_overhead.json, with the phases of `adjoint.counting` as shares of the whole run.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import adjoint
from adjoint.optimize import GCMMA, MMA, Algorithm
from adjoint.typing import Array
from problems.filters import density_filter
from problems.steady.elasticity import mbb
from scripts.examples.common.options import parsed

MESH, SMALL = (600, 200), (60, 20)
FILTER_RADIUS = 6.0  # elements
LIMIT = 0.05  # of the iteration: the shares are to stay below it


@dataclass(eq=False)
class Timed:
    """f, and the seconds spent in it and in its gradients so far."""

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
    """As much of a point as these optimizers ask for."""

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


def main(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure all algorithms; returns seconds and shares by algorithm, which are written as well."""
    nelx, nely = SMALL if options.small else MESH
    body = mbb(nelx, nely)
    smooth = density_filter(body.grid, FILTER_RADIUS)
    f = body.compliance(smooth >> adjoint.design.SIMP(3.0))
    volume = adjoint.optimize.LinearConstraint.volume(smooth, np.ones(nelx * nely), 0.5)
    box = adjoint.Bounds(0.0, 1.0)
    algorithms: list[Algorithm] = [
        adjoint.optimize.OptimalityCriteria(volume),
        MMA((volume,), box),
        GCMMA((volume,), box),
    ]
    f(np.full(nelx * nely, 0.5))  # The analysis and the filter's weights belong to no iteration.
    results = {
        type(each).__name__: measured(f, each, nelx * nely, options.iterations)
        for each in algorithms
    }
    for name, result in results.items():
        print(
            f"{name}, {nelx} x {nely}: "
            + ", ".join(f"{key} {value:.4g}" for key, value in result.items())
        )
        print(f"  the optimizer's share is {result['share']:.1%}, to be below {LIMIT:.0%}")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "optimizer_overhead.json").write_text(json.dumps(results, indent=2) + "\n")
    return results


def measured(
    f: adjoint.Reduced, algorithm: Algorithm, size: int, iterations: int
) -> dict[str, float]:
    """Median seconds of an iteration, and of the optimizer in it; shares of the optimizer and of the phases."""
    timed = Timed(f)
    states: Iterator[adjoint.State] = adjoint.descend(timed, np.full(size, 0.5), algorithm)
    whole, own = [], []
    with adjoint.counting() as counts:
        for _ in range(iterations):
            started, inside = time.perf_counter(), timed.seconds
            next(states)
            whole.append(time.perf_counter() - started)
            own.append(whole[-1] - (timed.seconds - inside))
    shares = [mine / all_of_it for mine, all_of_it in zip(own, whole, strict=True)]
    result = {"iteration, s": float(np.median(whole)), "optimizer, s": float(np.median(own))}
    phases = {name: seconds / sum(whole) for name, seconds in sorted(counts.seconds.items())}
    return {**result, "share": float(np.median(shares)), "largest share": max(shares), **phases}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.optimizers.overhead", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--iterations", type=int, default=20, help="of each algorithm (default: 20)"
    )
    parser.add_argument("--small", action="store_true", help="60 x 20 elements: seconds")
    main(parsed(parser, sys.argv[1:]))
