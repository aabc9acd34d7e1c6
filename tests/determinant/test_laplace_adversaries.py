"""LaplaceApproximation: extremes, likelihoods of one's own, and what must be refused by name."""

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.determinant import (
    Binomial,
    Gaussian,
    LaplaceApproximation,
    LatentGaussianModel,
    Poisson,
)
from adjoint.errors import (
    InaccurateSolve,
    NewtonDiverged,
    NewtonStalled,
    NonFinite,
    NotPositiveDefinite,
    NotSymmetric,
    SingularMatrix,
    SolveError,
    WrongGradient,
)
from adjoint.matrices import AffineVector

N = 30
RNG = np.random.default_rng(0)


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def random_walk(n, order=1):
    D = np.diff(np.eye(n), n=order, axis=0) if n <= 100 else None
    if D is None:
        D = sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n))
    return canonical(sparse.csc_array(D).T @ sparse.csc_array(D))


Q = adjoint.Affine(None, [random_walk(N), sparse.eye_array(N, format="csc")])
Y = RNG.poisson(3.0, N)


def f(likelihood, precision=Q, *, mean=None, B=None, offset=None, **settings):
    return LaplaceApproximation(
        LatentGaussianModel(precision, likelihood, mean, B, offset), **settings
    )


# Extremes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e-2, 1e2, 1e6])
@pytest.mark.parametrize("likelihood", [Poisson(Y), Binomial(np.minimum(Y, 9), 9)])
def test_parameters_of_any_scale_have_right_gradients(likelihood, scale):
    report = adjoint.check(f(likelihood), scale * np.array([1.0, 1.0]))
    assert report.ok
    assert report.relative_error < 1e-7


@pytest.mark.parametrize("units", [1e-12, 1.0, 1e12])
def test_units_of_gaussian_data_do_not_matter(units):
    """y in other units: f changes by n log(units), p g does not change."""
    y = RNG.normal(size=N)
    p = np.array([2.0, 3.0])
    point = f(Gaussian(y, 5.0))(p)
    scaled = f(Gaussian(units * y, 5.0 / units**2))(p / units**2)
    assert np.isclose(scaled.value, point.value + N * np.log(units), rtol=1e-12)
    np.testing.assert_allclose(scaled.gradient / units**2, point.gradient, rtol=1e-9)


EXTREME = {
    "counts of 1e12": (Poisson(np.full(N, 1e12)), [1.0, 1.0]),
    "counts from 1 to 1e15": (Poisson(10.0 ** RNG.integers(0, 16, N)), [1.0, 1.0]),
    "no events": (Poisson(np.zeros(N)), [1.0, 1.0]),
    "no events, weak prior": (Poisson(np.zeros(N)), [1e-12, 1e-12]),
    "tiny exposure": (Poisson(Y, 1e-300), [1.0, 1.0]),
    "separable": (Binomial(np.full(N, 5), 5), [1e-6, 1e-6]),
    "separable halves": (Binomial(np.repeat([0, 5], N // 2), 5), [1e-10, 1e-10]),
    "1e12 trials": (Binomial(np.full(N, 3e11), 1e12), [1.0, 1.0]),
    "no trials": (Binomial(np.zeros(N), 0), [1.0, 1.0]),
    "exact data": (Gaussian(RNG.normal(size=N), 1e14), [1.0, 1.0]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", EXTREME)
def test_extreme_data_have_right_gradients(name):
    likelihood, p = EXTREME[name]
    report = adjoint.check(f(likelihood), np.array(p))
    assert report.ok
    assert report.relative_error < 1e-8


def test_a_field_without_information_has_its_prior():
    point = f(Binomial(np.zeros(N), 0))(np.array([1.0, 2.0]))
    assert point.value == 0.0
    assert not point.gradient.any()


def test_newton_recovers_from_a_start_where_exp_is_huge_or_vanishes():
    reference = f(Poisson(Y))(np.ones(2))
    for start in (-1e6, 30.0):
        point = f(Poisson(Y), start=np.full(N, start))(np.ones(2))
        assert np.isclose(point.value, reference.value, rtol=1e-12)
        np.testing.assert_allclose(point.mode, reference.mode, atol=1e-10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [700.0, 800.0, 1e4])
def test_overflow_is_a_named_error(far):
    for settings in ({"offset": np.full(N, far)}, {"mean": np.full(N, far)}):
        with pytest.raises((NonFinite, NewtonDiverged), match=r"far from the data|mean"):
            f(Poisson(Y), **settings)(np.array([1e6, 1e6]))
    with pytest.raises(NonFinite, match="start"):
        f(Poisson(Y), start=np.full(N, 1e4))(np.ones(2))


def test_rounding_errors_that_hide_the_mode_are_named():
    with pytest.raises(NewtonStalled, match="larger tolerance") as caught:
        f(Poisson(Y))(np.array([1e12, 1.0]))
    assert len(caught.value.history) > 1
    assert f(Poisson(Y), tolerance=1e-4)(np.array([1e10, 1.0])).evidence.mode_error < 1e-4
    with pytest.raises(InaccurateSolve, match="entries of the inverse"):  # Condition 1e12.
        _ = f(Poisson(Y), tolerance=1e-4)(np.array([1e12, 1.0])).evidence


# Improper and indefinite --------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 100, 3000, 30_000])
def test_a_random_walk_is_refused_with_a_remedy(n):
    """CHOLMOD meets a pivot ≤ 0 at 30 000 points, and tiny positive ones at fewer."""
    walk = adjoint.Affine(None, [random_walk(n)])
    likelihood = Poisson(RNG.poisson(3.0, n))
    with pytest.raises(SingularMatrix, match=r"improper prior.*small precision"):
        f(likelihood, walk)(np.ones(1))
    proper = adjoint.Affine(1e-3 * sparse.eye_array(n, format="csc"), [random_walk(n)])
    assert np.isfinite(f(likelihood, proper)(np.ones(1)).value)


def test_a_random_walk_of_second_order_is_refused():
    with pytest.raises(SingularMatrix, match="improper prior"):
        f(Poisson(Y), random_walk(N, 2))(np.zeros(0))


@pytest.mark.parametrize("p", [[-1.0, -1.0], [1.0, -0.5], [0.0, -1.0]])
def test_an_indefinite_precision_is_refused(p):
    with pytest.raises(NotPositiveDefinite, match="negative eigenvalue"):
        f(Poisson(Y))(np.array(p))


def test_a_precision_without_entries_is_refused():
    with pytest.raises(SingularMatrix):
        f(Poisson(Y))(np.zeros(2))


def test_a_precision_that_is_not_symmetric_is_refused():
    skew = canonical(np.triu(RNG.normal(size=(N, N)), 1))
    with pytest.raises(NotSymmetric):
        f(Poisson(Y), canonical(4.0 * sparse.eye_array(N) + 0.01 * skew))(np.zeros(0))


def test_optimizers_survive_an_improper_trial():
    """A line search that meets p ≤ 0 takes a shorter step."""
    mean = AffineVector(np.zeros(N), np.zeros((N, 2)))
    g = f(Poisson(RNG.poisson(np.exp(RNG.normal(size=N)))), mean=mean)
    result = adjoint.minimize(g, np.array([5.0, 5.0]), adjoint.optimize.LBFGS())
    assert result.value < g(np.array([5.0, 5.0])).value


# Likelihoods of one's own -------------------------------------------------------------------------


@dataclass(frozen=True)
class StudentT:
    """log π = −½ (d + 1) log(1 + e²/d) with e = y − η: not log-concave for e² > d."""

    y: np.ndarray
    d: float = 4.0

    def value(self, eta, p):
        return float(-0.5 * (self.d + 1.0) * np.log1p((self.y - eta) ** 2 / self.d).sum())

    def derivatives(self, eta, p):
        e, d = self.y - eta, self.d
        s = d + e**2
        first = (d + 1.0) * e / s
        second = -(d + 1.0) * (d - e**2) / s**2
        third = -2.0 * (d + 1.0) * e * (3.0 * d - e**2) / s**3
        return first, second, third

    def vjp(self, eta, p, weights):
        return np.zeros_like(p)


@dataclass(frozen=True)
class Changed:
    """A likelihood with other derivatives: change(first, second, third)."""

    of: object
    change: object

    def value(self, eta, p):
        return self.of.value(eta, p)

    def derivatives(self, eta, p):
        return self.change(*self.of.derivatives(eta, p))

    def vjp(self, eta, p, weights):
        return self.of.vjp(eta, p, weights)


OUTLIERS = RNG.normal(size=N) + np.where(np.arange(N) % 7 == 0, 12.0, 0.0)


def test_a_likelihood_that_is_not_log_concave_works_where_the_mode_is_a_maximum():
    g = f(StudentT(OUTLIERS))
    point = g(np.array([1.0, 1.0]))
    _, second, _ = StudentT(OUTLIERS).derivatives(point.predictor, point.p)
    assert (second > 0.0).any()
    assert adjoint.check(g, np.array([1.0, 1.0])).ok
    # From the data, where most second derivatives are negative, and from far away.
    for start in (OUTLIERS, np.full(N, -40.0)):
        again = f(StudentT(OUTLIERS), start=start)(np.array([1.0, 1.0]))
        assert again.evidence.mode_error < 1e-8


def test_a_saddle_is_not_a_mode():
    """Two data at ±10, one latent variable: by symmetry the gradient vanishes at 0."""
    likelihood = StudentT(np.array([-10.0, 10.0]))
    with pytest.raises(NotPositiveDefinite, match="not log-concave"):
        f(likelihood, 0.01 * sparse.eye_array(1), B=np.ones((2, 1)))(np.zeros(0))
    point = f(likelihood, 0.01 * sparse.eye_array(1), B=np.ones((2, 1)), start=np.array([9.0]))(
        np.zeros(0)
    )
    assert point.mode[0] > 5.0


WRONG = {
    "first": lambda a, b, c: (1.3 * a + 0.2, b, c),
    "second": lambda a, b, c: (a, 1.2 * b, c),
    "third": lambda a, b, c: (a, b, 1.2 * c),
    "sign of the third": lambda a, b, c: (a, b, -c),
    "no third": lambda a, b, c: (a, b, 0.0 * c),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("likelihood", [Poisson(Y), StudentT(OUTLIERS)])
def test_wrong_derivatives_are_found(name, likelihood):
    with pytest.raises((WrongGradient, NewtonStalled, NewtonDiverged)) as caught:
        f(Changed(likelihood, WRONG[name]))(np.ones(2))
    if "third" in name:
        assert isinstance(caught.value, WrongGradient)
        assert "third derivative" in str(caught.value)


def test_expected_information_is_refused():
    """The Fisher information (d + 1)/(d + 3) is not the second derivative."""
    fisher = Changed(StudentT(OUTLIERS), lambda a, b, c: (a, np.full_like(b, -5.0 / 7.0), 0.0 * c))
    with pytest.raises(WrongGradient, match="second derivative"):
        f(fisher)(np.ones(2))


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e3, 1e9])
def test_right_derivatives_are_accepted_in_any_units(scale):
    """Student's t in units of `scale`."""

    @dataclass(frozen=True)
    class Scaled:
        def value(self, eta, p):
            return StudentT(OUTLIERS).value(eta / scale, p)

        def derivatives(self, eta, p):
            a, b, c = StudentT(OUTLIERS).derivatives(eta / scale, p)
            return a / scale, b / scale**2, c / scale**3

        def vjp(self, eta, p, weights):
            return np.zeros_like(p)

    reference = f(StudentT(OUTLIERS))(np.ones(2))
    point = f(Scaled())(np.ones(2) / scale**2)
    assert np.isclose(point.value, reference.value, rtol=1e-9)


RETURNS = {
    "a pair": (lambda a, b, c: (a, b), TypeError, "three arrays"),
    "a sum": (lambda a, b, c: (a.sum(), b, c), ValueError, r"shape \(\)"),
    "columns": (lambda a, b, c: (a[:, None], b, c), ValueError, r"shape \(30, 1\)"),
    "complex": (lambda a, b, c: (1j * a, b, c), TypeError, "complex"),
    "nan": (lambda a, b, c: (np.nan * a, b, c), NonFinite, "∂ℓ/∂η is nan for observation 0"),
    "nan third": (lambda a, b, c: (a, b, np.nan * c), WrongGradient, "third"),
}


@pytest.mark.parametrize("name", RETURNS)
def test_other_results_of_a_likelihood_are_named(name):
    change, error, message = RETURNS[name]
    with pytest.raises(error, match=message):
        f(Changed(Poisson(Y), change))(np.ones(2))


# Bad arguments ------------------------------------------------------------------------------------

ONES = np.ones(2)
BAD = {
    "the class of a likelihood": (lambda: f(Poisson)(ONES), TypeError, "expected an instance"),
    "no likelihood": (lambda: f(None)(ONES), TypeError, "no method value"),
    "too few data": (lambda: f(Poisson([1, 2]))(ONES), ValueError, "for 2 data"),
    "B of other columns": (
        lambda: f(Poisson([1]), B=np.ones((1, 3)))(ONES),
        ValueError,
        "30 columns",
    ),
    "B a vector": (lambda: f(Poisson([1]), B=np.ones(N))(ONES), ValueError, "shape"),
    "B a list": (lambda: f(Poisson([1]), B=[[1.0]])(ONES), TypeError, "list"),
    "B complex": (lambda: f(Poisson([1]), B=1j * np.ones((1, N))), ValueError, "complex"),
    "B with nan": (lambda: f(Poisson([1]), B=np.full((1, N), np.nan)), NonFinite, "B is nan"),
    "mean shape": (lambda: f(Poisson(Y), mean=np.ones(3))(ONES), ValueError, "mean has shape"),
    "mean nan": (lambda: f(Poisson(Y), mean=np.full(N, np.nan)), NonFinite, r"mean\[0\] is nan"),
    "mean a number": (lambda: f(Poisson(Y), mean=1.0), ValueError, "mean of dtype"),
    "offset shape": (
        lambda: f(Poisson(Y), offset=np.ones((N, 1)))(ONES),
        ValueError,
        "offset of dtype",
    ),
    "offset a function": (lambda: f(Poisson(Y), offset=lambda p: p), TypeError, "method vjp"),
    "start shape": (lambda: f(Poisson(Y), start=np.ones(3))(ONES), ValueError, "start of shape"),
    "start nan": (lambda: f(Poisson(Y), start=np.full(N, np.nan)), NonFinite, "start"),
    "start complex": (lambda: f(Poisson(Y), start=1j * np.ones(N)), TypeError, "complex start"),
    "tolerance 0": (lambda: f(Poisson(Y), tolerance=0.0), ValueError, "tolerance"),
    "no iterations": (lambda: f(Poisson(Y), max_iterations=0), ValueError, "max_iterations"),
    "lu": (lambda: f(Poisson(Y), factorize=adjoint.lu)(ONES), TypeError, "Cholesky"),
    "cg": (lambda: f(Poisson(Y), factorize=adjoint.cg)(ONES), TypeError, "adjoint.cg, which makes"),
    "no model": (lambda: LaplaceApproximation(Q), TypeError, "LatentGaussianModel"),
    "x of other length": (lambda: f(Poisson(Y))(np.ones(3)), ValueError, "Affine"),
    "x nan": (lambda: f(Poisson(Y))(np.array([1.0, np.nan])), NonFinite, "x\\[1\\] is nan"),
    "x complex": (lambda: f(Poisson(Y))(1j * ONES), TypeError, "complex x"),
    "Q complex": (
        lambda: f(Poisson(Y), 1j * sparse.eye_array(N))(ONES),
        TypeError,
        "complex Q",
    ),
    "Q rectangular": (lambda: f(Poisson(Y), np.ones((3, 4))), ValueError, "square"),
    "prediction": (lambda: f(Poisson(Y))(ONES).predict(np.ones((1, 3))), ValueError, "30"),
    "direction": (lambda: f(Poisson(Y))(ONES).jvp(np.ones(3)), ValueError, "x_dot"),
    "iterations used up": (
        lambda: f(Poisson(Y), start=np.full(N, -9.0), max_iterations=1)(ONES),
        NewtonDiverged,
        "1 iterations",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_named(name):
    make, error, message = BAD[name]
    with pytest.raises(error, match=message):
        make()


def test_a_matrix_without_contraction_has_values_only():
    class Plain:
        def __call__(self, p):
            return Q(p)

        def vjp(self, p, u, lam):
            return Q.vjp(p, u, lam)

    point = f(Poisson(Y), Plain())(np.ones(2))
    assert np.isfinite(point.value)
    with pytest.raises(TypeError, match="contract"):
        point.gradient  # noqa: B018


def test_rows_of_b_that_would_fill_the_hessian_are_refused():
    n = 8000
    B = sparse.csr_array(np.ones((1, n)))
    with pytest.raises(ValueError, match="row 0 of B has 8000 entries"):
        f(Poisson([3]), sparse.eye_array(n, format="csc"), B=B)(np.zeros(0))


def test_errors_of_the_mode_are_solve_errors():
    """So that an optimizer takes a shorter step."""
    for error in (NewtonDiverged, NewtonStalled, NonFinite, NotPositiveDefinite, SingularMatrix):
        assert issubclass(error, SolveError)
    assert not issubclass(WrongGradient, SolveError)


def test_arguments_are_not_written_to():
    B = sparse.csr_array(np.eye(N))
    mean, start = np.ones(N), np.ones(N)
    before = B.data.copy()
    f(Poisson(Y), B=B, mean=mean, start=start)(ONES).gradient  # noqa: B018
    np.testing.assert_array_equal(B.data, before)
    assert mean.flags.writeable
    assert (mean == 1.0).all()
    assert (start == 1.0).all()
