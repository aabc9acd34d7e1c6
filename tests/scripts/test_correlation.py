"""Nearest correlation matrices: Higham's published example, two methods, a certificate."""

import json
from pathlib import Path

import numpy as np
import pytest

from scripts.examples.correlation import __main__ as correlation
from scripts.examples.correlation.nearest import Dual, nearest_by_dual, nearest_of_rank


def test_the_nearest_matrix_is_the_published_one(tmp_path: Path) -> None:
    """Higham (2002), IMA J. Numer. Anal. 22, 329, section 4; and --small of the script."""
    numbers = correlation.main(tmp_path, small=True)
    published, series, nuclear = numbers.values()
    for entries in (published["entries"], published["entries on spheres"]):
        assert entries == pytest.approx([0.7607, 0.1573], abs=5e-5)
    assert published["distance"] == pytest.approx(0.5278, abs=5e-5)
    assert published["distance on spheres"] == pytest.approx(published["distance"], rel=1e-12)
    assert published["distance of rank 1"] == pytest.approx(np.sqrt(2.0), rel=1e-12)
    assert series["largest difference of the two"] < 1e-10
    assert series["truth to the nearest"] < series["truth to A"]
    distances = series["distance of the nearest of these ranks"]
    assert all(np.diff(distances) < 0.0)
    for excess in nuclear["largest eigenvalue of the rest, over the weight"]:
        assert excess == pytest.approx(1.0, abs=1e-8)
    assert json.loads((tmp_path / "correlation.json").read_text()) == numbers
    assert (tmp_path / "correlation.png").read_bytes().startswith(b"\x89PNG")


def test_the_nearest_matrix_is_a_projection() -> None:
    """⟨A − X, Y − X⟩ ≤ 0 for all correlation matrices Y; a correlation matrix stays."""
    rng = np.random.default_rng(0)
    A = rng.uniform(-1.0, 1.0, (6, 6))
    A = np.tril(A, -1) + np.tril(A, -1).T + np.eye(6)
    X = nearest_by_dual(A).X
    assert np.linalg.eigvalsh(X)[0] > -1e-12
    np.testing.assert_allclose(np.diag(X), 1.0, rtol=1e-14)
    for k in (1, 2, 6):
        V = rng.standard_normal((6, k))
        V /= np.linalg.norm(V, axis=1)[:, None]
        assert np.sum((A - X) * (V @ V.T - X)) <= 1e-9
    np.testing.assert_allclose(nearest_by_dual(X).X, X, atol=1e-9)
    assert nearest_of_rank(A, 2).distance >= nearest_by_dual(A).distance


def test_gradient_and_hessian_of_the_dual_are_right() -> None:
    f, y = Dual(correlation.HIGHAM), np.array([0.1, -0.2, 0.3])
    v, h = np.array([1.0, -0.5, 0.7]), 1e-5
    slope = (f(y + h * v).value - f(y - h * v).value) / (2.0 * h)
    assert f(y).gradient @ v == pytest.approx(slope, rel=1e-8)
    change = (f(y + h * v).gradient - f(y - h * v).gradient) / (2.0 * h)
    np.testing.assert_allclose(f(y).hvp(v), change, rtol=1e-8)


def test_numbers_in_the_documentation_show_what_was_asked_for() -> None:
    folder = Path(correlation.__file__).parent
    numbers = json.loads((folder / "correlation.json").read_text())
    series = numbers["series with missing values"]
    assert series["series"] == 40
    assert series["negative eigenvalues of A"] == 15
    assert series["distance to the nearest"] == pytest.approx(2.7305148, abs=1e-7)
    assert series["largest difference of the two"] < 1e-12
    assert numbers["nuclear norm"]["ranks"] == [16, 10, 3, 2, 1]


def test_script_asks_for_a_directory(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        correlation.parse([])
    assert "--out" in capsys.readouterr().err
