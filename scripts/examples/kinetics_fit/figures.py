"""The figure of the fit: concentrations, convergence, adjoint state, steps, errors."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr

import adjoint
from adjoint.report import Band, Curve, Graph, Plot, write_sheet
from adjoint.report.figures.style import BLUE, GRAY, INK, VERMILLION
from adjoint.typing import Array
from scripts.examples.common.trajectory_plots import (
    COLORS,
    TIME,
    accumulated,
    step_sizes,
    timeline,
)
from scripts.examples.kinetics_fit.experiment import Estimate, Experiment
from scripts.examples.kinetics_fit.levenberg_marquardt import WIDTH

POINTS = 200  # points of a smooth curve
NAMES, RATES = ("y₁", "y₂", "y₃"), ("ln p₁", "ln p₂", "ln p₃")
LOGARITHMIC = (True, False)  # axes of the graphs over time


@dataclass(frozen=True, eq=False)
class Results:
    """Results of the example that the figure shows.

    path: accepted estimates of the fit; z: errors of further fits in standard deviations,
    (fits, m); events: of both sweeps with few stored states.
    """

    case: Experiment
    path: list[Estimate]
    z: Array
    events: list[adjoint.checkpointing.SweepEvent]


def draw(results: Results, file: Path) -> None:
    """Draw concentrations, convergence, λ, accumulation, steps, checkpoints and errors."""
    path, first, last = results.path, results.path[0], results.path[-1]
    concentration = "concentration / (mol/L)"
    plots: list[Plot] = [
        concentrations(
            results, "Measured y₁, and y₃, which is not measured", (0, 2), concentration, 1.0
        ),
        concentrations(results, "The intermediate y₂", (1,), f"10⁵ · {concentration}", 1e5),
        convergence(path),
        adjoints(first),
        accumulation(first, "first guess"),
        accumulation(last, "estimate"),
        step_sizes(last.trajectory, True),
        timeline("Few stored states: order of the steps", results.events),
        distribution(results.z),
    ]
    covered = np.mean(np.abs(results.z) <= WIDTH)
    mode = last.trajectory.evidence.jacobian_mode
    subtitle = (
        f"y₁ and y₂ measured at {len(last.data)} times; χ² = {last.chi2:.0f} for {last.freedom} "
        f"degrees of freedom; Jacobian by {mode}s; {100 * covered:.1f} % of the 95 % intervals "
        f"of {len(results.z)} further fits hold the truth"
    )
    title = "Rate constants of Robertson's reaction from noisy concentrations"
    write_sheet(file, title, subtitle, plots, 3, 4.0)


def concentrations(
    results: Results, title: str, species: tuple[int, ...], label: str, scale: float
) -> Graph:
    """Plot data, estimate with its 95 % band, truth and first guess.

    species: indices; label: of the axis; scale: factor of all concentrations.
    """
    first, last, case = results.path[0], results.path[-1], results.case
    t, u, spread = smooth(last)
    guess, exact = (
        replace(case.problem, observe=t).solve(np.exp(x)).u for x in (first.x, case.truth)
    )
    curves, bands = [], []
    for i, color in zip(species, (BLUE, VERMILLION), strict=False):
        low, high = u[:, i] - WIDTH * spread[:, i], u[:, i] + WIDTH * spread[:, i]
        bands.append(Band(t, scale * low, scale * high, f"{NAMES[i]}: 95 % band", color))
        curves.append(Curve(t, scale * u[:, i], f"{NAMES[i]} fitted", color))
        for data in scale * last.data[:, case.species == i].T:
            name, times = f"{NAMES[i]} measured", case.problem.times
            curves.append(Curve(times, data, name, color, marker=".", loose=True))
        labelled = i == species[-1]  # One entry of the legend for all species.
        curves.append(Curve(t, scale * guess[:, i], "first guess" if labelled else "_", GRAY))
        curves.append(Curve(t, scale * exact[:, i], "truth" if labelled else "_", INK, dashed=True))
    return Graph(title, TIME, label, curves, bands=bands, logarithmic=LOGARITHMIC)


def smooth(estimate: Estimate) -> tuple[Array, Array, Array]:
    """Return (t (k,), u (k, n), standard deviations of u (k, n)) at many times.

    The standard deviations are row norms of (du/dx) C, C Cᵀ the covariance of x: one
    tangent per column of C.
    """
    problem, p = estimate.experiment.problem, estimate.trajectory.p
    times = np.geomspace(problem.times[0], problem.t[1], POINTS)
    trajectory = replace(problem, observe=times).solve(p)
    u_dot = trajectory.jvp(p[:, None] * np.linalg.cholesky(estimate.covariance))
    return times, trajectory.u, np.sqrt(np.sum(u_dot**2, axis=2))


def convergence(path: list[Estimate]) -> Graph:
    """Plot χ² over the steps of the fit, and the decrease that the next step predicts."""
    steps = np.arange(len(path))
    chi2 = np.array([estimate.chi2 for estimate in path])
    excess = np.array([estimate.excess for estimate in path])
    curves = [
        Curve(steps, chi2, "χ²", BLUE, marker="o"),
        Curve(steps, excess, "predicted decrease", VERMILLION, marker="o"),
    ]
    title, freedom = "Convergence (dotted: degrees of freedom)", path[-1].freedom
    return Graph(title, "step of the fit", "χ²", curves, logarithmic=(False, True), level=freedom)


def adjoints(estimate: Estimate) -> Graph:
    """Plot λᵢ yᵢ = d(½χ²) / d ln yᵢ(t) over time."""
    grid = estimate.trajectory.grid
    lam = estimate.trajectory.adjoint(estimate.u_bar)
    u = replace(estimate.experiment.problem, grid=grid, observe=grid).solve(estimate.trajectory.p).u
    curves = [
        Curve(grid[1:], (lam * u)[1:, i], f"λ{name[1]} {name}", COLORS[i])
        for i, name in enumerate(NAMES)
    ]
    title, label = "Adjoint λ(t) at the first guess", "d(½χ²) / d ln y(t)"
    return Graph(title, TIME, label, curves, logarithmic=LOGARITHMIC, level=0.0)


def accumulation(estimate: Estimate, iterate: str) -> Graph:
    """Plot the contribution of the time before t to d(½χ²)/dx."""
    shares = estimate.trajectory.accumulation(estimate.u_bar) * estimate.trajectory.p
    named = dict(zip(RATES, shares.T, strict=True))
    title = f"Accumulation of the gradient, {iterate}"
    return accumulated(title, "d(½χ²) / dx up to t", estimate.trajectory, named, True)


def distribution(z: Array) -> Graph:
    """Plot the distribution of the errors of further fits beside the normal distribution.

    z: errors in standard deviations, (fits, m).
    """
    ranks = (np.arange(len(z)) + 0.5) / len(z)
    normal = np.linspace(-3.0, 3.0, POINTS)
    curves = [
        Curve(np.sort(errors), ranks, name, color)
        for errors, name, color in zip(z.T, RATES, COLORS, strict=False)
    ]
    curves.append(Curve(normal, ndtr(normal), "normal", INK, dashed=True))
    title = f"Errors of {len(z)} further fits"
    return Graph(title, "error / standard deviation", "fraction of fits below", curves)
