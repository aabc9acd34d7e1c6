"""Fields and integrands from plain functions of t, u, p: derivatives and messages."""

import math
import sys
from contextlib import suppress

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.derive import complex_step_field, complex_step_integrand, jax_field
from adjoint.errors import NotComplexSafe, SparsityError

STEP = 1e-100
SIZES = [1, 2, 7, 40, 41, 90]


class Robertson:
    """Three species, rates p, the first one forced by cos(2 t); xp: numpy or jax.numpy."""

    n, m = 3, 3

    def function(self, xp):
        def f(t, u, p):
            slow, back, fast = p[0] * u[0] * xp.cos(2.0 * t), p[1] * u[1] * u[2], p[2] * u[1] ** 2
            return xp.stack([back - slow, slow - back - fast, fast])

        return f

    def jacobian(self, t, u, p):
        slow, back, fast = p[0] * np.cos(2.0 * t), p[1] * np.array([u[2], u[1]]), 2.0 * p[2] * u[1]
        return np.array([[-slow, *back], [slow, -back[0] - fast, -back[1]], [0.0, fast, 0.0]])

    def parameter_jacobian(self, t, u, p):
        slow, back, fast = u[0] * np.cos(2.0 * t), u[1] * u[2], u[1] ** 2
        return np.array([[-slow, back, 0.0], [slow, -back, -fast], [0.0, 0.0, fast]])

    def time_derivative(self, t, u, p):
        slow = -2.0 * p[0] * u[0] * np.sin(2.0 * t)
        return np.array([-slow, slow, 0.0])

    def point(self, rng):
        return np.array([0.9, 2e-5, 0.1]), np.array([0.04, 1e4, 3e7])


class Transport:
    """u_i' = p_i (u_{i−1}² − u_i²) + sin(t) p_n u_{i+1}: nonsymmetric, n + 1 parameters."""

    def __init__(self, n):
        self.n, self.m = n, n + 1

    def function(self, xp):
        def f(t, u, p):
            left, right = (
                xp.concatenate([xp.zeros(1), u[:-1]]),
                xp.concatenate([u[1:], xp.zeros(1)]),
            )
            return p[:-1] * (left**2 - u**2) + xp.sin(t) * p[-1] * right

        return f

    def jacobian(self, t, u, p):
        J = np.diag(-2.0 * p[:-1] * u)
        return J + np.diag(2.0 * p[1:-1] * u[:-1], -1) + np.sin(t) * p[-1] * np.eye(self.n, k=1)

    def parameter_jacobian(self, t, u, p):
        left, right = np.append(0.0, u[:-1]), np.append(u[1:], 0.0)
        return np.column_stack([np.diag(left**2 - u**2), np.sin(t) * right])

    def time_derivative(self, t, u, p):
        return np.cos(t) * p[-1] * np.append(u[1:], 0.0)

    def point(self, rng):
        return rng.uniform(0.5, 1.5, self.n), rng.uniform(0.5, 1.5, self.m)


MODELS = [Robertson(), *map(Transport, SIZES)]
NAMES = ["robertson", *(f"transport-{n}" for n in SIZES)]


@pytest.fixture
def jax():
    module = pytest.importorskip("jax")
    before = module.config.jax_enable_x64
    module.config.update("jax_enable_x64", True)
    yield module
    module.config.update("jax_enable_x64", before)


@pytest.fixture(params=["complex_step", "jax"])
def derived(request):
    """A maker of fields, with the arrays that its functions compute in."""
    if request.param == "complex_step":
        return complex_step_field, np
    return jax_field, request.getfixturevalue("jax").numpy


def dense(J):
    return J if isinstance(J, np.ndarray) else J.toarray()


def counted(f):
    calls = []

    def g(t, u, p):
        calls.append(t)
        return f(t, u, p)

    return g, calls


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_derivatives_are_those_by_hand(derived, model):
    maker, xp = derived
    rng = np.random.default_rng(0)
    field = maker(model.function(xp), model.n, model.m)
    u, p = model.point(rng)
    for t in (0.0, 0.7, 2.5):
        pairs = [
            (field(t, u, p), model.function(np)(t, u, p)),
            (dense(field.jacobian(t, u, p)), model.jacobian(t, u, p)),
            (dense(field.parameter_jacobian(t, u, p)), model.parameter_jacobian(t, u, p)),
            (field.time_derivative(t, u, p), model.time_derivative(t, u, p)),
        ]
        for ours, by_hand in pairs:
            assert type(ours) is np.ndarray
            assert ours.dtype == np.float64
            np.testing.assert_allclose(
                ours, by_hand, rtol=1e-13, atol=1e-13 * np.abs(by_hand).max()
            )
        u = u * rng.uniform(0.9, 1.1, model.n)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_the_vjp_is_the_transpose_of_the_jvp(derived, model):
    maker, xp = derived
    rng = np.random.default_rng(1)
    field = maker(model.function(xp), model.n, model.m)
    u, p = model.point(rng)
    for _ in range(5):
        p_dot, lam = p * rng.standard_normal(model.m), rng.standard_normal(model.n)
        forward, back = field.jvp(0.3, u, p, p_dot), field.vjp(0.3, u, p, lam)
        assert forward.shape == (model.n,)
        assert back.shape == (model.m,)
        scale = np.linalg.norm(forward) * np.linalg.norm(lam) + np.linalg.norm(back * p_dot)
        assert abs(forward @ lam - back @ p_dot) <= 1e-14 * scale


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_complex_arguments_pass_through(derived, model):
    """A complex step by the caller, through u and p at once."""
    maker, xp = derived
    rng = np.random.default_rng(2)
    field = maker(model.function(xp), model.n, model.m)
    u, p = model.point(rng)
    v, w = u * rng.standard_normal(model.n), p * rng.standard_normal(model.m)
    along = field(0.4, u + 1j * STEP * v, p + 1j * STEP * w).imag / STEP
    expected = model.jacobian(0.4, u, p) @ v + field.jvp(0.4, u, p, w)
    np.testing.assert_allclose(along, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("n", [40, 41])
def test_few_unknowns_have_arrays_and_many_one_canonical_pattern(derived, n):
    maker, xp = derived
    model = Transport(n)
    field, (u, p) = maker(model.function(xp), n, n + 1), model.point(np.random.default_rng(3))
    first, later = (
        field.jacobian(0.0, u, p),
        field.jacobian(1.0, 0.0 * u, p),
    )  # sin(0) = 0, and so is u² later.
    if n == 40:
        assert isinstance(first, np.ndarray)
        assert first.flags.c_contiguous
        assert first.flags.writeable
    else:
        assert first.nnz == 3 * n - 2
        assert first.has_canonical_format
        np.testing.assert_array_equal(first.indices, later.indices)
        np.testing.assert_array_equal(first.indptr, later.indptr)


def test_the_pattern_grows_when_time_brings_new_terms(derived):
    maker, xp = derived
    n = 60
    field = maker(
        lambda t, u, p: -u + xp.where(t > 1.0, p[0] * xp.roll(u, 1) ** 2, 0.0 * u[0]), n, 1
    )
    u, p = np.linspace(1.0, 2.0, n), np.ones(1)
    field.jacobian(0.0, u, p)
    expected = -np.eye(n) + np.roll(np.diag(2.0 * u), 1, axis=0)
    np.testing.assert_allclose(field.jacobian(2.0, u, p).toarray(), expected, rtol=1e-14)


def test_patterns_given_serve_and_too_small_ones_are_named(derived):
    maker, xp = derived
    model = Transport(50)
    u, p = model.point(np.random.default_rng(4))
    diagonals = sparse.diags_array([np.ones(50)] * 3, offsets=[-1, 0, 1], shape=(50, 50))
    field = maker(
        model.function(xp), 50, 51, u_pattern=diagonals, p_pattern=sparse.eye_array(50, 51)
    )
    with pytest.raises(SparsityError, match=r"p_pattern lacks entry \(\d+, 50\), where ∂f/∂p is"):
        field.parameter_jacobian(0.3, u, p)
    np.testing.assert_allclose(
        field.jacobian(0.3, u, p).toarray(), model.jacobian(0.3, u, p), rtol=1e-13
    )
    field = maker(model.function(xp), 50, 51, u_pattern=sparse.eye_array(50))
    with pytest.raises(
        SparsityError, match=rf"{maker.__name__}: u_pattern lacks entry \(\d+, \d+\)"
    ):
        field.jacobian(0.3, u, p)
    with pytest.raises(ValueError, match=r"u_pattern: got shape \(3, 3\), expected \(50, 50\)"):
        maker(model.function(xp), 50, 51, u_pattern=sparse.eye_array(3))


@pytest.mark.parametrize("n", [3, 60])
def test_a_field_without_parameters(derived, n):
    maker, xp = derived
    field = maker(lambda t, u, p: -(u**3) * xp.exp(-t), n, 0)
    u, p = np.linspace(1.0, 2.0, n), np.empty(0)
    np.testing.assert_allclose(
        dense(field.jacobian(1.0, u, p)), np.diag(-3.0 * u**2 / np.e), rtol=1e-13
    )
    assert field.vjp(1.0, u, p, u).shape == (0,)
    np.testing.assert_array_equal(field.jvp(1.0, u, p, p), np.zeros(n))


def test_many_local_parameters_cost_a_few_evaluations():
    m = 10_000
    f, calls = counted(lambda t, u, p: np.repeat(p, 2) * u)
    field = complex_step_field(f, 2 * m, m)
    u, p = np.linspace(1.0, 2.0, 2 * m), np.ones(m)
    np.testing.assert_allclose(field.vjp(0.0, u, p, u), u[::2] ** 2 + u[1::2] ** 2, rtol=1e-14)
    before = len(calls)
    field.vjp(0.1, u, p, u)
    field.vjp(0.2, u, p, u)
    assert (
        len(calls) - before <= 2 * 2 + 3
    )  # A colour and one to verify it; at the second point an examination.


def test_a_small_jacobian_costs_an_evaluation_a_column_and_examinations_become_rare():
    f, calls = counted(Robertson().function(np))
    field, (u, p) = complex_step_field(f, 3, 3), Robertson().point(None)
    field.jacobian(0.0, u, p)
    before, points = len(calls), 1000
    for t in np.linspace(0.0, 1.0, points):
        field.jacobian(t, u, p)
    assert 3 * points < len(calls) - before <= 3 * points + 3 * 10


@pytest.mark.parametrize("n", [4, 60])
def test_lost_imaginary_parts_are_found_at_the_first_point(n):
    u, p = np.linspace(-1.0, 1.0, n), np.array([0.5])
    field = complex_step_field(lambda t, u, p: -p[0] * np.abs(u) * u, n, 1)
    with pytest.raises(
        NotComplexSafe,
        match=r"complex_step_field: the field function loses imaginary parts.*a Field",
    ):
        field.jacobian(0.0, u, p)
    assert np.isfinite(
        field.vjp(0.0, u, p, u)
    ).all()  # |u| is as good as any other number for ∂f/∂p.
    real = complex_step_field(lambda t, u, p: -p[0] * np.abs(u), n, 1)
    with pytest.raises(NotComplexSafe):
        real.jacobian(0.0, u, p)
    with pytest.raises(NotComplexSafe):
        real.state_jvp(0.0, u, p, u)


@pytest.mark.parametrize("n", [4, 60])
def test_lost_imaginary_parts_of_a_later_branch_are_found_soon(n):
    field = complex_step_field(lambda t, u, p: p[0] * (np.abs(u) * u if t > 1.0 else u), n, 1)
    u, p = np.linspace(1.0, 2.0, n), np.array([0.5])
    for t in (0.0, 0.3, 0.6):
        field.jacobian(t, u, p)
    for _ in range(4):  # Not at each point, but at the 4th, the 8th, …
        with suppress(NotComplexSafe):
            field.jacobian(2.0, u, p)
    with pytest.raises(NotComplexSafe, match="loses imaginary parts"):
        field.jacobian(2.0, u, p)


@pytest.mark.parametrize("n", [4, 60])
def test_functions_that_refuse_complex_numbers_are_named(n):
    def refuses(t, u, p):
        return np.array([math.exp(x) for x in u])

    def buffered(t, u, p):
        r = np.zeros(n)
        r[:] = u * p[0]
        return r

    for f, cause in (
        (refuses, r"math.exp takes real numbers only: np\.exp"),
        (buffered, r"zeros makes a real array"),
    ):
        with pytest.raises(NotComplexSafe, match=cause):
            complex_step_field(f, n, 1).jacobian(0.0, np.ones(n), np.ones(1))


@pytest.mark.parametrize("n", [4, 60])
def test_a_function_that_jumps_has_its_derivatives_on_either_side(n):
    field = complex_step_field(lambda t, u, p: np.where(u > 1.0, p[0] * u**2 + 5.0, -u), n, 1)
    u, p = np.linspace(0.3, 1.8, n), np.array([0.5])
    for _ in range(5):
        expected = np.where(u > 1.0, u, -1.0)
        np.testing.assert_allclose(dense(field.jacobian(0.0, u, p)), np.diag(expected), rtol=1e-14)


@pytest.mark.parametrize("n", [4, 60])
def test_a_field_that_does_not_depend_on_u_or_p(n):
    field = complex_step_field(lambda t, u, p: np.sin(t) * np.ones(n), n, 2)
    u, p = np.ones(n), np.ones(2)
    for _ in range(3):
        np.testing.assert_array_equal(dense(field.jacobian(0.0, u, p)), np.zeros((n, n)))
        np.testing.assert_array_equal(field.vjp(0.0, u, p, u), np.zeros(2))
    np.testing.assert_allclose(field.time_derivative(0.5, u, p), np.cos(0.5), rtol=1e-15)


def test_the_quasi_steady_state_of_a_stiff_field_is_no_false_alarm():
    """f is rounding there: terms of 0.04 and 1e4 cancel to 1e-9."""
    f, (u, p) = Robertson().function(np), Robertson().point(None)
    field, rng = complex_step_field(f, 3, 3), np.random.default_rng(5)
    for _ in range(200):
        u[1] = (-p[1] * u[2] + np.sqrt((p[1] * u[2]) ** 2 + 4.0 * p[2] * p[0] * u[0])) / (
            2.0 * p[2]
        )
        field.jacobian(0.0, u, p)
        field.vjp(0.0, u, p, np.ones(3))
        u = u * rng.uniform(0.8, 1.2, 3)


def test_lists_and_reused_buffers_and_remembered_arguments_serve():
    buffer, seen = np.zeros(3, dtype=complex), []

    def reuses(t, u, p):
        if u.dtype.kind != "c":
            return u * u
        np.multiply(u, u, out=buffer)
        return buffer

    def remembers(t, u, p):
        if not (seen and seen[0][0] is u):
            seen[:] = [(u, u * u)]
        return seen[0][1]

    u, p = np.array([1.0, 2.0, 3.0]), np.empty(0)
    for f in (lambda t, u, p: [x * x for x in u], reuses, remembers):
        field = complex_step_field(f, 3, 0)
        np.testing.assert_array_equal(field.jacobian(0.0, u, p), np.diag(2.0 * u))
        value = field(0.0, u, p)
        assert not np.shares_memory(value, field(0.0, 2.0 * u, p))
    own = complex_step_field(lambda t, u, p: u, 3, 0)
    assert not np.shares_memory(own(0.0, u, p), u)
    np.testing.assert_array_equal(own.jacobian(0.0, u, p), np.eye(3))


def writes(t, u, p):
    u[0] = 0.0
    return u


def raises(t, u, p):
    raise KeyError("rate constants")


WRONG = {
    "shape": (
        lambda t, u, p: u[1:],
        ValueError,
        r"the field function returned shape \(2,\), expected \(3,\)",
    ),
    "column": (
        lambda t, u, p: u[:, None],
        ValueError,
        r"returned shape \(3, 1\), expected \(3,\): np\.ravel\(f\)",
    ),
    "ragged": (lambda t, u, p: [u, u[1:]], TypeError, r"returned a list that is not an array"),
    "none": (lambda t, u, p: None, TypeError, r"returned a NoneType of dtype object"),
    "float32": (lambda t, u, p: u.real.astype(np.float32), TypeError, r"dtype float32"),
    "masked": (
        lambda t, u, p: np.ma.masked_less(u.real, 0.0),
        TypeError,
        r"returned a masked array",
    ),
    "complex": (lambda t, u, p: u + 0j, TypeError, r"returned complex128 for real u and p"),
    "writes": (writes, ValueError, r"the field function writes into u or p"),
    "raises": (raises, KeyError, r"rate constants"),
}


@pytest.mark.parametrize(("f", "error", "message"), WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("method", ["call", "jacobian", "vjp", "jvp", "time_derivative"])
def test_what_is_wrong_with_a_function_is_named(f, error, message, method):
    field, u, p = complex_step_field(f, 3, 2), np.ones(3), np.ones(2)
    ask = {
        "call": lambda: field(0.0, u, p),
        "jacobian": lambda: field.jacobian(0.0, u, p),
        "vjp": lambda: field.vjp(0.0, u, p, u),
        "jvp": lambda: field.jvp(0.0, u, p, p),
        "time_derivative": lambda: field.time_derivative(0.0, u, p),
    }
    with pytest.raises(error, match=message):
        ask[method]()
    np.testing.assert_array_equal(u, np.ones(3))


def test_what_goes_wrong_later_is_named_too():
    def f(t, u, p):
        if t > 1.0:
            return u[1:]
        if t < -1.0:
            u[0] = 0.0
        return p[0] * u

    field, u, p = complex_step_field(f, 3, 1), np.ones(3), np.ones(1)
    for _ in range(5):
        field.jacobian(0.0, u, p)
    with pytest.raises(ValueError, match=r"returned shape \(2,\)"):
        field.jacobian(2.0, u, p)
    with pytest.raises(ValueError, match="writes into u or p"):
        field.jacobian(-2.0, u, p)


@pytest.mark.parametrize("n", [3, 60])
def test_nan_in_a_derivative_is_an_error_and_in_a_value_is_none(derived, n):
    maker, xp = derived
    field = maker(lambda t, u, p: p[0] * xp.sqrt(u - t), n, 1)
    u, p = np.linspace(1.0, 2.0, n), np.ones(1)
    field.jacobian(0.0, u, p)
    if xp is not np:
        assert np.isnan(field(1.5, u, p)[0])
    with pytest.raises(adjoint.errors.NonFinite, match=f"{maker.__name__}, ∂f/∂u: .* row 0"):
        field.jacobian(1.0, u, p)
    if xp is np:
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(adjoint.errors.NonFinite, match="field is nan"),
        ):
            maker(lambda t, u, p: np.log(u + t), n, 1).jacobian(np.nan, u, p)


def test_arguments_that_do_not_fit_are_named():
    with pytest.raises(
        TypeError, match=r"complex_step_field: got a list, expected a function of \(t, u, p\)"
    ):
        complex_step_field([1.0], 1, 0)
    with pytest.raises(ValueError, match="got n = 0, expected an integer ≥ 1"):
        complex_step_field(raises, 0, 0)
    with pytest.raises(ValueError, match="got m = -1, expected an integer ≥ 0"):
        complex_step_field(raises, 1, -1)
    field, u, p = complex_step_field(lambda t, u, p: p[0] * u, 2, 1), np.ones(2), np.ones(1)
    with pytest.raises(ValueError, match=r"got u of shape \(3,\), expected \(2,\)"):
        field.jacobian(0.0, np.ones(3), p)
    with pytest.raises(TypeError, match="got p of dtype complex128, expected float64"):
        field.jacobian(0.0, u, p + 0j)
    with pytest.raises(TypeError, match="got lam of dtype complex128"):
        field.vjp(0.0, u, p, u + 0j)
    with pytest.raises(ValueError, match=r"got p_dot of shape \(2,\), expected \(1,\)"):
        field.jvp(0.0, u, p, u)
    with pytest.raises(TypeError, match=r"got t = array\(\[0\.\]\), expected a real number"):
        field(np.zeros(1), u, p)
    np.testing.assert_array_equal(
        field(0, [1, 2], [3]), [3.0, 6.0]
    )  # What is written as integers is as good.


def test_a_function_of_real_time_serves_until_its_time_derivative_is_asked_for():
    def f(t, u, p):
        return math.sin(t) * p * u

    field, u, p = complex_step_field(f, 2, 2), np.ones(2), np.ones(2)
    np.testing.assert_allclose(field.jacobian(0.5, u, p), math.sin(0.5) * np.eye(2), rtol=1e-15)
    field.vjp(0.5, u, p, u)
    with pytest.raises(NotComplexSafe, match=r"math\.sin takes real numbers only: np\.sin"):
        field.time_derivative(0.5, u, p)


def test_a_function_may_ask_what_time_it_is():
    field = complex_step_field(lambda t, u, p: u * t**2 if t < 1.0 else u * 3.0, 2, 0)
    u, p = np.ones(2), np.empty(0)
    np.testing.assert_allclose(field.time_derivative(0.5, u, p), [1.0, 1.0], rtol=1e-15)
    np.testing.assert_array_equal(field.time_derivative(2.0, u, p), [0.0, 0.0])


class Mixing:
    """k = n − 1 terms, e^{−t} p_0 (u_{i+1} − u_i)² + p_1 u_i: each of two cells."""

    def __init__(self, n):
        self.n, self.m, self.k = n, 2, n - 1

    def terms(self, t, u, p):
        return np.exp(-t) * p[0] * (u[1:] - u[:-1]) ** 2 + p[1] * u[:-1]

    def jacobian(self, t, u, p):
        slope = 2.0 * np.exp(-t) * p[0] * np.diff(u)
        return (np.diag(slope, 1) - np.diag(np.append(slope, 0.0)) + p[1] * np.eye(self.n))[:-1]

    def parameter_jacobian(self, t, u, p):
        return np.column_stack([np.exp(-t) * np.diff(u) ** 2, u[:-1]])

    def time_derivative(self, t, u, p):
        return -np.exp(-t) * p[0] * np.diff(u) ** 2


@pytest.mark.parametrize("weights", ["none", "one", "several", "sparse"])
@pytest.mark.parametrize("n", [2, 5, 41, 70])
def test_integrands_have_the_derivatives_by_hand(n, weights):
    rng = np.random.default_rng(6)
    model, W = Mixing(n), rng.standard_normal((3, n - 1))
    given = {"none": None, "one": W[0], "several": W, "sparse": sparse.coo_array(W)}[weights]
    matrix = {"none": np.eye(n - 1), "one": W[:1]}.get(weights, W)
    integrand = complex_step_integrand(model.terms, n, 2, weights=given)
    u, p, q_bar = rng.uniform(1.0, 2.0, n), np.array([0.7, -1.3]), rng.standard_normal(len(matrix))
    u_dot, p_dot = rng.standard_normal(n), rng.standard_normal(2)
    for t in (0.0, 0.8):
        T_u, T_p = matrix @ model.jacobian(t, u, p), matrix @ model.parameter_jacobian(t, u, p)
        u_bar, p_bar = integrand.vjp(t, u, p, q_bar)
        np.testing.assert_allclose(
            integrand(t, u, p), matrix @ model.terms(t, u, p), rtol=1e-13, atol=1e-13
        )
        np.testing.assert_allclose(u_bar, T_u.T @ q_bar, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(p_bar, T_p.T @ q_bar, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(
            integrand.jvp(t, u, p, u_dot, p_dot), T_u @ u_dot + T_p @ p_dot, atol=1e-12
        )
        np.testing.assert_allclose(
            integrand.time_derivative(t, u, p),
            matrix @ model.time_derivative(t, u, p),
            rtol=1e-12,
            atol=1e-13,
        )
        along = integrand(t, u + 1j * STEP * u_dot, p + 1j * STEP * p_dot)
        np.testing.assert_allclose(along.imag / STEP, T_u @ u_dot + T_p @ p_dot, atol=1e-12)


def test_a_term_a_cell_of_many_costs_a_few_evaluations():
    n = 100_000
    terms, calls = counted(lambda t, u, p: 0.5 * u**2)
    integrand = complex_step_integrand(terms, n, 1, weights=np.full(n, 1.0 / n))
    u, p = np.linspace(1.0, 2.0, n), np.ones(1)
    integrand.vjp(0.0, u, p, np.ones(1))
    for _ in range(4):
        before = len(calls)
        u_bar, p_bar = integrand.vjp(0.0, u, p, np.ones(1))
    assert len(calls) - before <= 30
    np.testing.assert_allclose(u_bar, u / n, rtol=1e-14)
    np.testing.assert_array_equal(p_bar, [0.0])


def test_what_is_wrong_with_an_integrand_is_named():
    u, p = np.ones(3), np.ones(1)
    with pytest.raises(
        ValueError, match=r"the integrand function returned shape \(\), expected \(1,\): np\.ravel"
    ):
        complex_step_integrand(lambda t, u, p: np.sum(u), 3, 1)(0.0, u, p)
    with pytest.raises(
        ValueError,
        match=r"returned shape \(3,\), expected \(2,\), as many terms as before, or as W",
    ):
        complex_step_integrand(lambda t, u, p: u, 3, 1, weights=np.ones((4, 2)))(0.0, u, p)
    with pytest.raises(KeyError, match="rate"):
        complex_step_integrand(raises, 3, 1)(0.0, u, p)
    with pytest.raises(ValueError, match="the integrand function writes into u or p"):
        complex_step_integrand(writes, 3, 1)(0.0, u, p)
    with pytest.raises(NotComplexSafe, match="the integrand function loses imaginary parts"):
        complex_step_integrand(lambda t, u, p: np.abs(u) * u, 3, 1).vjp(0.0, u, p, u)
    with pytest.raises(ValueError, match=r"got q_bar of shape \(3,\), expected \(2,\)"):
        complex_step_integrand(lambda t, u, p: u, 3, 1, weights=np.ones((2, 3))).vjp(0.0, u, p, u)
    with pytest.raises(
        ValueError, match=r"got weights of shape \(1, 2, 3\), expected \(k,\) or \(q, k\)"
    ):
        complex_step_integrand(lambda t, u, p: u, 3, 1, weights=np.ones((1, 2, 3)))
    with pytest.raises(TypeError, match="got weights of dtype complex128"):
        complex_step_integrand(lambda t, u, p: u, 3, 1, weights=1j * np.ones(3))
    with pytest.raises(adjoint.errors.NonFinite, match="the weights hold nan or inf"):
        complex_step_integrand(lambda t, u, p: u, 3, 1, weights=np.full(3, np.nan))
    with pytest.raises(TypeError, match="complex_step_integrand: got a float, expected a function"):
        complex_step_integrand(1.0, 3, 1)


@pytest.mark.parametrize("n", [3, 60])
def test_jax_compiles_once_for_all_times(jax, n):
    traced = []

    def f(t, u, p):
        traced.append(t)
        return -p[0] * u * jax.numpy.cos(t)

    field, u, p = jax_field(f, n, 1), np.ones(n), np.ones(1)
    counts = []
    for t in (0.0, 0.5, 1, np.float64(2.0)):
        field(t, u, p)
        field.jacobian(t, u, p)
        field.vjp(t, u, p, u)
        field.jvp(t, u, p, p)
        field.time_derivative(t, u, p)
        counts.append(len(traced))
    assert len(set(counts)) == 1


def test_jax_names_what_is_wrong(jax):
    with pytest.raises(
        ValueError, match=r"jax_field: the field function returned shape \(2,\), expected \(3,\)"
    ):
        jax_field(lambda t, u, p: u[:2], 3, 1).vjp(0.0, np.ones(3), np.ones(1), np.ones(3))
    field = jax_field(lambda t, u, p: u - jax.numpy.where(p > 0.0, jax.numpy.sqrt(p), 0.0), 2, 2)
    with pytest.raises(
        adjoint.errors.NonFinite, match=r"entry 0 of \(∂f/∂p\)ᵀ λ is nan.*jnp\.where"
    ):
        field.vjp(0.0, np.ones(2), np.zeros(2), np.ones(2))


def test_jax_in_single_precision_is_named(jax):
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(RuntimeError, match="jax_field: JAX computes in float32"):
        jax_field(raises, 1, 0)


def test_a_missing_jax_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(adjoint.errors.BackendMissing, match="jax_field needs JAX"):
        jax_field(raises, 1, 0)


def test_derivatives_that_underflow_with_the_step_are_no_lost_imaginary_parts():
    """Tails of diffusion fronts are that small: 1e-100 times 1e-220 is zero, which is right."""
    field = adjoint.complex_step_field(lambda t, u, p: -p * u, n=1, m=1)
    for size in (1e-200, 1e-220, 1e-248, 1e-300):
        assert (
            abs(field.vjp(0.0, np.array([size]), np.ones(1), np.ones(1))[0] + size)
            <= 1e-2 * size + 1e-220
        )


def test_second_derivatives_of_steep_functions_have_ten_digits_and_kinks_are_refused():
    """tanh(1000 u), a root near zero, a quotient; ∂f/∂u jumps at the kink."""

    def steep(t, u, p):
        return np.array([np.tanh(p[0] * u[0]), np.sqrt(u[1]) * p[1], u[0] / (p[1] + u[0])])

    field = adjoint.complex_step_field(steep, 3, 2)
    u, p, lam = np.array([2e-3, 1e-4, 5.0]), np.array([1e3, 1e-2]), np.array([1.0, 0.5, -2.0])
    u_dot, p_dot = np.array([1e-3, 5e-5, 1.0]), np.array([500.0, 5e-3])
    U, P, (a, b) = u[0], p[1], u_dot[:2]
    th = np.tanh(p[0] * U)
    s, z_dot = 1.0 - th**2, p_dot[0] * U + p[0] * a
    curved = -2.0 * th * s * z_dot
    d, d_dot = P + U, p_dot[1] + a
    through_u = [
        curved * p[0] + s * p_dot[0] - 2.0 * (p_dot[1] / d**2 - 2.0 * P * d_dot / d**3),
        0.5 * (0.5 * p_dot[1] / np.sqrt(u[1]) - 0.25 * P * b / u[1] ** 1.5),
        0.0,
    ]
    through_p = [
        curved * U + s * a,
        0.5 * 0.5 * b / np.sqrt(u[1]) + 2.0 * (a / d**2 - 2.0 * U * d_dot / d**3),
    ]
    found = field.hvp(0.0, u, p, lam, u_dot, p_dot)
    np.testing.assert_allclose(found[0], through_u, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found[1], through_p, rtol=1e-9)

    kink = adjoint.complex_step_field(
        lambda t, u, p: p * np.where(u.real > 1.0, u**2, 2.0 * u - 1.0), 1, 1
    )
    one = np.ones(1)
    np.testing.assert_allclose(
        kink.hvp(0.0, 0.999 * one, one, one, one, 0.0 * one)[0], 0.0, atol=1e-12
    )
    np.testing.assert_allclose(
        kink.hvp(0.0, 1.001 * one, one, one, one, 0.0 * one)[0], 2.0, rtol=1e-10
    )
    with pytest.raises(adjoint.errors.NonFinite, match="differences do not converge"):
        kink.hvp(0.0, (1.0 - 1e-6) * one, one, one, one, 0.0 * one)
