"""Laws of Assembly.

It is Σ_e L_eᵀ f_e and Σ_e L_eᵀ K_e L_e, on one pattern, and gathers with the transpose.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.matrices.assembly import Assembly

DOFS = np.array(
    [[0, 1, 2], [2, 1, 3], [-1, 4, 5], [5, 6, -1], [6, 6, 0]]
)  # fixed ones, and one twice in an element
N = 7
every_field = pytest.mark.parametrize("field", [float, complex], ids=["real", "complex"])


def draw(seed, shape, field):
    rng = np.random.default_rng(seed)
    v = rng.standard_normal(shape)
    v = v + 1j * rng.standard_normal(shape) if field is complex else v
    v.setflags(write=False)
    return v


def localizations():
    """The dense L_e, (3, n)."""
    return [(row[:, None] == np.arange(N)).astype(float) for row in DOFS]


@every_field
def test_matrix_and_vector_are_the_sums_over_the_elements(field):
    assembly, Ke, fe = Assembly(DOFS), draw(1, (5, 3, 3), field), draw(2, (5, 3), field)
    A, f = assembly.matrix(Ke), assembly.vector(fe)
    expected = sum(L.T @ K @ L for L, K in zip(localizations(), Ke, strict=True))
    np.testing.assert_allclose(A.toarray(), expected, atol=1e-14)
    np.testing.assert_allclose(
        f, sum(L.T @ v for L, v in zip(localizations(), fe, strict=True)), atol=1e-14
    )
    assert A.dtype == f.dtype == np.dtype(field)


@every_field
def test_gather_is_the_transpose_of_vector(field):
    assembly, u, fe = Assembly(DOFS), draw(3, N, field), draw(4, (5, 3), field)
    gathered = assembly.gather(u)
    np.testing.assert_array_equal(gathered, [L @ u for L in localizations()])
    assert np.vdot(fe, gathered) == pytest.approx(np.vdot(assembly.vector(fe), u), abs=1e-13)


def test_pattern_is_canonical_and_does_not_depend_on_values():
    assembly = Assembly(DOFS)
    for Ke in (np.zeros((5, 3, 3)), draw(5, (5, 3, 3), float)):
        A = assembly.matrix(Ke)
        np.testing.assert_array_equal(A.indices, assembly.pattern.indices)
        np.testing.assert_array_equal(A.indptr, assembly.pattern.indptr)
        assert sparse.csc_array((A.data, A.indices, A.indptr), shape=A.shape).has_canonical_format
    assert (assembly.n, assembly.pattern.shape) == (N, (N, N))


def test_elements_are_an_assembly_of_scaled_matrices_to_the_last_bit():
    Ke, s = draw(6, (5, 3, 3), float), draw(7, 5, float)
    A, B = adjoint.Elements(DOFS, Ke)(s), Assembly(DOFS).matrix(s[:, None, None] * Ke)
    np.testing.assert_array_equal(A.data, B.data)
    np.testing.assert_array_equal(A.indices, B.indices)


@pytest.mark.parametrize("order", ["C", "F"])
def test_layout_of_the_element_matrices_does_not_matter(order):
    Ke = draw(8, (5, 3, 3), float)
    np.testing.assert_array_equal(
        Assembly(DOFS).matrix(np.asarray(Ke, order=order)).data, Assembly(DOFS).matrix(Ke).data
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Assembly(np.ones((2, 2))),
            TypeError,
            r"got dofs of dtype float64.*expected integers",
        ),
        (lambda: Assembly(np.arange(3)), TypeError, r"shape \(3,\); expected integers \(n_e, k\)"),
        (
            lambda: Assembly(np.array([[-2, 0]])),
            ValueError,
            "from -2 to 0, expected numbers ≥ 0, or −1",
        ),
        (lambda: Assembly(np.array([[-1, -1]])), ValueError, "from -1 to -1"),
        (
            lambda: Assembly(DOFS).matrix(np.ones((3, 3))),
            ValueError,
            r"got Ke of shape \(3, 3\), expected \(5, 3, 3\)",
        ),
        (
            lambda: Assembly(DOFS).vector(np.ones(5)),
            ValueError,
            r"got fe of shape \(5,\), expected \(5, 3\)",
        ),
        (
            lambda: Assembly(DOFS).gather(np.ones(8)),
            ValueError,
            r"got u of shape \(8,\), expected \(7,\)",
        ),
    ],
)
def test_bad_arrays_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
