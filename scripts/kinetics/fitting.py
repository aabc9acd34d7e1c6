"""Levenberg–Marquardt steps down to noisy concentrations, and how far to trust where they end."""

from collections.abc import Callable

import numpy as np

import adjoint
from adjoint.report import LoopProgress
from adjoint.typing import Array
from scripts.kinetics.rates import Estimate, Experiment

CLOSE = 1e-5  # the end: what a Gauss–Newton step would still take off χ², whose own spread is √(2 · measurements)
FIRST, LESS, MORE = (
    1e-2,
    0.1,
    4.0,
)  # damping: the first one; its factors after steps that were accepted and refused
TRIALS = 40  # of a fit, at most
WIDE = 1.96  # standard deviations on either side that hold 95 %


def fit(
    experiment: Experiment, data: Array, x: Array, most: int, show: Callable[[int, str], None]
) -> list[Estimate]:
    """Minimize χ² from x by (DᵀD + μ diag DᵀD) Δx = −Dᵀr; returns the path, refused trials left out.

    most: trials; show: called with the number of each and a text. Raises adjoint.SolveError if they do not suffice.

    Nocedal & Wright (2006), section 10.3.
    """
    path, mu = [Estimate(experiment, data, x)], FIRST
    for trial in range(most):
        last = path[-1]
        show(trial, f"χ² {last.chi2:.6g}")
        if last.excess <= CLOSE:
            return path
        A = last.D.T @ last.D
        new = Estimate(
            experiment, data, last.x - np.linalg.solve(A + mu * np.diag(np.diag(A)), last.gradient)
        )
        better = new.chi2 < last.chi2
        mu *= LESS if better else MORE
        path += [new] if better else []
    raise adjoint.SolveError(
        f"no fit in {most} trials: χ² {path[-1].chi2:.6g}, of which a step would take {path[-1].excess:.2g}, expected "
        f"{CLOSE:.0e}. More trials, or a better first guess"
    )


def stepped(estimate: Estimate, v: Array) -> float:
    """The relative error of (du/dx) v against a complex step through the same time steps."""
    replayed = estimate.trajectory.replay(np.exp(estimate.x + 1e-30j * v)).u.imag * 1e30
    return float(np.linalg.norm(estimate.sensitivity @ v - replayed) / np.linalg.norm(replayed))


def coverage(case: Experiment, fits: int, quiet: bool) -> tuple[Array, float]:
    """(errors of x in units of their σ, (fits, m); the share of the true concentrations inside of the bands)."""
    errors, inside = [], []
    with LoopProgress(fits, quiet=quiet) as show:
        for number in range(1, fits + 1):
            last = fit(case, case.measured(number), case.truth, TRIALS, lambda trial, text: None)[
                -1
            ]
            errors.append((last.x - case.truth) / np.sqrt(np.diag(last.covariance)))
            inside.append(np.abs(last.trajectory.u - case.exact) <= WIDE * last.spread)
            show(number, f"χ² {last.chi2:.1f}")
    return np.array(errors), float(np.mean(inside))
