"""Rate constants of Robertson's reaction, 10⁹ apart, fitted to noisy concentrations.

    python -m scripts.examples.kinetics_fit --out out/kinetics_fit

Two of the three species are measured. Minimize ½χ² = ½ Σ (y − d)²/σ² over x = ln p by
Levenberg–Marquardt. The Jacobian is computed by tangents or by adjoints, whichever are fewer.
Bands follow from the covariance (DᵀD)⁻¹, D = d(y/σ)/dx, also for the species that is not
measured. Fits to further noise show how often bands and intervals hold the truth. Writes
fit.png and fit.json.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import chi2

import adjoint
from adjoint.report import LoopProgress
from problems.time.kinetics import Robertson
from scripts.examples.common import options
from scripts.examples.common.checkpointing import checkpointed_gradient
from scripts.examples.kinetics_fit.experiment import Experiment
from scripts.examples.kinetics_fit.figures import Results, draw
from scripts.examples.kinetics_fit.levenberg_marquardt import (
    TRIALS,
    WIDTH,
    complex_step_error,
    coverage,
    fit,
)

TIMES = np.geomspace(1e-4, 1e5, 40)
"""Times of the measurements, s."""

SPECIES, SIGMA = np.array([0, 1]), np.array([0.04, 3e-6])
"""Measured species, y₁ and y₂, and the standard deviations of their noise, mol/L."""

RTOL, ATOL = 1e-7, np.array([1e-10, 1e-14, 1e-10])

GUESS = np.log([3.0, 0.2, 4.0])
"""Logarithms of first guess / truth."""

CHECKPOINTS = 8
"""Checkpoints of the gradient with few stored states."""

FITS, SMALL_FITS = 100, 10
"""Fits to further noise."""

LARGEST_ERROR = 1e-9
"""Relative error of the Jacobian against complex steps that is accepted as rounding."""


def main(out: Path, small: bool, *, quiet: bool = False) -> dict[str, object]:
    """Fit, repeat the fit with other noise, draw, and write the numbers; returns the numbers."""
    case, start = experiment(), time.perf_counter()
    with LoopProgress(TRIALS, quiet=quiet) as show:
        path = fit(case, case.measured(0), case.truth + GUESS, TRIALS, show)
    seconds, (first, last) = time.perf_counter() - start, (path[0], path[-1])

    error = complex_step_error(last, np.random.default_rng(0).standard_normal(last.x.size))
    if not error <= LARGEST_ERROR:
        raise adjoint.errors.WrongGradient(
            f"the Jacobian differs from complex steps by {error:.1e}, expected rounding"
        )
    z, inside = coverage(case, SMALL_FITS if small else FITS, quiet)
    memory = adjoint.checkpointing.Checkpoints(CHECKPOINTS)
    few = checkpointed_gradient(first.trajectory, first.u_bar, None, memory, CHECKPOINTS, quiet)

    deviations, evidence = np.sqrt(np.diag(last.covariance)), last.trajectory.evidence
    numbers: dict[str, object] = {
        "truth": Robertson().nominal.tolist(),
        "first guess": first.trajectory.p.tolist(),
        "estimate": last.trajectory.p.tolist(),
        "relative standard deviation": deviations.tolist(),
        "error / standard deviation": ((last.x - case.truth) / deviations).tolist(),
        "chi2 at the first guess": first.chi2,
        "chi2": last.chi2,
        "degrees of freedom": last.freedom,
        "probability of a larger chi2": float(chi2.sf(last.chi2, last.freedom)),
        "steps of the fit": len(path) - 1,
        "seconds of the fit": seconds,
        "jacobian": f"{evidence.jacobian_mode} ({evidence.jacobian_reason})",
        "jacobian against complex steps": error,
        "further fits": len(z),
        "intervals that hold the truth, of 95 %": float(np.mean(np.abs(z) <= WIDTH)),
        "points of bands that hold the truth, of 95 %": inside,
        "time steps": evidence.steps,
        "checkpoints": CHECKPOINTS,
        "time steps with checkpoints": few.evidence.steps,
        "of them repeated": few.evidence.repeated,
        "gradient of the same bits": few.same_bits,
    }
    draw(Results(case, path, z, few.events), out / "fit.png")
    (out / "fit.json").write_text(json.dumps(numbers, indent=2) + "\n")
    for name, value in numbers.items():
        print(f"{name:45s} {value}")
    return numbers


def experiment() -> Experiment:
    """Return Robertson's reaction with its measurements."""
    physics = Robertson()
    problem = adjoint.ODEProblem(
        physics,
        physics.initial,
        t=(0.0, TIMES[-1]),
        observe=TIMES,
        rtol=RTOL,
        atol=ATOL,
        memory=adjoint.checkpointing.Everything(),
    )
    return Experiment(problem, np.log(physics.nominal), SPECIES, SIGMA)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options of the command line; returns the arguments of `main`."""
    small = f"{SMALL_FITS} fits to further noise instead of {FITS}: seconds"
    return options.parser("kinetics_fit", __doc__, small).parse_args(arguments)


if __name__ == "__main__":
    options.run(main, parse, "kinetics_fit")
