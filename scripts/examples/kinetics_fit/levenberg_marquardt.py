"""Levenberg–Marquardt iterations on noisy concentrations, and the coverage of the intervals."""

from collections.abc import Callable

import numpy as np

import adjoint
from adjoint.report import LoopProgress
from adjoint.typing import Array
from scripts.examples.kinetics_fit.experiment import Estimate, Experiment

CONVERGED = 1e-5
"""The fit ends if a Gauss–Newton step predicts a smaller decrease of χ² than this. For
comparison: the standard deviation of χ² is about √(2 · measurements)."""

DAMPING, DECREASE, INCREASE = 1e-2, 0.1, 4.0
"""First damping μ, and its factors after an accepted and a rejected trial."""

TRIALS = 40
"""Maximum number of trials of a fit."""

WIDTH = 1.96
"""Half width of a 95 % interval, in standard deviations."""


def fit(
    experiment: Experiment, data: Array, x: Array, trials: int, show: Callable[[int, str], None]
) -> list[Estimate]:
    """Minimize χ² from x by (DᵀD + μ diag DᵀD) Δx = −Dᵀr; returns the accepted estimates.

    trials: maximum number; show: called in each trial with its number and a text. Raises
    adjoint.SolveError if the fit does not converge.

    Nocedal & Wright (2006), section 10.3.
    """
    path, mu = [Estimate(experiment, data, x)], DAMPING
    for trial in range(trials):
        last = path[-1]
        show(trial, f"χ² {last.chi2:.6g}")
        if last.excess <= CONVERGED:
            return path
        A = last.D.T @ last.D
        step = np.linalg.solve(A + mu * np.diag(np.diag(A)), last.gradient)
        new = Estimate(experiment, data, last.x - step)
        accepted = new.chi2 < last.chi2
        mu *= DECREASE if accepted else INCREASE
        path += [new] if accepted else []
    raise adjoint.SolveError(
        f"no fit in {trials} trials: χ² {path[-1].chi2:.6g}, and a step predicts a decrease of "
        f"{path[-1].excess:.2g}, expected at most {CONVERGED:.0e}. Remedies: more trials, or a "
        "better first guess"
    )


def complex_step_error(estimate: Estimate, v: Array) -> float:
    """Return the relative error of (du/dx) v against a complex step through the same time steps."""
    replayed = estimate.trajectory.replay(np.exp(estimate.x + 1e-30j * v)).u.imag * 1e30
    return float(np.linalg.norm(estimate.sensitivity @ v - replayed) / np.linalg.norm(replayed))


def coverage(case: Experiment, fits: int, quiet: bool) -> tuple[Array, float]:
    """Fit the data of other noise seeds, and compare the estimates with the truth.

    Returns the errors of x in standard deviations, (fits, m), and the fraction of the
    true concentrations inside the 95 % bands.
    """
    errors, inside = [], []
    with LoopProgress(fits, quiet=quiet) as show:
        for seed in range(1, fits + 1):
            path = fit(case, case.measured(seed), case.truth, TRIALS, lambda trial, text: None)
            last = path[-1]
            errors.append((last.x - case.truth) / np.sqrt(np.diag(last.covariance)))
            inside.append(np.abs(last.trajectory.u - case.exact) <= WIDTH * last.spread)
            show(seed, f"χ² {last.chi2:.1f}")
    return np.array(errors), float(np.mean(inside))
