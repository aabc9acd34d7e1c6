"""Likelihoods of latent Gaussian models: values, derivatives, large counts, bad input."""

import copy
import pickle

import numpy as np
import pytest
from scipy.special import expit, gammaln
from scipy.stats import binom, norm, poisson

from adjoint.determinant import Binomial, Gaussian, Poisson
from adjoint.determinant.laplace.counts import stirling_remainder
from adjoint.errors import NotPositiveDefinite
from adjoint.matrices import AffineVector

RNG = np.random.default_rng(0)
K = 40
COUNTS = RNG.poisson(3.0, K)
EXPOSURE = RNG.uniform(0.5, 4.0, K)
TRIALS = RNG.integers(0, 7, K)
SUCCESSES = RNG.binomial(TRIALS, 0.4)
REALS = RNG.normal(size=K)
ETA = RNG.normal(size=K)
P = np.array([0.7, 2.0])
EACH = AffineVector(np.full(K, 0.1), RNG.random((K, 2)))  # A precision for each datum.
ONE = AffineVector(np.zeros(1), np.array([[1.0, 0.5]]))

LIKELIHOODS = {
    "Poisson": Poisson(COUNTS, EXPOSURE),
    "Binomial": Binomial(SUCCESSES, TRIALS),
    "Gaussian": Gaussian(REALS, 4.0),
    "Gaussian, one parameter": Gaussian(REALS, ONE),
    "Gaussian, a precision for each": Gaussian(REALS, EACH),
}


def test_values_are_those_of_the_distributions():
    means = EXPOSURE * np.exp(ETA)
    expected = {
        "Poisson": poisson.logpmf(COUNTS, means).sum(),
        "Binomial": binom.logpmf(SUCCESSES, TRIALS, expit(ETA)).sum(),
        "Gaussian": norm.logpdf(REALS, ETA, 0.5).sum(),
        "Gaussian, one parameter": norm.logpdf(REALS, ETA, ONE(P) ** -0.5).sum(),
        "Gaussian, a precision for each": norm.logpdf(REALS, ETA, EACH(P) ** -0.5).sum(),
    }
    for name, value in expected.items():
        assert np.isclose(LIKELIHOODS[name].value(ETA, P), value, rtol=1e-13)


def test_means_are_those_of_the_distributions():
    np.testing.assert_allclose(LIKELIHOODS["Poisson"].mean(ETA, P), EXPOSURE * np.exp(ETA))
    np.testing.assert_allclose(LIKELIHOODS["Binomial"].mean(ETA, P), TRIALS * expit(ETA))
    np.testing.assert_array_equal(LIKELIHOODS["Gaussian"].mean(ETA, P), ETA)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_derivatives_are_differences(name):
    likelihood, h = LIKELIHOODS[name], 1e-3
    first, second, third = likelihood.derivatives(ETA, P)

    def difference(of):
        near = of(ETA + h) - of(ETA - h)
        return (8.0 * near - (of(ETA + 2 * h) - of(ETA - 2 * h))) / (12.0 * h)

    np.testing.assert_allclose(
        difference(lambda eta: likelihood.derivatives(eta, P)[0]), second, rtol=1e-9, atol=1e-10
    )
    np.testing.assert_allclose(
        difference(lambda eta: likelihood.derivatives(eta, P)[1]), third, rtol=1e-9, atol=1e-10
    )
    v = RNG.normal(size=K)
    along = [likelihood.value(ETA + s * h * v, P) for s in (-2, -1, 1, 2)]
    slope = (8.0 * (along[2] - along[1]) - (along[3] - along[0])) / (12.0 * h)
    assert np.isclose(slope, first @ v, rtol=1e-8)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_parameter_gradients_are_differences(name):
    likelihood, h = LIKELIHOODS[name], 1e-4
    b, c = RNG.normal(size=(2, K))
    g = likelihood.vjp(ETA, P, (np.ones(K), b, c))
    assert g.shape == P.shape
    for i, e in enumerate(np.eye(P.size)):

        def total(s, e=e):
            first, second, _ = likelihood.derivatives(ETA, P + s * h * e)
            return likelihood.value(ETA, P + s * h * e) + b @ first + c @ second

        assert np.isclose(g[i], (total(1) - total(-1)) / (2.0 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("count", [1.0, 1e6, 1e12, 1e15])
def test_large_counts_keep_their_digits(count):
    """At μ = y: log π = −½ log 2πy − 1/12y; terms of 1e16 cancel in the usual formula."""
    likelihood = Poisson([count])
    eta = np.log([count])
    value = likelihood.value(eta, P)
    exact = -0.5 * np.log(2.0 * np.pi * count) - 1.0 / (12.0 * count)
    if count > 1.0:
        assert np.isclose(value, exact, rtol=1e-13)
    else:
        assert np.isclose(value, -1.0, rtol=1e-14)
    width = count**-0.5
    lower = likelihood.value(eta + 1e-2 * width, P) - value
    assert np.isclose(lower, -0.5e-4, rtol=2e-2, atol=1e-7)


@pytest.mark.parametrize("trials", [10.0, 1e6, 1e12, 1e15])
def test_large_numbers_of_trials_keep_their_digits(trials):
    """At q = y/N: log π = −½ log 2πNq(1−q) + (1 − 1/q − 1/(1−q))/12N + ..."""
    y = np.array([np.floor(0.3 * trials)])
    q = y / trials
    likelihood = Binomial(y, [trials])
    eta = np.log(y) - np.log(trials - y)
    value = likelihood.value(eta, P)
    series = (1.0 - 1.0 / q - 1.0 / (1.0 - q)) / (12.0 * trials)
    exact = (-0.5 * np.log(2.0 * np.pi * trials * q * (1.0 - q)) + series)[0]
    assert np.isclose(value, exact, rtol=1e-12 if trials > 10.0 else 2e-4)
    for sign in (-1.0, 1.0):
        width = (trials * q * (1.0 - q)) ** -0.5
        change = likelihood.value(eta + sign * 1e-2 * width, P) - value
        assert np.isclose(change, -0.5e-4, rtol=2e-2, atol=1e-7)


def test_the_remainder_of_stirlings_formula_joins_its_series():
    n = np.array([0.0, 1.0, 2.0, 15.0, 16.0, 17.0, 100.0])
    positive = n[1:]
    exact = gammaln(positive + 1.0) - (
        (positive + 0.5) * np.log(positive) - positive + 0.5 * np.log(2.0 * np.pi)
    )
    np.testing.assert_allclose(stirling_remainder(n)[1:], exact, atol=5e-13)
    assert stirling_remainder(n)[0] == 0.0
    low, high = stirling_remainder(np.array([16.0 - 1e-9, 16.0]))
    assert abs(low - high) < 1e-12


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [-745.0, -1e4, 800.0])
def test_binomials_are_finite_far_from_the_data(far):
    likelihood = Binomial([0, 2, 5, 0], [5, 5, 5, 0])
    eta = np.full(4, far)
    with np.errstate(all="ignore"):
        value = likelihood.value(eta, P)
        derivatives = likelihood.derivatives(eta, P)
    assert np.isclose(value, -(5.0 + 3.0) * far if far > 0 else (5.0 + 2.0) * far, rtol=2e-2)
    assert all(np.isfinite(d).all() for d in derivatives)
    assert derivatives[0][3] == derivatives[1][3] == 0.0


@pytest.mark.parametrize("name", ["Poisson", "Binomial", "Gaussian"])
def test_likelihoods_can_be_pickled_and_copied(name):
    likelihood = LIKELIHOODS[name]
    value = likelihood.value(ETA, P)
    assert pickle.loads(pickle.dumps(likelihood)).value(ETA, P) == value
    assert copy.deepcopy(likelihood).value(ETA, P) == value


def test_data_are_copied_and_locked():
    y = np.array([1.0, 2.0])
    likelihood = Poisson(y)
    before = likelihood.value(np.zeros(2), P)
    y[:] = 9.0
    assert likelihood.value(np.zeros(2), P) == before
    assert repr(Poisson(np.arange(9))).startswith("Poisson(counts=array((9,)")


def test_guesses_are_near_the_data():
    np.testing.assert_allclose(
        LIKELIHOODS["Poisson"].guess(P), np.log((COUNTS + 0.5) / EXPOSURE), rtol=1e-13
    )
    assert np.isfinite(LIKELIHOODS["Binomial"].guess(P)).all()
    np.testing.assert_array_equal(LIKELIHOODS["Gaussian"].guess(P), REALS)


BAD = {
    "negative count": (lambda: Poisson([1, -2, 3]), ValueError, r"counts\[1\] is -2.0"),
    "fraction": (lambda: Poisson([1.0, 2.5]), ValueError, r"counts\[1\] is 2.5"),
    "nan count": (lambda: Poisson([1.0, np.nan]), ValueError, r"counts\[1\] is nan.*no row"),
    "inf count": (lambda: Poisson([np.inf]), ValueError, "is inf"),
    "matrix of counts": (lambda: Poisson(np.ones((2, 2))), ValueError, r"shape \(2, 2\)"),
    "no counts": (lambda: Poisson([]), ValueError, r"shape \(0,\)"),
    "complex counts": (lambda: Poisson([1j]), TypeError, "complex128"),
    "text": (lambda: Poisson(["3"]), TypeError, "dtype"),
    "bools": (lambda: Poisson([True]), TypeError, "bool"),
    "zero exposure": (lambda: Poisson([1, 2], [1.0, 0.0]), ValueError, r"exposure\[1\] is 0.0"),
    "negative exposure": (lambda: Poisson([1, 2], -1.0), ValueError, "exposure is -1.0"),
    "nan exposure": (lambda: Poisson([1, 2], [np.nan, 1.0]), ValueError, r"exposure\[0\] is nan"),
    "exposure shape": (lambda: Poisson([1, 2], [1.0]), ValueError, r"shape \(1,\)"),
    "complex exposure": (lambda: Poisson([1], 1j), TypeError, "complex"),
    "successes > trials": (lambda: Binomial([1, 4], [1, 3]), ValueError, "4 of 3 trials"),
    "trials shape": (lambda: Binomial([1, 1], [3]), ValueError, r"trials of shape \(1,\)"),
    "negative trials": (lambda: Binomial([0], [-1]), ValueError, "trials"),
    "fraction of a trial": (lambda: Binomial([1], 2.5), ValueError, r"trials\[0\] is 2.5"),
    "nan successes": (lambda: Binomial([np.nan], 2), ValueError, r"successes\[0\] is nan"),
    "nan trials": (lambda: Binomial([1], [np.nan]), ValueError, r"trials\[0\] is nan"),
    "nan data": (lambda: Gaussian([np.nan], 1.0), ValueError, "nan"),
    "data shape": (lambda: Gaussian(np.ones((2, 1)), 1.0), ValueError, r"shape \(2, 1\)"),
    "precision 0": (lambda: Gaussian([1.0], 0.0), ValueError, "precision of 0.0"),
    "precision < 0": (lambda: Gaussian([1.0, 2.0], [1.0, -2.0]), ValueError, "-2.0"),
    "precision nan": (lambda: Gaussian([1.0], np.nan), ValueError, "nan"),
    "precision shape": (lambda: Gaussian(np.ones(3), np.ones(2)), ValueError, r"shape \(2,\)"),
    "precision text": (lambda: Gaussian([1.0], "1"), TypeError, "precision"),
    "precision None": (lambda: Gaussian([1.0], None), TypeError, "precision"),
    "precision a function": (lambda: Gaussian([1.0], lambda p: p), TypeError, "no method vjp"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_are_named(name):
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("likelihood", [Poisson([1, 2]), Binomial([1, 2], 3), Gaussian([1, 2], 1)])
def test_predictors_of_another_shape_are_refused(likelihood):
    for eta in (np.zeros(3), np.zeros((2, 1)), np.float64(0.0)):
        with pytest.raises(ValueError, match="expected \\(2,\\)"):
            likelihood.value(eta, P)
        with pytest.raises(ValueError, match="expected \\(2,\\)"):
            likelihood.derivatives(eta, P)
        with pytest.raises(ValueError, match="expected \\(2,\\)"):
            likelihood.mean(eta, P)


def test_a_precision_that_is_not_positive_at_p_is_an_error_of_the_solve():
    likelihood = Gaussian(REALS, ONE)
    with pytest.raises(NotPositiveDefinite, match=r"precision t\(p\) is -1\.0"):
        likelihood.value(ETA, np.array([0.0, -2.0]))
    with pytest.raises(ValueError, match="shape \\(3,\\)"):
        Gaussian(REALS, AffineVector(np.ones(3), np.zeros((3, 2)))).value(ETA, P)
