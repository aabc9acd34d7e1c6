"""LaplaceApproximation against published fits: disease in 15 herds, by other packages."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.determinant import Binomial, LaplaceApproximation, LatentGaussianModel
from adjoint.matrices import AffineVector, Part, PartVector

# Herd, period, new cases and animals: Lesnoff et al. (2004), Within-herd spread of contagious
# bovine pleuropneumonia in Ethiopian highlands, Prev. Vet. Med. 64, 27 ("cbpp").
HERDS = {
    1: [(1, 2, 14), (2, 3, 12), (3, 4, 9), (4, 0, 5)],
    2: [(1, 3, 22), (2, 1, 18), (3, 1, 21)],
    3: [(1, 8, 22), (2, 2, 16), (3, 0, 16), (4, 2, 20)],
    4: [(1, 2, 10), (2, 0, 10), (3, 2, 9), (4, 0, 6)],
    5: [(1, 5, 18), (2, 0, 25), (3, 0, 24), (4, 1, 4)],
    6: [(1, 3, 17), (2, 0, 17), (3, 0, 18), (4, 1, 20)],
    7: [(1, 8, 16), (2, 1, 10), (3, 3, 9), (4, 0, 5)],
    8: [(1, 12, 34)],
    9: [(1, 2, 9), (2, 0, 6), (3, 0, 8), (4, 0, 6)],
    10: [(1, 1, 22), (2, 1, 22), (3, 0, 18), (4, 2, 22)],
    11: [(1, 0, 25), (2, 5, 27), (3, 3, 22), (4, 1, 22)],
    12: [(1, 2, 10), (2, 1, 8), (3, 0, 6), (4, 0, 5)],
    13: [(1, 1, 21), (2, 2, 24), (3, 0, 19), (4, 0, 23)],
    14: [(1, 11, 19), (2, 0, 2), (3, 0, 3), (4, 0, 2)],
    15: [(1, 1, 19), (2, 1, 15), (3, 1, 15), (4, 0, 15)],
}


@pytest.fixture(scope="module")
def herds():
    """f(x) for x = (precision of the herds, intercept, effects of the periods 2, 3 and 4)."""
    rows = np.array([(herd, *row) for herd, part in HERDS.items() for row in part])
    herd, period, cases, animals = rows.T
    k = herd.size
    B = sparse.csr_array((np.ones(k), (np.arange(k), herd - 1)), shape=(k, 15))
    effects = np.stack([np.ones(k), period == 2, period == 3, period == 4], axis=1).astype(float)
    Q = adjoint.Affine(None, [sparse.eye_array(15, format="csc")])
    offset = PartVector(AffineVector(np.zeros(k), effects), slice(1, 5))
    model = LatentGaussianModel(Part(Q, slice(0, 1)), Binomial(cases, animals), B=B, offset=offset)
    return LaplaceApproximation(model)


def test_the_marginal_likelihood_is_the_published_one(herds):
    """The fit by TMB, to the ten digits that are given; MixedModels.jl has −92.026281868."""
    deviation = 0.6422614484
    effects = [-1.3985321423, -0.9923327349, -1.1286720840, -1.5803138852]
    point = herds(np.array([deviation**-2, *effects]))
    assert np.isclose(-point.value, -92.02628186, rtol=0.0, atol=6e-9)
    assert np.abs(point.gradient).max() < 1e-6  # The fit is a minimum.


def test_the_fit_and_its_standard_errors_are_the_published_ones(herds):
    """Bates, Mächler, Bolker & Walker, lme4: herd variance 0.4123, deviance 184.1."""
    x = np.array([1.0, -1.0, 0.0, 0.0, 0.0])
    stop = adjoint.Stopping(stationarity=1e-8)
    result = adjoint.minimize(herds, x, adjoint.optimize.LBFGS(), stop=stop)
    assert np.isclose(2.0 * result.value, 184.1, atol=0.05)
    assert np.isclose(1.0 / result.x[0], 0.4123, atol=5e-4)
    np.testing.assert_allclose(result.x[1:], [-1.3983, -0.9919, -1.1282, -1.5797], atol=1e-3)
    H = adjoint.optimize.DifferencedHessian(herds)(result.x).hvp(np.eye(5))
    errors = np.sqrt(np.linalg.inv(H).diagonal())[1:]
    np.testing.assert_allclose(errors, [0.23247, 0.30664, 0.32664, 0.42744], rtol=1e-3)
