"""Laws of every function: tangents of order 2, vjp against jvp, hvp, units, n = 1."""

import numpy as np
import pytest

from adjoint import dense


def numbers(rng, shape, kind):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind == "complex" else x


def general(rng, n, kind):
    return numbers(rng, (n, n), kind)


def hermitian(rng, n, kind):
    x = general(rng, n, kind)
    return x + x.conj().T


def positive(rng, n, kind):
    x = general(rng, n, kind)
    return x @ x.conj().T + np.eye(n)


def nearly_positive(rng, n, kind):
    return positive(rng, n, kind) + 0.1 * general(rng, n, kind)


def tall(rng, n, kind):
    return numbers(rng, (n + 2, n), kind)


def wide(rng, n, kind):
    return numbers(rng, (n, n + 3), kind)


def wave(A):
    return dense.hermitian_function(A, lambda x: np.exp(1j * x), lambda x: 1j * np.exp(1j * x))


# name: function, its argument, its tangents, its degree (F(cA) = c^degree F(A)).
FUNCTIONS = {
    "inverse": (dense.inverse, general, general, -1.0),
    "det": (dense.det, general, general, "n"),
    "log_det": (dense.log_det, general, general, None),
    "slogdet": (dense.slogdet, general, general, None),
    "expm": (dense.expm, general, general, None),
    "sqrtm": (dense.sqrtm, nearly_positive, general, 0.5),
    "cholesky": (dense.cholesky, positive, hermitian, 0.5),
    "lu": (dense.lu, general, general, None),
    "qr, tall": (dense.qr, tall, tall, None),
    "qr, square": (dense.qr, general, general, None),
    "polar, tall": (dense.polar, tall, tall, None),
    "polar, square": (dense.polar, general, general, None),
    "eigvalsh": (dense.eigvalsh, hermitian, hermitian, 1.0),
    "eigh": (dense.eigh, hermitian, hermitian, None),
    "svdvals, tall": (dense.svdvals, tall, tall, 1.0),
    "svdvals, wide": (dense.svdvals, wide, wide, 1.0),
    "svd, tall": (dense.svd, tall, tall, None),
    "svd, wide": (dense.svd, wide, wide, None),
    "svd, square": (dense.svd, general, general, None),
    "log of Hermitian": (
        lambda A: dense.hermitian_function(A, np.log, lambda x: 1.0 / x),
        positive,
        hermitian,
        None,
    ),
    "wave of Hermitian": (wave, hermitian, hermitian, None),
    "frobenius_norm": (dense.frobenius_norm, wide, wide, 1.0),
    "spectral_norm": (dense.spectral_norm, wide, wide, 1.0),
    "nuclear_norm": (dense.nuclear_norm, wide, wide, 1.0),
    "schatten_norm": (lambda A: dense.schatten_norm(A, 3.0), tall, tall, 1.0),
}
WITH_HVP = ("inverse", "log_det", "expm", "sqrtm", "frobenius_norm")
EACH = pytest.mark.parametrize("name", FUNCTIONS)
KINDS = pytest.mark.parametrize("kind", ["real", "complex"])


def parts(value):
    """The differentiable arrays of a value, a tangent or a cotangent."""
    values = value if isinstance(value, tuple) else (value,)
    arrays = [np.asarray(each) for each in values if each is not None]
    return [each for each in arrays if each.dtype.kind != "i"]


def packed(arrays):
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def draw(name, kind, n=6, seed=0):
    function, matrix, tangent, _ = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    A, A_dot = matrix(rng, n, kind), tangent(rng, n, kind)
    y = function(A)
    bars = [
        numbers(rng, each.shape, "complex" if each.dtype.kind == "c" else "real")
        for each in parts(y.value)
    ]
    return function, A, A_dot, y, packed(bars)


def pairing(a, b):
    return sum(np.vdot(x, y).real for x, y in zip(parts(a), parts(b), strict=True))


@EACH
@KINDS
def test_taylor_remainder_is_second_order(name, kind):
    function, A, A_dot, y, _ = draw(name, kind)
    h = np.array([1e-3, 5e-4, 2.5e-4])
    remainders = [
        np.sqrt(
            sum(
                np.sum(np.abs(there - here - step * dot) ** 2)
                for there, here, dot in zip(
                    parts(function(A + step * A_dot).value),
                    parts(y.value),
                    parts(y.jvp(A_dot)),
                    strict=True,
                )
            )
        )
        for step in h
    ]
    orders = np.diff(np.log(remainders)) / np.diff(np.log(h))
    assert np.all(np.abs(orders - 2.0) < 0.15), orders


@EACH
@KINDS
@pytest.mark.parametrize("n", [1, 2, 6])
def test_vjp_is_the_adjoint_of_jvp(name, kind, n):
    _, A, A_dot, y, bar = draw(name, kind, n)
    A_bar, value_dot = y.vjp(bar), y.jvp(A_dot)
    assert (A_bar.shape, A_bar.dtype) == (A.shape, A.dtype)
    sizes = np.sqrt(pairing(bar, bar) * pairing(value_dot, value_dot))
    sizes += np.sqrt(pairing(A_bar, A_bar) * pairing(A_dot, A_dot))
    assert abs(pairing(bar, value_dot) - pairing(A_bar, A_dot)) <= 1e-12 * sizes


@pytest.mark.parametrize("name", WITH_HVP)
@KINDS
def test_hvp_is_the_derivative_of_vjp(name, kind):
    function, A, A_dot, y, bar = draw(name, kind)
    h = np.array([1e-3, 5e-4, 2.5e-4])
    product = y.hvp(bar, A_dot)
    remainders = [
        np.linalg.norm(function(A + step * A_dot).vjp(bar) - y.vjp(bar) - step * product)
        for step in h
    ]
    orders = np.diff(np.log(remainders)) / np.diff(np.log(h))
    assert np.all(np.abs(orders - 2.0) < 0.2), orders


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in WITH_HVP])
def test_missing_hvp_is_named(name):
    _, _, A_dot, y, bar = draw(name, "real")
    with pytest.raises(TypeError, match="hvp is not provided"):
        y.hvp(bar, A_dot)


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if FUNCTIONS[n][3] is not None])
@KINDS
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_scale_value_and_derivative(name, kind, unit):
    function, A, A_dot, y, bar = draw(name, kind)
    degree = 6.0 if FUNCTIONS[name][3] == "n" else FUNCTIONS[name][3]
    scaled = function(unit * A)
    value, rate = unit**degree, unit ** (degree - 1.0)
    for here, there in zip(parts(y.value), parts(scaled.value), strict=True):
        np.testing.assert_allclose(there / value, here, rtol=1e-10, atol=1e-10 * np.abs(here).max())
    expected = y.vjp(bar)
    found = scaled.vjp(bar) / rate
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10 * np.abs(expected).max())
    for here, there in zip(parts(y.jvp(A_dot)), parts(scaled.jvp(A_dot)), strict=True):
        np.testing.assert_allclose(there / rate, here, rtol=1e-9, atol=1e-10 * np.abs(here).max())


@pytest.mark.parametrize("function", [dense.inverse, dense.log_det, dense.lu])
def test_mixed_units_of_rows_and_columns_are_not_singularity(function):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((4, 4))
    rows, columns = 10.0 ** np.array([-12, 0, 5, 12]), 10.0 ** np.array([9, -12, 3, 0])
    function(rows[:, None] * A * columns)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("shape", [(5,), (5, 3)])
@pytest.mark.parametrize("function", [dense.solve, dense.expm_multiply])
def test_pairs_obey_the_laws(function, shape, kind):
    rng = np.random.default_rng(2)
    A, b = numbers(rng, (5, 5), kind), numbers(rng, shape, "real")
    A_dot, b_dot = numbers(rng, (5, 5), kind), numbers(rng, shape, "real")
    _check_pair(function, A, b, A_dot, b_dot, rng)
    if function is dense.solve:
        y, bar = function(A, b), numbers(rng, shape, kind)
        e = 1e-6
        near = [function(A + h * A_dot, b + h * b_dot).vjp(bar) for h in (e, -e)]
        for product, up, down in zip(y.hvp(bar, A_dot, b_dot), *near, strict=True):
            np.testing.assert_allclose(product, (up - down) / (2 * e), rtol=1e-5, atol=1e-5)


@KINDS
def test_kronecker_product_obeys_the_laws(kind):
    rng = np.random.default_rng(2)
    A, B = numbers(rng, (2, 3), kind), numbers(rng, (4, 2), "real")
    _check_pair(dense.kron, A, B, numbers(rng, (2, 3), kind), numbers(rng, (4, 2), "real"), rng)


def _check_pair(function, A, B, A_dot, B_dot, rng):
    y = function(A, B)
    bar = numbers(rng, y.value.shape, "complex" if y.value.dtype.kind == "c" else "real")
    tangent, (A_bar, B_bar) = y.jvp(A_dot, B_dot), y.vjp(bar)
    assert (A_bar.dtype, B_bar.dtype) == (A.dtype, B.dtype)
    left, right = pairing(bar, tangent), pairing(A_bar, A_dot) + pairing(B_bar, B_dot)
    assert left == pytest.approx(right, rel=1e-12)
    e = 1e-4
    remainders = [
        np.linalg.norm(function(A + h * A_dot, B + h * B_dot).value - y.value - h * tangent)
        for h in (e, e / 2)
    ]
    assert np.log2(remainders[0] / remainders[1]) == pytest.approx(2.0, abs=0.1)
    np.testing.assert_allclose(y.jvp(A_dot) + y.jvp(B_dot=B_dot), tangent, rtol=1e-12, atol=1e-12)


def test_vec_and_kron_follow_column_order():
    rng = np.random.default_rng(0)
    A, X, B = (rng.standard_normal(shape) for shape in ((2, 3), (3, 4), (4, 5)))
    np.testing.assert_allclose(dense.vec(A @ X @ B), dense.kron(B.T, A).value @ dense.vec(X))
    np.testing.assert_array_equal(dense.unvec(dense.vec(X), rows=3), X)
