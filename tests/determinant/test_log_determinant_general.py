"""log |det A| of nonsymmetric, indefinite and complex matrices: value and gradient."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.determinant import LogDeterminant
from adjoint.errors import SingularMatrix
from adjoint.factor.backends.superlu import ldl, lu


def parts(kind: str, n: int = 30) -> tuple[list[sparse.csc_array], np.ndarray]:
    """Return the matrices of A(p) = Σ p_k A_k, and p."""
    rng = np.random.default_rng(4)
    diffusion = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n))
    advection = sparse.diags_array([-1.0, 1.0], offsets=[-1, 1], shape=(n, n))
    mass = sparse.diags_array(0.5 + rng.random(n))
    if kind == "nonsymmetric":
        return [diffusion, advection, mass], np.array([1.0, 4.0, 0.3])
    if kind == "complex":
        return [diffusion.astype(complex), 1j * mass, mass], np.array([1.0, 0.2, -0.9])
    B = sparse.random_array((n // 3, n), density=0.2, rng=rng)
    K = sparse.block_array([[diffusion, B.T], [B, None]])
    return [K, sparse.block_diag([mass, 0.0 * sparse.eye_array(n // 3)])], np.array([1.0, -0.35])


@pytest.mark.parametrize(
    ("kind", "factorize"),
    [("nonsymmetric", lu), ("complex", lu), ("complex", ldl), ("kkt", lu), ("kkt", ldl)],
)
def test_value_phase_and_gradient_equal_dense_ones(kind, factorize) -> None:  # type: ignore[no-untyped-def]
    matrices, p = parts(kind)
    f = LogDeterminant(adjoint.Affine(None, matrices), factorize=factorize)
    point = f(p)
    D = sum(x * A.toarray() for x, A in zip(p, matrices, strict=True))
    sign, log = np.linalg.slogdet(D)
    np.testing.assert_allclose(point.value, log, 1e-12)
    np.testing.assert_allclose(point.phase, sign, 0, 1e-12)
    dense = [np.trace(np.linalg.solve(D, A.toarray())).real for A in matrices]
    np.testing.assert_allclose(point.gradient, dense, 1e-10)
    adjoint.check(f, p)  # Raises WrongGradient.


def test_a_singular_matrix_is_refused() -> None:
    matrices, p = parts("nonsymmetric")
    A = matrices[0].tolil()
    A[:] = 0.0
    A[0, 0] = 1.0
    with pytest.raises(SingularMatrix):
        LogDeterminant(adjoint.Affine(None, [sparse.csc_array(A)]), factorize=lu)(p[:1])
