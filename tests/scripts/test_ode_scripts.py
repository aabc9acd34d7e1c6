"""Examples of initial value problems run with --small, and their parts work."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import adjoint
from adjoint.checkpointing import minimal_advances
from adjoint.report import Band, Curve, Graph, Raster
from adjoint.report.figures.sheet import sheet
from scripts.examples.common.checkpointing import checkpointed_gradient
from scripts.examples.common.trajectory_plots import accumulated, step_sizes, timeline
from scripts.examples.kinetics_fit import __main__ as kinetics_fit
from scripts.examples.kinetics_fit.experiment import Estimate
from scripts.examples.kinetics_fit.levenberg_marquardt import complex_step_error, fit
from scripts.examples.optimal_control import __main__ as optimal_control
from scripts.examples.optimal_control.lbfgsb import optimum
from scripts.examples.optimal_control.plate import Steering


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_kinetics_fit_finds_rates_that_the_bands_hold(tmp_path: Path, capsys) -> None:
    numbers = kinetics_fit.main(tmp_path / "new", small=True, quiet=True)
    assert numbers["jacobian"].startswith("tangent (3 parameters")
    assert numbers["jacobian against complex steps"] <= 1e-11
    assert 0.001 <= numbers["probability of a larger chi2"] <= 0.999
    assert np.all(np.abs(numbers["error / standard deviation"]) <= 4.0)
    assert numbers["intervals that hold the truth, of 95 %"] >= 0.8
    assert numbers["points of bands that hold the truth, of 95 %"] >= 0.8
    assert numbers["steps of the fit"] <= 10
    steps = numbers["time steps with checkpoints"]
    assert numbers["of them repeated"] == minimal_advances(steps, numbers["checkpoints"]) - (
        steps - 1
    )
    assert numbers["gradient of the same bits"]
    assert json.loads((tmp_path / "new" / "fit.json").read_text()) == numbers
    assert is_png(tmp_path / "new" / "fit.png")
    assert "chi2" in capsys.readouterr().out


def test_optimal_control_steers_the_plate_to_its_target(tmp_path: Path, capsys) -> None:
    numbers = optimal_control.main(tmp_path / "new", small=True, quiet=True)
    assert numbers["misfit without heating / norm of the target"] >= 0.9
    assert numbers["misfit / norm of the target"] <= 0.1
    assert numbers["powers at a limit"] > 0
    assert numbers["projected gradient / first"] <= 1e-3
    assert numbers["check: order of the remainder"] >= 1.99
    assert numbers["check: relative error"] <= 1e-8
    assert numbers["gradient of the same bits"]
    assert numbers["steps repeated with few states kept"] > 0
    assert numbers["bytes with few states kept"] <= optimal_control.BUDGET * numbers["unknowns"]
    assert json.loads((tmp_path / "new" / "control.json").read_text()) == numbers
    assert is_png(tmp_path / "new" / "fields.png")
    assert is_png(tmp_path / "new" / "time_series.png")
    assert "the gradient is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    "script", [kinetics_fit, optimal_control], ids=["kinetics_fit", "optimal_control"]
)
def test_scripts_ask_for_a_directory(script, capsys) -> None:
    for arguments in ([], ["--out", ""]):
        with pytest.raises(SystemExit):
            script.parse(arguments)
        assert "--out" in capsys.readouterr().err


# Rates


def test_fit_ends_where_no_step_takes_anything_off_chi2():
    case = kinetics_fit.experiment()
    data = case.measured(3)
    path = fit(case, data, case.truth + np.log([0.5, 2.0, 0.5]), 30, lambda trial, text: None)
    assert all(after.chi2 < before.chi2 for before, after in pairwise(path))
    last = path[-1]
    for v in np.eye(3):
        for sign in (1.0, -1.0):
            aside = Estimate(case, data, last.x + sign * 1e-2 * v)
            assert aside.chi2 > last.chi2
    assert complex_step_error(last, np.array([1.0, -1.0, 0.5])) <= 1e-11


def test_gauss_newton_covariance_is_the_curvature_of_chi2():
    """Without noise χ² = (x − x*)ᵀ (DᵀD) (x − x*) to leading order."""
    case = kinetics_fit.experiment()
    exact = case.exact[:, case.species]
    v = np.array([1.0, 0.5, -0.7])
    curvature = np.linalg.inv(Estimate(case, exact, case.truth).covariance)
    values = [Estimate(case, exact, case.truth + h * v).chi2 for h in (1e-2, -1e-2)]
    assert np.mean(values) == pytest.approx(1e-4 * v @ curvature @ v, rel=1e-2)


def test_fit_that_is_given_too_few_trials_says_so():
    case = kinetics_fit.experiment()
    with pytest.raises(adjoint.SolveError, match="no fit in 2 trials"):
        fit(case, case.measured(0), case.truth + 1.0, 2, lambda trial, text: None)


# Steering


@pytest.fixture(scope="module")
def small() -> tuple[Steering, adjoint.Reduced]:
    case = Steering((8, 6), 5, heaters=(3, 2))
    return case, adjoint.Reduced(adjoint.ode.Outputs(case.problem), case.objective)


def test_the_cost_of_powers_linear_between_knots_is_integrated_exactly(small):
    """∫ s² dt = Σ Δt (a² + ab + b²)/3."""
    case, f = small
    p = np.random.default_rng(0).standard_normal(case.controls)
    s = p.reshape(case.knots, -1)
    a, b = s[:-1], s[1:]
    integral = np.sum((a * a + a * b + b * b) / 3.0) * 4.0 / (case.knots - 1)
    assert f(p).solution.trajectory.integrals[0] == pytest.approx(0.5 * integral, rel=1e-12)


def test_powers_within_limits_are_those_that_lambda_asks_for(small):
    """Without active limits, s + BᵀM⁻¹λ/α is orthogonal to the hat functions of the knots.

    The test takes the sum of the hat functions.
    """
    case, f = small
    case = replace(case, limit=50.0, alpha=1e-2)
    f = f.of(case.objective)
    found = optimum(case, f, np.zeros(case.controls), lambda text: None)
    trajectory = found.point.solution.trajectory
    y_bar = case.objective.gradients(found.point.solution.u, found.point.p)[0]
    asked = case.stationary_powers(trajectory.adjoint(*case.cotangents(y_bar)))
    s = np.stack([case.plate.power(t, found.point.p) for t in trajectory.grid])
    gap = np.trapezoid(s - asked, trajectory.grid, axis=0)
    assert np.all(np.abs(gap) <= 0.02 * np.trapezoid(np.abs(s), trajectory.grid, axis=0))


def test_no_optimum_is_an_error(small, monkeypatch):
    case, f = small
    monkeypatch.setattr("scripts.examples.optimal_control.lbfgsb.ITERATIONS", 1)
    with pytest.raises(adjoint.SolveError, match="no optimum in 1 iterations"):
        optimum(case, f, np.zeros(case.controls), lambda text: None)


def test_powers_stay_within_their_limits(small):
    case, f = small
    case = replace(case, limit=0.2)
    found = optimum(case, f, np.zeros(case.controls), lambda text: None)
    assert np.abs(found.point.x).max() == case.limit
    assert found.fall <= 1e-3


# Timelines


@pytest.fixture(scope="module")
def trajectory() -> adjoint.ode.Trajectory:
    case = kinetics_fit.experiment()
    return case.problem.solve(np.exp(case.truth))


def test_timeline_has_a_stroke_for_each_step_done(trajectory):
    few = checkpointed_gradient(
        trajectory, np.ones_like(trajectory.u), None, adjoint.checkpointing.Checkpoints(5), 5, True
    )
    N = trajectory.evidence.steps
    forward, repeated, reverse, kept = timeline("", few.events).curves
    assert [curve.x.size // 3 for curve in (forward, repeated, reverse)] == [
        N,
        few.evidence.repeated,
        N,
    ]
    assert few.same_bits
    begun = np.sort(np.concatenate([curve.x[::3] for curve in (forward, repeated, reverse)]))
    np.testing.assert_array_equal(begun, np.arange(2 * N + few.evidence.repeated))
    assert reverse.y[-2] == 0.0
    assert (kept.y >= 0.0).all()


def test_accumulation_ends_at_the_gradient(trajectory):
    u_bar = np.ones_like(trajectory.u)
    shares = trajectory.accumulation(u_bar)
    plot = accumulated("", "", trajectory, {"p1": shares[:, 0], "p2": shares[:, 1]}, True)
    # The sum of all concentrations is constant: the gradient is rounding of the shares.
    rounding = 1e-12 * np.abs(shares).max(axis=0)[:2] + 1e-24
    off = [curve.y[-1] for curve in plot.curves] - trajectory.vjp(u_bar)[:2]
    assert np.all(np.abs(off) <= rounding)
    u_bar[:, 0] = 2.0
    shares = trajectory.accumulation(u_bar)
    plot = accumulated("", "", trajectory, {"p1": shares[:, 0], "p2": shares[:, 1]}, True)
    np.testing.assert_allclose(
        [curve.y[-1] for curve in plot.curves], trajectory.vjp(u_bar)[:2], rtol=1e-10
    )


def test_marks_of_new_factors_are_as_many_as_were_made(trajectory):
    case = kinetics_fit.experiment()
    fresh = case.problem.solve(np.exp(case.truth))
    step, renewed = step_sizes(fresh, True).curves
    assert step.x.size == fresh.evidence.steps
    assert 1 <= renewed.x.size <= fresh.evidence.factorizations


# Plots


def test_bands_rasters_and_many_decades_stay_in_their_frames():
    x = np.geomspace(1e-6, 1e5, 30)
    wave = np.sin(np.log(x))
    plots = [
        Graph(
            "Band",
            "t / s",
            "y",
            [Curve(x, wave, "curve", "#000000")],
            bands=[Band(x, wave - 0.3, wave + 0.5, "95 % band", "#0072b2")],
            logarithmic=(True, False),
        ),
        Raster(
            "Raster",
            "t / s",
            "heater",
            np.linspace(0.0, 4.0, 9),
            np.outer(np.arange(9.0), wave[:5]),
            "s / (K/s)",
        ),
    ]
    figure = sheet("Title", "", plots, 2, 3.4)
    FigureCanvasAgg(figure)
    figure.canvas.draw()
    boxes = [ax.get_tightbbox(figure.canvas.get_renderer()) for ax in figure.axes]
    width, height = figure.canvas.get_width_height()
    assert all(
        0.0 <= box.x0 < box.x1 <= width and 0.0 <= box.y0 < box.y1 <= height for box in boxes
    )
    assert not any(
        min(a.x1, b.x1) > max(a.x0, b.x0) + 1e-6 and min(a.y1, b.y1) > max(a.y0, b.y0) + 1e-6
        for i, a in enumerate(boxes)
        for b in boxes[:i]
    )
    graph, raster = figure.axes[:2]
    assert graph.get_ylim()[1] >= (wave + 0.5).max()
    assert 3 <= len([tick for tick in graph.get_xticks() if 1e-6 <= tick <= 1e5]) <= 8
    assert raster.get_xlim() == (0.0, 4.0)
    assert raster.get_ylim() == (0.5, 5.5)
    low, high = raster.collections[0].get_clim()
    assert low == -high
