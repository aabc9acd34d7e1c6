"""`check_field` passes right fields, and says what is wrong with others."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sparse
from ode_fields import P, Plain, Weave

import adjoint
from problems.ode_catalogue import ODE_CATALOGUE

U = np.random.default_rng(0).uniform(0.5, 1.5, 5)


@dataclass(frozen=True, eq=False)
class Spoiled:
    """A Weave with one method changed by a function of what it returns."""

    method: str
    change: object
    of: object = Weave(5)

    def _changed(self, method, *arguments):
        value = getattr(self.of, method)(*arguments)
        return self.change(value) if method == self.method else value

    def __call__(self, t, u, p):
        return self._changed("__call__", t, u, p)

    def jacobian(self, t, u, p):
        return self._changed("jacobian", t, u, p)

    def vjp(self, t, u, p, lam):
        return self._changed("vjp", t, u, p, lam)

    def jvp(self, t, u, p, p_dot):
        return self._changed("jvp", t, u, p, p_dot)

    def time_derivative(self, t, u, p):
        return self._changed("time_derivative", t, u, p)


class Timeless:
    """A field without `time_derivative`."""

    of = Weave(5)

    def __call__(self, t, u, p):
        return self.of(t, u, p)

    def jacobian(self, t, u, p):
        return self.of.jacobian(t, u, p)

    def vjp(self, t, u, p, lam):
        return self.of.vjp(t, u, p, lam)

    def jvp(self, t, u, p, p_dot):
        return self.of.jvp(t, u, p, p_dot)


@pytest.mark.parametrize("field", [Weave(5), Weave(5, sparse=True)], ids=["dense", "sparse"])
@pytest.mark.parametrize("t", [0.0, 0.7])
def test_right_fields_pass(field, t):
    report = adjoint.check_field(field, t, U, P)
    assert report.ok, report.table()
    assert report.table().endswith("the field is right")
    assert "R(" not in report.table()


def test_a_field_without_time_derivative_is_right_and_said_to_have_none():
    report = adjoint.check_field(Timeless(), 0.3, U, P)
    assert report.ok
    assert report.time is None
    assert "no derivatives by times" in report.table()


@pytest.mark.parametrize("name", ODE_CATALOGUE)
def test_the_fields_of_the_problems_are_right(name):
    problem, p = ODE_CATALOGUE[name]()
    u = np.asarray(problem.initial(p)) + 0.1
    if u.dtype.kind == "c":
        pytest.skip("derivatives of complex states are compared by other laws")
    report = adjoint.check_field(problem.field, problem.t[0] + 0.3, u, p)
    assert report.ok, report.table()


WRONG = {
    "jacobian": (lambda J: J + np.diag([0.0, 0.0, 0.1, 0.0, 0.0]), r"jacobian .* row 2, column 2"),
    "jvp": (lambda v: 1.01 * v, r"jvp .* in row"),
    "vjp": (lambda g: -g, "THE FIELD IS WRONG"),
    "time_derivative": (lambda v: v + 0.01, r"time .* in row"),
}


@pytest.mark.parametrize("method", WRONG)
def test_wrong_fields_are_named(method):
    change, said = WRONG[method]
    report = adjoint.check_field(Spoiled(method, change), 0.3, U, P)
    assert not report.ok
    assert re.search(said, report.table()), report.table()


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"jacobian returned shape \(3, 3\)"):
        adjoint.check_field(Spoiled("jacobian", lambda J: np.eye(3)), 0.0, U, P)
    with pytest.raises(TypeError, match="jacobian returned a ndarray"):
        adjoint.check_field(Spoiled("jacobian", lambda J: np.ones(5)), 0.0, U, P)
    with pytest.raises(adjoint.NonFinite, match="nan"):
        adjoint.check_field(Spoiled("__call__", lambda f: f * np.nan), 0.0, U, P)
    with pytest.raises(ValueError, match="got u of shape"):
        adjoint.check_field(Weave(5), 0.0, U[:, None], P)


def test_entries_that_are_missing_from_a_sparse_jacobian_are_named():
    def without(J):
        J = sparse.csc_array(J).tolil()
        J[1, 2] = 0.0
        J = sparse.csc_array(J)
        J.eliminate_zeros()
        return J

    report = adjoint.check_field(Spoiled("jacobian", without, Weave(5, sparse=True)), 0.3, U, P)
    assert "row 1, column 2" in report.table()
    assert "MISSING" in report.table()


def test_parameters_may_be_none():
    field = Plain(lambda t, u, p: -u, lambda t, u, p: -np.eye(u.size))
    assert adjoint.check_field(field, 0.0, U, np.empty(0)).ok


@dataclass(frozen=True, eq=False)
class Binding:
    """A drug that is bound fast (10⁴, 10⁶) and exchanged with a periphery slowly; one slow term of each derivative is
    multiplied by `factor`."""

    spoiled: str = "none"
    factor: float = 1.0

    def __call__(self, t, u, p):
        bound = p[2] * u[0] * u[2]
        return np.array(
            [-bound - p[0] * u[0] + p[1] * u[1], p[0] * u[0] - p[1] * u[1], 0.1 * (1.0 - u[2]) - bound + 0.1 * t]
        )

    def jacobian(self, t, u, p):
        slow = p[1] * (self.factor if self.spoiled == "jacobian" else 1.0)
        k = p[2]
        return np.array([[-k * u[2] - p[0], slow, -k * u[0]], [p[0], -p[1], 0.0], [-k * u[2], 0.0, -0.1 - k * u[0]]])

    def by_parameters(self, u, method):
        slow = u[1] * (self.factor if self.spoiled == method else 1.0)
        return np.array([[-u[0], slow, -u[0] * u[2]], [u[0], -u[1], 0.0], [0.0, 0.0, -u[0] * u[2]]])

    def vjp(self, t, u, p, lam):
        return self.by_parameters(u, "vjp").T @ lam

    def jvp(self, t, u, p, p_dot):
        return self.by_parameters(u, "jvp") @ p_dot

    def time_derivative(self, t, u, p):
        return np.array([0.0, 0.0, 0.1 * (self.factor if self.spoiled == "time_derivative" else 1.0)])


@pytest.mark.parametrize("fast", [1e4, 1e6])
@pytest.mark.parametrize("factor", [0.0, -1.0, 1.01])
@pytest.mark.parametrize("spoiled", ["jacobian", "jvp", "vjp", "time_derivative"])
def test_weak_terms_next_to_stiff_ones_are_looked_at_by_themselves(spoiled, factor, fast):
    u, p = np.array([1.2, 0.4, 0.5]), np.array([0.5, 0.2, fast])
    assert adjoint.check_field(Binding(), 0.3, u, p).ok
    report = adjoint.check_field(Binding(spoiled, factor), 0.3, u, p)
    assert not report.ok, report.table()
    if spoiled in ("jacobian", "jvp"):
        assert "row 0, column 1" in report.table()


def test_arguments_in_another_order_are_named():
    with pytest.raises(TypeError, match=r"got t of shape \(5,\).*check_field\(field, t, u, p\)"):
        adjoint.check_field(Weave(5), U, P, 0.3)
