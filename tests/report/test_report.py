"""Laws of adjoint.report.

What is written is read back, drawn whole, and shown without another file.
"""

import json
import math
import os
import re
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from adjoint.report import (
    HistoryWriter,
    Report,
    Run,
    convergence_figure,
    design_png,
    read_history,
    tables,
    write_design,
    write_vti,
)
from adjoint.report.designs import log_spaced
from adjoint.report.figures.convergence import arrange
from adjoint.report.figures.panels import panels
from adjoint.report.figures.style import drawing, font, legend, legible, width, wrap
from adjoint.report.history import NUMBERS, PHASES
from adjoint.report.summary import (
    MISSING,
    TERMS,
    badge,
    brief,
    change,
    doubt,
    duration,
    outcome,
    show,
    tolerance,
)
from tests.fixtures.histories import (
    HEADER,
    RESULT,
    STEPS,
    TAYLOR,
    Page,
    designs,
    iteration,
    lines,
    stay_apart,
)


@pytest.fixture
def written(tmp_path):
    """A function that writes records and reads the history back."""

    def write(*records):
        path = tmp_path / "run" / "history.jsonl"
        writer = HistoryWriter(path)
        for record in records:
            writer.append(record)
        return read_history(path)

    return write


# ----------------------------------------------------------------------------------------------
# history


def test_what_is_written_is_read_back(written):
    history = written(HEADER, iteration(0), iteration(1), RESULT)
    assert history.header == HEADER
    assert history.iterations == [iteration(0), iteration(1)]
    assert history.result == RESULT
    assert history.numbers.tolist() == [0, 1]
    assert history.parts("counts", "numeric").tolist() == [1, 2]


def test_numpy_values_become_plain_and_nonfinite_becomes_null(written):
    fields = {
        "objective": np.float64(2),
        "kkt": math.inf,
        "rejected": np.array([1.0, np.nan]),
        "stage": np.int64(1),
    }
    history = written(
        HEADER | {"problem": {"ok": np.bool_(True), "shape": (3, 4)}}, iteration(0, **fields)
    )
    (record,) = history.iterations
    assert (record["objective"], record["kkt"], record["rejected"], record["stage"]) == (
        2.0,
        None,
        [1.0, None],
        1,
    )
    assert history.header["problem"] == {"ok": True, "shape": [3, 4]}
    assert np.isnan(history.series("kkt")).all()


def test_each_record_is_on_disk_at_once_and_a_new_writer_empties_the_file(tmp_path):
    path = tmp_path / "history.jsonl"
    HistoryWriter(path).append(HEADER)
    assert read_history(path).header == HEADER
    HistoryWriter(path)
    assert path.read_bytes() == b""


def test_the_history_stays_in_one_file_when_the_directory_changes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    writer = HistoryWriter("history.jsonl")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    writer.append(HEADER)
    assert read_history(tmp_path / "history.jsonl").header == HEADER


def test_a_torn_last_line_is_left_out_wherever_it_was_torn(tmp_path):
    path = tmp_path / "history.jsonl"
    whole = lines(HEADER, iteration(0))
    last = json.dumps(iteration(1))
    for cut in range(0, len(last), 7):
        path.write_text(whole + last[:cut])
        assert read_history(path).numbers.tolist() == [0]
    path.write_text(whole + last)
    assert read_history(path).numbers.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("", 1, "empty"),
        ('{"kind": "hea', 1, "torn"),
        ("hello\n", 1, "not JSON"),
        ("\x00\xff\n", 1, "not JSON"),
        ("[1]\n", 1, "kind"),
        ('{"kind": "epoch"}\n', 1, "kind"),
        (lines(iteration(0)), 1, "expected header"),
        (lines(HEADER, HEADER), 2, "expected iteration or result"),
        (lines(HEADER, RESULT, iteration(0)), 2, "expected iteration"),
        (lines(HEADER, iteration(1), iteration(1)), 3, "must increase"),
        (
            lines(HEADER, iteration(0, objective="high")),
            2,
            "objective is 'high'; expected a number",
        ),
        (lines(HEADER, iteration(0, iteration=None)), 2, "iteration is None; expected an integer"),
        (lines(HEADER, iteration(0, rejected=3)), 2, "rejected"),
        (lines(HEADER, iteration(0, seconds={"factor": "1 s"})), 2, "seconds"),
        (lines(HEADER, iteration(0, stage=True)), 2, "stage"),
        (lines(HEADER | {"title": 3}), 1, "title"),
        (lines(HEADER | {"problem": []}), 1, "problem"),
        (lines(HEADER | {"taylor": 1}), 1, "taylor"),
        (lines(HEADER | {"taylor": TAYLOR | {"orders": None}}), 1, "taylor"),
        (lines(HEADER | {"taylor": TAYLOR | {"remainders": [[1.0]]}}), 1, "taylor"),
        (lines(HEADER | {"taylor": TAYLOR | {"remainders": [[1.0], [1.0]]}}), 1, "taylor"),
        (lines(HEADER, {"kind": "result", "status": 1}), 2, "status"),
        (lines(HEADER | {"resumed": [1]}), 1, "resumed"),
        (lines(HEADER | {"stopping": {"change": "small"}}), 1, "stopping"),
        (lines(HEADER, iteration(0, multipliers=["x"])), 2, "multipliers"),
        (lines(HEADER, iteration(0, evaluations=1.5)), 2, "evaluations"),
        (
            lines(HEADER, {"kind": "result", "success": "yes"}),
            2,
            "success is 'yes'; expected true or false",
        ),
    ],
)
def test_a_file_that_is_no_history_is_refused_with_line_and_cause(tmp_path, text, line, cause):
    path = tmp_path / "history.jsonl"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=rf"line {line}: .*{re.escape(cause)}"):
        read_history(path)


def test_what_json_cannot_hold_is_refused_by_name(tmp_path):
    writer = HistoryWriter(tmp_path / "history.jsonl")
    with pytest.raises(TypeError, match=r"record\['problem'\]\['path'\] is of type"):
        writer.append(HEADER | {"problem": {"path": Path()}})
    with pytest.raises(ValueError, match="kind 'epoch'"):
        writer.append({"kind": "epoch"})


# ----------------------------------------------------------------------------------------------
# words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, MISSING),
        ("", MISSING),
        (True, "yes"),
        (False, "no"),
        (60502, "60\u202f502"),
        (-1234, "-1234"),
        (203.19412345, "203.194"),
        (math.nan, MISSING),
        ([1, 2], "1, 2"),
        ({"E": 1.0}, "E 1"),
        ("lu", "lu"),
    ],
)
def test_values_read_as_an_engineer_writes_them(value, text):
    assert show(value) == text


def test_durations_have_three_digits_and_a_unit_that_suits():
    cases = {
        0.0123: "12.3 ms",
        0.9996: "1 s",
        83.21: "83.2 s",
        119.6: "2 min 0 s",
        7325.0: "2 h 2 min",
    }
    assert {seconds: duration(seconds) for seconds in cases} == cases
    assert duration(math.nan) == MISSING
    assert brief(0.000123456) == "0.0001235"


def test_the_stop_reason_is_a_sentence(written):
    done = outcome(written(HEADER, iteration(0), RESULT))
    assert done == "The design changed by less than 0.01. 3 iterations in 83.2 s."
    nothing = outcome(written(HEADER, iteration(0), {"kind": "result"}))
    assert nothing == "No reason for the stop was recorded. 1 iteration."
    assert "the history ends at iteration 1" in outcome(written(HEADER, iteration(0), iteration(1)))
    assert "before the first iteration" in outcome(written(HEADER))
    again = outcome(
        written(HEADER | {"resumed": ["2025-11-22"]}, RESULT | {"cause": "SingularMatrix: row 3"})
    )
    assert again.endswith("3 iterations in 83.2 s, in 2 sessions. SingularMatrix: row 3")
    best = outcome(written(HEADER, *(iteration(k) for k in range(3)), RESULT | {"found": 1}))
    assert best.endswith("The best design is that of iteration 1.")


def test_a_series_is_described_by_its_ends(written):
    history = written(HEADER, iteration(0, kkt=None, step=None), iteration(1, kkt=0.5, step=None))
    assert change(history, "kkt") == "0.5"
    assert change(history, "step") == "not recorded"
    assert change(history, "objective").startswith("from 1000 to ")


def test_wrapped_text_fits_its_room_and_loses_nothing_but_what_the_dots_stand_for():
    face, text = font(9, "normal"), "a line of words and one" + "very" * 30 + "longword at its end"
    whole = wrap(text, face, 120.0, 99)
    assert all(width(line, face) <= 120 for line in whole.split("\n"))
    assert whole.replace("\n", "").replace(" ", "") == text.replace(" ", "")
    cut = wrap(text, face, 120.0, 2)
    assert cut.count("\n") == 1
    assert cut.endswith("…")
    assert all(width(line, face) <= 120 for line in cut.split("\n"))
    assert wrap("  \n ", face, 120.0, 2) == ""
    assert legible("a\tb\n中\x07") == "a b ??"


# ----------------------------------------------------------------------------------------------
# tables


def test_tables_show_ends_means_and_shares(written):
    history = written(HEADER, *(iteration(k) for k in range(30)), RESULT)
    rows = tables.iterations(history).rows
    assert [row[0] for row in rows] == ["0", "1", "2", "3", "4", "⋮", "25", "26", "27", "28", "29"]
    assert len({len(row) for row in rows} | {len(tables.iterations(history).heads)}) == 1
    assert ("numeric factorizations", "30", "10") in tables.counts(
        history
    ).rows  # Of 3 iterations, as the result says.
    shares = {row[0]: row[3] for row in tables.times(history).rows}
    assert shares["factor"] == f"{100 / len(PHASES):.1f} %"
    assert shares["whole run"] == MISSING
    assert [(row[0], row[3]) for row in tables.tolerances(history).rows] == [
        ("KKT residual", "no"),
        ("design change", "no"),
    ]
    assert [row[0] for row in tables.first_and_last(history).rows[:2]] == [
        "objective",
        "projected gradient",
    ]


def test_the_taylor_table_holds_the_order_of_each_pair_of_remainders(written):
    flat = TAYLOR | {"remainders": [TAYLOR["remainders"][0], [0.0] * len(STEPS)]}
    table = tables.taylor(written(HEADER | {"taylor": flat}))
    assert [row[2] for row in table.rows] == [MISSING, *["1.00"] * (len(STEPS) - 1)]
    assert {row[4] for row in table.rows} == {MISSING}


# ----------------------------------------------------------------------------------------------
# designs


def test_a_png_decodes_to_the_design_with_solid_black():
    design = np.array([[0.0, 1.0, 0.5], [1.0, 0.2, -1e-9]])
    pixels = imread(BytesIO(design_png(design, 2)), format="png")[..., :3]
    assert pixels.shape == (4, 6, 3)
    np.testing.assert_allclose(255 * pixels[::2, ::2, 0], [[255, 0, 128], [0, 204, 255]], rtol=1e-6)
    assert np.array_equal(pixels[::2, ::2], pixels[1::2, 1::2])
    assert (pixels == pixels[..., :1]).all()


def test_a_written_design_is_visible_however_coarse(tmp_path):
    write_design(tmp_path / "design.png", np.eye(3))
    picture = (tmp_path / "design.png").read_bytes()
    assert np.frombuffer(picture[16:24], ">u4").tolist() == [801, 801]


@pytest.mark.parametrize(
    "design", [np.zeros(3), np.zeros((0, 3)), np.full((2, 2), 1.1), np.full((2, 2), np.nan)]
)
def test_what_is_no_design_is_refused(design):
    with pytest.raises(ValueError, match="got a design"):
        design_png(design)


def test_designs_of_one_iteration_or_two_shapes_are_refused(written):
    history = written(HEADER, iteration(0))
    with pytest.raises(ValueError, match="two designs of one iteration"):
        convergence_figure(history, designs([0, 0]))
    with pytest.raises(ValueError, match="different shapes"):
        convergence_figure(history, [*designs([0]), *designs([1], (3, 3))])


def test_log_spaced_designs_hold_both_ends_and_thin_out():
    assert log_spaced([4, 5, 6], 3) == [0, 1, 2]
    places = log_spaced(list(range(10, 1010)), 8)
    assert (places[0], places[-1]) == (0, 999)
    assert len(places) == 8
    assert (np.diff(np.diff(places)) > 0).all()


@pytest.mark.parametrize("shape", [(50, 300), (100, 100), (300, 50), (1, 400), (400, 1), (7, 9)])
@pytest.mark.parametrize("available", [1, 2, 5, 8, 100])
def test_the_strip_keeps_proportions_and_stays_in_its_room(available, shape):
    layout = arrange(available, shape, (13.3, 3.0))
    assert 1 <= layout.count <= available
    assert layout.picture[0] / layout.picture[1] == pytest.approx(shape[1] / shape[0])
    assert layout.height <= 3.0 + 1e-9
    assert (layout.columns - 1) * layout.cell[0] + layout.picture[0] <= 13.3 + 1e-9
    assert layout.picture[0] < layout.cell[0]


# ---------------------------------------------------------------------------------------------- VTK


def parse_vti(path):
    root = ElementTree.parse(path).getroot()
    types = {"Float64": "<f8", "Float32": "<f4", "Int32": "<i4", "Int64": "<i8", "UInt8": "u1"}
    fields = {}
    for data in root.iter("DataArray"):
        block = b64decode(data.text)
        assert int.from_bytes(block[:8], "little") == len(block) - 8
        fields[data.get("Name")] = np.frombuffer(block[8:], types[data.get("type")])
    return root.find("ImageData").attrib, fields


def test_a_plane_grid_is_written_x_fastest_and_y_upward(tmp_path):
    density, names = np.arange(6.0).reshape(2, 3), ('a"<&', "solid")
    write_vti(
        tmp_path / "d.vti", {names[0]: density, names[1]: density > 2}, (0.5, 2.0), (1.0, -1.0)
    )
    grid, fields = parse_vti(tmp_path / "d.vti")
    assert (grid["WholeExtent"], grid["Spacing"], grid["Origin"]) == (
        "0 3 0 2 0 0",
        "0.5 2.0 1.0",
        "1.0 -1.0 0.0",
    )
    assert fields[names[0]].tolist() == [3, 4, 5, 0, 1, 2]
    assert fields[names[1]].tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "i8", "u1", ">f8"])
def test_a_solid_grid_is_a_stack_of_planes_of_any_type(tmp_path, kind):
    density = np.arange(24).reshape(2, 3, 4).astype(kind)
    write_vti(tmp_path / "d.vti", {"density": density}, (1, 1, 1), (0, 0, 0))
    grid, fields = parse_vti(tmp_path / "d.vti")
    assert grid["WholeExtent"] == "0 4 0 3 0 2"
    assert np.array_equal(fields["density"].reshape(2, 3, 4), density[:, ::-1])


@pytest.mark.parametrize(
    ("fields", "spacing", "origin", "cause"),
    [
        ({}, (1, 1), (0, 0), "at least one field"),
        ({"a": np.ones((2, 2)), "b": np.ones((2, 3))}, (1, 1), (0, 0), "one shape"),
        ({"a": np.ones(3)}, (1,), (0,), "rows, columns"),
        ({"a": np.ones((0, 2))}, (1, 1), (0, 0), "rows, columns"),
        ({"a": np.ones((2, 2))}, (1, 1, 1), (0, 0), "spacing"),
        ({"a": np.ones((2, 2))}, (1, 0), (0, 0), "spacing"),
        ({"a": np.ones((2, 2))}, (1, 1), (0, math.nan), "origin"),
        ({"a": np.ones((2, 2), complex)}, (1, 1), (0, 0), "complex128"),
    ],
)
def test_a_grid_vtk_cannot_hold_is_refused(tmp_path, fields, spacing, origin, cause):
    with pytest.raises(ValueError, match=cause):
        write_vti(tmp_path / "d.vti", fields, spacing, origin)


# ----------------------------------------------------------------------------------------------
# figure

NULLS = {name: None for name in NUMBERS}
CONSTRAINED = {
    "constraints": [1e-9, -0.25, 0.5],
    "multipliers": [287.1, 0.0, -3.0],
    "evaluations": 7,
    "scaled": 2.0,
}
RUNS = {
    "no iteration": ([], HEADER),
    "one": ([iteration(0)], HEADER),
    "one, all null": (
        [iteration(0, **NULLS, counts=None, seconds=None, stage=None)],
        {"kind": "header"},
    ),
    "two, nothing but numbers": (
        [{"kind": "iteration", "iteration": k} for k in (3, 9)],
        {"kind": "header"},
    ),
    "rejected": (
        [
            iteration(k, rejected=[900.0, 1e9, -1e9, None] if k == 5 else [900.0 + k] * 2)
            for k in range(150)
        ],
        HEADER
        | {"title": "A long title $x_1$ & <b>中</b> " * 20, "taylor": TAYLOR | {"ok": False}},
    ),
    "no violation": (
        [iteration(k, constraint_violation=0.0, step=None) for k in range(50)],
        HEADER,
    ),
    "wide range": (
        [
            iteration(k, objective=1e9 * math.exp(-k), volume=3.0, counts={"numeric": 99_999 * k})
            for k in range(12)
        ],
        HEADER,
    ),
    "tiny": ([iteration(k, objective=-1e-7 - 1e-15 * k, kkt=0.0) for k in range(12)], HEADER),
    "zero": (
        [iteration(k, objective=0.0, projected_gradient=0.0, kkt=0.0) for k in range(3)],
        HEADER,
    ),
    "slow first": (
        [iteration(k, seconds={"factor": 9.0 if k in (0, 1) else 0.1}) for k in range(60)],
        HEADER | {"taylor": TAYLOR | {"relative_error": None}},
    ),
    "slow last": (
        [iteration(k, seconds={"factor": 9.0 if k == 39 else 0.1}) for k in range(40)],
        HEADER,
    ),
    "slow among many": (
        [iteration(k, seconds={"factor": 9.0 if k == 0 else 0.1}) for k in range(601)],
        HEADER,
    ),
    "constrained": (
        [iteration(k, **CONSTRAINED, warmest=300.0 + k, rejected=[1e3]) for k in range(25)],
        HEADER
        | {
            "constraints": ["volume", "stress"],
            "stopping": {"stationarity": 1e-4, "feasibility": 1e-6},
        },
    ),
    "many constraints": (
        [
            iteration(
                k, stage=0, constraints=[-j / 9 - k for j in range(9)], multipliers=[None] * 9
            )
            for k in range(5)
        ],
        HEADER,
    ),
    "no multipliers": (
        [iteration(k, constraints=[0.0], stage=k // 3) for k in range(9)],
        {"kind": "header"},
    ),
    "idle": (
        [iteration(k, seconds=dict.fromkeys(PHASES, 0.0), counts={}) for k in range(30)],
        HEADER,
    ),
}
SHAPES = {"wide": (10, 60), "square": (20, 20), "tall": (60, 10), "none": None}


@pytest.mark.parametrize(("run", "shape"), list(zip(RUNS, [*SHAPES] * 5, strict=False)))
def test_every_run_is_drawn_with_no_two_texts_touching(written, run, shape):
    records, header = RUNS[run]
    history = written(header, *records)
    stored = history.numbers[:: max(1, len(records) // 15)]
    pictures = designs(stored, SHAPES[shape]) if SHAPES[shape] else []
    stay_apart(convergence_figure(history, pictures))


def test_accepted_objectives_decide_the_axis_and_trials_beyond_stand_at_its_edge(written):
    records, header = RUNS["rejected"]
    (objective, *_) = convergence_figure(written(header, *records), []).axes
    low, high = objective.get_ylim()
    assert -200 < low < 200
    assert 1000 < high < 1200
    edges = {
        line.get_marker(): set(line.get_ydata())
        for line in objective.lines
        if line.get_marker() in "^v"
    }
    assert edges == {"^": {high}, "v": {low}}


def falling(n, limit, **fields):
    """f falls to a limit that is not zero: its end looks flat."""
    return [iteration(k, objective=limit + 1000 * 0.5**k, stage=0, **fields) for k in range(n)]


def test_an_objective_whose_end_looks_flat_is_drawn_as_its_distance_from_the_least_value(written):
    ax = convergence_figure(written(HEADER, *falling(40, 200.0)), []).axes[0]
    least = 200.0 + 1000 * 0.5**39
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "objective − 200"
    drawn = ax.lines[0].get_ydata()
    np.testing.assert_allclose(drawn[:20], 200.0 + 1000 * 0.5 ** np.arange(20) - least)
    assert np.isnan(drawn[-1])


@pytest.mark.parametrize(
    "records",
    [
        falling(6, 200.0),  # Few.
        [
            iteration(k, objective=200.0 + 1000 * 0.5**k, stage=k // 20) for k in range(40)
        ],  # Of two functions.
        [iteration(k, objective=200.0 - k, stage=0) for k in range(40)],  # Still falling.
        [
            iteration(k, objective=200.0 + 1e-3 * 0.5**k, stage=0) for k in range(40)
        ],  # Hardly changes at all.
    ],
)
def test_other_objectives_are_drawn_as_they_are(written, records):
    ax = convergence_figure(written(HEADER, *records), []).axes[0]
    assert ax.get_ylabel() == "objective"


@pytest.mark.parametrize("count", [1, 3, 5, 8])
@pytest.mark.parametrize("length", [3, 20, 80])
def test_legends_are_no_wider_than_their_frames(count, length):
    with drawing():
        figure = Figure(figsize=(4.2, 2.95))
        ax = figure.add_axes((0.2, 0.2, 0.7, 0.6))
        for k in range(count):
            ax.plot([0, 1], [k, k], label=f"{k} " + "w" * length)
        legend(ax)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        box = ax.get_legend().get_window_extent(canvas.get_renderer())
    assert 0 <= box.x0 < box.x1 <= ax.bbox.x1 + 2
    assert box.y1 <= figure.bbox.y1


def test_times_begin_at_zero_and_a_cut_bar_says_its_value(written):
    records, header = RUNS["slow first"]
    figure = convergence_figure(written(header, *records), [])
    (panel,) = [axes for axes in figure.axes if "per iteration" in axes.get_ylabel()]
    assert panel.get_ylim() == (0.0, pytest.approx(0.108))
    assert [text.get_text() for text in panel.texts] == ["iteration 0: 9 s, 1 more cut"]


def test_a_tolerance_relative_to_the_first_residual_is_that_of_the_last_stage(written):
    stopping = {"stationarity": 1e-3, "absolute": 0.02, "change": 0.0, "feasibility": 1e-6}
    header = HEADER | {"tolerances": {}, "stopping": stopping}
    history = written(
        header, *(iteration(k, stage=k // 2, kkt=[9.0, 9.0, 40.0, 1.0][k]) for k in range(4))
    )
    assert tolerance(history, "kkt") == pytest.approx(0.04)
    assert np.isnan(tolerance(history, "change"))  # 0: not asked for.
    assert np.isnan(tolerance(history, "constraint_violation"))  # No constraints.


def test_no_tolerance_is_drawn_where_its_reference_is_not_known(written):
    stopping = {"stationarity": 1e-3, "absolute": 0.02, "feasibility": 1e-6}
    records = [
        iteration(k, kkt=9.0, constraint_violation=0.5 * (k == 0), constraints=[0.0])
        for k in range(3)
    ]
    history = written(HEADER | {"tolerances": {}, "stopping": stopping}, *records)
    assert np.isnan(
        tolerance(history, "kkt")
    )  # The gradient limits it, in a norm of the algorithm's.
    assert "KKT residual" not in [row[0] for row in tables.tolerances(history).rows]
    absolute = HEADER | {"tolerances": {}, "stopping": stopping | {"stationarity": 0.0}}
    assert tolerance(written(absolute, *records), "kkt") == 0.02


def test_a_stage_begins_with_a_dashed_line(written):
    history = written(HEADER, *(iteration(k, stage=k // 5) for k in range(15)))
    objective = convergence_figure(history, []).axes[0]
    dashed = [
        line.get_xdata()[0]
        for line in objective.lines
        if line.is_dashed() and len(line.get_xdata())
    ]
    assert dashed == [4.5, 9.5]


def test_constraints_are_named_and_the_largest_of_many(written):
    records, header = RUNS["constrained"]
    table = tables.constraints(written(header, *records))
    assert [row[0] for row in table.rows] == ["volume", "stress", "constraint 3"]
    assert table.rows[0][1:] == ("1e-09", "1e-09", "287.1", "–")
    scaled = tables.constraints(
        written(header, *({**each, "constraint_scales": [2.5e-9, 4.0]} for each in records))
    )
    assert [row[4] for row in scaled.rows] == ["2.5e-09", "4", "–"]
    assert scaled.heads[1::3] == ("final (c − bound)/scale (met where ≤ 0)", "scale, unit of c")
    records, header = RUNS["many constraints"]
    figure = convergence_figure(written(header, *records), [])
    (panel,) = [axes for axes in figure.axes if axes.get_ylabel() == "constraint"]
    assert next(text.get_text() for text in panel.get_legend().get_texts()) == "3 more"


def test_a_beginning_that_dwarfs_all_later_constraints_is_cut(written):
    values = [[6.0 if k < 2 else 0.1, -0.2] for k in range(20)]
    records = [
        iteration(k, constraints=values[k], multipliers=[1000.0 if k == 0 else 0.15, 0.0])
        for k in range(20)
    ]
    figure = convergence_figure(written(HEADER, *records), [])
    limits = {axes.get_ylabel(): axes.get_ylim() for axes in figure.axes}
    assert limits["constraint"] == pytest.approx((-0.224, 0.124))
    assert limits["multiplier"] == pytest.approx((-0.012, 0.162))
    whole = convergence_figure(written(HEADER, *records[2:]), [])
    (panel,) = [axes for axes in whole.axes if axes.get_ylabel() == "constraint"]
    assert "(beginning cut)" not in [text.get_text() for text in panel.get_legend().get_texts()]


def test_a_constraint_that_is_met_to_rounding_looks_so(written):
    records = [iteration(k, constraints=[2e-16 * (-1) ** k], multipliers=[1.0]) for k in range(9)]
    figure = convergence_figure(written(HEADER, *records), [])
    (panel,) = [axes for axes in figure.axes if axes.get_ylabel().startswith("constraint")]
    assert panel.get_ylim()[1] > 1e-9


def test_drawing_leaves_the_users_settings_alone(written):
    import matplotlib

    before = dict(matplotlib.rcParams)
    convergence_figure(written(HEADER, iteration(0)), designs([0]))
    assert dict(matplotlib.rcParams) == before


# ----------------------------------------------------------------------------------------------
# page


def report(history, pictures, out):
    written = Report([Run("beam", history, pictures)]).write(out)
    for path, begin in zip(written, (b"<!doctype html>", b"\x89PNG", b"%PDF"), strict=True):
        assert path.read_bytes().startswith(begin)
    return Page((out / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", ["no iteration", "rejected", "constrained"])
def test_the_page_is_well_formed_and_needs_no_other_file(written, tmp_path, run):
    records, header = RUNS[run]
    history = written(header, *records)
    page = report(history, designs(history.numbers[:30]), tmp_path / "out")
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        assert tag not in {"link", "iframe", "object"}
        assert tag != "img" or attributes["alt"]
        assert tag != "svg" or attributes["aria-label"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {
        attributes["xlink:href"][1:] for _, attributes in page.tags if "xlink:href" in attributes
    }
    assert wanted <= set(ids)


def test_the_page_says_what_the_history_holds_and_escapes_it(written, tmp_path):
    evil = "<script>alert('x')</script>&"
    header = HEADER | {
        "title": evil,
        "problem": {evil: evil},
        "environment": {evil: [evil]},
        "algorithm": evil,
    }
    history = written(header, iteration(0), RESULT | {"status": evil})
    page = report(history, [], tmp_path / "out")
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(evil) >= 7
    for words in (
        "Taylor test passed",
        "orders 1.00, 2.00",
        "transposed solves",
        "3 iterations in 83.2 s",
    ):
        assert words in page.text


def test_the_slider_runs_over_the_stored_designs_evenly_thinned(written, tmp_path):
    history = written({"kind": "header"})
    report(history, designs(range(300), (2, 3)), tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    frames = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])
    assert (len(frames), frames[0][0], frames[-1][0]) == (120, 0, 299)
    assert 'max="119"' in text
    assert "Stored designs: 120 of 300" in text


def test_the_same_run_gives_the_same_page(written, tmp_path):
    history = written(HEADER)
    for name in ("a", "b"):
        report(history, designs([0]), tmp_path / name)
    for name in ("report.html", "report.png", "report.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_result_comes_first_then_how_the_run_got_there(written, tmp_path):
    history = written(HEADER, *(iteration(k) for k in range(30)), RESULT | {"found": 8})
    page = report(history, designs(range(0, 30, 2)), tmp_path / "out").text
    heads = [
        "Result",
        "How the run got there",
        "Numbers",
        "Work",
        "Problem, algorithm, environment",
    ]
    assert sorted(heads, key=page.index) == heads
    assert page.index("iteration 8") < page.index(
        "How the run got there"
    )  # The design found, not the last one.


def test_plots_of_the_user_are_part_of_the_result(written, tmp_path):
    @dataclass(frozen=True)
    class Fit:
        title: str = "Fit to data"

        def draw(self, ax, room):
            ax.plot([0.0, 1.0], [0.0, room[0]])

    run = Run("fit", written(HEADER, iteration(0)))
    html, *_ = Report([run], [Fit()]).write(tmp_path)
    page = Page(html.read_text(encoding="utf-8")).text
    assert page.index("Result") < page.index("Fit to data") < page.index("How the run got there")


def test_every_term_of_a_panel_and_every_key_number_is_explained(written, tmp_path):
    page = report(written(HEADER, *(iteration(k) for k in range(3)), RESULT), [], tmp_path / "out")
    assert {term for each in panels(written(HEADER, iteration(0))) for term in each.terms} <= {
        *TERMS
    }
    assert page.text.count(TERMS["KKT residual"]) == 3  # Key number, panel, glossary.
    titles = [
        attributes["title"]
        for tag, attributes in page.tags
        if "title" in attributes and tag == "th"
    ]
    assert TERMS["design change"] in titles


def test_all_frames_of_a_page_are_alike(written):
    records, header = RUNS["constrained"]
    frames = set()
    for panel in panels(written(header, *records)):
        figure = Figure(figsize=(4.0, 3.0))
        panel.draw(figure.add_axes((0.2, 0.2, 0.7, 0.6)))
        boxes = np.array([axes.get_position().extents for axes in figure.axes])
        frames.add((*boxes[:, :2].min(axis=0).round(6), *boxes[:, 2:].max(axis=0).round(6)))
    assert frames == {(0.2, 0.2, 0.9, 0.8)}


SETTLED = {"success": True, "status": "Converged: the design no longer changes."}
STOP = {"stopping": {"change": 0.01, "stationarity": 0.0}, "tolerances": {}}


def settled(written, kkt, change=0.009, result=SETTLED):
    records = [iteration(k, kkt=kkt(k), change=0.5 * 0.9**k, stage=0) for k in range(40)]
    records[-1]["change"] = change
    return doubt(written(HEADER | STOP, *records, RESULT | result))


def test_a_run_whose_design_settled_while_its_residual_was_flat_says_so(written):
    words = settled(written, lambda k: 0.06)
    assert words.startswith(
        "The design settled, but the KKT residual is flat: 0.06 halfway, 0.06 at the end."
    )
    assert settled(written, lambda k: 0.5**k) == ""  # It fell.
    assert settled(written, lambda k: 0.06, change=0.2) == ""  # The design did not settle.
    assert settled(written, lambda k: 0.06, result={"success": False}) == ""
    assert settled(written, lambda k: None) == ""


def test_without_a_taylor_test_the_check_of_minimize_is_told(written):
    header = {name: value for name, value in HEADER.items() if name != "taylor"}
    assert badge(written(header, RESULT)).verdict.value == "No gradient test recorded"
    checked = RESULT | {"gradient_check": {"derivative": 2.0, "difference": 2.00001}}
    found = badge(written(header, checked))
    assert found.verdict.value == "Gradient agrees with differences"
    assert found.evidence[1] == "relative difference 5.0e-06"
    assert badge(written(HEADER, checked)).verdict.value == "Taylor test passed"


# ----------------------------------------------------------------------------------------------
# imports

RECORDED = """
import sys

LATER = ("matplotlib", "jinja2", "tqdm", "meshio")
import adjoint
import adjoint.report
import numpy as np

assert not {*LATER} & {*sys.modules}, "by the import"
from adjoint.report import ProgressLine, Recorder, read_run

f = adjoint.optimize.ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
recorder, stop = Recorder("run/history.jsonl"), adjoint.Stopping(iterations=9)
recorder.header("Sphere", stop=stop)
with ProgressLine(stop) as progress:
    watchers = [recorder, progress]
    algorithm = adjoint.optimize.LBFGS()
    result = adjoint.minimize(f, np.ones(3), algorithm, stop=stop, callback=watchers)
recorder.result(result)
run = read_run("run")
assert not {*LATER} & {*sys.modules}, "by a run"
from adjoint.report import Report

Report([run]).write("run")
assert {"matplotlib", "jinja2"} <= {*sys.modules}
assert "tqdm" not in sys.modules  # No terminal here.
assert {"Report", "Curve"} <= {*dir(adjoint.report)}
"""


def test_what_draws_is_imported_when_it_draws(tmp_path):

    done = subprocess.run(
        [sys.executable, "-c", RECORDED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=with_path(),
    )
    assert done.returncode == 0, done.stderr


def with_path():
    """The environment of a process that finds what this one finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
