"""The law of every inner product: its direction represents the derivative, ⟨M⁻¹g, d⟩ = g·d for all d."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint

INNER = [
    adjoint.Euclidean(),
    adjoint.Weighted(np.array([1.0, 4.0, 9.0])),
    adjoint.MassMatrix(sparse.diags_array([1.0, 4.0, 1.0], offsets=[-1, 0, 1], shape=(3, 3))),
]


@pytest.mark.parametrize("inner", INNER, ids=["Euclidean", "weighted", "mass matrix"])
def test_direction_represents_the_derivative_in_its_inner_product(inner):
    g, d = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, -1.0])
    gradient = inner.direction(g)
    polarized = 0.25 * (inner.norm(gradient + d) ** 2 - inner.norm(gradient - d) ** 2)
    assert polarized == pytest.approx(inner.pairing(g, d), rel=1e-12)
    assert inner.dual_norm(g) == pytest.approx(inner.norm(gradient), rel=1e-12)
    assert inner.pairing(g, gradient) == pytest.approx(inner.dual_norm(g) ** 2, rel=1e-12)
