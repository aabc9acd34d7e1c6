"""The figure of scripts/kinetics_fit.py."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr

import adjoint
from adjoint.report import Band, Curve, Graph, Plot, write_sheet
from adjoint.report.axes import BLUE, GRAY, INK, VERMILLION
from adjoint.typing import Array
from scripts.kinetics.fitting import WIDE
from scripts.kinetics.rates import Estimate, Experiment
from scripts.ode_figures import COLORS, TIME, accumulated, step_sizes, timeline

POINTS = 200  # of a smooth curve
NAMES, RATES = ("y₁", "y₂", "y₃"), ("ln p₁", "ln p₂", "ln p₃")
ALONG = (True, False)  # time is logarithmic


@dataclass(frozen=True, eq=False)
class Story:
    """What there is to see.

    path: of the fit; z: errors of further fits in units of their σ, (fits, m); events: of the run with few states.
    """

    case: Experiment
    path: list[Estimate]
    z: Array
    events: list[adjoint.checkpointing.SweepEvent]


def fine(estimate: Estimate) -> tuple[Array, Array, Array]:
    """(t (k,), u (k, n), its standard deviations (k, n)): by tangents along the columns of the covariance's root."""
    problem, p = estimate.experiment.problem, estimate.trajectory.p
    times = np.geomspace(problem.times[0], problem.t[1], POINTS)
    trajectory = replace(problem, observe=times).solve(p)
    u_dot = trajectory.jvp(p[:, None] * np.linalg.cholesky(estimate.covariance))
    return times, trajectory.u, np.sqrt(np.sum(u_dot**2, axis=2))


def concentrations(
    story: Story, title: str, species: tuple[int, ...], unit: str, scale: float
) -> Graph:
    """Data, estimate with its band, truth, first guess."""
    first, last, case = story.path[0], story.path[-1], story.case
    t, u, spread = fine(last)
    begun, exact = (
        replace(case.problem, observe=t).solve(np.exp(x)).u for x in (first.x, case.truth)
    )
    curves, bands = [], []
    for i, color in zip(species, (BLUE, VERMILLION), strict=False):
        low, high = u[:, i] - WIDE * spread[:, i], u[:, i] + WIDE * spread[:, i]
        bands.append(Band(t, scale * low, scale * high, f"{NAMES[i]}: 95 % band", color))
        curves.append(Curve(t, scale * u[:, i], f"{NAMES[i]} fitted", color))
        for data in scale * last.data[:, case.species == i].T:
            curves.append(
                Curve(
                    case.problem.times, data, f"{NAMES[i]} measured", color, marker=".", loose=True
                )
            )
        only = i == species[-1]  # of the legend
        curves.append(Curve(t, scale * begun[:, i], "first guess" if only else "_", GRAY))
        curves.append(Curve(t, scale * exact[:, i], "truth" if only else "_", INK, dashed=True))
    return Graph(title, TIME, unit, curves, bands=bands, logarithmic=ALONG)


def adjoints(estimate: Estimate) -> Graph:
    """λᵢ yᵢ over time, what ½χ² gains from a change of ln yᵢ at that moment."""
    grid = estimate.trajectory.grid
    lam = estimate.trajectory.adjoint(estimate.u_bar)
    u = replace(estimate.experiment.problem, grid=grid, observe=grid).solve(estimate.trajectory.p).u
    curves = [
        Curve(grid[1:], (lam * u)[1:, i], f"λ{name[1]} {name}", COLORS[i])
        for i, name in enumerate(NAMES)
    ]
    return Graph(
        "Adjoint λ(t) at the first guess",
        TIME,
        "d(½χ²) / d ln y(t)",
        curves,
        logarithmic=ALONG,
        level=0.0,
    )


def accumulation(estimate: Estimate, where: str) -> Graph:
    """What all the time before t contributes to d(½χ²)/dx."""
    shares = estimate.trajectory.accumulation(estimate.u_bar) * estimate.trajectory.p
    named = dict(zip(RATES, shares.T, strict=True))
    title = f"Accumulation of the gradient, {where}"
    return accumulated(title, "d(½χ²) / dx up to t", estimate.trajectory, named, True)


def convergence(path: list[Estimate]) -> Graph:
    """χ² over the steps of the fit, and what a step would still take off it."""
    steps = np.arange(len(path))
    chi2, excess = (np.array([getattr(each, name) for each in path]) for name in ("chi2", "excess"))
    curves = [
        Curve(steps, chi2, "χ²", BLUE, marker="o"),
        Curve(steps, excess, "what a step would take off", VERMILLION, marker="o"),
    ]
    title = "Convergence (dotted: degrees of freedom)"
    return Graph(
        title, "step of the fit", "χ²", curves, logarithmic=(False, True), level=path[-1].freedom
    )


def draw(story: Story, file: Path) -> None:
    """Concentrations with bands, convergence, λ, accumulation, steps, checkpoints, and how errors are distributed."""
    path, first, last = story.path, story.path[0], story.path[-1]
    ranks = (np.arange(story.z.shape[0]) + 0.5) / story.z.shape[0]
    normal = np.linspace(-3.0, 3.0, POINTS)
    errors = [
        Curve(np.sort(z), ranks, name, color)
        for z, name, color in zip(story.z.T, RATES, COLORS, strict=False)
    ]
    plots: list[Plot] = [
        concentrations(
            story,
            "Measured y₁, and y₃, which is not measured",
            (0, 2),
            "concentration / (mol/L)",
            1.0,
        ),
        concentrations(story, "The intermediate y₂", (1,), "10⁵ · concentration / (mol/L)", 1e5),
        convergence(path),
        adjoints(first),
        accumulation(first, "first guess"),
        accumulation(last, "estimate"),
        step_sizes(last.trajectory, True),
        timeline("Few states kept: which step is done when", story.events),
        Graph(
            f"Errors of {len(story.z)} further fits",
            "error / standard deviation",
            "share of fits below",
            [*errors, Curve(normal, ndtr(normal), "normal", INK, dashed=True)],
        ),
    ]
    held = np.mean(np.abs(story.z) <= WIDE)
    subtitle = (
        f"y₁ and y₂ measured at {len(last.data)} times; χ² = {last.chi2:.0f} for {last.freedom} degrees of freedom; "
        f"Jacobian by {last.trajectory.evidence.jacobian_mode}s; {100 * held:.1f} % of the 95 % intervals of {len(story.z)} further fits "
        "hold the truth"
    )
    write_sheet(
        file,
        "Rate constants of Robertson's reaction from noisy concentrations",
        subtitle,
        plots,
        3,
        4.0,
    )
