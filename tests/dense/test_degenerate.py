"""Equal and zero eigenvalues or singular values: what exists is right, the rest is named."""

import numpy as np
import pytest

from adjoint import dense
from adjoint.errors import (
    InaccurateSolve,
    NegativeEigenvalue,
    NonFinite,
    NotPositiveDefinite,
    NotSymmetric,
    RepeatedEigenvalue,
    SingularMatrix,
)


def rotation(n, seed=0, kind=float):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, n)).astype(kind)
    if kind is complex:
        x += 1j * rng.standard_normal((n, n))
    return np.linalg.qr(x)[0]


def symmetric(n, seed):
    x = np.random.default_rng(seed).standard_normal((n, n))
    return x + x.T


@pytest.mark.parametrize("values", [[1.0, 1.0, 3.0], [2.0, 2.0, 2.0], [0.0, 0.0, 5.0]])
def test_functions_at_repeated_eigenvalues(values):
    Q = rotation(3)
    A = (Q * values) @ Q.T
    y = dense.hermitian_function(A, np.exp, np.exp)
    other = dense.expm(A)
    A_dot = symmetric(3, 5)
    np.testing.assert_allclose(y.value, other.value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(y.jvp(A_dot), other.jvp(A_dot), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("kind", [float, complex])
def test_projector_onto_a_cluster(kind):
    """J = ⟨C, V₂V₂ᴴ⟩ of a double eigenvalue by eigh against the sign function."""
    Q = rotation(4, kind=kind)
    A = (Q * np.array([1.0, 1.0, 4.0, 6.0])) @ Q.conj().T
    A = 0.5 * (A + A.conj().T)
    C = symmetric(4, 2)
    y = dense.eigh(A)
    V_bar = np.zeros((4, 4), dtype=kind)
    V_bar[:, :2] = 2.0 * C @ y.value.vectors[:, :2]
    step = dense.hermitian_function(A, lambda x: np.where(x < 2.0, 1.0, 0.0), lambda x: 0.0 * x)
    np.testing.assert_allclose(y.vjp((None, V_bar)), step.vjp(C.astype(kind)), atol=1e-12)
    with pytest.raises(RepeatedEigenvalue, match="depends on the basis"):
        y.vjp((None, np.ones((4, 4), dtype=kind) * np.arange(4)))
    with pytest.raises(RepeatedEigenvalue, match="different cotangents"):
        y.vjp((np.arange(4.0), None))
    with pytest.raises(RepeatedEigenvalue, match="no derivative"):
        y.jvp(A)


def test_sum_of_a_cluster_is_differentiable():
    Q = rotation(3)
    A = (Q * np.array([1.0, 1.0, 3.0])) @ Q.T
    y = dense.eigvalsh(0.5 * (A + A.T))
    np.testing.assert_allclose(y.vjp(np.array([1.0, 1.0, 1.0])), np.eye(3), atol=1e-14)
    with pytest.raises(RepeatedEigenvalue):
        y.vjp(np.array([1.0, 0.0, 0.0]))
    with pytest.raises(RepeatedEigenvalue, match="splits"):
        y.jvp(symmetric(3, 1))
    np.testing.assert_allclose(y.jvp(np.eye(3)), 1.0)


@pytest.mark.parametrize("kind", [float, complex])
def test_rank_two_projector_of_equal_singular_values(kind):
    """U Vᴴ of all singular vectors is the polar factor: repeated values cost nothing."""
    A = 3.0 * rotation(4, kind=kind)
    bar = rotation(4, seed=9, kind=kind)
    U, _, Vh = dense.svd(A).value
    by_svd = dense.svd(A).vjp((bar @ Vh.conj().T, None, U.conj().T @ bar))
    np.testing.assert_allclose(by_svd, dense.polar(A).vjp((bar, None)), atol=1e-13)
    with pytest.raises(RepeatedEigenvalue):
        dense.svd(A).vjp((bar, None, None))
    with pytest.raises(RepeatedEigenvalue):
        dense.spectral_norm(A).vjp(1.0)
    np.testing.assert_allclose(dense.nuclear_norm(A).vjp(1.0), U @ Vh, atol=1e-13)


def test_zero_singular_values_have_the_stated_subgradient():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((5, 2)) @ rng.standard_normal((2, 4))
    U, _, Vh = np.linalg.svd(A)
    y = dense.nuclear_norm(A)
    gradient = y.vjp(1.0)
    np.testing.assert_allclose(gradient, U[:, :2] @ Vh[:2], atol=1e-13)
    for _ in range(20):  # The inequality of a subgradient.
        B = A + 0.3 * rng.standard_normal(A.shape)
        assert dense.nuclear_norm(B).value >= y.value + np.vdot(gradient, B - A) - 1e-13
    inside = A @ rng.standard_normal((4, 4))
    assert y.jvp(inside) == pytest.approx(np.vdot(gradient, inside), rel=1e-12)
    for function in (dense.nuclear_norm, dense.svdvals):
        with pytest.raises(SingularMatrix, match="moves a zero singular value"):
            function(A).jvp(rng.standard_normal(A.shape))
    np.testing.assert_allclose(dense.svdvals(A).vjp(np.ones(4)), gradient, atol=1e-13)
    with pytest.raises(SingularMatrix):
        dense.svd(A).jvp(A)
    with pytest.raises(SingularMatrix):
        dense.svd(A).vjp((np.ones((5, 4)), None, None))
    leading = np.zeros((5, 4))
    leading[:, 0] = 1.0
    assert np.all(np.isfinite(dense.svd(A).vjp((leading, None, None))))
    with pytest.raises(SingularMatrix):
        dense.polar(A[:, :3])


@pytest.mark.parametrize(
    "norm",
    [
        dense.frobenius_norm,
        dense.spectral_norm,
        dense.nuclear_norm,
        lambda A: dense.schatten_norm(A, 3.0),
    ],
)
def test_norms_of_zero(norm):
    y = norm(np.zeros((3, 2)))
    assert y.value == 0.0
    np.testing.assert_array_equal(y.vjp(1.0), 0.0)
    with pytest.raises(SingularMatrix, match="zero"):
        y.jvp(np.ones((3, 2)))


def test_singular_values_of_zero():
    y = dense.svdvals(np.zeros((2, 3)))
    np.testing.assert_array_equal(y.vjp(np.ones(2)), np.zeros((2, 3)))
    np.testing.assert_array_equal(y.jvp(np.zeros((2, 3))), np.zeros(2))
    with pytest.raises(SingularMatrix):
        y.jvp(np.ones((2, 3)))
    y = dense.eigvalsh(np.zeros((2, 2)))
    np.testing.assert_array_equal(y.vjp(np.ones(2)), np.eye(2))


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


@pytest.mark.parametrize(
    "call",
    [
        lambda: dense.inverse(SINGULAR),
        lambda: dense.inverse(np.zeros((2, 2))),
        lambda: dense.solve(SINGULAR, np.ones(2)),
        lambda: dense.log_det(SINGULAR),
        lambda: dense.slogdet(SINGULAR),
        lambda: dense.lu(SINGULAR),
        lambda: dense.qr(SINGULAR),
        lambda: dense.qr(np.zeros((3, 1))),
        lambda: dense.polar(SINGULAR),
        lambda: dense.sqrtm(SINGULAR),
        lambda: dense.sqrtm(np.zeros((1, 1))),
        lambda: dense.inverse(np.vander(np.linspace(0.0, 1.0, 30))),
    ],
)
def test_singular_matrices_are_named(call):
    with pytest.raises(SingularMatrix):
        call()


@pytest.mark.parametrize(
    "A",
    [-np.eye(2), np.diag([1.0, -1e-3]), np.array([[0.0, 1.0], [1.0, 0.0]]), [[-1.0 + 0j]]],
)
def test_negative_eigenvalues_have_no_root(A):
    with pytest.raises(NegativeEigenvalue, match="negative real axis"):
        dense.sqrtm(A)


@pytest.mark.parametrize("angle", [1e-10, 1e-14, 1e-16])
def test_roots_next_to_the_negative_axis_are_refused(angle):
    """The root of a rotation by π − angle has a derivative of the size 1/angle."""
    c, s = np.cos(np.pi - angle), np.sin(np.pi - angle)
    with pytest.raises((NegativeEigenvalue, InaccurateSolve)):
        dense.sqrtm(np.array([[c, -s], [s, c]]))


@pytest.mark.parametrize("small", [0.0, 1e-17, 1e-16, -1e-17])
@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (np.log, lambda x: 1.0 / x),
        (np.sqrt, lambda x: 0.5 / np.sqrt(x)),
        (lambda x: 1.0 / x, lambda x: -1.0 / x**2),
    ],
)
def test_functions_at_their_singularities_are_refused(f, derivative, small):
    Q = rotation(3)
    A = (Q * np.array([small, 1.0, 2.0])) @ Q.T
    with pytest.raises((NonFinite, InaccurateSolve)):
        dense.hermitian_function(0.5 * (A + A.T), f, derivative)


def test_kinks_at_an_eigenvalue_are_allowed():
    """max(x, 0) and x − 2 at eigenvalues 0 and 2: rounding changes them by rounding."""
    Q = rotation(3)
    A = (Q * np.array([0.0, 2.0, 2.0])) @ Q.T
    A = 0.5 * (A + A.T)
    part = dense.hermitian_function(
        A, lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0.0, 1.0, 0.0)
    )
    np.testing.assert_allclose(part.value, A, atol=1e-14)
    shifted = dense.hermitian_function(A, lambda x: x - 2.0, np.ones_like)
    np.testing.assert_allclose(shifted.jvp(np.eye(3)), np.eye(3), atol=1e-14)


def test_covariances_singular_to_working_precision_are_named():
    B = np.random.default_rng(0).standard_normal((20, 19))
    for unit in (1.0, 10.0 ** np.linspace(-12.0, 12.0, 20)[:, None]):
        C = (unit * B) @ (unit * B).T
        with pytest.raises(NotPositiveDefinite):
            dense.cholesky(0.5 * (C + C.T))


def test_complex_pairs_have_a_real_root():
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    y = dense.sqrtm(turn)
    assert y.value.dtype == float
    np.testing.assert_allclose(y.value @ y.value, turn, atol=1e-15)


UPPER = np.array([[2.0, 1.0], [0.0, 2.0]])


@pytest.mark.parametrize(
    "function",
    [
        dense.cholesky,
        dense.eigh,
        dense.eigvalsh,
        lambda A: dense.hermitian_function(A, np.exp, np.exp),
    ],
)
def test_one_triangle_is_not_enough(function):
    with pytest.raises(NotSymmetric, match=r"entry \(0, 1\) is 1"):
        function(UPPER)
    with pytest.raises(NotSymmetric, match="tangents"):
        function(np.diag([1.0, 2.0])).jvp(UPPER)
    with pytest.raises(NotSymmetric):  # A small wrong entry next to a large diagonal.
        function(np.array([[1e12, 1.0], [-1.0, 1e-6]]))
    with pytest.raises(NotSymmetric):  # Symmetric, but not Hermitian.
        function(np.array([[2.0, 1j], [1j, 2.0]]))


def test_outside_of_the_domain():
    with pytest.raises(NotPositiveDefinite):
        dense.cholesky(np.diag([1.0, -1.0]))
    with pytest.raises(NonFinite, match="not positive definite"):
        dense.hermitian_function(np.diag([1.0, -1.0]), np.log, lambda x: 1.0 / x)
    with pytest.raises(NonFinite, match="overflows"):
        dense.expm(1e4 * np.eye(2))
    with pytest.raises(NonFinite, match="log_det"):
        dense.det(1e-12 * np.eye(60))


ALL = {
    "inverse": dense.inverse,
    "det": dense.det,
    "log_det": dense.log_det,
    "slogdet": dense.slogdet,
    "expm": dense.expm,
    "sqrtm": dense.sqrtm,
    "cholesky": dense.cholesky,
    "lu": dense.lu,
    "qr": dense.qr,
    "polar": dense.polar,
    "eigvalsh": dense.eigvalsh,
    "eigh": dense.eigh,
    "svdvals": dense.svdvals,
    "svd": dense.svd,
    "frobenius_norm": dense.frobenius_norm,
    "spectral_norm": dense.spectral_norm,
    "nuclear_norm": dense.nuclear_norm,
    "schatten_norm": lambda A: dense.schatten_norm(A, 2.5),
    "hermitian_function": lambda A: dense.hermitian_function(A, np.exp, np.exp),
    "solve": lambda A: dense.solve(A, np.ones(2)),
    "expm_multiply": lambda A: dense.expm_multiply(A, np.ones(2)),
    "kron": lambda A: dense.kron(A, np.ones((1, 1))),
    "vec": dense.vec,
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("A", "error"),
    [
        (np.array([[1.0, np.nan], [0.0, 1.0]]), NonFinite),
        (np.array([[1.0, np.inf], [0.0, 1.0]]), NonFinite),
        (np.ones(3), ValueError),
        (np.zeros((0, 0)), ValueError),
        (np.ones((2, 2, 2)), ValueError),
        ("matrix", TypeError),
        (None, TypeError),
        ([[1.0, 2.0], [3.0]], TypeError),
    ],
)
def test_bad_matrices_are_named(name, A, error):
    with pytest.raises(error, match=name):
        ALL[name](A)


SQUARE = ("inverse", "det", "log_det", "slogdet", "expm", "sqrtm", "cholesky", "lu", "eigh")


@pytest.mark.parametrize("name", [*SQUARE, "eigvalsh", "hermitian_function", "solve"])
def test_square_matrices_only(name):
    with pytest.raises(ValueError, match=rf"{name}: got A of shape \(2, 3\)"):
        ALL[name](np.ones((2, 3)))


def test_bad_cotangents_and_tangents_are_named():
    y = dense.expm(np.eye(2))
    with pytest.raises(ValueError, match="value_bar of shape"):
        y.vjp(np.ones(2))
    with pytest.raises(ValueError, match="A_dot of shape"):
        y.jvp(np.ones((3, 3)))
    with pytest.raises(TypeError, match="complex128 for a real array"):
        y.jvp(1j * np.eye(2))
    with pytest.raises(TypeError, match="complex128 for a real array"):
        y.vjp(1j * np.eye(2))
    with pytest.raises(NonFinite):
        y.vjp(np.full((2, 2), np.nan))
    with pytest.raises(TypeError, match="tuple of 2"):
        dense.qr(np.eye(2)).vjp(np.eye(2))
    with pytest.raises(ValueError, match=r"p=0\.5"):
        dense.schatten_norm(np.eye(2), 0.5)
    with pytest.raises(ValueError, match="p=nan"):
        dense.schatten_norm(np.eye(2), np.nan)
    with pytest.raises(TypeError, match="derivative"):
        dense.hermitian_function(np.eye(2), np.exp, None)
    with pytest.raises(ValueError, match="expected equal shapes"):
        dense.hermitian_function(np.eye(2), lambda x: x[:1], np.exp)
    with pytest.raises(ValueError, match="b of shape"):
        dense.solve(np.eye(2), np.ones(3))
    for function in (dense.qr, dense.polar):
        with pytest.raises(ValueError, match="at least as many rows"):
            function(np.ones((2, 3)))
    with pytest.raises(ValueError, match="m = 4"):
        dense.unvec(np.ones(6), rows=4)


@pytest.mark.parametrize("name", [name for name in ALL if name != "vec"])
def test_later_changes_of_arrays_do_not_change_a_derivative(name):
    A = np.array([[2.0, 1.0], [1.0, 3.0]])
    y = ALL[name](A)
    value = y.value if isinstance(y.value, tuple) else (y.value,)
    bars = [np.cos(np.arange(np.size(v)).reshape(np.shape(v))) for v in value]
    bars = [bar for bar, v in zip(bars, value, strict=True) if np.asarray(v).dtype.kind != "i"]
    bar = bars[0] if len(bars) == 1 else tuple(bars)
    before = y.vjp(bar)
    kept = np.array(before[0] if isinstance(before, tuple) else before)
    A *= 2.0
    for each in value:
        if isinstance(each, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                each[...] = 0.0
    for each in before if isinstance(before, tuple) else (before,):
        each *= 3.0
    after = y.vjp(bar)
    np.testing.assert_array_equal(after[0] if isinstance(after, tuple) else after, kept)
