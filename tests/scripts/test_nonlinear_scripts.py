"""Examples of nonlinear problems run with --small, with the known numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import adjoint
from adjoint.report import Curve, Graph, Map, Shades, write_sheet
from adjoint.report.figures.sheet import sheet
from problems.optimization.thermography import Exponential, Thermography
from problems.optimization.variation import TotalVariation
from scripts.examples.branches import __main__ as branches
from scripts.examples.parameter_fit import __main__ as parameter_fit


def test_parameter_fit_recovers_the_conductivity_down_to_the_noise(tmp_path: Path, capsys) -> None:
    numbers = parameter_fit.main(tmp_path / "new", small=True, quiet=True)
    assert numbers["misfit / noise"] == pytest.approx(1.0, abs=0.01)
    assert numbers["gradient / first"] <= 1e-3
    assert numbers["median error of p"] <= 0.06
    assert numbers["iterations"] <= 20
    assert numbers["factorizations of dR/du"] <= 3 * numbers["iterations"] + 5
    assert numbers["check: order of the remainder"] >= 1.9
    assert json.loads((tmp_path / "new" / "fit.json").read_text()) == numbers
    assert (tmp_path / "new" / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert "misfit / noise" in capsys.readouterr().out


def test_parameter_fit_that_is_given_too_few_iterations_says_so(tmp_path: Path) -> None:
    with pytest.raises(adjoint.SolveError, match="no fit in 2 iterations"):
        parameter_fit.main(tmp_path, small=True, iterations=2, quiet=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--noise", "0"], "noise=0"),
        (["--noise", "nan"], "noise=nan"),
        (["--iterations", "0"], "0 iterations"),
    ],
)
def test_parameter_fit_names_options_that_make_no_sense(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    options = parameter_fit.parse(["--small", "--quiet", "--out", str(tmp_path), *arguments])
    with pytest.raises(ValueError, match=message):
        parameter_fit.main(**vars(options))
    assert not list(tmp_path.iterdir())


def test_branches_reach_the_published_fold_and_reference_slopes(tmp_path: Path) -> None:
    """CASES: Bratu; λ_c = 6.808124423 on the square is of a finer mesh."""
    numbers = branches.main(tmp_path / "new", small=True)
    line, square = numbers["line"], numbers["square"]
    assert line["lambda_c"] == pytest.approx(3.51383071912516, abs=1e-11)
    assert line["u_max"] == pytest.approx(1.18684216863439, abs=1e-10)
    assert line["J(1) below"] == pytest.approx(0.0932568771592, abs=1e-11)
    assert line["dJ/dlambda(1) below"] == pytest.approx(0.105150989347, abs=1e-10)
    assert square["lambda_c at rest, in the flow"][0] == pytest.approx(6.808124423, rel=1e-3)
    np.testing.assert_allclose(
        square["sum of dlambda_c/ds, to be -lambda_c"],
        -np.array(square["lambda_c at rest, in the flow"]),
        rtol=1e-11,
    )
    written = json.loads((tmp_path / "new" / "branches.json").read_text())
    assert written["line"]["lambda_c"] == line["lambda_c"]
    for name in ("line.png", "square.png"):
        assert (tmp_path / "new" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("script", [parameter_fit, branches], ids=["parameter_fit", "branches"])
def test_scripts_ask_for_a_directory(script, capsys) -> None:
    for arguments in ([], ["--out", ""]):
        with pytest.raises(SystemExit):
            script.parse(arguments)
        assert "--out" in capsys.readouterr().err


# Parts of the examples


def test_total_variation_form_is_the_derivative_of_its_frozen_quadratic_and_definite():
    prior = TotalVariation((7, 5), (0.2, 0.3), 0.1, 1e-3)
    m = np.random.default_rng(1).standard_normal(35)
    L = prior.form(m)
    assert abs(L - L.T).max() <= 1e-15 * abs(L).max()
    assert np.linalg.eigvalsh(L.toarray()).min() > 0.0
    np.testing.assert_allclose(
        L @ np.ones(35), 1e-3 * 0.06, rtol=1e-9
    )  # Constants pay for the anchor alone.
    adjoint.cholesky(L)


@pytest.mark.parametrize("slope", [0.5, 20.0])
def test_total_variation_of_a_steep_ramp_is_its_rise(slope):
    """mᵀ L m = ∫|∇m| over the unit square if the slope is far above the corner."""
    prior = TotalVariation((40, 30), (1 / 40, 1 / 30), 1e-6, 1e-12)
    x = np.repeat((np.arange(40) + 0.5) / 40, 30)
    m = slope * x
    inside = m @ prior.form(m) @ m
    assert inside == pytest.approx(slope, rel=0.05)


def test_thermography_is_a_differentiable_function_of_the_logarithms():
    case = Thermography((8, 6), (4, 3))
    f = adjoint.Reduced(case.problem, adjoint.LeastSquares(case.data, case.observe), Exponential())
    assert adjoint.check(f, 0.5 * case.truth).ok
    exact = case.observe @ case.problem.solve(np.exp(case.truth)).u
    assert np.std(case.data - exact) == pytest.approx(1.0, abs=0.5)
    assert np.unique(case.measured).size == 12


def test_sensors_are_in_cells_of_their_own():
    with pytest.raises(ValueError, match="at most one each"):
        Thermography((8, 6), (9, 3))


def frames(figure):
    """The boxes of all axes and their labels, in pixels."""
    FigureCanvasAgg(figure)
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    return [ax.get_tightbbox(renderer) for ax in figure.axes]


def example() -> list:
    x = np.linspace(0.0, 1.0, 9)
    values = np.outer(np.sin(np.arange(1.0, 9.0)), np.arange(1.0, 5.0))
    points = np.stack([x, 0.5 * x], axis=1)
    return [
        Map("Map", values, (2.0, 1.0), "u / K"),
        Map("Positive", np.exp(values), (2.0, 1.0), "p / W", logarithmic=True, points=points),
        Map(
            "Dots",
            values,
            (2.0, 1.0),
            "misfit",
            shades=Shades.DIVERGING,
            points=points,
            at_points=x - 0.3,
        ),
        Map("High", values, (1.0, 3.0), "u", length="", limits=(0.0, 2.0)),
        Graph(
            "Curves",
            "x",
            "y",
            [Curve(x, x**2, "square", "#000000", dashed=True)],
            notes=[(1.0, 1.0, "end")],
        ),
        Graph(
            "Decades",
            "h",
            "error",
            [Curve(x[1:], x[1:] ** 4, "order 4", "#000000", marker="o")],
            level=0.1,
        ),
        Graph(
            "Log",
            "h",
            "e",
            [Curve(x[1:], x[1:] ** 4, "_", "#000000", loose=True)],
            logarithmic=(True, True),
        ),
    ]


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_plots_of_a_sheet_lie_inside_of_it_and_beside_each_other(columns):
    figure = sheet("Title", "with λ_c, and some numbers " * 20, example(), columns, 3.4)
    boxes = frames(figure)
    width, height = figure.canvas.get_width_height()
    for box in boxes:
        assert 0.0 <= box.x0 < box.x1 <= width
        assert 0.0 <= box.y0 < box.y1 <= height
    for i, box in enumerate(boxes):
        for other in boxes[:i]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(across, along) <= 1e-6  # pixels: they may touch


def test_maps_have_the_true_proportions():
    figure = sheet("Title", "", example()[:4], 2, 3.4)
    for ax, (width, height) in zip(figure.axes[::2], [(2.0, 1.0)] * 3 + [(1.0, 3.0)], strict=True):
        box = ax.get_window_extent()
        assert box.width / box.height == pytest.approx(width / height, rel=1e-9)


def test_diverging_maps_are_white_at_zero():
    figure = sheet("Title", "", [example()[2]], 1, 3.4)
    low, high = figure.axes[0].collections[0].get_clim()
    assert low == -high == -0.7


def test_sheet_refuses_what_it_cannot_draw(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 plots"):
        write_sheet(tmp_path / "sheet.png", "Title", "", [], 2, 3.4)
    with pytest.raises(ValueError, match="0 columns"):
        write_sheet(tmp_path / "sheet.png", "Title", "", example(), 0, 3.4)
    with pytest.raises(ValueError, match="at_points without points"):
        sheet(
            "Title",
            "",
            [Map("Dots", np.ones((2, 2)), (1.0, 1.0), "u", at_points=np.ones(3))],
            1,
            3.4,
        )
    assert not list(tmp_path.iterdir())


def test_the_same_sheet_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_sheet(tmp_path / "new" / name, "Title", "numbers", example(), 3, 3.4)
    first, second = ((tmp_path / "new" / name).read_bytes() for name in ("a.png", "b.png"))
    assert first == second
