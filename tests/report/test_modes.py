"""Eigenvalues and mode shapes of a run: kept without more solves, followed, read, drawn."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

import adjoint
from adjoint.eigen import BoundFormulation, EigenProblem, EigenvalueSum
from adjoint.report import (
    ModeKeeper,
    ModeShapes,
    Recorder,
    Report,
    convergence_report,
    read_modes,
    read_run,
)
from adjoint.report.figures.modes import mode_plots

m = 8
DOFS = np.column_stack([np.arange(m), np.arange(1, m + 1)]) - 1
K = adjoint.Elements(DOFS, np.array([[1.0, -1.0], [-1.0, 1.0]]))
POINTS = np.column_stack([np.arange(m + 1.0), np.zeros(m + 1)])
BARS = np.column_stack([np.arange(m), np.arange(1, m + 1)])
NUMBERS = np.arange(m + 1)[:, None] - 1
SHAPES = ModeShapes(POINTS, BARS, NUMBERS)
LARGER = adjoint.Sum([EigenvalueSum(2)], [-1.0])
F = adjoint.Reduced(EigenProblem(K, count=3), LARGER)
VOLUME = adjoint.optimize.LinearConstraint(np.ones(m), float(m))
MMA = adjoint.optimize.MMA((VOLUME,), adjoint.Bounds(0.1, 3.0))


def run(folder, iterations=6, f=F, algorithm=MMA, start=None, **settings):
    keeper = ModeKeeper(folder, SHAPES, "frequency²", **settings)
    recorder = Recorder(folder / "history.jsonl")
    stop = adjoint.Stopping(iterations=iterations)
    recorder.header("Chain", algorithm=algorithm, stop=stop)
    x = np.ones(m) if start is None else start
    with adjoint.counting() as counts:
        result = adjoint.minimize(
            keeper.watching(f), x, algorithm, stop=stop, callback=[recorder, keeper], check=False
        )
    recorder.result(result)
    return result, counts


def test_eigenpairs_are_kept_without_another_factorization(tmp_path) -> None:
    result, counts = run(tmp_path)
    assert counts.numeric == result.state.evaluations
    modes = read_modes(tmp_path)
    assert modes.iterations.tolist() == list(range(result.iterations + 1))
    solution = F(result.x).solution
    assert np.allclose(modes.values[-1], solution.values)
    assert np.allclose(np.abs(modes.vectors), np.abs(solution.vectors), atol=1e-9)
    assert np.allclose(np.sort(modes.tracked[-1]), solution.values)
    shown = modes.shapes.displacements(modes.vectors)
    assert shown.shape == (m + 1, 1, 3)
    assert not shown[0].any()  # The fixed point.


def test_values_follow_the_shapes_where_eigenvalues_cross(tmp_path) -> None:
    """Two chains: the second becomes softer than the first."""
    dofs = np.vstack([DOFS, np.where(DOFS >= 0, DOFS + m, -1)])
    weights = np.repeat(np.eye(2), m, axis=0)
    chains = adjoint.Elements(dofs, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    problem = EigenProblem(chains, count=4)
    keeper = ModeKeeper(tmp_path)
    f = keeper.watching(adjoint.Reduced(problem, EigenvalueSum(4)))
    state = next(iter(adjoint.descend(F, np.ones(m), MMA)))
    for k, t in enumerate((0.7, 0.9, 1.2, 1.5)):
        p = weights @ np.array([1.0, t])
        f(p)
        keeper(replace(state, iteration=k, x=p))
    modes = read_modes(tmp_path)
    assert (np.diff(modes.values[:, 0]) >= 0.0).all()
    first = modes.tracked[:, 0]  # The second chain is the softer one at first.
    assert np.allclose(first / first[0], np.array([0.7, 0.9, 1.2, 1.5]) / 0.7)


def test_bound_formulations_are_watched(tmp_path) -> None:
    bound = BoundFormulation(EigenProblem(K, count=3), adjoint.design.Identity(), 2, 0.03)
    mma = adjoint.optimize.MMA(
        (*bound.constraints, bound.on_design(VOLUME)), bound.bounds(adjoint.Bounds(0.1, 3.0), m)
    )
    result, _ = run(tmp_path, 4, bound, mma, bound.start(np.ones(m)))
    assert read_modes(tmp_path).values.shape == (result.iterations + 1, 3)


def test_a_resumed_run_goes_on_with_its_modes(tmp_path) -> None:
    run(tmp_path, 3)
    before = read_modes(tmp_path)
    keeper = ModeKeeper(tmp_path, SHAPES, "frequency²", resume=True)
    f = keeper.watching(F)
    states = []
    adjoint.minimize(
        F, np.ones(m), MMA, stop=adjoint.Stopping(iterations=4), callback=states.append
    )
    keeper(states[3])  # f was not evaluated here in this session: the keeper does.
    f(states[4].x)
    keeper(states[4])
    after = read_modes(tmp_path)
    assert after.iterations.tolist() == [0, 1, 2, 3, 4]
    assert np.allclose(after.tracked[:4], before.tracked)
    assert read_modes(tmp_path / "elsewhere") is None
    ModeKeeper(tmp_path)
    assert read_modes(tmp_path) is None  # A new run.


def test_the_report_shows_eigenvalues_and_shapes(tmp_path) -> None:
    run(tmp_path, densities=lambda state: np.clip(state.x / 3.0, 0.0, 1.0))
    found = read_run(tmp_path)
    plots = mode_plots(found.modes)
    assert [plot.title.split(",")[0] for plot in plots] == [
        "Frequency² of each mode",
        "Mode 1",
        "Mode 2",
        "Mode 3",
    ]
    page = Report([found]).page
    assert "Eigenvalues and mode shapes" in page
    assert page.count("Mode 2, frequency²") >= 2  # Title and description.
    several = Report([found, found]).page
    assert several.count("Frequency² of each mode") >= 2
    assert len(convergence_report([found], tmp_path / "out")) == 3


@pytest.mark.parametrize("corners", [3, 4])
@pytest.mark.parametrize("components", [1, 2])
def test_shapes_on_plane_meshes_are_drawn(tmp_path, corners, components) -> None:
    run(tmp_path, 2)
    modes = read_modes(tmp_path)
    x, y = np.meshgrid(np.arange(4.0), np.arange(2.0), indexing="ij")
    points = np.column_stack([x.ravel(), y.ravel()])
    cells = np.array([[0, 2, 3, 1], [2, 4, 5, 3], [4, 6, 7, 5]])[:, :corners]
    unknowns = np.arange(8 * components).reshape(8, components) % (m + 1) - 1
    shapes = ModeShapes(points, cells, unknowns)
    for plot in mode_plots(replace(modes, shapes=shapes)):
        plot.draw(Figure().add_subplot(), (3.0, 2.0))
    assert len(mode_plots(replace(modes, shapes=None))) == 1
    assert mode_plots(None) == []


def test_faults_are_named(tmp_path) -> None:
    for given, error in (
        ((POINTS[:, :1], BARS, NUMBERS), ValueError),
        ((POINTS, BARS + 0.5, NUMBERS), TypeError),
        ((POINTS, BARS + 1, NUMBERS), ValueError),
        ((POINTS, BARS, NUMBERS - 1), ValueError),
        ((POINTS, BARS, NUMBERS[1:]), ValueError),
        ((POINTS, BARS, NUMBERS[:, 0]), ValueError),
    ):
        with pytest.raises(error, match="ModeShapes"):
            ModeShapes(*given)
    for given, error in (
        ({"shapes": POINTS}, TypeError),
        ({"label": 3}, TypeError),
        ({"resume": 1}, TypeError),
        ({"densities": 0.5, "shapes": SHAPES}, TypeError),
        ({"densities": lambda state: state.x}, TypeError),
    ):
        with pytest.raises(error, match="ModeKeeper"):
            ModeKeeper(tmp_path, **given)
    far = ModeShapes(POINTS, BARS, NUMBERS + 1)
    with pytest.raises(ValueError, match="up to 8, but the mode shapes have 8"):
        ModeKeeper(tmp_path, far).watching(F)(np.ones(m))
    other = adjoint.Reduced(adjoint.LinearProblem(K, np.ones(m)), adjoint.Compliance(np.ones(m)))
    with pytest.raises(TypeError, match="expected that of an eigenproblem"):
        ModeKeeper(tmp_path).watching(other)(np.ones(m))
    with pytest.raises(ValueError, match="not watched"):
        adjoint.minimize(F, np.ones(m), MMA, callback=ModeKeeper(tmp_path))
    short = ModeKeeper(tmp_path, SHAPES, densities=lambda state: np.ones(3))
    with pytest.raises(ValueError, match="got 3 densities"):
        adjoint.minimize(short.watching(F), np.ones(m), MMA, callback=short)


def test_a_damaged_file_is_named(tmp_path) -> None:
    run(tmp_path, 2)
    file = tmp_path / "modes.npz"
    whole = file.read_bytes()
    for damaged in (b"", b"nothing", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a file of modes"):
            read_run(tmp_path)
    np.savez(
        file,
        iterations=np.arange(2),
        values=np.ones((3, 2)),
        tracked=np.ones((3, 2)),
        label=np.array("x"),
        vectors=np.ones((4, 2)),
    )
    with pytest.raises(ValueError, match="do not fit each other"):
        read_modes(tmp_path)
