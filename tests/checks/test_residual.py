"""`check_residual` passes right physics, and says what is wrong with other."""

import re

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.checks.residual import check_residual
from adjoint.derive import complex_step_residual, finite_difference_residual

N = 12


class Reaction:
    """−u_{i−1} + 3u_i − 2u_{i+1} + p_0 u_i³ = p_i by hand; subclasses spoil one method each."""

    def residual(self, u, p):
        padded = np.concatenate([[0.0], u, [0.0]])
        return -padded[:-2] + 3.0 * u - 2.0 * padded[2:] + p[0] * u**3 - p[1:]

    def jacobian(self, u, p):
        below, above = -np.ones(N - 1), -2.0 * np.ones(N - 1)
        J = sparse.diags_array(
            [below, 3.0 + 3.0 * p[0] * u**2, above], offsets=[-1, 0, 1], format="csc"
        )
        return sparse.csc_array(J)

    def vjp(self, u, p, lam):
        return np.concatenate([[lam @ u**3], -lam])

    def jvp(self, u, p, p_dot):
        return p_dot[0] * u**3 - p_dot[1:]


def point():
    rng = np.random.default_rng(0)
    return rng.standard_normal(N), rng.uniform(0.5, 1.5, N + 1)


def test_right_physics_passes():
    report = check_residual(Reaction(), *point())
    assert report.ok
    assert report.orders == pytest.approx((1.0, 2.0), abs=0.1)
    assert max(report.jacobian.error, report.jvp.error) < 1e-9
    assert report.dot_product_error < 1e-15
    assert (report.entries, report.zeros) == (3 * N - 2, 0)
    assert "the residual is right" in report.table()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [complex_step_residual, finite_difference_residual])
def test_derived_residuals_pass(make, seed):
    assert check_residual(make(Reaction().residual, N, N + 1), *point(), seed=seed).ok


def test_linear_physics_without_parameters_passes():
    A = sparse.random_array((N, N), density=0.3, rng=np.random.default_rng(2))
    report = check_residual(
        complex_step_residual(lambda u, p: A @ u, N, 0), np.ones(N), np.empty(0)
    )
    assert report.ok
    assert report.orders[1] == 2.0


@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_the_size_of_a_row_does_not_matter(scale):
    """A wrong entry in a row 1e12 times smaller than the others is found all the same."""
    weights = np.where(np.arange(N) == 5, scale, 1.0)

    class Scaled(Reaction):
        wrong = 1.0

        def residual(self, u, p):
            return weights * super().residual(u, p)

        def jacobian(self, u, p):
            J = sparse.csc_array(sparse.diags_array(weights) @ super().jacobian(u, p))
            J[5, 4] *= self.wrong
            return J

        def vjp(self, u, p, lam):
            return super().vjp(u, p, weights * lam)

        def jvp(self, u, p, p_dot):
            return weights * super().jvp(u, p, p_dot)

    class Wrong(Scaled):
        wrong = 1.001

    assert check_residual(Scaled(), *point()).ok
    report = check_residual(Wrong(), *point())
    assert not report.ok
    assert (report.jacobian.row, report.jacobian.column) == (5, 4)


class WrongEntry(Reaction):
    def jacobian(self, u, p):
        J = super().jacobian(u, p)
        J[3, 4] = -2.5
        return J


class Transposed(Reaction):
    def jacobian(self, u, p):
        return sparse.csc_array(super().jacobian(u, p).T)


class MissingEntry(Reaction):
    def jacobian(self, u, p):
        J = super().jacobian(u, p)
        J[3, 4] = 0.0
        J.eliminate_zeros()
        return J


class EmptyRow(Reaction):
    def jacobian(self, u, p):
        J = super().jacobian(u, p).tolil()
        J[3, :] = 0.0
        return sparse.csc_array(J)


class WrongPushforward(Reaction):
    def jvp(self, u, p, p_dot):
        return p_dot[0] * u**2 - p_dot[1:]


class WrongPullback(Reaction):
    def vjp(self, u, p, lam):
        return np.concatenate([[0.0], -lam])


class SignOfPullback(Reaction):
    def vjp(self, u, p, lam):
        return -super().vjp(u, p, lam)


class PatternThatChanges(Reaction):
    def jacobian(self, u, p):
        J = super().jacobian(u, p).tolil()
        if u[0] != point()[0][0]:
            J[0, N - 1] = 1e-300
        return sparse.csc_array(J)


class Unsorted(Reaction):
    def jacobian(self, u, p):
        J = super().jacobian(u, p)
        order = np.concatenate(
            [np.arange(a, b)[::-1] for a, b in zip(J.indptr, J.indptr[1:], strict=False)]
        )
        return sparse.csc_array((J.data[order], J.indices[order], J.indptr), shape=J.shape)


WRONG = {
    WrongEntry: "row 3, column 4: -2.5, expected -2",
    Transposed: "expected",
    MissingEntry: "row 3, column 4: 0, expected -2, MISSING",
    EmptyRow: "row 3, column 2: 0, expected -1, MISSING",
    WrongPushforward: "jvp       relative error .* in row",
    WrongPullback: "THE RESIDUAL IS WRONG",
    SignOfPullback: "THE RESIDUAL IS WRONG",
    PatternThatChanges: "NOT CONSTANT",
    Unsorted: "NOT CANONICAL",
}


@pytest.mark.parametrize("physics", WRONG, ids=lambda physics: physics.__name__)
def test_wrong_physics_is_named(physics):
    report = check_residual(physics(), *point())
    assert not report.ok
    assert re.search(WRONG[physics], report.table()), report.table()


def test_a_stored_entry_that_is_zero_is_counted_not_refused():
    full = sparse.csc_array(np.ones((N, N)))
    report = check_residual(
        complex_step_residual(Reaction().residual, N, N + 1, u_pattern=full), *point()
    )
    assert report.ok
    assert report.zeros == N * N - (3 * N - 2)


def returning(method, value):
    return type("Physics", (Reaction,), {method: lambda self, *arguments: value})()


SHAPES = {
    "short residual": (
        returning("residual", np.ones(N - 1)),
        ValueError,
        r"returned shape \(11,\), expected \(12,\)",
    ),
    "float32 residual": (returning("residual", np.ones(N, np.float32)), TypeError, "float32"),
    "nan": (
        returning("residual", np.full(N, np.nan)),
        adjoint.errors.NonFinite,
        r"residual\(u, p\) has nan in entry 0",
    ),
    "dense jacobian": (
        returning("jacobian", np.eye(N)),
        TypeError,
        "returned a ndarray, expected scipy.sparse.csc",
    ),
    "csr jacobian": (
        returning("jacobian", sparse.eye_array(N, format="csr")),
        TypeError,
        "csr_array, expected",
    ),
    "small jacobian": (
        returning("jacobian", sparse.csc_array((3, 3))),
        ValueError,
        r"shape \(3, 3\), expected",
    ),
    "float32 jacobian": (
        returning("jacobian", sparse.csc_array(np.eye(N, dtype=np.float32))),
        TypeError,
        "jacobian returned dtype float32",
    ),
    "nan in jacobian": (
        returning("jacobian", sparse.csc_array(np.diag(np.full(N, np.nan)))),
        adjoint.errors.NonFinite,
        r"the data of jacobian\(u, p\) has nan",
    ),
    "long vjp": (
        returning("vjp", np.ones(N)),
        ValueError,
        r"vjp\(u, p, lam\) has shape \(12,\), expected \(13,\)",
    ),
    "long jvp": (
        returning("jvp", np.ones(N + 1)),
        ValueError,
        r"jvp\(u, p, p_dot\) has shape \(13,\), expected \(12,\)",
    ),
    "nan in jvp": (returning("jvp", np.full(N, np.nan)), adjoint.errors.NonFinite, "jvp"),
    "nan in vjp": (returning("vjp", np.full(N + 1, np.nan)), adjoint.errors.NonFinite, "vjp"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_and_dtypes_are_named_errors(name):
    physics, error, message = SHAPES[name]
    with pytest.raises(error, match=message):
        check_residual(physics, *point())


def test_wrong_arguments_are_named_errors():
    u, p = point()
    with pytest.raises(TypeError, match="check_residual: got u of dtype complex128"):
        check_residual(Reaction(), 1j * u, p)
    with pytest.raises(ValueError, match=r"got u of shape \(12, 1\)"):
        check_residual(Reaction(), u[:, None], p)


def test_writing_into_arguments_is_an_error():
    class Writing(Reaction):
        def residual(self, u, p):
            u *= 1.0
            return super().residual(u, p)

    with pytest.raises(ValueError, match="writes into u or p"):
        check_residual(Writing(), *point())


def test_the_seed_makes_it_reproducible():
    reports = [check_residual(Reaction(), *point(), seed=s).table() for s in (0, 0, 1)]
    assert reports[0] == reports[1] != reports[2]


class Saturating:
    """A rate that saturates at 1e-9 mol/l, next to 300 K: steps of 0.3 are far too long."""

    def residual(self, u, p):
        return np.array([p[0] * u[0] / (1e-9 + u[0]) - p[1] * u[1], u[1] - p[2]])

    def jacobian(self, u, p):
        return sparse.csc_array(np.array([[p[0] * 1e-9 / (1e-9 + u[0]) ** 2, -p[1]], [0.0, 1.0]]))

    def vjp(self, u, p, lam):
        return self._by_p(u).T @ lam

    def jvp(self, u, p, p_dot):
        return self._by_p(u) @ p_dot

    def _by_p(self, u):
        return np.array([[u[0] / (1e-9 + u[0]), -u[1], 0.0], [0.0, 0.0, -1.0]])


class SaturatingWrongly(Saturating):
    def jacobian(self, u, p):
        return super().jacobian(u, p) @ sparse.csc_array(np.diag([1.1, 1.0]))


@pytest.mark.parametrize(("physics", "right"), [(Saturating, True), (SaturatingWrongly, False)])
def test_unknowns_in_small_units_are_stepped_in_their_own(physics, right):
    report = check_residual(physics(), np.array([1e-9, 300.0]), np.array([1.0, 0.4 / 300.0, 300.0]))
    assert report.ok == right, report.table()


class Refilling(Reaction):
    """One matrix, and one array for each product, filled anew each time."""

    factor = 1.0

    def __init__(self):
        self.kept = {}

    def _filled(self, name, value):
        kept = self.kept.setdefault(name, value.copy())
        if sparse.issparse(value):
            kept.data[:] = value.data
        else:
            kept[...] = value
        return kept

    def residual(self, u, p):
        return self._filled("residual", super().residual(u, p))

    def jacobian(self, u, p):
        J = super().jacobian(u, p)
        J.data[7] *= self.factor
        return self._filled("jacobian", J)

    def vjp(self, u, p, lam):
        return self._filled("vjp", super().vjp(u, p, lam))

    def jvp(self, u, p, p_dot):
        return self._filled("jvp", super().jvp(u, p, p_dot))


class RefillingWrongly(Refilling):
    factor = 1.01


@pytest.mark.parametrize("seed", range(3))
def test_a_matrix_that_is_filled_anew_raises_no_false_alarm(seed):
    report = check_residual(Refilling(), *point(), seed=seed)
    assert report.ok, report.table()
    assert report.constant
    assert not check_residual(RefillingWrongly(), *point(), seed=seed).ok


@pytest.mark.parametrize("method", ["vjp", "jvp"])
@pytest.mark.parametrize("component", [None, 0, 5])
def test_products_that_are_slightly_wrong_are_found(method, component):
    class Slightly(Reaction):
        def change(self, g):
            return g * (
                1.0 + 1e-6 * (np.arange(g.size) == component if component is not None else 1.0)
            )

        def vjp(self, u, p, lam):
            g = super().vjp(u, p, lam)
            return self.change(g) if method == "vjp" else g

        def jvp(self, u, p, p_dot):
            v = super().jvp(u, p, p_dot)
            return self.change(v) if method == "jvp" else v

    for seed in range(4):
        report = check_residual(Slightly(), *point(), seed=seed)
        assert not report.ok
        assert report.jvp.error < 1e-5
