"""Rate constants of Robertson's reaction, 10⁹ apart, fitted to noisy concentrations of two of its three species.

    python -m scripts.kinetics_fit --out out/kinetics_fit

minimize ½χ² = ½ Σ (y − d)²/σ² over x = ln p by Levenberg–Marquardt, its Jacobian by tangents or adjoints, whichever are
fewer. Bands are of the covariance (DᵀD)⁻¹, D = d(y/σ)/dx, also for the species that is not measured. Fits to further
noise tell how often bands and intervals hold the truth. Writes fit.png and fit.json.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.stats import chi2

import adjoint
from problems.time.kinetics import Robertson
from scripts.few_states import few_states
from scripts.kinetics.figures import Story, draw
from scripts.kinetics.fitting import TRIALS, WIDE, coverage, fit, stepped
from scripts.kinetics.rates import Experiment
from scripts.options import parsed
from scripts.progress import progress

TIMES = np.geomspace(1e-4, 1e5, 40)  # s
SPECIES, SIGMA = np.array([0, 1]), np.array([0.04, 3e-6])  # measured: y₁ and y₂, mol/L
RTOL, ATOL = 1e-7, np.array([1e-10, 1e-14, 1e-10])
GUESS = np.log([3.0, 0.2, 4.0])  # the start over the truth
SLOTS = 8  # checkpoints in the run that shows them
FITS, FEW = 100, 10  # fits to further noise


def experiment() -> Experiment:
    """Robertson's reaction and its measurements."""
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


def main(options: argparse.Namespace) -> dict[str, object]:
    """Fit, repeat with other noise, draw, and write the numbers; returns them."""
    case, start = experiment(), time.perf_counter()
    with progress(TRIALS, options.quiet) as show:
        path = fit(case, case.measured(0), case.truth + GUESS, TRIALS, show)
    seconds, (first, last) = time.perf_counter() - start, (path[0], path[-1])
    error = stepped(last, np.random.default_rng(0).standard_normal(last.x.size))
    if not error <= 1e-9:
        raise adjoint.errors.WrongGradient(
            f"the Jacobian differs from complex steps by {error:.1e}, expected rounding"
        )
    z, inside = coverage(case, FEW if options.small else FITS, options.quiet)
    few = few_states(
        first.trajectory,
        first.u_bar,
        None,
        adjoint.checkpointing.Checkpoints(SLOTS),
        SLOTS,
        options.quiet,
    )
    evidence = last.trajectory.evidence
    numbers: dict[str, object] = {
        "truth": Robertson().nominal.tolist(),
        "first guess": first.trajectory.p.tolist(),
        "estimate": last.trajectory.p.tolist(),
        "relative standard deviation": np.sqrt(np.diag(last.covariance)).tolist(),
        "error / standard deviation": (
            (last.x - case.truth) / np.sqrt(np.diag(last.covariance))
        ).tolist(),
        "chi2 at the first guess": first.chi2,
        "chi2": last.chi2,
        "degrees of freedom": last.freedom,
        "probability of a larger chi2": float(chi2.sf(last.chi2, last.freedom)),
        "steps of the fit": len(path) - 1,
        "seconds of the fit": seconds,
        "jacobian": f"{evidence.jacobian_mode} ({evidence.jacobian_reason})",
        "jacobian against complex steps": error,
        "further fits": len(z),
        "intervals that hold the truth, of 95 %": float(np.mean(np.abs(z) <= WIDE)),
        "points of bands that hold the truth, of 95 %": inside,
        "time steps": last.trajectory.evidence.steps,
        "checkpoints": SLOTS,
        "time steps with checkpoints": few.evidence.steps,
        "of them repeated": few.evidence.repeated,
        "gradient of the same bits": few.same,
    }
    out = Path(options.out)
    draw(Story(case, path, z, few.events), out / "fit.png")
    (out / "fit.json").write_text(json.dumps(numbers, indent=2) + "\n")
    print(*(f"{name:45s} {value}" for name, value in numbers.items()), sep="\n")
    return numbers


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m scripts.kinetics_fit", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--small",
        action="store_true",
        help=f"{FEW} fits to further noise in place of {FITS}: seconds",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only the result")
    return parsed(parser, arguments)


if __name__ == "__main__":
    try:
        main(parse(sys.argv[1:]))
    except (ValueError, OSError, adjoint.SolveError, adjoint.errors.WrongGradient) as error:
        sys.exit(f"kinetics_fit: {error}")
