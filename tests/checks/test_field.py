"""`check_field` passes right fields, and says what is wrong with others."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.time.catalogue import ODE_CATALOGUE
from tests.fixtures.fields import P, Plain, Weave

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
    assert "no derivatives with respect to times" in report.table()


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
    with pytest.raises(adjoint.errors.NonFinite, match="nan"):
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
    """A drug that is bound fast (10⁴, 10⁶) and exchanged slowly.

    One slow term of each derivative is multiplied by `factor`.
    """

    spoiled: str = "none"
    factor: float = 1.0

    def __call__(self, t, u, p):
        bound = p[2] * u[0] * u[2]
        return np.array(
            [
                -bound - p[0] * u[0] + p[1] * u[1],
                p[0] * u[0] - p[1] * u[1],
                0.1 * (1.0 - u[2]) - bound + 0.1 * t,
            ]
        )

    def jacobian(self, t, u, p):
        slow = p[1] * (self.factor if self.spoiled == "jacobian" else 1.0)
        k = p[2]
        return np.array(
            [
                [-k * u[2] - p[0], slow, -k * u[0]],
                [p[0], -p[1], 0.0],
                [-k * u[2], 0.0, -0.1 - k * u[0]],
            ]
        )

    def by_parameters(self, u, method):
        slow = u[1] * (self.factor if self.spoiled == method else 1.0)
        return np.array([[-u[0], slow, -u[0] * u[2]], [u[0], -u[1], 0.0], [0.0, 0.0, -u[0] * u[2]]])

    def vjp(self, t, u, p, lam):
        return self.by_parameters(u, "vjp").T @ lam

    def jvp(self, t, u, p, p_dot):
        return self.by_parameters(u, "jvp") @ p_dot

    def time_derivative(self, t, u, p):
        return np.array(
            [0.0, 0.0, 0.1 * (self.factor if self.spoiled == "time_derivative" else 1.0)]
        )


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


@pytest.mark.parametrize("method", ["vjp", "jvp"])
@pytest.mark.parametrize("change", [1e-6, -1e-6])
def test_a_transpose_that_is_slightly_wrong_is_found(method, change):
    for seed in range(4):
        report = adjoint.check_field(
            Spoiled(method, lambda v: (1.0 + change) * v), 0.3, U, P, seed=seed
        )
        assert not report.ok
        assert report.state.jvp.error < 1e-5


def switched(t, u, p):
    """Lags and starts that appear in comparisons only: p[2], p[3]."""
    return -p[0] * u + (p[1] if t > p[2] else 0.0) * (1.0 if t > p[3] else u)


@pytest.mark.parametrize("n", [1, 3])
def test_parameters_that_appear_in_comparisons_only_are_named(n):
    field = adjoint.complex_step_field(switched, n=n, m=4)
    report = adjoint.check_field(
        field, 2.0, np.linspace(1.0, 2.0, n), np.array([0.5, 2.0, 1.3, 0.0])
    )
    assert report.ok
    assert report.independent == (2, 3)
    assert "f does not depend on p[2], p[3] at this point" in report.table()
    assert "`if t > p[2]`" in report.table()
    assert "breaks=" in report.table()
    before = adjoint.check_field(
        field, 0.7, np.linspace(1.0, 2.0, n), np.array([0.5, 2.0, 1.3, 0.2])
    )
    assert before.independent == (1, 2, 3)


def test_parameters_on_which_f_depends_are_not_named():
    assert adjoint.check_field(Weave(5), 0.3, U, P).independent == ()
    assert "does not depend" not in adjoint.check_field(Weave(5), 0.3, U, P).table()
    forgotten = adjoint.check_field(Spoiled("vjp", lambda g: 0.0 * g, Weave(5)), 0.3, U, P)
    assert not forgotten.ok
    assert forgotten.independent == ()


def test_of_many_parameters_without_effect_a_few_are_named():
    field = adjoint.complex_step_field(lambda t, u, p: -p[:2] * u, n=2, m=200)
    report = adjoint.check_field(field, 0.0, np.ones(2), np.arange(200.0) + 1.0)
    assert report.independent == tuple(range(2, 200))
    assert "p[2], p[3]" in report.table()
    assert "and 190 more" in report.table()


@dataclass(frozen=True, eq=False)
class Inertia:
    """M(p) = [[p_0, p_1², 0, …], …], nonsymmetric; a function changes one method."""

    method: str = "none"
    change: object = None
    n: int = 5

    def __call__(self, p):
        M = sparse.diags_array(
            [np.full(self.n - 1, p[1] ** 2), np.full(self.n, p[0]), np.ones(self.n - 1)],
            offsets=[-1, 0, 1],
        )
        return sparse.csc_array(M)

    def vjp(self, p, u, lam):
        g = np.array([lam @ u, 2.0 * p[1] * (lam[1:] @ u[:-1]), *np.zeros(p.size - 2)])
        return self.change(g) if self.method == "vjp" else g

    def jvp(self, p, u, p_dot):
        v = p_dot[0] * u + 2.0 * p[1] * p_dot[1] * np.append(0.0, u[:-1])
        return self.change(v) if self.method == "jvp" else v


@pytest.mark.parametrize("n", [5, 40])
def test_the_mass_matrix_is_looked_at(n):
    u = np.linspace(0.5, 1.5, n)
    report = adjoint.check_field(Weave(n), 0.3, u, P, mass=Inertia(n=n))
    assert report.ok, report.table()
    assert "mass      M(p): relative error" in report.table()
    faults = {
        "jvp": [lambda v: 1.01 * v, lambda v: -v, lambda v: 0.0 * v, lambda v: (1.0 + 1e-6) * v],
        "vjp": [
            lambda g: 1.01 * g,
            lambda g: -g,
            lambda g: g[::-1].copy(),
            lambda g: (1.0 + 1e-6) * g,
        ],
    }
    for method, changes in faults.items():
        for change in changes:
            wrong = adjoint.check_field(Weave(n), 0.3, u, P, mass=Inertia(method, change, n))
            assert not wrong.ok, wrong.table()
            assert wrong.state.ok


def test_a_constant_mass_matrix_has_nothing_to_look_at():
    assert adjoint.check_field(Weave(5), 0.3, U, P, mass=np.eye(5)).mass is None
    with pytest.raises(ValueError, match=r"mass: got a matrix of shape \(3, 3\)"):
        adjoint.check_field(Weave(5), 0.3, U, P, mass=np.eye(3))
    with pytest.raises(TypeError, match="mass: got"):
        adjoint.check_field(Weave(5), 0.3, U, P, mass="identity")


@dataclass(frozen=True, eq=False)
class Refilling:
    """A Weave whose methods fill one array, or one matrix, anew each time."""

    of: Weave
    kept: dict

    def _filled(self, name, value):
        kept = self.kept.setdefault(name, value.copy())
        if sparse.issparse(value):
            kept.data[:] = value.data
        else:
            kept[...] = value
        return kept

    def __call__(self, t, u, p):
        return self._filled("f", self.of(t, u, p))

    def jacobian(self, t, u, p):
        return self._filled("jacobian", self.of.jacobian(t, u, p))

    def vjp(self, t, u, p, lam):
        return self._filled("vjp", self.of.vjp(t, u, p, lam))

    def jvp(self, t, u, p, p_dot):
        return self._filled("jvp", self.of.jvp(t, u, p, p_dot))

    def time_derivative(self, t, u, p):
        return self._filled("time", self.of.time_derivative(t, u, p))


@pytest.mark.parametrize("stored", [False, True], ids=["dense", "sparse"])
def test_arrays_that_are_filled_anew_raise_no_false_alarm(stored):
    report = adjoint.check_field(Refilling(Weave(5, sparse=stored), {}), 0.3, U, P)
    assert report.ok, report.table()
