"""LaplaceApproximation: hand-made and dense references, Taylor orders, counts, designs."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.special import expit
from scipy.stats import binom, multivariate_normal, poisson

import adjoint
from adjoint.determinant import (
    Binomial,
    Gaussian,
    LaplaceApproximation,
    LatentGaussianModel,
    Poisson,
)
from adjoint.matrices import AffineVector, Entries, Part, PartVector

P = np.array([2.0, 0.5, 0.3, 0.7, 1.3])
"""Scale and diagonal of the precision, level of the mean, slope of the offset, noise precision."""


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def random_walk(n):
    """DᵀD with the differences D: singular."""
    D = sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    return canonical(D.T @ D)


@dataclass(frozen=True)
class Case:
    """A model in the terms of the library, and the same in dense arrays.

    B: (k, n) dense. slope: of the offset. rng: for data.
    """

    n: int = 12
    k: int = 20
    B: np.ndarray | None = None
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self):
        if self.B is None:
            dense = self.rng.normal(size=(self.k, self.n))
            dense *= self.rng.random(dense.shape) < 0.25
            object.__setattr__(self, "B", dense)
        slope = self.rng.normal(size=self.k)
        base = 0.3 * self.rng.normal(size=self.k)
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "slope", slope)

    def model(self, likelihood):
        n = self.n
        Q = adjoint.Affine(None, [random_walk(n), sparse.eye_array(n, format="csc")])
        return LatentGaussianModel(
            Part(Q, slice(0, 2)),
            likelihood,
            PartVector(AffineVector(np.zeros(n), np.ones((n, 1))), slice(2, 3)),
            sparse.csr_array(self.B),
            PartVector(AffineVector(self.base, self.slope[:, None]), slice(3, 4)),
        )

    def precision(self, p):
        return p[0] * random_walk(self.n).toarray() + p[1] * np.eye(self.n)

    def mean(self, p):
        return np.full(self.n, p[2])

    def offset(self, p):
        return self.base + p[3] * self.slope


CASE = Case()
COUNTS = CASE.rng.poisson(3.0, CASE.k)
EXPOSURE = CASE.rng.uniform(1.0, 5.0, CASE.k)
TRIALS = CASE.rng.integers(1, 9, CASE.k)
SUCCESSES = CASE.rng.binomial(TRIALS, 0.4)
REALS = CASE.rng.normal(size=CASE.k)

NOISE = PartVector(AffineVector(np.zeros(1), np.ones((1, 1))), slice(4, 5))

LIKELIHOODS = {
    "Poisson": Poisson(COUNTS, EXPOSURE),
    "Binomial": Binomial(SUCCESSES, TRIALS),
    "Gaussian": Gaussian(REALS, NOISE),
}


def dense_laplace(case, name, p):
    """(−log marginal, mode, H) by dense matrices and the distributions of SciPy."""
    Q, m, o, B = case.precision(p), case.mean(p), case.offset(p), case.B
    u = m.copy()
    for _ in range(100):
        eta = B @ u + o
        if name == "Poisson":
            mu = EXPOSURE * np.exp(eta)
            slope, w = COUNTS - mu, mu
        elif name == "Binomial":
            q = expit(eta)
            slope, w = SUCCESSES - TRIALS * q, TRIALS * q * (1.0 - q)
        else:
            slope, w = p[4] * (REALS - eta), np.full(eta.size, p[4])
        H = Q + B.T @ (w[:, None] * B)
        step = np.linalg.solve(H, B.T @ slope - Q @ (u - m))
        u = u + step / max(1.0, np.abs(step).max())
    density = {
        "Poisson": lambda: poisson.logpmf(COUNTS, EXPOSURE * np.exp(eta)),
        "Binomial": lambda: binom.logpmf(SUCCESSES, TRIALS, expit(eta)),
        "Gaussian": lambda: -0.5 * p[4] * (REALS - eta) ** 2 + 0.5 * np.log(p[4] / (2.0 * np.pi)),
    }[name]().sum()
    d = u - m
    logs = np.linalg.slogdet(H)[1] - np.linalg.slogdet(Q)[1]
    return -density + 0.5 * d @ Q @ d + 0.5 * logs, u, H


@pytest.mark.parametrize("precision", [0.25, 1.0, 1e6, 1e-6])
def test_one_count_has_the_value_that_a_hand_computes(precision):
    """One count of 1: the mode is 0, H = t + 1, f = 1 + ½ log((t + 1)/t)."""
    Q = adjoint.Affine(None, [sparse.eye_array(1)])
    point = LaplaceApproximation(LatentGaussianModel(Q, Poisson([1])))(np.array([precision]))
    t = precision
    assert np.isclose(point.value, 1.0 + 0.5 * np.log1p(1.0 / t), rtol=1e-14)
    assert np.isclose(point.gradient[0], 0.5 * (1.0 / (t + 1.0) - 1.0 / t), rtol=1e-12)
    assert abs(point.mode[0]) < 1e-14
    assert np.isclose(point.standard_deviations[0], (t + 1.0) ** -0.5, rtol=1e-14)


def test_the_gradient_through_the_mode_is_what_a_hand_computes():
    """y − exp(u) = u − m at y = 1, m = 0: u = 0, du/dm = ½, df/dm = ½ · ½ · ½."""
    mean = AffineVector(np.zeros(1), np.ones((1, 1)))
    model = LatentGaussianModel(sparse.eye_array(1), Poisson([1]), mean)
    point = LaplaceApproximation(model)(np.zeros(1))
    assert np.isclose(point.gradient[0], 0.125, rtol=1e-14)


def test_one_success_in_two_trials_has_the_value_that_a_hand_computes():
    """The mode is 0, ℓ = log ½, W = ½."""
    point = LaplaceApproximation(
        LatentGaussianModel(adjoint.Affine(None, [np.eye(1)]), Binomial([1], 2))
    )(np.array([2.0]))
    assert np.isclose(point.value, np.log(2.0) + 0.5 * np.log(2.5 / 2.0), rtol=1e-14)
    assert np.isclose(point.gradient[0], 0.5 / 2.5 - 0.5 / 2.0, rtol=1e-13)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_values_modes_and_deviations_are_those_of_dense_matrices(name):
    point = LaplaceApproximation(CASE.model(LIKELIHOODS[name]))(P)
    value, mode, H = dense_laplace(CASE, name, P)
    assert np.isclose(point.value, value, rtol=1e-13)
    np.testing.assert_allclose(point.mode, mode, rtol=1e-11, atol=1e-13)
    Z = np.linalg.inv(H)
    np.testing.assert_allclose(point.standard_deviations, np.sqrt(Z.diagonal()), rtol=1e-11)
    s = np.einsum("ij,jk,ik->i", CASE.B, Z, CASE.B)
    np.testing.assert_allclose(point.predictor_standard_deviations**2, s, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(point.predictor, CASE.B @ mode + CASE.offset(P), atol=1e-12)
    C = np.random.default_rng(1).normal(size=(70, CASE.n))
    prediction = point.predict(C)
    np.testing.assert_allclose(prediction.mean, C @ mode, rtol=1e-10, atol=1e-12)
    variances = np.einsum("ij,jk,ik->i", C, Z, C)
    np.testing.assert_allclose(prediction.standard_deviation**2, variances, rtol=1e-10)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_gradients_are_differences_of_dense_values(name):
    g = LaplaceApproximation(CASE.model(LIKELIHOODS[name]))(P).gradient
    h = 1e-3
    for i, e in enumerate(np.eye(P.size)):
        f = {s: dense_laplace(CASE, name, P + s * h * e)[0] for s in (-2, -1, 1, 2)}
        difference = (8.0 * (f[1] - f[-1]) - (f[2] - f[-2])) / (12.0 * h)
        assert np.isclose(g[i], difference, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_taylor_order_of_the_marginal_likelihood_is_two(name):
    report = adjoint.check(LaplaceApproximation(CASE.model(LIKELIHOODS[name])), P)
    assert report.ok
    assert report.relative_error < 1e-9
    assert report.orders[1] > 1.9


def test_gaussian_data_have_the_exact_marginal_likelihood():
    """y ~ N(B m + o, B Q⁻¹ Bᵀ + I/t)."""
    f = LaplaceApproximation(CASE.model(LIKELIHOODS["Gaussian"]))
    covariance = CASE.B @ np.linalg.solve(CASE.precision(P), CASE.B.T) + np.eye(CASE.k) / P[4]
    mean = CASE.B @ CASE.mean(P) + CASE.offset(P)
    exact = -multivariate_normal.logpdf(REALS, mean, covariance)
    assert np.isclose(f(P).value, exact, rtol=1e-13)


def test_laplace_is_near_the_integral():
    """One latent variable, 5 counts: the integral by quadrature."""
    y = np.array([4, 7, 5, 9, 6])
    model = LatentGaussianModel(sparse.eye_array(1), Poisson(y), B=np.ones((5, 1)))
    u = np.linspace(-4.0, 6.0, 20001)
    density = poisson.logpmf(y[:, None], np.exp(u)).sum(axis=0) - 0.5 * u**2
    integral = np.trapezoid(np.exp(density), u) / np.sqrt(2.0 * np.pi)
    assert abs(LaplaceApproximation(model)(np.zeros(0)).value + np.log(integral)) < 3e-3


def test_work_is_one_factorization_per_newton_step_and_one_of_the_precision():
    with adjoint.counting() as counts:
        point = LaplaceApproximation(CASE.model(LIKELIHOODS["Gaussian"]))(P)
    assert counts.numeric == 2  # Q, H.
    for name in ("Poisson", "Binomial"):
        f = LaplaceApproximation(CASE.model(LIKELIHOODS[name]))
        with adjoint.counting() as counts:
            point = f(P)
            made, solved = counts.numeric, counts.solves
            gradient = point.gradient
            # Q, the guess, each Newton step, and H at the mode.
            assert made <= 3 + counts.newton
            assert counts.newton <= 4
            assert counts.numeric == made  # None for the gradient.
            # The adjoint, and the verification of two selected inverses.
            assert counts.solves - solved == 5
            assert point.gradient is gradient
            assert point.evidence.mode_error < 1e-8
            assert counts.numeric == made
            assert counts.solves - solved == 5
        assert counts.symbolic <= 2


def test_the_analysis_of_a_pattern_is_made_once():
    f = LaplaceApproximation(CASE.model(LIKELIHOODS["Poisson"]))
    f(P)
    with adjoint.counting() as counts:
        f(1.1 * P).gradient  # noqa: B018
    assert counts.symbolic == 0


def test_the_evidence_tells_how_exact_the_parts_are():
    point = LaplaceApproximation(CASE.model(LIKELIHOODS["Poisson"]))(P)
    evidence = point.evidence
    assert evidence.mode_error <= 1e-12
    assert evidence.decrements[0] > evidence.decrements[-1]
    assert evidence.hessian_error < 1e-12
    assert evidence.precision_error < 1e-12
    assert evidence.factorization.counts.numeric >= 3


class Exponential:
    """p = exp(x)."""

    def __call__(self, x):
        return np.exp(x)

    def vjp(self, x, p_bar):
        return np.exp(x) * p_bar

    def jvp(self, x, x_dot):
        return np.exp(x) * x_dot


def test_designs_and_optimizers_work():
    f = LaplaceApproximation(CASE.model(LIKELIHOODS["Gaussian"]), design=Exponential())
    x = np.log(P)
    assert adjoint.check(f, x).ok
    bounds = adjoint.Bounds(-3.0, 3.0)
    result = adjoint.minimize(f, x, adjoint.optimize.LBFGS(bounds=bounds))
    assert result.status.name == "STATIONARY"
    g = f(result.x).gradient
    free = (result.x > -2.999) & (result.x < 2.999)
    assert np.abs(g[free]).max() < 1e-3
    assert f(result.x).value < f(x).value


def test_products_with_the_hessian_are_refused_with_a_remedy():
    point = LaplaceApproximation(CASE.model(LIKELIHOODS["Poisson"]))(P)
    with pytest.raises(TypeError, match="DifferencedHessian"):
        point.hvp(P)


def test_newton_cg_works_with_differences_of_gradients():
    """The mean of 40 independent latent variables, from one count each."""
    y = np.random.default_rng(3).poisson(6.0, 40)
    mean = AffineVector(np.zeros(40), np.ones((40, 1)))
    f = LaplaceApproximation(LatentGaussianModel(4.0 * sparse.eye_array(40), Poisson(y), mean))
    result = adjoint.minimize(
        adjoint.optimize.DifferencedHessian(f), np.zeros(1), adjoint.optimize.NewtonCG()
    )
    assert result.status.name == "STATIONARY"
    assert abs(f(result.x).gradient[0]) < 1e-4


def test_points_give_equal_bits_and_do_not_change():
    f = LaplaceApproximation(CASE.model(LIKELIHOODS["Poisson"]))
    first, second = f(P), f(P)
    assert first.value == second.value
    np.testing.assert_array_equal(first.gradient, second.gradient)
    with pytest.raises(ValueError, match="read-only"):
        first.gradient[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        first.mode[0] = 0.0
    x = P.copy()
    point = f(x)
    x[:] = 7.0
    np.testing.assert_array_equal(point.gradient, first.gradient)
    assert "LaplacePoint(value=" in repr(point)


def test_nonlinear_precisions_with_entries_of_their_own_work():
    """Q with the entries p², on a grid, observed at some nodes only."""
    W = canonical(random_walk(9) + 0.5 * sparse.eye_array(9))
    Q = Entries(
        W,
        values=lambda p: p[0] ** 2 * W.data,
        pullback=lambda p, bar: np.array([2.0 * p[0] * (W.data @ bar), 0.0]),
        pushforward=lambda p, v: 2.0 * p[0] * v[0] * W.data,
    )
    B = sparse.eye_array(9, format="csr")[[1, 4, 4, 8]]
    offset = PartVector(AffineVector(np.zeros(4), np.ones((4, 1))), slice(1, 2))
    model = LatentGaussianModel(Q, Poisson([3, 0, 1, 12]), B=B, offset=offset)
    assert adjoint.check(LaplaceApproximation(model), np.array([0.8, 0.2])).ok


def test_rows_of_b_may_be_empty_or_full():
    B = np.vstack([np.zeros(12), np.ones(12) / 12.0, np.eye(12)[3]])
    model = LatentGaussianModel(
        canonical(random_walk(12) + sparse.eye_array(12)),
        Poisson([2, 30, 5]),
        AffineVector(np.zeros(12), np.ones((12, 1))),
        B,
    )
    f = LaplaceApproximation(model)
    assert adjoint.check(f, np.array([0.4])).ok
    assert f(np.array([0.4])).predictor_standard_deviations[0] == 0.0
