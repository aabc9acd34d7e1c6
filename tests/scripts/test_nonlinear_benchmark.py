"""The benchmark of nonlinear problems: all libraries solve the same equations."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scripts.benchmarks.steady import nonlinear
from scripts.benchmarks.steady.nonlinear_peers import MODELS, PEERS, Model

PACKAGES = {
    "OpenMDAO": "openmdao",
    "optimistix, BiCGStab": "optimistix",
    "optimistix, dense": "optimistix",
}
TOLERANCES = {
    "optimistix, BiCGStab": 1e-7,
    "SciPy newton_krylov, differences": 1e-3,
}  # others: 1e-9


@pytest.mark.filterwarnings("default")  # the peers' own
def test_nonlinear_benchmark_agrees_with_its_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # The pauses are for measurements.
    nonlinear.main(tmp_path, small=True, rounds=1)
    results = json.loads((tmp_path / "nonlinear.json").read_text())
    assert set(results) == set(MODELS)
    for sizes in results.values():
        exponents = sizes.pop("exponents")
        assert np.isfinite(list(exponents.values())).all()
        for numbers in sizes.values():
            assert numbers["automatic: gradient differs by"] < 1e-12
            for name in PEERS:
                if importlib.util.find_spec(PACKAGES.get(name, "scipy")) is None:
                    assert numbers[f"{name} / ours"].startswith("not installed")
                else:
                    assert numbers[f"{name} / ours"] > 0.0
                    assert numbers[f"{name}: gradient differs by"] < TOLERANCES.get(name, 1e-9)


@pytest.mark.parametrize("make", MODELS.values(), ids=list(MODELS))
def test_residual_for_jax_is_that_for_numpy(make: Callable[[int], Model]) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    model = make(5)
    u = np.random.default_rng(0).uniform(0.0, 1.0, model.p.size)
    np.testing.assert_allclose(
        model.traced()(u, model.p), model.plain(u, model.p), rtol=1e-12, atol=1e-12
    )
