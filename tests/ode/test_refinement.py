"""Refinement of solutions with stage matrices: products, first guesses, factors of a matrix
nearby.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.factor.counts import counting
from adjoint.ode.stages.refinement import Recent, StageSolver
from adjoint.ode.stages.stage_matrices import Algebra, SingleStage, add_product

N = 100
KINDS = (np.float64, np.complex128)


def random(rng, kind, *shape):
    return rng.standard_normal(shape) + (
        1j * rng.standard_normal(shape) if kind is np.complex128 else 0.0
    )


def jacobian(rng, kind, change):
    """The matrix of a stiff decay, with entries that depend on a changing state."""
    laplacian = 50.0 * sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(N, N))
    J = sparse.csc_array(laplacian) + sparse.csc_array(
        sparse.diags_array(change * random(rng, kind, N))
    )
    J.sort_indices()
    return J


@pytest.mark.parametrize("trans", ["N", "H"])
@pytest.mark.parametrize("shape", [(N,), (N, 3)], ids=str)
@pytest.mark.parametrize("of_v", KINDS)
@pytest.mark.parametrize("of_A", KINDS)
def test_products_are_added(of_A, of_v, shape, trans):
    rng = np.random.default_rng(0)
    A, v = jacobian(rng, of_A, 1.0), random(rng, of_v, *shape)
    y = random(rng, np.result_type(A, v).type, *shape)
    expected = y + (A if trans == "N" else A.conj().T) @ v
    np.testing.assert_allclose(add_product(A, v, trans, y.copy()), expected, rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_guesses_know_their_residuals_and_those_of_combinations_are_the_solutions(kind):
    rng = np.random.default_rng(1)
    A = sparse.eye_array(N) - 0.1 * jacobian(rng, kind, 1.0)
    recent, solutions = Recent(), random(rng, kind, 12, N)
    for w in solutions:
        guess = recent.guess(A @ w, lambda v: A @ v)
        np.testing.assert_allclose(guess.residual, A @ w - A @ guess.w, atol=1e-11)
        recent.remember(guess, w)
    w = random(rng, kind, 3) @ solutions[-3:]
    guess = recent.guess(A @ w, lambda v: A @ v)
    assert np.linalg.norm(guess.w - w) <= 1e-10 * np.linalg.norm(w)


@pytest.mark.parametrize("trans", ["N", "H"])
@pytest.mark.parametrize("kind", KINDS)
def test_stages_are_solved_by_factors_nearby_the_later_ones_with_fewer_solves(kind, trans):
    rng = np.random.default_rng(2)
    algebra = Algebra(N, None, adjoint.factor.superlu, False, kind is np.complex128)
    hg, J, change = 0.01, jacobian(rng, kind, 1.0), jacobian(rng, kind, 1.0)
    near, recent, solves = algebra.sparse_inverse(J, hg), Recent(), []
    b, slope = random(rng, kind, N), random(rng, kind, N)
    for i in range(8):
        Ji = sparse.csc_array(J + 0.2 * i * (change - J))
        with counting() as counts:
            solver = StageSolver(SingleStage(algebra, Ji, hg), near, np.ones(N), recent, [])
            w = solver.solve(b + 0.1 * i * slope, trans)
        M = np.eye(N) - hg * Ji.toarray()
        expected = np.linalg.solve(M if trans == "N" else M.conj().T, b + 0.1 * i * slope)
        assert np.linalg.norm(w - expected) <= 1e-12 * np.linalg.norm(expected)
        solves.append(counts.solves)
        assert counts.numeric == 0
    assert solves[-1] < solves[1]
