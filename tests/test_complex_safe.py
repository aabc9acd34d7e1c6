"""Functions that lose imaginary parts are refused, with the line that does; the replacements do not lose them."""

import re

import numpy as np
import pytest

from adjoint.derive import NotComplexSafe, complex_step, finite_difference, safe

N = 9
U = np.linspace(-1.5, 1.7, N)
P = np.linspace(0.5, 2.0, N)


def modulus(u, p):
    return np.abs(u) * u - p


def builtin_modulus(u, p):
    return np.array([abs(x) * x for x in u]) - p


def modulus_of_a_parameter(u, p):
    return u - np.abs(p - 1.1)


def norm(u, p):
    return u / (1.0 + np.linalg.norm(u)) - p


def conjugate(u, p):
    return u * np.conj(u) - p


def vdot(u, p):
    return u + np.vdot(u, u) * p


def real_part(u, p):
    return u.real**2 + u - p


def real_part_throughout(u, p):
    return u.real**2 - p.real


def real_buffer(u, p):
    R = np.zeros(N)
    R[:] = u**2 - p
    return R


def real_buffer_by_entries(u, p):
    R = np.zeros(N)
    for i in range(N):
        R[i] = u[i] ** 2 - p[i]
    return R


def buffer_like_the_other(u, p):
    R = np.zeros_like(u)
    R += u + p
    return R


def cast(u, p):
    return u.astype(float) ** 2 - p


def as_float(u, p):
    return u * float(p[0]) - p


def largest(u, p):
    return u - max(p[0], 0.3) * np.sign(u) * u


def floor(u, p):
    return u - np.floor(p * 3.0)


def cube_root(u, p):
    return u - np.cbrt(p)


def angle(u, p):
    return u - np.arctan2(u, p)


UNSAFE = {
    modulus: "abs",
    builtin_modulus: "abs",
    modulus_of_a_parameter: "abs",
    norm: "norm",
    conjugate: "conj",
    vdot: "vdot",
    real_part: "real",
    real_part_throughout: "real",
    real_buffer: "zeros",
    real_buffer_by_entries: "zeros",
    buffer_like_the_other: "zeros_like",
    cast: "astype",
    as_float: "float",
    largest: "max",
    floor: "floor",
    cube_root: "cbrt",
    angle: "arctan2",
}


def all_derivatives(residual):
    """By u, and by p."""
    residual.jacobian(U, P)
    residual.vjp(U, P, np.ones(N))


@pytest.mark.parametrize("R", UNSAFE, ids=lambda R: R.__name__)
def test_lost_imaginary_parts_are_an_error_that_names_the_line(R):
    residual = complex_step(R, N, N)
    with pytest.raises(NotComplexSafe, match="finite_difference") as caught:
        all_derivatives(residual)
    named = re.search(rf"line (\d+), {UNSAFE[R]} ", str(caught.value))
    assert named, str(caught.value)
    first = R.__code__.co_firstlineno
    assert first < int(named[1]) <= first + 4


@pytest.mark.parametrize("R", [modulus_of_a_parameter, as_float, buffer_like_the_other], ids=lambda R: R.__name__)
def test_a_tangent_alone_shows_it_too(R):
    with pytest.raises(NotComplexSafe):
        complex_step(R, N, N).jvp(U, P, np.ones(N))


@pytest.mark.parametrize("R", UNSAFE, ids=lambda R: R.__name__)
def test_finite_differences_do_without_complex_numbers(R):
    residual = finite_difference(R, N, N)
    J = residual.jacobian(U, P).toarray()
    h = 1e-6
    v = np.cos(np.arange(N))
    np.testing.assert_allclose(J @ v, (R(U + h * v, P) - R(U - h * v, P)) / (2 * h), rtol=1e-6, atol=1e-7)


def piecewise(u, p):
    return np.where(u > 0.1, u**2, -u) * np.where((p < 1.0) & (u <= 2.0), p, p**2)


def larger(u, p):
    return np.maximum(u, 0.2 * p) - np.minimum(p, u**2) + np.sort(u)


def constant_pieces(u, p):
    return np.where(u > 0.0, 1.0, 0.0) * np.ones(N)


def without_parameters(u, p):
    return u**3


def integers(u, p):
    return np.arange(N)


@pytest.mark.parametrize("R", [piecewise, larger, constant_pieces, without_parameters, integers],
                         ids=lambda R: R.__name__)  # fmt: skip
def test_comparisons_and_what_does_not_depend_are_no_error(R):
    u = U + 0.031
    residual = complex_step(R, N, N)
    h, v = 1e-7, np.cos(np.arange(N))
    np.testing.assert_allclose(residual.jacobian(u, P) @ v, (R(u + h * v, P) - R(u - h * v, P)) / (2 * h), atol=1e-6)
    np.testing.assert_allclose(residual.jvp(u, P, v), (R(u, P + h * v) - R(u, P - h * v)) / (2 * h), atol=1e-6)
    assert residual.vjp(u, P, v) @ v == pytest.approx(v @ residual.jvp(u, P, v), abs=1e-13)


@pytest.mark.parametrize("u", [np.zeros(N), np.where(np.arange(N) % 2 == 0, 0.0, 1.0)])
def test_a_kink_at_the_start_is_no_loss(u):
    complex_step(lambda u, p: np.maximum(u, 0.0) + np.where(u > 0.0, u, -u) - p, N, N).jacobian(u, P)


def test_what_has_no_source_is_told_in_general():
    residual = complex_step(eval("lambda u, p: abs(u)"), N, 0)
    with pytest.raises(NotComplexSafe, match="Usual causes"):
        residual.jacobian(U, np.empty(0))


def test_an_error_of_the_function_is_its_own():
    def R(u, p):
        raise ZeroDivisionError("no such material")

    with pytest.raises(ZeroDivisionError, match="no such material") as caught:
        complex_step(R, N, N).jacobian(U, P)
    assert "complex_step" in caught.value.__notes__[0]


REAL = {
    "absolute": (safe.absolute, np.absolute, 1),
    "sign": (safe.sign, np.sign, 1),
    "floor": (safe.floor, np.floor, 1),
    "heaviside": (lambda x: safe.heaviside(x, 0.5), lambda x: np.heaviside(x, 0.5), 1),
    "cbrt": (safe.cbrt, np.cbrt, 1),
    "clip": (lambda x: safe.clip(x, -0.4, 0.9), lambda x: np.clip(x, -0.4, 0.9), 1),
    "norm": (safe.norm, np.linalg.norm, 1),
    "interp": (lambda x: safe.interp(x, [-1.0, 0.2, 1.0], np.array([3.0, 1.0, 2.0])),
               lambda x: np.interp(x, [-1.0, 0.2, 1.0], [3.0, 1.0, 2.0]), 1),
    "maximum": (safe.maximum, np.maximum, 2),
    "minimum": (safe.minimum, np.minimum, 2),
    "hypot": (safe.hypot, np.hypot, 2),
    "arctan2": (safe.arctan2, np.arctan2, 2),
    "logaddexp": (safe.logaddexp, np.logaddexp, 2),
}  # fmt: skip
GENERIC = np.array([-2.3, -0.7, -0.123, 0.0456, 0.61, 1.9])
SHAPES = {"vector": GENERIC, "matrix": GENERIC.reshape(2, 3), "scalar": 0.61, "negative scalar": -0.7}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", REAL)
def test_replacements_are_numpy_on_real_numbers(name, shape):
    ours, theirs, arity = REAL[name]
    arguments = [SHAPES[shape], np.negative(SHAPES[shape]) * 0.7 + 0.1][:arity]
    result = ours(*arguments)
    assert np.array_equal(result, theirs(*arguments))
    assert np.shape(result) == np.shape(theirs(*arguments))
    assert np.asarray(result).dtype == np.float64


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", REAL)
def test_replacements_have_the_right_derivative(name, shape):
    ours, theirs, arity = REAL[name]
    x = [np.asarray(SHAPES[shape]), np.negative(SHAPES[shape]) * 0.7 + 0.1][:arity]
    v = [np.full(np.shape(a), 0.8 + 0.5 * i) for i, a in enumerate(x)]
    h = 1e-100
    z = ours(*[a + 1j * h * d for a, d in zip(x, v, strict=True)])
    assert np.array_equal(np.real(z), theirs(*x)) or np.allclose(np.real(z), theirs(*x), rtol=1e-15)
    t = 1e-6
    moved = [theirs(*[a + s * t * d for a, d in zip(x, v, strict=True)]) for s in (1, -1)]
    np.testing.assert_allclose(np.imag(z) / h, (moved[0] - moved[1]) / (2 * t), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 0.0])
@pytest.mark.parametrize("name", ["absolute", "sign", "maximum", "minimum", "clip", "hypot", "arctan2"])
def test_replacements_follow_numpy_at_special_numbers(name, special):
    ours, theirs, arity = REAL[name]
    with np.errstate(all="ignore"):
        for other in (1.0, 0.0, -2.0):
            arguments = (special, other)[:arity]
            assert np.array_equal(ours(*arguments), theirs(*arguments), equal_nan=True)
            as_complex = ours(*(complex(a, 1e-100) for a in arguments))
            assert np.array_equal(np.real(as_complex), theirs(*arguments), equal_nan=True)


def test_replacements_where_only_one_argument_is_complex():
    h = 1e-100
    assert np.imag(safe.maximum(2.0 + 1j * h, 1.0)) / h == 1.0
    assert np.imag(safe.maximum(2.0, 1.0 + 1j * h)) == 0.0
    assert np.imag(safe.hypot(3.0 + 1j * h, 4.0)) / h == pytest.approx(0.6, rel=1e-15)
    assert np.imag(safe.arctan2(1.0, 2.0 + 1j * h)) / h == pytest.approx(-0.2, rel=1e-15)


def test_norm_along_an_axis():
    x = np.arange(1.0, 7.0).reshape(2, 3)
    np.testing.assert_allclose(safe.norm(x, axis=1), np.linalg.norm(x, axis=1), rtol=1e-15)
    derivative = np.imag(safe.norm(x + 1e-100j, axis=1)) / 1e-100
    np.testing.assert_allclose(derivative, x.sum(axis=1) / np.linalg.norm(x, axis=1), rtol=1e-15)


def test_slopes_at_zero_are_one_sided():
    h = 1e-100
    assert np.imag(safe.hypot(1j * 3 * h, 1j * 4 * h)) / h == pytest.approx(5.0)
    assert np.imag(safe.absolute(1j * h)) / h == 1.0
