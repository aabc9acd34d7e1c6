"""cg and gmres: tolerances, transposes, preconditioners, and errors when they stall."""

import sys

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.factor import amg, cg, gmres, ilu, jacobi, preconditioners, rigid_body_modes
from adjoint.factor.counts import counting


def canonical(A):
    A = sparse.csc_array(A)
    A.sum_duplicates()
    return A


def second_difference(n, wind=0.0):
    return sparse.diags_array(
        [(-1.0 - wind) * np.ones(n - 1), 2.0 * np.ones(n), (-1.0 + wind) * np.ones(n - 1)],
        offsets=[-1, 0, 1],
    )


def transport(nx, ny, wind=0.0):
    """-Δu + w·∇u on an nx x ny grid."""
    x = sparse.kron(second_difference(nx, wind), sparse.eye_array(ny))
    return canonical(x + sparse.kron(sparse.eye_array(nx), second_difference(ny, wind / 2)))


def hermitian(nx, ny):
    A = transport(nx, ny)
    phases = sparse.diags_array(np.exp(0.1j * np.arange(A.shape[0])))
    return canonical(phases @ A @ phases.conj())


def complex_transport(nx, ny):
    return canonical(transport(nx, ny, 0.4) + 0.3j * sparse.eye_array(nx * ny))


POISSON, TRANSPORT = transport(25, 21), transport(25, 21, 0.4)
CASES = {
    "cg-jacobi": (cg(jacobi()), POISSON),
    "cg-amg": (cg(amg()), POISSON),
    "cg-amg-hermitian": (cg(amg()), hermitian(25, 21)),
    "gmres-jacobi": (gmres(jacobi(), restart=150), TRANSPORT),
    "gmres-ilu": (gmres(ilu()), TRANSPORT),
    "gmres-amg": (gmres(amg()), TRANSPORT),
    "gmres-ilu-complex": (gmres(ilu()), complex_transport(25, 21)),
    "gmres-amg-complex": (gmres(amg()), complex_transport(25, 21)),
}
PRECONDITIONERS = {
    "jacobi": jacobi(),
    "ilu": ilu(),
    "amg": amg(),
    "amg-threshold": amg(threshold=0.1),
}


def random(n, dtype, seed=1):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(n)
    return b + 1j * rng.standard_normal(n) if dtype in (complex, np.complex128) else b


def transposed(A, trans):
    return {"N": A, "T": A.T, "H": A.conj().T}[trans]


@pytest.mark.parametrize("trans", ["N", "T", "H"])
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("case", CASES)
def test_relative_residual_is_within_the_tolerance(case, dtype, trans):
    factorizer, A = CASES[case]
    b = np.column_stack(
        [random(A.shape[0], dtype), np.zeros(A.shape[0]), 1e-200 * random(A.shape[0], dtype, 2)]
    )
    u = factorizer(A).solve(b, trans)
    for k in (0, 2):
        residual, scale = transposed(A, trans) @ u[:, k] - b[:, k], np.abs(b[:, k]).max()
        # A real factorization solves the real and the imaginary parts apart, each to the tolerance.
        assert np.linalg.norm(residual / scale) <= 2.1e-10 * np.linalg.norm(b[:, k] / scale)
    assert not u[:, 1].any()


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("symmetry", ["hermitian", "none"])
@pytest.mark.parametrize("name", PRECONDITIONERS)
def test_transposed_preconditioner_is_the_transpose(name, symmetry, dtype):
    A = {
        ("hermitian", float): POISSON,
        ("hermitian", complex): hermitian(25, 21),
        ("none", float): TRANSPORT,
        ("none", complex): complex_transport(25, 21),
    }[symmetry, dtype]
    M = PRECONDITIONERS[name](A, symmetry)
    b, c = random(A.shape[0], dtype, 3), random(A.shape[0], dtype, 4)
    scale = np.linalg.norm(M.apply(b, "N")) * np.linalg.norm(c)
    assert abs(c @ M.apply(b, "N") - M.apply(c, "T") @ b) <= 1e-14 * scale
    assert abs(np.vdot(c, M.apply(b, "N")) - np.vdot(M.apply(c, "H"), b)) <= 1e-14 * scale
    if symmetry == "hermitian" and name != "ilu":
        assert np.allclose(M.apply(b, "N"), M.apply(b, "H"), rtol=0, atol=1e-15 * scale)


@pytest.mark.parametrize("factorizer", [cg(amg()), gmres(amg())])
def test_adjoint_tolerance_is_its_own(factorizer):
    loose = type(factorizer)(
        factorizer.label,
        factorizer.symmetry,
        factorizer.iteration,
        factorizer.preconditioner,
        1e-2,
        1e-12,
        "",
    )
    f = loose(POISSON)
    b = random(POISSON.shape[0], float)

    def relative(trans):
        return np.linalg.norm(transposed(POISSON, trans) @ f.solve(b, trans) - b) / np.linalg.norm(
            b
        )

    assert 1e-6 < relative("N") <= 2e-2
    assert relative("T") <= 2e-12


def test_tolerance_is_relative_however_small_the_right_hand_side():
    f = cg(amg())(POISSON)
    b = random(POISSON.shape[0], float)
    u = f.solve(b)
    for scale in (1e-300, 1e-30, 1e200):
        assert np.allclose(f.solve(scale * b) / scale, u, rtol=1e-12, atol=0)


def test_iterations_setups_and_solves_are_counted():
    with counting() as counts:
        f = cg(amg())(POISSON)
        assert (counts.symbolic, counts.numeric, counts.krylov) == (0, 1, 0)
        f.solve(np.ones(POISSON.shape[0]))
    assert 5 < counts.krylov < 25
    assert f.counts.krylov == counts.krylov
    assert f"{counts.krylov} Krylov iterations" in str(f.evidence)
    assert f.evidence.backend.startswith("CG with smoothed aggregation (pyamg")


def test_multigrid_iterations_hardly_grow_with_the_grid():
    counts = []
    for n in (20, 80):
        A = transport(n, n)
        f = cg(amg())(A)
        f.solve(random(A.shape[0], float))
        counts.append(f.counts.krylov)
    assert counts[1] <= counts[0] + 8


def elasticity(nodes):
    """Springs between all neighbours of a nodes³ cube, clamped at one face; coordinates, dofs."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in nodes), indexing="ij"), -1).reshape(-1, 3)
    x = index.astype(float)
    near = np.abs(index[:, None] - index[None]).max(axis=-1) == 1
    i, j = np.nonzero(np.triu(near))
    d = (x[j] - x[i]) / np.linalg.norm(x[j] - x[i], axis=1)[:, None]
    blocks = d[:, :, None] * d[:, None, :]
    dofs = np.full(x.shape, -1)
    dofs[index[:, 0] > 0] = np.arange(3 * np.count_nonzero(index[:, 0] > 0)).reshape(-1, 3)
    n = dofs.max() + 1
    K = sparse.coo_array((n + 1, n + 1))
    for a, b, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
        rows = np.broadcast_to(dofs[a][:, :, None], blocks.shape).ravel() % (n + 1)
        columns = np.broadcast_to(dofs[b][:, None, :], blocks.shape).ravel() % (n + 1)
        K = K + sparse.coo_array((sign * blocks.ravel(), (rows, columns)), shape=K.shape)
    return canonical(canonical(K)[:n, :n]), x, dofs


def test_rigid_body_modes_halve_the_iterations_of_elasticity():
    K, x, dofs = elasticity((7, 7, 6))
    b = random(K.shape[0], float)
    plain, with_modes = cg(amg())(K), cg(amg(rigid_body_modes(x, dofs)))(K)
    plain.solve(b)
    with_modes.solve(b)
    assert with_modes.counts.krylov <= 0.6 * plain.counts.krylov


@pytest.mark.parametrize("d", [2, 3])
def test_rigid_body_modes_do_not_strain(d):
    x = np.random.default_rng(0).uniform(-1, 1, (8, d))
    modes = rigid_body_modes(x)
    assert modes.shape == (8 * d, 3 if d == 2 else 6)
    assert np.linalg.matrix_rank(modes) == modes.shape[1]
    for mode in modes.T:
        u = mode.reshape(8, d)
        # To first order no distance changes: (x_i - x_j)·(u_i - u_j) = 0.
        assert np.abs(((x[:, None] - x) * (u[:, None] - u)).sum(axis=-1)).max() <= 1e-14
    dofs = np.arange(8 * d)[::-1].reshape(8, d).copy()
    dofs[0] = -1
    assert np.array_equal(rigid_body_modes(x, dofs), modes[::-1][: 7 * d])


@pytest.mark.parametrize(
    ("coordinates", "dofs"),
    [(np.ones(3), None), (np.ones((4, 1)), None), (np.ones((4, 2)), np.ones((4, 3), int))],
)
def test_rigid_body_modes_of_wrong_shapes_are_refused(coordinates, dofs):
    with pytest.raises(ValueError, match="expected"):
        rigid_body_modes(coordinates, dofs)


def test_amg_is_reproducible_and_leaves_the_global_random_state_alone():
    np.random.seed(5)  # noqa: NPY002 - the global state is what is tested
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    b = random(TRANSPORT.shape[0], float)
    first = amg()(TRANSPORT, "none").apply(b, "N")
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    assert np.array_equal(amg()(TRANSPORT, "none").apply(b, "N"), first)


@pytest.mark.parametrize(
    "factorizer", [cg(jacobi(), max_iterations=3), gmres(jacobi(), max_iterations=3)]
)
@pytest.mark.parametrize("trans", ["N", "T"])
def test_a_stalled_iteration_says_how_far_it_came(factorizer, trans):
    with pytest.raises(
        adjoint.errors.KrylovStalled,
        match=r"3 iterations left a relative residual of .*adjoint\.factor\.amg",
    ):
        factorizer(POISSON).solve(random(POISSON.shape[0], float), trans)


def test_cg_on_a_nonsymmetric_matrix_is_named():
    with pytest.raises(adjoint.errors.NotSymmetric):
        cg(jacobi(), max_iterations=200)(TRANSPORT).solve(random(TRANSPORT.shape[0], float))


def test_a_preconditioner_that_returns_nan_stalls_by_name():
    class Nan:
        backend = "nan"

        def apply(self, b, trans):
            return np.full_like(b, np.nan)

    with np.errstate(all="ignore"), pytest.raises(adjoint.errors.KrylovStalled, match="nan"):
        gmres(lambda A, symmetry: Nan(), max_iterations=5)(POISSON).solve(np.ones(POISSON.shape[0]))


def test_log_determinant_is_refused_with_a_remedy():
    with pytest.raises(adjoint.errors.SolveError, match=r"adjoint\.cholesky"):
        cg(jacobi())(POISSON).logdet()


@pytest.mark.parametrize("make", [cg, gmres])
@pytest.mark.parametrize(
    "options",
    [{"rtol": 0.0}, {"rtol": np.nan}, {"adjoint_rtol": 1.0}, {"max_iterations": 0}, {"rtol": -1.0}],
)
def test_impossible_options_are_refused(make, options):
    with pytest.raises(ValueError, match="expected"):
        make(jacobi(), **options)


def test_a_restart_of_zero_is_refused():
    with pytest.raises(ValueError, match="restart=0"):
        gmres(jacobi(), restart=0)


def test_a_zero_on_the_diagonal_is_named_by_jacobi():
    with pytest.raises(
        adjoint.errors.SolveError, match=r"diagonal entry 1 .*is zero.*adjoint\.factor\.ilu"
    ):
        cg(jacobi())(sparse.csc_array(np.array([[1.0, 2.0], [2.0, 0.0]])))


@pytest.mark.parametrize("make", [ilu, amg])
def test_an_empty_row_is_named(make):
    with pytest.raises(adjoint.errors.SingularMatrix, match="empty"):
        gmres(make())(sparse.csc_array((3, 3)))


def test_a_singular_matrix_is_named_by_ilu():
    with pytest.raises(adjoint.errors.SingularMatrix, match="ilu"):
        gmres(ilu())(sparse.csc_array(np.ones((2, 2))))


def test_a_near_nullspace_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"near-nullspace of shape \(3, 1\), expected \(525, k\)"):
        cg(amg(np.ones((3, 1))))(POISSON)


def test_absence_of_pyamg_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyamg", None)
    preconditioners.missing_amg.cache_clear()
    try:
        with pytest.raises(adjoint.errors.BackendMissing, match="pip install pyamg"):
            amg()
    finally:
        monkeypatch.undo()
        preconditioners.missing_amg.cache_clear()
    assert preconditioners.missing_amg() == ""


def test_64_bit_indices_are_accepted():
    wide = sparse.csc_array(
        (TRANSPORT.data, TRANSPORT.indices.astype(np.int64), TRANSPORT.indptr.astype(np.int64)),
        shape=TRANSPORT.shape,
    )
    for make in (ilu, amg):
        gmres(make())(wide).solve(np.ones(wide.shape[0]), "T")


def test_a_residual_at_the_level_of_rounding_is_accepted():
    # A bar of 2000 elements, κ ≈ 1.6e6: rtol = 1e-10 asks for less than rounding leaves of b − Au.
    n = 2000
    A = sparse.diags_array(
        [-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]
    ).tocsc()
    A[n - 1, n - 1] = 1.0
    factors = cg(amg())(sparse.csc_array(A))
    b = np.ones(n)
    np.testing.assert_allclose(
        factors.solve(b), factor.superlu(sparse.csc_array(A)).solve(b), rtol=1e-8
    )
