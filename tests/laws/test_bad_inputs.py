"""Bad inputs: each one a named error that says what is wrong and what to do about it."""

from time import perf_counter

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint

N = 8
NAN, INF = np.nan, np.inf


def laplacian(n=N):
    return sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsc()


def spoiled(value, where=(3, 3)):
    A = laplacian()
    A[where] = value
    return A


def with_data(indices, indptr, data=None):
    return sparse.csc_array(
        (np.ones(len(indices)) if data is None else data, indices, indptr), shape=(2, 2)
    )


def convective():
    return sparse.csc_array(laplacian() + sparse.diags_array(0.3 * np.ones(N - 1), offsets=1))


def saddle():
    A = laplacian().tolil()
    A[4, 4] = -2.0
    return sparse.csc_array(A)


def solved(A, b=None, factorize=adjoint.lu):
    factorize(A).solve(np.arange(1.0, A.shape[0] + 1) if b is None else b)


def affine():
    return adjoint.LinearProblem(adjoint.Affine(laplacian(), [laplacian()]), np.ones(N))


def at_one():
    return affine().solve(np.ones(1))


def reduced(**changes):
    J = adjoint.LinearFunctional(np.ones(N))
    return adjoint.Reduced(**({"problem": affine(), "objective": J} | changes))


class Objective:
    """An objective that returns what it is told to."""

    def __init__(self, value=1.0, u_bar=None, p_bar=None):
        self.answer = value
        self.u_bar = np.ones(N) if u_bar is None else u_bar
        self.p_bar = np.zeros(1) if p_bar is None else p_bar

    def value(self, u, p):
        return self.answer

    def gradients(self, u, p):
        return self.u_bar, self.p_bar


def gradient_of(**settings):
    return reduced(objective=Objective(**settings))(np.ones(1)).gradient


class Careless:
    """A user's matrix, whose derivatives would be broadcast."""

    def __call__(self, p):
        return laplacian()

    def vjp(self, p, u, lam):
        return np.ones(1)

    def jvp(self, p, u, p_dot):
        return np.ones((N, 1))


class Column:
    """A design map, whose gradient would be broadcast."""

    def __call__(self, x):
        return x

    def vjp(self, x, p_bar):
        return p_bar[:, None]


class CarelessVector:
    def __call__(self, p):
        return np.ones(N)

    def vjp(self, p, lam):
        return np.ones(1)


def load(value=1.0):
    b = np.ones(N)
    b[2] = value
    return b


def rods(Ke=None):
    return adjoint.Elements(
        np.array([[-1, 0], [0, 1]]), np.array([[1.0, -1.0], [-1.0, 1.0]]) if Ke is None else Ke
    )


# What is done, the error, and words of its message: the cause, and (where the cause does
# not say it) the remedy.
CASES = {
    "nan in A": (
        lambda: solved(spoiled(NAN)),
        adjoint.errors.NonFinite,
        r"entry \(3, 3\) is nan.*Usual causes",
    ),
    "inf in A": (
        lambda: solved(spoiled(INF)),
        adjoint.errors.NonFinite,
        r"entry \(3, 3\) is inf.*Usual causes",
    ),
    "inf - inf in A": (
        lambda: solved(spoiled(INF) + spoiled(-INF, (2, 2))),
        adjoint.errors.NonFinite,
        "Usual causes",
    ),
    "nan in A, cholesky": (
        lambda: solved(spoiled(NAN), factorize=adjoint.cholesky),
        adjoint.errors.NonFinite,
        "nan",
    ),
    "complex nan in A": (lambda: solved(spoiled(NAN) * 1j), adjoint.errors.NonFinite, "nan"),
    "nan in b": (
        lambda: solved(laplacian(), load(NAN)),
        adjoint.errors.NonFinite,
        r"entry \(2,\) is nan, expected finite",
    ),
    "inf in b": (
        lambda: solved(laplacian(), load(INF)),
        adjoint.errors.NonFinite,
        r"entry \(2,\) is inf",
    ),
    "nan in b of a problem": (
        lambda: adjoint.LinearProblem(laplacian(), load(NAN)).solve(np.zeros(1)),
        adjoint.errors.NonFinite,
        "right-hand side entry",
    ),
    "nan in p": (
        lambda: affine().solve(np.array([NAN])),
        adjoint.errors.NonFinite,
        r"p\[0\] is nan",
    ),
    "inf in x": (lambda: reduced()(np.array([INF])), adjoint.errors.NonFinite, r"x\[0\] is inf"),
    "nan in u_bar": (
        lambda: at_one().vjp(load(NAN)),
        adjoint.errors.NonFinite,
        "is nan, expected finite",
    ),
    "nan in p_dot": (
        lambda: at_one().jvp(np.array([NAN])),
        adjoint.errors.NonFinite,
        r"p_dot\[0\] is nan",
    ),
    "nan objective": (
        lambda: reduced(objective=Objective(NAN))(np.ones(1)),
        adjoint.errors.NonFinite,
        "Usual causes",
    ),
    "nan in p_bar": (
        lambda: gradient_of(p_bar=np.array([NAN])),
        adjoint.errors.NonFinite,
        "Usual causes",
    ),
    "nan in u_bar of an objective": (
        lambda: gradient_of(u_bar=load(NAN)),
        adjoint.errors.NonFinite,
        "nan",
    ),
    "zero matrix": (
        lambda: solved(0.0 * laplacian()),
        adjoint.errors.SingularMatrix,
        "missing boundary condition",
    ),
    "two equal rows": (
        lambda: solved(np.ones((3, 3))),
        adjoint.errors.SingularMatrix,
        "two equations that are the same",
    ),
    "empty column": (
        lambda: solved(with_data([0, 1], [0, 2, 2])),
        adjoint.errors.SingularMatrix,
        r"structurally singular: column 1 is empty.*Usual causes",
    ),
    "empty row": (
        lambda: solved(with_data([0, 0], [0, 1, 2])),
        adjoint.errors.SingularMatrix,
        r"structurally singular: row 1 is empty.*Usual causes",
    ),
    "nonsymmetric to cholesky": (
        lambda: solved(convective(), factorize=adjoint.cholesky),
        adjoint.errors.NotSymmetric,
        "not hermitian.*Use adjoint.lu, or mend the assembly",
    ),
    "nonsymmetric to ldl": (
        lambda: solved(convective(), factorize=adjoint.ldl),
        adjoint.errors.NotSymmetric,
        "not symmetric.*Use adjoint.lu",
    ),
    "indefinite to cholesky": (
        lambda: solved(saddle(), factorize=adjoint.cholesky),
        adjoint.errors.NotPositiveDefinite,
        "use adjoint.ldl or adjoint.lu",
    ),
    "rectangular A": (
        lambda: solved(laplacian()[:, :5]),
        ValueError,
        r"shape \(8, 5\), expected a square one",
    ),
    "empty A": (lambda: solved(sparse.csc_array((0, 0))), ValueError, "at least one unknown"),
    "A of one dimension": (
        lambda: solved(sparse.coo_array(np.ones(3))),
        ValueError,
        "expected a square one",
    ),
    "integer A": (
        lambda: solved(laplacian().astype(int)),
        TypeError,
        r"int64, expected float64.*A\.astype\(float\)",
    ),
    "boolean A": (
        lambda: solved(laplacian().astype(bool)),
        TypeError,
        r"bool, expected float64.*A\.astype\(float\)",
    ),
    "object A": (lambda: solved(np.eye(2, dtype=object)), TypeError, "object, expected float64"),
    "longdouble A": (
        lambda: solved(np.eye(2, dtype=np.longdouble)),
        TypeError,
        r"A\.astype\(float\)",
    ),
    "list for A": (lambda: adjoint.lu([[1.0]]), TypeError, "expected a SciPy sparse matrix"),
    "unsorted A": (
        lambda: solved(with_data([1, 0, 1], [0, 2, 3])),
        ValueError,
        r"A\.sum_duplicates\(\)",
    ),
    "entries given twice": (
        lambda: solved(with_data([0, 0, 1], [0, 2, 3])),
        ValueError,
        r"A\.sum_duplicates\(\)",
    ),
    "b too short": (
        lambda: solved(laplacian(), np.ones(3)),
        ValueError,
        r"\(3,\), expected \(8,\) or \(8, k\)",
    ),
    "b of three dimensions": (
        lambda: solved(laplacian(), np.ones((N, 2, 2))),
        ValueError,
        r"expected \(8,\)",
    ),
    "b of strings": (lambda: solved(laplacian(), np.full(N, "a")), TypeError, "expected float64"),
    "trans unknown": (
        lambda: adjoint.lu(laplacian()).solve(np.ones(N), "C"),
        ValueError,
        "expected 'N', 'T' or 'H'",
    ),
    "p of objects": (lambda: affine().solve(np.array([None])), TypeError, "got p of dtype object"),
    "p of two dimensions": (
        lambda: affine().solve(np.ones((1, 1))),
        ValueError,
        r"expected a vector \(m,\)",
    ),
    "p a number": (lambda: affine().solve(1.0), ValueError, r"expected a vector \(m,\)"),
    "p too long": (
        lambda: affine().solve(np.ones(2)),
        ValueError,
        r"shape \(2,\), expected \(1,\)",
    ),
    "u_bar too short": (
        lambda: at_one().vjp(np.ones(3)),
        ValueError,
        r"u_bar of shape \(3,\), expected \(8,\)",
    ),
    "p_dot too long": (
        lambda: at_one().jvp(np.ones(2)),
        ValueError,
        r"p_dot of shape \(2,\), expected \(1,\)",
    ),
    "A an array": (
        lambda: adjoint.LinearProblem(np.eye(2), np.ones(2)),
        TypeError,
        "expected a Matrix or a sparse",
    ),
    "b a word": (
        lambda: adjoint.LinearProblem(laplacian(), "ones"),
        TypeError,
        "a Vector or an array",
    ),
    "Reduced in another order": (
        lambda: adjoint.Reduced(adjoint.LinearFunctional(np.ones(N)), affine()),
        TypeError,
        "LinearFunctional has no method solve; expected a problem, an objective",
    ),
    "vjp of another shape": (
        lambda: adjoint.LinearProblem(Careless(), np.ones(N)).solve(np.ones(2)).vjp(np.ones(N)),
        ValueError,
        r"vjp of A, b and Dirichlet values differ in shape: \(1,\), \(2,\)",
    ),
    "jvp of another shape": (
        lambda: adjoint.LinearProblem(Careless(), np.ones(N)).solve(np.ones(2)).jvp(np.ones(2)),
        ValueError,
        r"jvp of A, b and Dirichlet values differ in shape",
    ),
    "vjp of another shape, throughout": (
        lambda: (
            adjoint.LinearProblem(Careless(), CarelessVector()).solve(np.ones(2)).vjp(np.ones(N))
        ),
        ValueError,
        r"has shape \(1,\), expected \(2,\)",
    ),
    "factorizer by name": (
        lambda: adjoint.LinearProblem(laplacian(), np.ones(N), "lu"),
        TypeError,
        "adjoint.lu",
    ),
    "Dirichlet beyond the end": (
        lambda: adjoint.LinearProblem(
            laplacian(), np.ones(N), dirichlet=adjoint.Dirichlet(np.array([9]), np.zeros(1))
        ).solve(np.zeros(1)),
        ValueError,
        "unknown 9 is fixed, but there are only 8",
    ),
    "element of nan": (
        lambda: rods(np.full((2, 2), NAN)),
        adjoint.errors.NonFinite,
        "degenerate element",
    ),
    "element of another size": (
        lambda: rods(np.eye(3)),
        ValueError,
        r"expected \(2, 2\) or \(2, 2, 2\)",
    ),
    "density too many": (lambda: rods()(np.ones(3)), ValueError, r"expected \(2,\)"),
    "element without stiffness": (
        lambda: solved(rods()(np.zeros(2))),
        adjoint.errors.SingularMatrix,
        "zero stiffness",
    ),
    "u_bar of an objective too short": (
        lambda: gradient_of(u_bar=np.ones(2)),
        ValueError,
        r"expected \(8,\)",
    ),
    "p_bar of an objective too long": (
        lambda: gradient_of(p_bar=np.ones(3)),
        ValueError,
        r"expected \(1,\)",
    ),
    "u_bar of an objective a column": (
        lambda: gradient_of(u_bar=np.ones((N, 1))),
        ValueError,
        r"u_bar of shape \(8, 1\)",
    ),
    "value of an objective complex": (
        lambda: gradient_of(value=1.0 + 0j),
        TypeError,
        "expected a real number",
    ),
    "value of an objective no number": (
        lambda: gradient_of(value=[1.0]),
        TypeError,
        "expected a real number",
    ),
    "p_bar of objects": (
        lambda: gradient_of(p_bar=np.array([None])),
        TypeError,
        "p_bar, which has dtype object",
    ),
    "vjp of a design map a column": (
        lambda: reduced(design=Column())(np.ones(1)).gradient,
        ValueError,
        r"design map Column has shape \(1, 1\), expected \(1,\)",
    ),
    "p_bar of an objective a number": (
        lambda: gradient_of(p_bar=0.0),
        ValueError,
        r"np\.zeros_like\(p\)",
    ),
    "objective for another state": (
        lambda: reduced(objective=adjoint.LinearFunctional(np.ones(3)))(np.ones(1)),
        ValueError,
        r"shape \(3,\), but the state has shape \(8,\)",
    ),
    "design of another mesh": (
        lambda: reduced(
            design=adjoint.design.DensityFilter(np.random.default_rng(0).random((5, 2)), 0.5)
        )(np.ones(1)),
        ValueError,
        r"shape \(1,\), expected \(5,\)",
    ),
}


@pytest.mark.parametrize(("act", "error", "message"), CASES.values(), ids=CASES)
def test_bad_input_is_a_named_error(act, error, message):
    start = perf_counter()
    with pytest.raises(error, match=message):
        act()
    assert perf_counter() - start < 2.0


def test_bad_inputs_are_thirty_at_least_and_their_errors_named():
    assert len(CASES) >= 30
    assert all(
        issubclass(error, ValueError | TypeError | adjoint.errors.SolveError)
        for _, error, _ in CASES.values()
    )
