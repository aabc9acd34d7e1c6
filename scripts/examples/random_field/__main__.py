"""Laplace approximation on a map: rates of events from counts, and the law of the field.

    python -m scripts.examples.random_field --out out/random_field

Counts on a 600 × 600 map are Poisson variables with a log rate that is a Matérn field. The
range and the standard deviation of the field, and its mean, are found by L-BFGS on the
marginal likelihood, which Laplace's method gives together with its exact gradient. Writes
random_field.png and random_field.json.

Lindgren, Rue & Lindström (2011), J. R. Stat. Soc. B 73, 423; Rue, Martino & Chopin (2009),
J. R. Stat. Soc. B 71, 319.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import adjoint
from adjoint.determinant import LaplaceApproximation
from adjoint.typing import Array
from scripts.examples.common import options
from scripts.examples.random_field.field import FieldMap, logarithms, range_and_deviation
from scripts.examples.random_field.figures import draw

NODES, SMALL_NODES = 600, 60
"""Nodes along each side of the map."""

TRUTH = logarithms(correlation_range=6.0, deviation=0.9, level=-0.5)
"""(log κ, log τ, β): range 6 km, standard deviation 0.9, mean −0.5."""

START = logarithms(correlation_range=20.0, deviation=0.4, level=0.0)
"""Parameters from which the calibration starts."""

STOP = adjoint.Stopping(iterations=40, stationarity=1e-4)
"""Rules that end the calibration."""


def main(out: Path, small: bool) -> dict[str, object]:
    """Draw a field and counts, calibrate, write figure and numbers; returns the numbers."""
    out.mkdir(parents=True, exist_ok=True)
    check = checked()
    field = FieldMap(SMALL_NODES if small else NODES)
    rng = np.random.default_rng(0)
    truth = field.sample(TRUTH, rng)
    counts = rng.poisson(field.exposure * np.exp(truth)).astype(float)
    f = field.function(counts)

    start, path = time.perf_counter(), []
    with adjoint.counting() as work:
        result = adjoint.minimize(
            f,
            START,
            adjoint.optimize.LBFGS(),
            stop=STOP,
            callback=lambda state: path.append(state.x.copy()),
        )
    seconds = time.perf_counter() - start
    cost = costs(f, result.x)
    errors, correlation = standard_errors(f, result.x)
    point = f(result.x)
    deviations = point.standard_deviations
    z = (point.mode - truth) / deviations
    found = range_and_deviation(result.x)
    numbers: dict[str, object] = {
        "latent variables": field.masses.size,
        "observations": int((~field.lake).sum()),
        "events": int(counts.sum()),
        "nodes with no event": float(np.mean(counts[~field.lake] == 0.0)),
        "status": result.status.name,
        "range, km": found[0],
        "standard deviation": found[1],
        "mean": float(result.x[2]),
        "true range and deviation": list(range_and_deviation(TRUTH)),
        "x": result.x.tolist(),
        "true x": TRUTH.tolist(),
        "standard errors of x": errors.tolist(),
        "correlation of log kappa and log tau": correlation,
        "errors of x in standard errors": ((result.x - TRUTH) / errors).tolist(),
        "nodes within 1.96 standard deviations": float(np.mean(np.abs(z) < 1.96)),
        "rms error of the mode": float(np.sqrt(np.mean((point.mode - truth) ** 2))),
        "median deviation": float(np.median(deviations)),
        "largest deviation in the lake": float(deviations[field.lake].max()),
        "iterations": result.iterations,
        "factorizations of the calibration": work.numeric,
        "seconds of the calibration": seconds,
        "check: order of the remainder": check.orders[1],
        "check: relative error": check.relative_error,
        **cost,
        "path": [list(range_and_deviation(x)) for x in path],
    }
    draw(field, truth, counts, point.mode, deviations, numbers, out / "random_field.png")
    (out / "random_field.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for name, value in numbers.items():
        if name != "path":
            print(f"{name}: {value}")
    return numbers


def checked() -> adjoint.checks.CheckReport:
    """Check the gradient on a small map; raise WrongGradient if it is wrong."""
    field = FieldMap(20)
    rng = np.random.default_rng(1)
    counts = rng.poisson(field.exposure * np.exp(field.sample(TRUTH, rng)))
    report = adjoint.check(field.function(counts), TRUTH)
    if not report.ok:
        raise adjoint.errors.WrongGradient(report.table())
    return report


def costs(f: LaplaceApproximation, x: Array) -> dict[str, object]:
    """Return the times of a factorization, a value and a gradient at x, s, and the work."""
    precision = f.model.Q(f.design(x))
    f.factorize(precision)
    times = [time.perf_counter()]
    f.factorize(precision)
    times.append(time.perf_counter())
    with adjoint.counting() as work:
        point = f(x)
        times.append(time.perf_counter())
        gradient = point.gradient
        times.append(time.perf_counter())
    factor, value, slope = np.diff(times)
    return {
        "factorizations of a value and gradient": work.numeric,
        "solves of a value and gradient": work.solves,
        "seconds of a factorization": float(factor),
        "seconds of a value": float(value),
        "seconds of its gradient": float(slope),
        "value and gradient over a factorization": float((value + slope) / factor),
        "gradient at the minimum": gradient.tolist(),
    }


def standard_errors(f: LaplaceApproximation, x: Array) -> tuple[Array, float]:
    """Return the standard errors of x, (3,), and the correlation of its first two components.

    The Hessian is that of differences of gradients.
    """
    point = adjoint.optimize.DifferencedHessian(f)(x)
    H = np.stack([point.hvp(e) for e in np.eye(x.size)])
    covariance = np.linalg.inv(0.5 * (H + H.T))
    errors = np.sqrt(covariance.diagonal())
    return errors, float(covariance[0, 1] / (errors[0] * errors[1]))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    parser = options.parser("random_field", __doc__, "60 x 60 nodes: seconds", progress=False)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "random_field")
