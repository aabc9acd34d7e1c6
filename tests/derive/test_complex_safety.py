"""Functions that lose imaginary parts are refused by line; replacements keep them."""

import re

import numpy as np
import pytest

from adjoint.derive import complex_step_residual, finite_difference_residual, safe
from adjoint.errors import NotComplexSafe

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
    residual = complex_step_residual(R, N, N)
    with pytest.raises(NotComplexSafe, match="finite_difference") as caught:
        all_derivatives(residual)
    named = re.search(rf"line (\d+), {UNSAFE[R]} ", str(caught.value))
    assert named, str(caught.value)
    first = R.__code__.co_firstlineno
    assert first < int(named[1]) <= first + 4


@pytest.mark.parametrize(
    "R", [modulus_of_a_parameter, as_float, buffer_like_the_other], ids=lambda R: R.__name__
)
def test_a_tangent_alone_shows_it_too(R):
    with pytest.raises(NotComplexSafe):
        complex_step_residual(R, N, N).jvp(U, P, np.ones(N))


@pytest.mark.parametrize("R", UNSAFE, ids=lambda R: R.__name__)
def test_finite_differences_do_without_complex_numbers(R):
    residual = finite_difference_residual(R, N, N)
    J = residual.jacobian(U, P).toarray()
    h = 1e-6
    v = np.cos(np.arange(N))
    np.testing.assert_allclose(
        J @ v, (R(U + h * v, P) - R(U - h * v, P)) / (2 * h), rtol=1e-6, atol=1e-7
    )


def test_a_loss_beside_stiff_diffusion_is_found():
    """Where it is 1e-6 of each row along a random direction."""
    n = 1000

    def R(u, p):
        return (
            -np.diff(np.concatenate([[0.0], u, [0.0]]), 2) * (n + 1) ** 2 + p[0] * np.abs(u) - p[1]
        )

    with pytest.raises(NotComplexSafe, match="abs"):
        complex_step_residual(R, n, 2).jacobian(np.zeros(n), np.array([3.0, 1.0]))


@pytest.mark.parametrize(
    "u",
    [np.zeros(400), np.sin(np.linspace(0.1, 3.0, 400)), np.cos(np.arange(400.0))],
    ids=["zero", "smooth", "rough"],
)
@pytest.mark.parametrize("stiffness", [1.0, 1e6, 1e12])
def test_stiff_rows_are_no_loss(stiffness, u):
    def R(u, p):
        diffusion = -np.diff(np.concatenate([[0.0], u, [0.0]]), 2)
        return (
            stiffness * (1.0 + 0.3 * np.sin(np.arange(u.size))) * diffusion
            + p[0] * np.exp(u)
            - p[1]
        )

    residual = complex_step_residual(R, u.size, 2)
    residual.jacobian(u, np.ones(2)), residual.vjp(u, np.ones(2), u)


def test_offsets_that_round_are_no_loss():
    """√(273 + u) with u of 1e-5: R has five digits less than u, in each of many rows."""
    n = 3000
    rng = np.random.default_rng(0)
    residual = complex_step_residual(lambda u, p: np.sqrt(273.15 + u) - 16.5 * p, n, n)
    for _ in range(3):
        u, p = 1e-5 * rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, n)
        residual.jacobian(u, p), residual.vjp(u, p, u)


def test_a_table_of_short_pieces_is_no_loss():
    xp = np.linspace(0.0, 2.0, 100_001)
    residual = complex_step_residual(lambda u, p: safe.interp(u, xp, np.exp(xp)) - p, 300, 300)
    rng = np.random.default_rng(1)
    for _ in range(3):
        u = rng.uniform(0.5, 1.5, 300)
        residual.jacobian(u, u), residual.vjp(u, u, u)


def test_a_parameter_of_zero_beside_1e11_is_no_loss():
    residual = complex_step_residual(lambda u, p: p[0] * u * np.cos(p[1]) - p[2], N, 3)
    residual.vjp(U, np.array([1e11, 0.0, 1e5]), U)


def turbulent(Q, p):
    return np.where(np.square(Q) > 1.0, p[0] * np.abs(Q) * Q, p[0] * Q) - p[1]


DERIVATIVES = {
    "vjp": lambda R, Q, p: R.vjp(Q, p, Q),
    "jvp": lambda R, Q, p: R.jvp(Q, p, p),
    "matrix": lambda R, Q, p: R.parameter_jacobian(Q, p),
}


@pytest.mark.parametrize("derive", DERIVATIVES.values(), ids=DERIVATIVES)
def test_a_branch_taken_later_is_examined_where_it_is_taken(derive):
    residual, p = complex_step_residual(turbulent, 6, 2), np.array([1.0, 9.0])
    laminar = np.linspace(0.1, 0.3, 6)
    residual.jacobian(laminar, p), derive(residual, laminar, p)
    for _ in range(2):
        with pytest.raises(NotComplexSafe, match="abs"):
            derive(residual, np.linspace(2.5, 3.5, 6), p)


@pytest.mark.parametrize(
    "u", [np.where(np.arange(N) % 2 == 0, 0.3, U), np.full(N, 0.3), np.where(U > 0, 1e-17, U)]
)
def test_kinks_at_later_points_are_no_loss(u):
    """Contact, where u is what it is limited to, and zeros up to rounding."""
    residual = complex_step_residual(
        lambda u, p: safe.minimum(u - 0.3, p * u) + safe.absolute(u), N, N
    )
    residual.vjp(U, P, U)
    residual.jacobian(u, P), residual.vjp(u, P, u), residual.vjp(u, np.zeros(N), u)


def test_each_point_is_examined_in_three_evaluations_once():
    count = [0]

    def R(u, p):
        count[0] += 1
        return u**2 - p * u

    residual, u = complex_step_residual(R, N, N), U.copy()
    residual.jacobian(u, P), residual.jvp(u, P, P)
    for call, expected in (
        (lambda: residual.jvp(u, 1.1 * P, P), 4),
        (lambda: residual.jvp(u, 1.1 * P, u), 1),
    ):
        count[0] = 0
        call()
        assert count[0] == expected
    u *= 1.1
    count[0] = 0
    residual.jvp(u, 1.1 * P, P)
    assert count[0] == 4, "another point, in the same array"


def test_the_function_that_refused_is_named():
    def R(u, p):
        cells = u.real.astype(int) * 0
        return np.logaddexp(u, p[cells])

    with pytest.raises(
        NotComplexSafe, match=r"source: line \d+, logaddexp refuses complex numbers: .*logaddexp\. "
    ):
        complex_step_residual(R, N, N).jacobian(U, P)


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
    residual = complex_step_residual(R, N, N)
    h, v = 1e-7, np.cos(np.arange(N))
    np.testing.assert_allclose(
        residual.jacobian(u, P) @ v, (R(u + h * v, P) - R(u - h * v, P)) / (2 * h), atol=1e-6
    )
    np.testing.assert_allclose(
        residual.jvp(u, P, v), (R(u, P + h * v) - R(u, P - h * v)) / (2 * h), atol=1e-6
    )
    assert residual.vjp(u, P, v) @ v == pytest.approx(v @ residual.jvp(u, P, v), abs=1e-13)


@pytest.mark.parametrize("u", [np.zeros(N), np.where(np.arange(N) % 2 == 0, 0.0, 1.0)])
def test_a_kink_at_the_start_is_no_loss(u):
    complex_step_residual(
        lambda u, p: np.maximum(u, 0.0) + np.where(u > 0.0, u, -u) - p, N, N
    ).jacobian(u, P)


def test_what_has_no_source_is_told_in_general():
    residual = complex_step_residual(eval("lambda u, p: abs(u)"), N, 0)
    with pytest.raises(NotComplexSafe, match="Usual causes"):
        residual.jacobian(U, np.empty(0))


def test_an_error_of_the_function_is_its_own():
    def R(u, p):
        raise ZeroDivisionError("no such material")

    with pytest.raises(ZeroDivisionError, match="no such material") as caught:
        complex_step_residual(R, N, N).jacobian(U, P)
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
SHAPES = {
    "vector": GENERIC,
    "matrix": GENERIC.reshape(2, 3),
    "scalar": 0.61,
    "negative scalar": -0.7,
}


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
    np.testing.assert_allclose(
        np.imag(z) / h, (moved[0] - moved[1]) / (2 * t), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 0.0])
@pytest.mark.parametrize(
    "name", ["absolute", "sign", "maximum", "minimum", "clip", "hypot", "arctan2"]
)
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
