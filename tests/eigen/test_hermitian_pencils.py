"""Hermitian pencils: eigenpairs, clusters, derivatives of first and second order, counts."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sparse

import adjoint
from adjoint.eigen import EigenProblem, Projector
from adjoint.errors import (
    CutCluster,
    MissingEigenvalues,
    NonFinite,
    NotPositiveDefinite,
    NotSymmetric,
    RepeatedEigenvalue,
    SingularMatrix,
)
from tests.eigen.pencils import laplacian, pencil, square

KINDS = ["real", "complex", "singular", "identity"]
SIZES = [(2, 2), (5, 4), (17, 13)]  # the last one by Lanczos' method


def solved(kind, size, unit=1.0, **settings):
    K, M, p = pencil(*size, kind, unit)
    count = 1 if size == (2, 2) else 4
    return EigenProblem(K, M, count=count, **settings), p


def random_like(u, rng):
    w = rng.standard_normal(u.shape)
    if u.dtype.kind == "c":
        w = w + 1j * rng.standard_normal(u.shape)
        w[0] = w[0].real
    return w


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_eigenpairs_are_those_of_the_dense_pencil(kind, size) -> None:
    problem, p = solved(kind, size)
    solution = problem.solve(p)
    K = problem.K(p).toarray()
    M = np.eye(len(K)) if problem.M is None else problem.M(p).toarray()
    # 1/μ are eigenvalues of M φ = θ K φ, also if M is singular.
    reference = 1.0 / scipy.linalg.eigh(M, K, eigvals_only=True)[::-1][: problem.count]
    assert np.allclose(solution.values, reference, rtol=1e-11)
    assert (np.diff(solution.values) >= 0.0).all()
    phi = solution.vectors
    assert np.allclose(phi.conj().T @ M @ phi, np.eye(problem.count), atol=1e-12)
    assert solution.residuals.max() <= 1e-11
    positive = (phi.imag == 0.0) & (phi.real >= (1.0 - 1e-3) * np.abs(phi).max(axis=0))
    assert positive.any(axis=0).all()
    assert solution.u.dtype == (complex if kind == "complex" else float)


def test_eigenvalues_of_the_square_are_those_published() -> None:
    # CASES: 5-point Laplacian on a 10 x 10 interior grid.
    solution = EigenProblem(laplacian(10, 2), count=4).solve(np.zeros(1))
    expected = [19.60540077, 48.21934544, 48.21934544, 76.83329011]
    assert np.allclose(solution.values, expected, rtol=1e-9)
    assert solution.clusters == ((0,), (1, 2), (3,))


@pytest.mark.parametrize("count", [1, 2, 4, 7, 8, 10])
def test_triple_eigenvalues_of_the_cube_are_complete(count) -> None:
    n = 12
    line = 4.0 * np.sin(0.5 * np.pi * np.arange(1, n + 1) / (n + 1)) ** 2 * (n + 1.0) ** 2
    exact = np.sort((line[:, None, None] + line[:, None] + line).ravel())[:count]
    solution = EigenProblem(laplacian(n, 3), count=count).solve(np.zeros(1))
    assert np.allclose(solution.values, exact, rtol=1e-12)
    assert solution.evidence.counts.numeric == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_tangent_and_cotangent_are_transposes(kind, size) -> None:
    problem, p = solved(kind, size)
    solution, rng = problem.solve(p), np.random.default_rng(0)
    w, v = random_like(solution.u, rng), rng.standard_normal((p.size, 2))
    u_dot = solution.jvp(v)
    forward = [np.vdot(w, u_dot[..., j]).real for j in range(2)]
    backward = solution.vjp(w) @ v
    sizes = np.linalg.norm(w) * np.linalg.norm(u_dot, axis=(0, 1))
    assert np.abs(forward - backward).max() <= 1e-11 * sizes.max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_derivatives_of_raw_eigenpairs_agree_with_differences(kind, size) -> None:
    problem, p = solved(kind, size)
    rng = np.random.default_rng(1)
    v, h = rng.standard_normal(p.size), 1e-4
    u = [problem.solve(p + k * h * v).u for k in (-2, -1, 1, 2)]
    difference = (u[0] - 8.0 * u[1] + 8.0 * u[2] - u[3]) / (12.0 * h)
    u_dot = problem.solve(p).jvp(v)
    assert np.abs(u_dot - difference).max() <= 1e-8 * np.abs(u_dot).max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
def test_second_derivatives_agree_with_differences_of_gradients(kind, size) -> None:
    problem, p = solved(kind, size)
    solution, rng = problem.solve(p), np.random.default_rng(2)
    w, v, h = random_like(solution.u, rng), rng.standard_normal(p.size), 1e-4
    g = [problem.solve(p + k * h * v).vjp(w) for k in (-2, -1, 1, 2)]
    difference = (g[0] - 8.0 * g[1] + 8.0 * g[2] - g[3]) / (12.0 * h)
    with adjoint.counting() as counts:
        product = solution.linearized(v).vjp_rate(w, np.zeros_like(w))
    assert counts.numeric == 0
    assert np.abs(product - difference).max() <= 1e-7 * np.abs(product).max()


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_do_not_matter(unit) -> None:
    problem, p = solved("real", (17, 13), unit)
    reference, _ = solved("real", (17, 13))
    one, other = problem.solve(p), reference.solve(p)
    assert np.allclose(one.values, unit * other.values, rtol=1e-12)
    rng = np.random.default_rng(3)
    w = rng.standard_normal(one.vectors.shape)
    assert np.allclose(one.vjp(np.zeros(4), w), other.vjp(np.zeros(4), w), rtol=1e-9, atol=1e-12)


def test_interior_eigenvalues_by_ldl() -> None:
    K, M, p = pencil(17, 13)
    problem = EigenProblem(K, M, count=4, sigma=0.8, factorize=adjoint.ldl)
    solution = problem.solve(p)
    every = scipy.linalg.eigh(K(p).toarray(), M(p).toarray(), eigvals_only=True)
    nearest = np.sort(every[np.argsort(np.abs(every - 0.8))[:4]])
    assert np.allclose(solution.values, nearest, rtol=1e-11)
    rng = np.random.default_rng(4)
    w, v = rng.standard_normal(solution.u.shape), rng.standard_normal(p.size)
    u_dot = solution.jvp(v)
    size = np.linalg.norm(w) * np.linalg.norm(u_dot)
    assert abs(np.vdot(w, u_dot) - solution.vjp(w) @ v) <= 1e-10 * size


def test_one_factorization_serves_search_and_all_derivatives() -> None:
    problem, p = solved("real", (40, 31), sigma=0.03)
    rng = np.random.default_rng(5)
    with adjoint.counting() as counts:
        solution = problem.solve(p)
        found = counts.solves
        solution.vjp(rng.standard_normal(solution.u.shape))
        assert counts.solves - found <= 20
        solution.jvp(rng.standard_normal(p.size))
        solution.vjp(np.ones(4))
        solution.directional(rng.standard_normal(p.size))
    assert counts.numeric == 1


def test_runs_have_equal_bits() -> None:
    first, second = (solved("complex", (17, 13)) for _ in range(2))
    assert np.array_equal(first[0].solve(first[1]).u, second[0].solve(second[1]).u)


# Repeated eigenvalues -----------------------------------------------------------------------------


def test_members_of_a_double_eigenvalue_have_directional_derivatives() -> None:
    problem, p = square(9, 3)
    solution = problem.solve(p)
    v = np.random.default_rng(6).standard_normal(p.size)
    rates = solution.directional(v)
    assert rates[1] < rates[2]
    ahead = [(problem.solve(p + h * v).values - solution.values) / h for h in (2e-5, 1e-5)]
    assert np.allclose(2.0 * ahead[1] - ahead[0], rates, rtol=1e-5, atol=1e-7)


def test_gradients_of_single_members_are_refused_and_name_what_to_ask() -> None:
    problem, p = square(9, 3)
    solution = problem.solve(p)
    with pytest.raises(RepeatedEigenvalue, match=r"cluster \[1, 2\].*EigenvalueSum"):
        solution.vjp(np.array([0.0, 1.0, 0.0]))
    vectors_bar = np.zeros(solution.vectors.shape)
    vectors_bar[3, 1] = 1.0
    with pytest.raises(RepeatedEigenvalue, match=r"single vectors.*directional"):
        solution.vjp(np.zeros(3), vectors_bar)
    assert np.isfinite(solution.vjp(np.array([1.0, 0.0, 0.0]))).all()


def test_a_cluster_that_count_cuts_is_refused_only_if_it_matters() -> None:
    problem, p = square(9, 2)
    solution = problem.solve(p)
    assert solution.clusters == ((0,), (1, 2))
    whole = square(9, 3)[0].solve(p)
    assert np.allclose(solution.vjp(np.array([1.0, 0.0])), whole.vjp(np.array([1.0, 0.0, 0.0])))
    with pytest.raises(CutCluster, match="count=1 or count=3"):
        solution.vjp(np.array([1.0, 1.0]))


@pytest.mark.parametrize(("copies", "n", "count"), [(5, 40, 2), (40, 50, 40), (12, 5, 3)])
def test_eigenvalues_of_high_multiplicity_are_complete(copies, n, count) -> None:
    # Disconnected copies of a string: every eigenvalue has as many copies.
    string, copy = laplacian(n, 1), np.random.default_rng(7).standard_normal((copies, n))
    K0 = sparse.csc_array(sparse.block_diag([string] * copies))
    K = adjoint.Affine(K0, [sparse.csc_array(sparse.diags_array(copy.ravel()))])
    solution = EigenProblem(K, count=count).solve(np.zeros(1))
    assert [len(cluster) for cluster in solution.clusters] == [copies]
    assert solution.evidence.counts.numeric == 1
    if count < copies:
        with pytest.raises(CutCluster, match=f"Ask for count={copies}$"):
            solution.vjp(np.ones(count))
        return
    lowest = np.linalg.eigh(string.toarray())[1][:, 0]
    assert abs(solution.vjp(np.ones(count))[0] - (copy @ lowest**2).sum()) <= 1e-12 * copies


@pytest.mark.parametrize("gap", [3e-9, 1e-10, 0.0])
def test_parts_that_depend_on_the_basis_are_not_lost_in_a_cluster(gap) -> None:
    rng = np.random.default_rng(8)
    Q = np.linalg.qr(rng.standard_normal((14, 14)))[0]
    K0 = (Q * np.r_[1.0, 1.0 + gap, 3.0 + np.arange(12)]) @ Q.T
    K1 = rng.standard_normal((14, 14))
    K = adjoint.Affine(sparse.csc_array(K0 + K0.T), [sparse.csc_array(K1 + K1.T)])
    solution = EigenProblem(K, count=2).solve(np.zeros(1))
    assert solution.clusters == ((0, 1),)
    t, single = rng.standard_normal(14), rng.standard_normal((14, 2))
    invariant = 2.0 * np.outer(t, t @ solution.vectors)  # J = ‖Φᵀt‖²
    assert np.isfinite(solution.vjp(np.zeros(2), invariant)).all()
    # The part of 1e-9 has a derivative of 1e-9 / gap, up to infinity.
    with pytest.raises(RepeatedEigenvalue, match=r"accepted is 1e-12"):
        solution.vjp(np.zeros(2), invariant + 1e-9 * single)


@pytest.mark.parametrize("distance", [0.0, 1e-14, 1e-8])
def test_the_gradient_of_a_projector_vanishes_where_all_targets_are_reached(distance) -> None:
    problem, p = square(12, 3)
    rng = np.random.default_rng(9)
    targets = problem.solve(p).vectors @ rng.standard_normal((3, 2))
    targets += distance * rng.standard_normal(targets.shape)
    gradient = adjoint.Reduced(problem, Projector(targets, 3))(p).gradient
    assert np.linalg.norm(gradient) <= distance + 1e-16


def test_modes_keep_their_bits_when_derivatives_add_guards() -> None:
    # 300 eigenvalues next to each other: CG needs more than the two guards.
    ones, rng = np.ones(599), np.random.default_rng(10)
    near = np.concatenate([1.0 + 1e-4 * np.arange(300), np.linspace(5.0, 100.0, 300)])
    K0 = sparse.diags_array([1e-5 * ones, near, 1e-5 * ones], offsets=[-1, 0, 1])
    K = adjoint.Affine(
        sparse.csc_array(K0), [sparse.csc_array(sparse.diags_array(rng.standard_normal(600)))]
    )
    solution = EigenProblem(K, count=4).solve(np.zeros(1))
    before = solution._known.modes
    w = rng.standard_normal(solution.u.shape)
    g, u_dot = solution.vjp(w), solution.jvp(np.ones(1))
    after = solution._known.modes
    c = before.values.size
    assert after.values.size > c
    assert np.array_equal(after.vectors[:, :c], before.vectors)
    assert np.abs(after.vectors.T @ after.vectors - np.eye(after.values.size)).max() <= 1e-13
    assert abs(np.vdot(w, u_dot) - g[0]) <= 1e-10 * np.linalg.norm(w) * np.linalg.norm(u_dot)
    every = np.linalg.eigvalsh(K0.toarray())[: after.values.size]
    assert np.allclose(np.sort(after.values), every, rtol=1e-13)


# Bad input ----------------------------------------------------------------------------------------


def test_a_shift_at_an_eigenvalue_is_named() -> None:
    K = laplacian(9, 1)
    mu = 4.0 * np.sin(0.05 * np.pi) ** 2 * 100.0
    with pytest.raises((SingularMatrix, MissingEigenvalues), match="sigma"):
        EigenProblem(K, count=2, sigma=mu, factorize=adjoint.ldl).solve(np.zeros(1))


def test_a_body_that_moves_freely_is_named() -> None:
    K, p = adjoint.Elements(np.array([[0, 1], [1, 2]]), np.array([[1.0, -1.0], [-1.0, 1.0]])), 2
    with pytest.raises((SingularMatrix, NotPositiveDefinite), match="sigma"):
        EigenProblem(K, count=1).solve(np.ones(p))
    solution = EigenProblem(K, count=3, sigma=-0.1).solve(np.ones(p))
    assert np.allclose(solution.values, [0.0, 1.0, 3.0], atol=1e-12)


def test_an_indefinite_mass_is_named() -> None:
    M = sparse.diags_array(np.where(np.arange(81) % 2, 1.0, -1.0))
    for n in (9, 81):
        with pytest.raises(NotPositiveDefinite, match="M is not positive semidefinite"):
            EigenProblem(laplacian(n, 1), sparse.csc_array(M)[:n, :n], count=2).solve(np.zeros(1))


def test_a_nonsymmetric_matrix_is_named() -> None:
    K = sparse.csc_array(laplacian(20, 1) + sparse.diags_array([np.ones(19)], offsets=[1]))
    with pytest.raises(NotSymmetric):
        EigenProblem(K, count=2).solve(np.zeros(1))


def test_too_many_finite_eigenvalues_asked_for_are_named() -> None:
    M = sparse.diags_array(np.where(np.arange(30) < 3, 1.0, 0.0))
    with pytest.raises(MissingEigenvalues, match="3 finite eigenvalues"):
        EigenProblem(laplacian(30, 1), M, count=4).solve(np.zeros(1))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"count": 0}, ValueError, "count=0"),
        ({"count": 2.5}, TypeError, "integer"),
        ({"count": True}, TypeError, "integer"),
        ({"count": 31}, ValueError, "only 30"),
        ({"guard": -1}, ValueError, "guard=-1"),
        ({"sigma": "0"}, TypeError, "sigma"),
        ({"sigma": np.inf}, ValueError, "finite"),
        ({"factorize": "cholesky"}, TypeError, "factorizer"),
        ({"M": np.eye(30)}, TypeError, "sparse matrix"),
        ({"M": laplacian(29, 1)}, ValueError, "equal shapes"),
    ],
)
def test_bad_settings_are_named(settings, error, message) -> None:
    with pytest.raises(error, match=message):
        EigenProblem(laplacian(30, 1), **settings).solve(np.zeros(1))


def test_bad_cotangents_and_directions_are_named() -> None:
    solution = square(5, 2)[0].solve(square(5, 2)[1])
    with pytest.raises(ValueError, match="expected"):
        solution.vjp(np.zeros(3))
    with pytest.raises(NonFinite, match="nan"):
        solution.vjp(np.array([np.nan, 0.0]))
    with pytest.raises(TypeError, match="real"):
        solution.vjp(np.array([1.0j, 0.0]))
    with pytest.raises(ValueError, match="p_dot"):
        solution.jvp(np.zeros(3))
    with pytest.raises(ValueError, match="p_dot"):
        solution.directional(np.zeros(3))
