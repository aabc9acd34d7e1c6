"""Laws of runs in directories.

Designs kept and thinned, comparisons of what is comparable, the command line.
"""

import numpy as np
import pytest
from matplotlib.figure import Figure

from adjoint import cli
from adjoint.optimize import State
from adjoint.report import (
    DesignKeeper,
    Profile,
    Report,
    Run,
    convergence_report,
    performance_profile,
    read_run,
)
from adjoint.report.designs import read_designs, stored
from adjoint.report.figures.comparison import (
    best_value,
    comparable,
    comparison,
    comparison_figure,
    work,
)
from adjoint.report.history import PHASES, History
from adjoint.report.runs import read_runs
from tests.fixtures.histories import HEADER, RESULT, Page, designs, iteration, lines, stay_apart


def history(*records, header=HEADER):
    return History(header, records, RESULT)


def state(k):
    return State(k, np.full(6, k / 1000), 1.0, np.ones(6), 1.0, 1.0)


def picture(at):
    return at.x.reshape(2, 3)


# ----------------------------------------------------------------------------------------------
# designs


def test_kept_designs_are_read_back_to_the_gray_of_a_picture(tmp_path):
    keeper = DesignKeeper(tmp_path, picture)
    for k in (0, 1, 255, 1000):
        keeper(state(k))
    kept = read_designs(tmp_path)
    assert [k for k, _ in kept] == [
        0,
        1,
        1000,
    ]  # 255 was the last one for a while; now every 16th is kept.
    for k, design in kept:
        np.testing.assert_allclose(design, np.full((2, 3), k / 1000), atol=0.5 / 255 + 1e-6)


def test_kept_designs_are_thinned_evenly_and_the_first_and_the_last_stay(tmp_path):
    keeper = DesignKeeper(tmp_path, picture, most=10)
    for k in range(46):
        keeper(state(k))
        assert len(stored(tmp_path)) <= 10 + 5
    assert list(stored(tmp_path)) == [0, 1, 2, 4, 8, 16, 24, 32, 40, 45]


def test_a_new_run_empties_the_designs_and_a_resumed_one_drops_those_beyond(tmp_path):
    for k in (0, 1, 2, 3, 4):
        DesignKeeper(tmp_path, picture, resume=True)(state(k))
    DesignKeeper(tmp_path, picture, resume=True)(state(3))
    assert list(stored(tmp_path)) == [0, 1, 2, 3]
    DesignKeeper(tmp_path, picture)
    assert not stored(tmp_path)
    with pytest.raises(ValueError, match="most=0"):
        DesignKeeper(tmp_path, picture, most=0)


# ----------------------------------------------------------------------------------------------
# directories


@pytest.mark.parametrize(
    ("aspect", "shape"), [(1.0, (20, 30)), (2.0, (20, 60)), (0.5, (40, 30)), (1.33, (60, 120))]
)
def test_kept_designs_have_the_proportions_of_their_elements(tmp_path, aspect, shape):
    design = np.linspace(0.0, 1.0, 600).reshape(20, 30)
    DesignKeeper(tmp_path, lambda state: design, aspect=aspect)(state(0))
    ((_, kept),) = read_designs(tmp_path)
    assert kept.shape == shape
    np.testing.assert_allclose(kept[:: shape[0] // 20, :: shape[1] // 30], design, atol=1 / 255)


@pytest.mark.parametrize("aspect", [0.0, -1.0, np.nan, 100.0])
def test_elements_without_proportions_are_refused(tmp_path, aspect):
    with pytest.raises(ValueError, match="width over its height"):
        DesignKeeper(tmp_path, picture, aspect=aspect)


def stored_run(folder, *records):
    folder.mkdir(parents=True)
    (folder / "history.jsonl").write_text(lines(HEADER, *records))
    return folder


def test_what_is_no_run_is_refused_by_name(tmp_path):
    stored_run(tmp_path / "runs" / "a", iteration(0))
    for where, cause in (
        ("nowhere", "not there"),
        ("runs", r"no history\.jsonl.*there is one in a"),
    ):
        with pytest.raises(ValueError, match=f"{where}: {cause}"):
            read_run(tmp_path / where)
    with pytest.raises(ValueError, match=r"a file, expected the directory"):
        read_run(tmp_path / "runs" / "a" / "history.jsonl")
    bad = tmp_path / "runs" / "a" / "designs" / "000003.png"
    bad.parent.mkdir()
    bad.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    with pytest.raises(ValueError, match=r"000003\.png: not a picture"):
        read_run(tmp_path / "runs" / "a")


def test_runs_of_one_name_go_by_their_paths(tmp_path):
    for name in ("coarse/mma", "fine/mma", "fine/oc"):
        stored_run(tmp_path / name, iteration(0))
    both = [tmp_path / "coarse" / "mma", tmp_path / "fine" / "mma"]
    assert [run.name for run in read_runs(both)] == ["coarse/mma", "fine/mma"]
    assert [run.name for run in read_runs([both[0], tmp_path / "fine" / "oc"])] == ["mma", "oc"]


def test_the_command_line_says_what_it_wrote_or_what_is_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = stored_run(tmp_path / "a", iteration(0), iteration(1))
    DesignKeeper(run, picture, resume=True)(state(1))
    assert cli.main(["report", "a/"]) == 0
    assert capsys.readouterr().out.split() == ["a/report.html", "a/report.png", "a/report.pdf"]
    stored_run(tmp_path / "b", iteration(0))
    assert cli.main(["report", "a", "b", "--out", "both"]) == 0
    assert 'id="run1"' in (tmp_path / "both" / "report.html").read_text(encoding="utf-8")
    assert cli.main(["report", "a", "c"]) == 1
    assert (
        capsys.readouterr().err
        == "report: c: not there, expected the directory of a run, with history.jsonl in it\n"
    )


# ----------------------------------------------------------------------------------------------
# comparison


def test_the_best_value_is_that_of_a_feasible_design_of_the_last_stage():
    first = history(
        iteration(0, objective=1.0, stage=0, constraint_violation=0.0),
        iteration(1, objective=2.0, stage=1, constraint_violation=0.5),
        iteration(2, objective=5.0, stage=1, constraint_violation=1e-7),
    )
    np.testing.assert_array_equal(comparable(first), [np.nan, np.nan, 5.0])
    second = history(iteration(0, objective=7.0, stage=None))
    assert best_value([Run("a", first), Run("b", second)]) == 5.0
    other = history(iteration(0), header=HEADER | {"problem": {"nelx": 5}})
    assert np.isnan(best_value([Run("a", first), Run("b", other)]))


def test_runs_are_measured_in_factorizations_or_in_evaluations_where_nothing_is_factored():
    factored = Run("a", history(iteration(0), iteration(1)))
    free = Run("b", history(*(iteration(k, counts={}, evaluations=k + 3) for k in range(2))))
    first, seconds, _ = work([factored, free])
    assert first.name == "factorizations"
    np.testing.assert_array_equal(first.of(factored.history), [1, 2])
    np.testing.assert_allclose(seconds.of(factored.history), np.array([0.01, 0.02]) * len(PHASES))
    first, *_ = work([free])
    np.testing.assert_array_equal(first.of(free.history), [3, 4])


RUNS = {
    "alike": [
        Run(name, history(*(iteration(k) for k in range(n))), designs([n]))
        for name, n in (("oc", 9), ("mma", 7))
    ],
    "lopsided": [
        Run(name, history(*(iteration(k) for k in range(n))))
        for name, n in (("newton", 3), ("sd", 400))
    ],
    "empty": [
        Run("none", History({"kind": "header"}, (), None)),
        Run("one", History(HEADER, (iteration(0),), None)),
    ],
    "many": [
        Run(
            f"a run with a long name, {j}",
            history(iteration(0), iteration(j)),
            designs([j], (30, 3)),
        )
        for j in range(1, 10)
    ],
}


@pytest.mark.parametrize("several", RUNS)
def test_every_comparison_is_drawn_with_no_two_texts_touching(several):
    stay_apart(comparison_figure(RUNS[several]))


def test_the_gap_to_the_best_value_found_falls_to_it():
    several = RUNS["alike"]
    rows = dict(comparison(several))
    ax = Figure().add_subplot()
    rows["Objective above the best one found"][0].draw(ax)
    best = min(run.history.series("objective").min() for run in several)
    np.testing.assert_allclose(ax.lines[0].get_ydata()[0], 1000 - best)
    assert np.isnan(ax.lines[0].get_ydata()[-1])  # It is the best one.


def test_a_run_that_ends_at_zero_has_its_end_at_the_edge_of_a_logarithmic_axis():
    several = [
        Run(
            "sinks",
            history(*(iteration(k, constraint_violation=max(0.0, 2.0 - k)) for k in range(6))),
        ),
        Run("stays", history(*(iteration(k, constraint_violation=0.5) for k in range(4)))),
    ]
    rows = {name.split(";")[0]: panels for name, panels in comparison(several)}
    ax = Figure().add_subplot()
    rows["Feasibility"][-1].draw(ax)
    ends = {
        line.get_marker(): line.get_xydata()[0] for line in ax.lines if len(line.get_xdata()) == 1
    }
    np.testing.assert_allclose(ends["v"], (5, ax.get_ylim()[0]))
    np.testing.assert_allclose(ends["o"], (3, 0.5))


def test_residuals_are_relative_to_that_of_the_first_design_which_meets_the_constraints():
    start = [
        iteration(k, kkt=[700.0, 0.5, 0.25][k], constraint_violation=float(k == 0))
        for k in range(3)
    ]
    rows = comparison([Run("a", history(*start)), Run("b", history(*start))])
    ax = Figure().add_subplot()
    next(panels for name, panels in rows if name.startswith("Optimality"))[0].draw(ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1400.0, 1.0, 0.5])


@pytest.mark.parametrize("several", RUNS)
def test_the_page_of_several_runs_is_well_formed_and_links_each_to_its_details(tmp_path, several):
    files = convergence_report(RUNS[several], tmp_path)
    page = Page(files[0].read_text(encoding="utf-8"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            target = attributes.get(name) or ""
            assert target.startswith("data:image/png;base64,") or (
                target[1:] in ids if target else True
            ), tag
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert links == [f"#run{place}" for place in range(len(RUNS[several]))]
    assert [tag for tag, _ in page.tags].count("details") == len(links) + 1  # And the terms.


def test_a_notebook_shows_the_page_in_a_frame_of_its_own():
    report = Report([Run("oc", history(iteration(0), iteration(1)))], [profile()])
    frame = report._repr_html_()
    (tag, attributes), *others = Page(frame).tags
    assert (tag, others) == ("iframe", [])
    assert attributes["srcdoc"] == report.page
    assert attributes["sandbox"] == "allow-scripts"
    assert report.page.index("Suite") < report.page.index("How the run got there")
    (figure,) = report.figures
    assert "Suite" in [text.get_text() for text in figure.texts]
    assert "Further figures" in Report(RUNS["alike"], [profile()]).page
    with pytest.raises(ValueError, match="no runs"):
        Report([])


# ----------------------------------------------------------------------------------------------
# profiles


def profile(costs=((1.0, 2.0, np.inf, 3.0), (2.0, 2.0, np.inf, np.inf))):
    return Profile("Suite", ("a", "b"), np.array(costs))


def test_a_profile_is_the_share_of_problems_within_a_factor_of_the_least_cost():
    # Dolan & Moré (2002): ρ_s(1) is the share on which s is the cheapest, ρ_s(∞) the share
    # that it solves.
    tau, rho = performance_profile(profile().costs)
    np.testing.assert_array_equal(tau, [1.0, 2.0])
    np.testing.assert_array_equal(rho, [[0.75, 0.75], [0.25, 0.5]])


def test_a_profile_does_not_change_with_the_unit_of_a_problem():
    costs = np.random.default_rng(3).lognormal(size=(4, 20))
    costs[2, 5:9] = np.inf
    for ours, scaled in zip(
        performance_profile(costs), performance_profile(costs * 2.0 ** np.arange(20)), strict=True
    ):
        np.testing.assert_array_equal(ours, scaled)
    _, rho = performance_profile(costs)
    assert (np.diff(rho) >= 0).all()
    np.testing.assert_array_equal(rho[:, -1], np.isfinite(costs).mean(axis=1))


def test_profiles_of_solvers_that_solve_nothing_are_flat(tmp_path):
    tau, rho = performance_profile(np.full((2, 3), np.inf))
    assert (tau.tolist(), rho.tolist()) == ([1.0], [[0.0], [0.0]])
    ax = Figure().add_subplot()
    profile(((np.inf,), (1.0,))).draw(ax, (4.0, 2.0))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a (0 of 1)", "b (1 of 1)"]


@pytest.mark.parametrize(
    ("costs", "cause"),
    [
        (np.ones(3), "shape"),
        (np.ones((0, 3)), "shape"),
        ([[1.0, np.nan]], r"nan at \(0, 1\)"),
        ([[0.0]], "0.0"),
    ],
)
def test_costs_that_are_none_are_refused(costs, cause):
    with pytest.raises(ValueError, match=cause):
        performance_profile(costs)


def test_a_profile_needs_a_name_for_each_solver():
    with pytest.raises(ValueError, match="1 names and 2 solvers"):
        Profile("Suite", ("a",), np.ones((2, 2)))
