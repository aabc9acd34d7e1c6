"""Residuals written in jax.numpy; tests are skipped if JAX is not installed."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.derive import complex_step_residual, jax_residual
from adjoint.errors import SparsityError

N = 14


@pytest.fixture
def jax():
    module = pytest.importorskip("jax")
    before = module.config.jax_enable_x64
    module.config.update("jax_enable_x64", True)
    yield module
    module.config.update("jax_enable_x64", before)


def bratu(xp):
    """u'' + p_i e^{p_n u}: local parameters and a global one; xp: numpy or jax.numpy."""

    def R(u, p):
        padded = xp.concatenate([xp.zeros(1), u, xp.zeros(1)])
        return (padded[2:] - 2.0 * u + padded[:-2]) * 225.0 + p[:N] * xp.exp(p[N] * u)

    return R


def point():
    rng = np.random.default_rng(0)
    return rng.random(N), rng.uniform(0.5, 1.5, N + 1)


def test_derivatives_are_those_of_the_complex_step(jax):
    u, p = point()
    ours, theirs = (
        jax_residual(bratu(jax.numpy), N, N + 1),
        complex_step_residual(bratu(np), N, N + 1),
    )
    v, lam = np.cos(np.arange(N + 1.0)), np.sin(np.arange(float(N)))
    pairs = [
        (ours.residual(u, p), theirs.residual(u, p)),
        (ours.jacobian(u, p).toarray(), theirs.jacobian(u, p).toarray()),
        (ours.parameter_jacobian(u, p).toarray(), theirs.parameter_jacobian(u, p).toarray()),
        (ours.jvp(u, p, v), theirs.jvp(u, p, v)),
        (ours.vjp(u, p, lam), theirs.vjp(u, p, lam)),
    ]
    for mine, other in pairs:
        assert isinstance(mine, np.ndarray)
        assert mine.dtype == np.float64
        np.testing.assert_allclose(mine, other, rtol=1e-13, atol=1e-13)
    assert ours.jacobian(u, p).nnz == 3 * N - 2
    assert ours.vjp(u, p, lam) @ v == pytest.approx(lam @ ours.jvp(u, p, v), rel=1e-13)


def test_a_wrong_pattern_is_found(jax):
    u, p = point()
    residual = jax_residual(
        bratu(jax.numpy), N, N + 1, u_pattern=sparse.csc_array(sparse.eye_array(N))
    )
    with pytest.raises(SparsityError, match=r"jax_residual: u_pattern lacks entry \(\d+, \d+\)"):
        residual.jacobian(u, p)


def test_wrong_shapes_are_named(jax):
    with pytest.raises(
        ValueError,
        match=r"jax_residual: the residual function returned shape \(13,\), expected \(14,\)",
    ):
        jax_residual(lambda u, p: u[1:], N, 0).jacobian(np.ones(N), np.empty(0))
    with pytest.raises(TypeError, match="got u of dtype complex128"):
        jax_residual(lambda u, p: u, N, 0).jacobian(1j * np.ones(N), np.empty(0))


def test_nan_in_a_derivative_is_an_error(jax):
    """√u at 0 in a branch that where discards: the reverse derivative is nan all the same."""
    jnp = jax.numpy
    residual = jax_residual(lambda u, p: u - jnp.where(p > 0.0, jnp.sqrt(p), 0.0), N, N)
    with pytest.raises(adjoint.errors.NonFinite, match=r"jnp\.where"):
        residual.vjp(np.ones(N), np.zeros(N), np.ones(N))


def test_functions_not_in_jax_numpy_are_an_error(jax):
    with pytest.raises(TypeError) as caught:
        jax_residual(lambda u, p: np.exp(u), N, 0).residual(np.ones(N), np.empty(0))
    assert any("jax_residual" in note for note in caught.value.__notes__)


def test_no_parameters_at_all(jax):
    residual = jax_residual(lambda u, p: u**2, N, 0)
    assert residual.vjp(np.ones(N), np.empty(0), np.ones(N)).shape == (0,)
    assert residual.parameter_jacobian(np.ones(N), np.empty(0)).shape == (N, 0)


def test_float32_is_refused(jax):
    jax.config.update("jax_enable_x64", False)
    with pytest.raises(RuntimeError, match=r'jax.config.update\("jax_enable_x64", True\)'):
        jax_residual(lambda u, p: u, N, 0)


def test_without_jax_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(adjoint.errors.BackendMissing, match=r"pip install 'sparse-adjoint\[jax\]'"):
        jax_residual(lambda u, p: u, N, 0)


def test_jax_is_not_imported_before_it_is_asked_for():
    code = "import sys, adjoint.derive; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
