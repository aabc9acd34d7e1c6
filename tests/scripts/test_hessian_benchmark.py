"""The benchmark of Hessian–vector products of trajectories runs, and its products are right."""

import json

from scripts.benchmarks import hessians


def test_products_are_symmetric_and_factor_nothing_where_factors_are_kept(tmp_path):
    results = hessians.main(tmp_path, small=True)
    assert json.loads((tmp_path / "hessians.json").read_text(encoding="utf-8")) == results
    for result in results:
        assert (result["asymmetry"] or 0.0) <= 1e-9
    assert results[-1]["kept"] == "everything"
    assert results[-1]["factorizations"] == 0
