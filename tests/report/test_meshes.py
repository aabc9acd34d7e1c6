"""Laws of designs on meshes: pictures show each cell in its place.

Files of VTK hold what they were given.
"""

import sys

import meshio
import numpy as np
import pytest

from adjoint.optimize.state import State
from adjoint.report import DesignKeeper, MeshKeeper, MeshMap, read_designs, read_run, write_vtu
from adjoint.report.figures.sheet import sheet
from adjoint.report.meshes import Mesh, mesh_picture
from tests.fixtures.histories import HEADER, lines

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
TRIANGLES, QUAD = np.array([[0, 1, 2], [0, 2, 3]]), np.array([[0, 1, 2, 3]])
CUBE = np.array(
    [[x, y, z] for z in (0.0, 1.0) for x, y in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))]
)
HEXAHEDRON = np.arange(8).reshape(1, 8)
TETRAHEDRA = np.array([[0, 1, 3, 4], [1, 2, 3, 6], [1, 4, 5, 6], [3, 4, 6, 7], [1, 3, 4, 6]])
MESHES = {
    "triangle": (SQUARE, TRIANGLES),
    "quad": (SQUARE, QUAD),
    "tetra": (CUBE, TETRAHEDRA),
    "hexahedron": (CUBE, HEXAHEDRON),
}
FRONT = (-90.0, 0.0)  # the eye on the axis −y: x rightwards, z upwards


def state(k, x):
    return State(k, np.asarray(x, dtype=float), 1.0, np.ones(np.size(x)), 1.0, 1.0)


def picture(points, cells, density):
    return mesh_picture(Mesh.of("test", points, cells), np.asarray(density, dtype=float), FRONT)


def test_a_cell_in_the_plane_has_its_gray_and_its_place():
    drawn = picture(SQUARE, TRIANGLES, [0.25, 1.0])
    rows, columns = drawn.shape
    assert columns == 640
    assert rows / columns == pytest.approx((1.0 + 0.08) / (2.0 + 0.08), abs=2e-3)
    assert drawn[3 * rows // 4, 3 * columns // 4] == pytest.approx(
        0.25, abs=0.5 / 255 + 1e-9
    )  # Below the diagonal.
    assert drawn[rows // 4, columns // 4] == 1.0
    assert drawn[0, 0] == 0.0
    inside = drawn[rows // 4 : 3 * rows // 4, columns // 4 : 3 * columns // 4]
    assert inside.min() >= 0.24  # No pale line between two cells.


@pytest.mark.parametrize("kind", MESHES)
def test_a_solid_mesh_covers_its_outline(kind):
    points, cells = MESHES[kind]
    assert Mesh.of("test", points, cells).kind == kind
    drawn = picture(points, cells, np.ones(len(cells)))
    rows, columns = drawn.shape
    covered = (drawn > 0.1).mean() * (rows * columns)
    scale = columns / ((2.0 if points.shape[1] == 2 else 1.0) * 1.04)
    assert covered == pytest.approx((2.0 if points.shape[1] == 2 else 1.0) * scale**2, rel=0.03)


@pytest.mark.parametrize("cells", [TETRAHEDRA, HEXAHEDRON])
def test_the_surface_of_a_solid_is_closed_and_holds_no_inner_face(cells):
    faces, owners = Mesh.of("test", CUBE, cells).surface(np.ones(len(cells), dtype=bool))
    corners = CUBE[faces]
    parts = [corners[:, [0, 1, 2]], *([corners[:, [0, 2, 3]]] if faces.shape[1] == 4 else [])]
    area = sum(
        np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2
        for p in parts
    )
    assert area == pytest.approx(6.0)
    assert set(owners) <= set(range(len(cells)))


def test_what_is_nearer_hides_what_is_behind_and_void_cells_are_not_drawn():
    points = np.concatenate([CUBE, CUBE + np.array([0.0, 3.0, 0.0])])
    cells = np.concatenate([HEXAHEDRON, HEXAHEDRON + 8])
    middle = tuple(size // 2 for size in picture(points, cells, [1.0, 1.0]).shape)
    near, both, far = (
        picture(points, cells, density)[middle] for density in ([1.0, 0.6], [1.0, 1.0], [0.0, 0.6])
    )
    assert near == both != far
    empty = picture(points, cells, [0.0, 0.0])
    assert empty[middle] == 0.0
    assert empty.any()  # The box.


def test_a_design_without_a_solid_cell_shows_its_denser_half():
    assert picture(CUBE, HEXAHEDRON, [0.2])[320, 320] > 0.02


def test_values_at_points_are_averaged_over_cells():
    mesh = Mesh.of("test", SQUARE, TRIANGLES)
    np.testing.assert_allclose(mesh.of_cells("test", np.array([0.0, 3.0, 6.0, 0.0])), [3.0, 2.0])


@pytest.mark.parametrize(
    ("points", "cells", "cause"),
    [
        (SQUARE, TRIANGLES + 2, "begin at 1"),
        (SQUARE, TRIANGLES - 1, "begin at 1"),
        (SQUARE, np.zeros((2, 5), int), "expected triangles"),
        (SQUARE, np.zeros((0, 3), int), "expected triangles"),
        (np.zeros((4, 4)), TRIANGLES, "expected triangles"),
        (SQUARE * np.nan, TRIANGLES, "finite"),
    ],
)
def test_a_mesh_that_cannot_be_drawn_is_refused(tmp_path, points, cells, cause):
    with pytest.raises(ValueError, match=cause):
        MeshKeeper(tmp_path, lambda state: state.x, points, cells)


def test_cells_by_numbers_that_are_not_integers_and_other_slips_are_refused(tmp_path):
    with pytest.raises(TypeError, match="expected integers"):
        MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES * 1.0)
    with pytest.raises(TypeError, match="expected a function of a state"):
        MeshKeeper(tmp_path, np.ones(2), SQUARE, TRIANGLES)
    with pytest.raises(ValueError, match="low < high"):
        MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES, limits=(1.0, 0.0))
    keeper = MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES)
    with pytest.raises(
        ValueError, match="got 3 values, expected one for each of 2 cells or of 4 points"
    ):
        keeper(state(0, np.ones(3)))


def test_pictures_of_a_run_are_kept_and_thinned_as_those_on_grids_and_read_with_it(tmp_path):
    (tmp_path / "history.jsonl").write_text(lines(HEADER))
    grid = DesignKeeper(tmp_path / "grid", lambda state: state.x.reshape(1, 2), most=4)
    keeper = MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES, most=4, vtu=True)
    for k in range(20):
        for keep in (grid, keeper):
            keep(state(k, [k / 20, 1.0]))
    kept = [k for k, _ in read_designs(tmp_path / "grid")]
    assert [k for k, _ in read_run(tmp_path).designs] == kept
    assert sorted(int(path.stem) for path in (tmp_path / "designs").glob("*.vtu")) == kept
    last = meshio.read(tmp_path / "designs" / "000019.vtu")
    np.testing.assert_array_equal(last.cell_data["design"][0], [0.95, 1.0])
    MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES)
    assert not list((tmp_path / "designs").iterdir())


@pytest.mark.parametrize("kind", MESHES)
def test_files_of_vtk_hold_the_mesh_and_its_fields(tmp_path, kind):
    points, cells = MESHES[kind]
    fields = {
        "rho": np.linspace(0.0, 1.0, len(cells)),
        "u": np.arange(3.0 * len(points)).reshape(-1, 3),
    }
    write_vtu(tmp_path / "mesh.vtu", points, cells, fields)
    read = meshio.read(tmp_path / "mesh.vtu")
    np.testing.assert_array_equal(read.points[:, : points.shape[1]], points)
    np.testing.assert_array_equal(read.cells_dict[kind], cells)
    np.testing.assert_array_equal(read.cell_data["rho"][0], fields["rho"])
    np.testing.assert_array_equal(read.point_data["u"], fields["u"])
    with pytest.raises(ValueError, match="the field 'v' of shape"):
        write_vtu(tmp_path / "mesh.vtu", points, cells, {"v": np.ones(77)})


def test_without_meshio_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "meshio", None)
    MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES)
    with pytest.raises(ImportError, match=r"sparse-adjoint\[mesh\]"):
        MeshKeeper(tmp_path, lambda state: state.x, SQUARE, TRIANGLES, vtu=True)


@pytest.mark.parametrize(
    ("cells", "values"), [(TRIANGLES, [1, 3]), (TRIANGLES, [1, 2, 3, 4]), (QUAD, [1, 2, 3, 4])]
)
def test_fields_on_meshes_have_true_proportions_and_a_bar(cells, values):
    figure = sheet(
        "Title",
        "",
        [MeshMap("Field", SQUARE, cells, np.array(values, dtype=float), "u / K")],
        1,
        4.0,
    )
    field, bar = figure.axes
    across, along = field.get_position().size * figure.get_size_inches()
    assert across / along == pytest.approx(2.0)
    assert (field.get_xlabel(), bar.get_ylabel()) == ("x / m", "u / K")
    assert bar.get_ylim() == (min(values), max(values))
