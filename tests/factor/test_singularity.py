"""Every backend distinguishes singular from ill-conditioned matrices, and says why."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor
from adjoint.factor import diagnosis, factorization, singularity
from adjoint.factor.backward_error import equilibrate
from tests.fixtures.matrices import FAMILIES, canonical, chain, dressed, elastic_plate, network

BACKENDS = {
    "none": ("lu", "superlu", "pardiso", "umfpack", "klu"),
    "symmetric": ("ldl", "superlu_ldl", "pardiso_ldl"),
    "definite": ("cholesky", "cholmod", "superlu_cholesky", "pardiso_cholesky"),
}
SEEDS = 4


def backends(symmetry, complex):
    """The installed factorizers for matrices of this symmetry."""
    kinds = {
        "none": ["none"],
        "symmetric": ["none", "symmetric"],
        "definite": ["none", "symmetric", "definite"],
    }[symmetry]
    if complex and symmetry == "definite":
        kinds.remove("symmetric")  # Hermitian, and not equal to its transpose.
    for name in (name for kind in kinds for name in BACKENDS[kind]):
        factorizer = getattr(factor, name)
        if isinstance(factorizer, factor.Fastest) or not factorizer.missing():
            yield name, factorizer


def equilibrated_condition(A):
    r, c = equilibrate(abs(A), symmetric=False)
    return np.linalg.cond((r[:, None] * A.toarray()) * c)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("family", FAMILIES)
def test_singular_matrices_are_refused_by_every_backend(family, seed):
    """Also if the right-hand side is consistent, so that a solution exists, and in any units."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(family)])
    pair = FAMILIES[family](rng)
    A = dressed(pair.singular, pair.symmetry, rng)
    b = A @ rng.standard_normal(A.shape[0])
    for name, factorizer in backends(pair.symmetry, A.dtype.kind == "c"):
        with pytest.raises(adjoint.errors.SingularMatrix, match="Usual causes"):
            print(name, factorizer(A).solve(b, "NHT"[seed % 3]))


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("family", FAMILIES)
def test_regular_matrices_of_the_same_families_pass(family, seed):
    """Up to a condition of 10¹² after equilibration. Static pivoting may fail with an error."""
    rng = np.random.default_rng([seed, list(FAMILIES).index(family), 1])
    pair = FAMILIES[family](rng)
    A = dressed(pair.regular, pair.symmetry, rng)
    if equilibrated_condition(A) > 1e12:
        return
    u = rng.standard_normal(A.shape[0])
    for name, factorizer in backends(pair.symmetry, A.dtype.kind == "c"):
        try:
            found = factorizer(A).solve(A @ u)
        except adjoint.errors.InaccurateSolve:
            assert name.startswith("pardiso")
            continue
        sums = np.asarray(abs(A).sum(axis=1)).ravel()
        # Row by row, for units; columns in the largest of each row.
        assert np.all(
            np.abs(A @ (found - u)) <= 1e-6 * (sums * np.abs(found).max() + np.abs(A @ u))
        ), name


@pytest.mark.parametrize("name", ["lu", "cholesky", "ldl"])
def test_insulated_rods_are_never_accepted(name):
    """A pivot that should be zero is sometimes ±10⁻¹⁴: one matrix in twenty was accepted."""
    rng = np.random.default_rng(0)
    for _ in range(40):
        n = int(rng.integers(3, 200))
        A = network(chain(n), n, 10 ** rng.uniform(-1, 1, n - 1))
        with pytest.raises(adjoint.errors.SingularMatrix):
            getattr(adjoint, name)(A).solve(np.eye(n)[0] - np.eye(n)[-1])


@pytest.mark.parametrize("seed", range(5))
def test_a_singular_matrix_has_no_log_determinant(seed):
    A = network(chain(30), 30, np.random.default_rng(seed).uniform(0.5, 2.0, 29))
    for name, factorizer in backends("definite", False):
        with pytest.raises(adjoint.errors.SolveError):
            print(name, factorizer(A).logdet())


@pytest.mark.parametrize("contrast", [1e4, 1e8, 1e11])
def test_a_body_on_a_soft_support_is_ill_conditioned_not_singular(contrast):
    n = 50
    A = network(chain(n), n, np.ones(n - 1))
    A[0, 0] += 1.0 / contrast
    for _, factorizer in backends("definite", False):
        u = factorizer(A).solve(np.eye(n)[-1])
        np.testing.assert_allclose(u, contrast + np.arange(n), rtol=1e-14 * contrast * n)


def test_bound_of_the_condition_is_one_and_nearly_reached():
    rng = np.random.default_rng(1)
    for condition in (1e11, 1e13):
        U, V = (np.linalg.qr(rng.standard_normal((30, 30)))[0] for _ in range(2))
        A = sparse.csc_array((U * np.geomspace(1.0, 1.0 / condition, 30)) @ V)
        factored = factor.superlu(A)
        factored.solve(np.ones(30))
        exact = equilibrated_condition(A)
        assert 0.03 * exact <= factored.evidence.condition <= 3.0 * exact


@dataclasses.dataclass(frozen=True, eq=False)
class Counted:
    """Factors that note their solves."""

    inner: object
    solves: list
    backend: str = "counted"

    def solve(self, b, trans):
        self.solves.append(trans)
        return self.inner.solve(b, trans)


@pytest.mark.parametrize(
    ("support", "unit", "expected"),
    [(1.0, 1.0, 2), (1e-6, 1.0, 2), (1e-11, 1.0, 6), (1.0, 1e9, 3)],
    ids=["beyond doubt", "a soft support", "in doubt", "in doubt for its units"],
)
def test_solves_spent_on_the_question(support, unit, expected):
    """One solve with a random right-hand side per factorization; four more in doubt."""
    A = network(chain(40), 40, np.ones(39))
    A[0, 0] += support
    units = np.where(np.arange(40) < 20, 1.0, unit)
    A = canonical(sparse.diags_array(units) @ A @ sparse.diags_array(units))
    factored = factor.superlu_cholesky(A)
    counted = dataclasses.replace(factored, factors=Counted(factored.factors, []))
    b = A @ np.ones(40)
    counted.solve(b)
    assert len(counted.factors.solves) == expected
    counted.solve(b)
    assert len(counted.factors.solves) == expected + 1


def refusal(A, factorizer=factor.superlu):
    with pytest.raises(adjoint.errors.SingularMatrix) as caught:
        factorizer(A).solve(np.ones(A.shape[0]))
    return str(caught.value)


def test_message_of_an_insulated_body_says_that_nothing_fixes_the_level():
    rng = np.random.default_rng(2)
    A = network(chain(20), 20, rng.uniform(0.5, 2.0, 19))
    for factorizer in (factor.superlu, factor.superlu_cholesky, factor.superlu_ldl):
        assert "only up to a constant that may be added to all 20 unknowns" in refusal(
            A, factorizer
        )
    both = canonical(sparse.block_diag([A, network(chain(9), 9, rng.uniform(0.5, 2.0, 8))]))
    assert "20 of 29 unknowns (0, 1, 2, …); 9 of 29 unknowns (20, 21, 22, …)" in refusal(both)


def test_message_of_an_exactly_zero_pivot_knows_the_cause_too():
    assert "only up to a constant that may be added to all 8 unknowns" in refusal(
        network(chain(8), 8, np.ones(7))
    )


def test_message_of_a_free_plate_counts_its_rigid_motions():
    message = refusal(elastic_plate(np.random.default_rng(3), support=0).singular)
    assert (
        "3 independent motions need no force, as many as the rigid motions of the plane: "
        "nothing holds" in message
    )
    assert "pressure" not in message


def test_message_of_a_closed_cavity_names_the_pressure_and_its_unknowns():
    pair = FAMILIES["cavity"](np.random.default_rng(4))
    velocities = np.flatnonzero(pair.singular.diagonal()).size
    message = refusal(pair.singular)
    assert "pressure in a closed vessel" in message
    assert f"of {pair.singular.shape[0]} unknowns ({velocities}, {velocities + 1}, " in message


def test_message_of_dependent_constraints_names_their_multipliers():
    K, row = sparse.eye_array(6), np.array([[1.0, 0, 2.0, 0, 0, 0.3], [0, 1.0, 0, 0, 0.7, 0]])
    B = sparse.csc_array(np.vstack([row, 1.7 * row[:1]]))
    message = refusal(canonical(sparse.block_array([[K, B.T], [B, None]])))
    assert (
        "2 of 9 unknowns (6, 8), all of which have zeros on the diagonal, as multipliers have"
        in message
    )
    assert "constraints that depend on each other" in message


def test_a_plate_held_in_one_direction_can_be_shifted():
    assert "may be added to" in refusal(elastic_plate(np.random.default_rng(5), support=1).singular)


def test_message_of_a_stored_row_of_zeros_names_the_row():
    A = network(chain(6), 6, np.array([1.0, 2.0, 0.0, 0.0, 1.5]))
    A[0, 0] += 1.0
    message = refusal(A)
    assert "Rows or columns of zeros belong to 1 of 6 unknowns (3)" in message
    assert "an element with zero stiffness" in message


def test_nothing_is_said_where_nothing_is_found():
    assert diagnosis.describe(sparse.eye_array(3), np.zeros((3, 0))) == ""


def test_null_vectors_span_the_null_space():
    A = canonical(
        sparse.block_diag([network(chain(5), 5, np.array([1.0, 3.0, 2.0, 0.7])) for _ in range(3)])
    )
    dense = A.toarray()
    pseudo = np.linalg.pinv(dense, rcond=1e-10) + 1e14 * (
        np.eye(15) - dense @ np.linalg.pinv(dense, rcond=1e-10)
    )
    matrix = singularity.Equilibrated.of(A, lambda b, trans: pseudo @ b)
    basis, condition = singularity.null_vectors(matrix)
    assert basis.shape == (15, 3)
    assert condition > 1e14
    assert np.abs(dense @ basis).max() <= 1e-14 * np.abs(basis).max()


LARGE = {
    name: solver
    for name, solver in vars(adjoint.factor).items()
    if name.startswith("pardiso") or name == "cholmod"
}


def grid_laplacian(k, rng, fixed):
    """K ⊗ I + I ⊗ K on k × k nodes, conductivities over six decades; fixed: True holds one node."""
    D = sparse.diags_array([-np.ones(k - 1), np.ones(k - 1)], offsets=[0, 1], shape=(k - 1, k))
    K = sparse.csc_array(D.T @ sparse.diags_array(10.0 ** rng.uniform(-3.0, 3.0, k - 1)) @ D)
    A = sparse.kron(K, sparse.eye_array(k)) + sparse.kron(sparse.eye_array(k), K)
    A = sparse.csc_array(A + sparse.csc_array(([float(fixed)], ([0], [0])), shape=A.shape))
    A.sum_duplicates()
    return A


@pytest.mark.parametrize("name", LARGE)
def test_large_matrices_are_probed_by_parts_of_a_solve(name):
    """Above 20 000 unknowns pivots or one substitution reveal singular matrices to Pardiso."""
    if LARGE[name].missing():
        pytest.skip("not installed")
    rng = np.random.default_rng(3)
    b = rng.standard_normal(150**2)
    b -= b.mean()
    singular, regular = (grid_laplacian(150, rng, fixed) for fixed in (False, True))
    with pytest.raises((adjoint.errors.SingularMatrix, adjoint.errors.NotPositiveDefinite)):
        LARGE[name](singular).solve(b)
    factorization = LARGE[name](regular)
    u = factorization.solve(b)
    assert np.abs(regular @ u - b).max() <= 1e-9 * np.abs(regular).max() * np.abs(u).max()
    assert factorization.probed
    if name != "pardiso":
        regular[5, 6] *= 1.0 + 1e-3
        with pytest.raises(adjoint.errors.NotSymmetric):
            LARGE[name](regular).solve(b)


@pytest.mark.parametrize("seed", [4, 314, 443, 456, 627, 636, 1311, 1501, 1922])
def test_pivots_that_were_chosen_in_advance_do_not_keep_regular_cavities_from_being_solved(seed):
    """Cavities with a fixed pressure, condition 10 to 160: pivots had grown by up to 10²⁶."""
    rng = np.random.default_rng([9, seed, list(FAMILIES).index("cavity")])
    pair = FAMILIES["cavity"](rng)
    dressed(pair.singular, pair.symmetry, rng)
    A = dressed(pair.regular, pair.symmetry, rng)
    b = rng.standard_normal(A.shape[0])
    for factorizer in (adjoint.lu, adjoint.ldl):
        u = factorizer(A).solve(b)
        assert np.abs(A @ u - b).max() <= 1e-8 * np.abs(A).max() * np.abs(u).max()


def by_name(symmetry, complex):
    return [pair for pair in backends(symmetry, complex) if pair[0].startswith("pardiso")]


@pytest.mark.parametrize("seed", [29, 63, 100])
def test_loose_parts_are_seen_by_their_pivots_where_a_part_of_a_solve_is_the_probe(
    seed, monkeypatch
):
    """Islands in rods: the mean of the substitution over all unknowns was below the threshold."""
    monkeypatch.setattr(factorization, "COMBINED_PROBE", -1)
    rng = np.random.default_rng([77, seed, list(FAMILIES).index("island")])
    pair = FAMILIES["island"](rng)
    A = dressed(pair.singular, pair.symmetry, rng)
    b = A @ rng.standard_normal(A.shape[0])
    for name, factorizer in by_name(pair.symmetry, A.dtype.kind == "c"):
        with pytest.raises((adjoint.errors.SingularMatrix, adjoint.errors.NotPositiveDefinite)):
            print(name, factorizer(A).solve(b, "NHT"[seed % 3]))


@pytest.mark.parametrize("seed", [2, 40, 45, 96])
def test_pardiso_by_name_solves_regular_cavities_whose_pivots_it_had_to_replace(seed):
    """Condition 40 to 40 000. Pardiso analyses again; MKL's scaling hides the determinant."""
    rng = np.random.default_rng([77, seed, list(FAMILIES).index("cavity")])
    pair = FAMILIES["cavity"](rng)
    dressed(pair.singular, pair.symmetry, rng)
    A = dressed(pair.regular, pair.symmetry, rng)
    b = rng.standard_normal(A.shape[0])
    sums = np.asarray(abs(A).sum(axis=1)).ravel()
    for name, factorizer in by_name(pair.symmetry, A.dtype.kind == "c"):
        factored = factorizer(A)
        for trans, matrix in (("N", A), ("T", A.T), ("H", A.conj().T)):
            u = factored.solve(b, trans)
            scale = sums if trans == "N" else np.asarray(abs(A).sum(axis=0)).ravel()
            assert np.all(np.abs(matrix @ u - b) <= 1e-6 * (scale * np.abs(u).max() + np.abs(b))), (
                name,
                trans,
            )
        if factored.factors.doubt == np.inf:
            with pytest.raises(adjoint.errors.SolveError, match=r"log\|det A\| is not known"):
                factored.logdet()


def test_pivots_that_were_replaced_do_not_hide_a_singular_matrix():
    """Dependent constraints, condition 10²¹: with a replaced pivot the probe saw only 5.9·10⁹."""
    rng = np.random.default_rng([904, 79, list(FAMILIES).index("dependent_constraints")])
    pair = FAMILIES["dependent_constraints"](rng)
    A = dressed(pair.singular, pair.symmetry, rng)
    for name, factorizer in backends(pair.symmetry, A.dtype.kind == "c"):
        for trans in "NTH":
            with pytest.raises(adjoint.errors.SingularMatrix):
                print(name, factorizer(A).solve(A @ np.ones(A.shape[0]), trans))


def test_pivots_that_have_grown_do_not_hide_a_small_one_from_a_part_of_a_solve(monkeypatch):
    """Dependent constraints: pivots 4.7e-10 to 4.6e5, not replaced; 3e9 relative to entries."""
    monkeypatch.setattr(factorization, "COMBINED_PROBE", -1)
    rng = np.random.default_rng([9, 1, list(FAMILIES).index("dependent_constraints")])
    pair = FAMILIES["dependent_constraints"](rng)
    A = dressed(pair.singular, pair.symmetry, rng)
    for name, factorizer in by_name(pair.symmetry, A.dtype.kind == "c"):
        with pytest.raises(adjoint.errors.SingularMatrix):
            print(name, factorizer(A).solve(A @ np.ones(A.shape[0])))
