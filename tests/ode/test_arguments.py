"""Wrong arguments of initial value problems, and wrong results of user functions, raise named
errors.
"""

from contextlib import suppress

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from tests.fixtures.fields import DECAY, METHODS, P, Weave, cotangents, weave

FIELD, U0, ONES = Weave(3), np.array([0.5, 0.2, 0.8]), np.ones((1, 3))
NAN = float("nan")


class Custom:
    """Physics with methods given one by one, and defaults for the missing ones."""

    def __init__(self, default, **methods):
        self.methods = {
            name: getattr(default, name) for name in ("__call__", "vjp", "jvp")
        } | methods
        self.default = default

    def __call__(self, *args):
        return self.methods["__call__"](*args)

    def vjp(self, *args):
        return self.methods["vjp"](*args)

    def jvp(self, *args):
        return self.methods["jvp"](*args)


class CustomField(Custom):
    """A field of that kind."""

    def jacobian(self, t, u, p):
        return self.methods.get("jacobian", self.default.jacobian)(t, u, p)


def problem(**changes):
    options = {"field": FIELD, "u0": U0, "t": (0.0, 1.0), "rtol": 1e-3, "atol": 1e-4} | changes
    return adjoint.ODEProblem(**options)


def solve(**changes):
    return problem(**changes).solve(P)


def field(**methods):
    return CustomField(
        FIELD, **{name.replace("f", "__call__"): method for name, method in methods.items()}
    )


def start(**methods):
    return Custom(adjoint.matrices.AffineVector(U0, np.zeros((3, 5))), **methods)


def matrix(**methods):
    return Custom(
        adjoint.Affine(sparse.csc_array(np.eye(3)), [sparse.csc_array((3, 3))] * 5), **methods
    )


def integrand(**methods):
    return Custom(adjoint.ode.LinearIntegrand(np.ones(3)), **methods)


def integral(**methods):
    """A trajectory with one integral."""
    return solve(integrand=integrand(**methods))


def nothing(*args):
    return None


Q = np.ones(1)
ARGUMENTS = {
    "u0 a matrix": (lambda: solve(u0=np.eye(3)), ValueError, "u0"),
    "u0 empty": (lambda: solve(u0=np.zeros(0)), ValueError, "shape"),
    "u0 a number": (lambda: problem(u0=1.0).solve(P), TypeError, "u0"),
    "u0 of truth values": (lambda: solve(u0=np.array([True, False, True])), TypeError, "bool"),
    "u0 nan": (
        lambda: solve(u0=U0 * NAN),
        (ValueError, adjoint.errors.NonFinite),
        r"u0\[0\] is nan",
    ),
    "u0 a plain function": (lambda: problem(u0=lambda p: U0).solve(P), TypeError, "u0"),
    "u0 of another size than f": (lambda: solve(u0=np.ones(4)), ValueError, "4"),
    "u0(p) with a short vjp": (
        lambda: solve(u0=start(vjp=lambda *_: np.ones(2))).vjp(ONES),
        ValueError,
        "vjp of u0",
    ),
    "u0(p) with a short jvp": (
        lambda: solve(u0=start(jvp=lambda *_: np.ones(2))).jvp(P),
        ValueError,
        "jvp of u0",
    ),
    "u0(p) with a jvp of one number": (
        lambda: solve(u0=start(jvp=lambda *_: 0.0)).jvp(P),
        ValueError,
        "jvp of u0",
    ),
    "u0(p) with a vjp of nan": (
        lambda: solve(u0=start(vjp=lambda *_: P * NAN)).vjp(ONES),
        adjoint.errors.NonFinite,
        "nan",
    ),
    "interval reversed": (lambda: problem(t=(1.0, 0.0)), ValueError, "t0 < tf"),
    "interval empty": (lambda: problem(t=(1.0, 1.0)), ValueError, "t0 < tf"),
    "interval nan": (lambda: problem(t=(0.0, NAN)), ValueError, "nan or inf"),
    "interval infinite": (lambda: problem(t=(0.0, np.inf)), ValueError, "nan or inf"),
    "interval of three times": (lambda: problem(t=(0.0, 0.5, 1.0)), ValueError, r"\(t0, tf\)"),
    "times unsorted": (lambda: problem(observe=[0.5, 0.2]), ValueError, r"observe\[1\] = 0\.2"),
    "times twice": (lambda: problem(observe=[0.5, 0.5]), ValueError, "strictly ascending"),
    "times behind the end": (lambda: problem(observe=[0.5, 1.5]), ValueError, "within"),
    "times before the start": (lambda: problem(observe=[-0.5, 0.5]), ValueError, "within"),
    "times nan": (lambda: problem(observe=[0.5, NAN]), ValueError, "nan or inf"),
    "times a matrix": (lambda: problem(observe=np.ones((2, 2))), ValueError, "expected a vector"),
    "times in words": (lambda: problem(observe=["noon"]), TypeError, "real numbers"),
    "grid of one time": (lambda: problem(grid=[0.0]), ValueError, "at least two"),
    "grid unsorted": (lambda: problem(grid=[0.0, 0.6, 0.5, 1.0]), ValueError, "ascend"),
    "grid of another interval": (lambda: problem(grid=[0.0, 0.5, 0.9]), ValueError, "exactly"),
    "grid nan": (lambda: problem(grid=[0.0, NAN, 1.0]), ValueError, "nan or inf"),
    "grid without the times": (
        lambda: problem(grid=[0.0, 0.5, 1.0], observe=[0.3]),
        ValueError,
        "not on the grid",
    ),
    "no grid": (lambda: problem(method=adjoint.ode.BackwardEuler()), ValueError, "expected a grid"),
    "rtol zero": (lambda: problem(rtol=0.0), ValueError, r"rtol=0\.0"),
    "rtol nan": (lambda: problem(rtol=NAN), ValueError, "rtol=nan"),
    "rtol in words": (lambda: problem(rtol="1e-3"), (TypeError, ValueError), "rtol='1e-3'"),
    "rtol a vector": (lambda: problem(rtol=np.full(3, 1e-3)), (TypeError, ValueError), "rtol="),
    "atol negative": (lambda: problem(atol=-1.0), ValueError, r"atol=-1\.0"),
    "atol nan": (lambda: problem(atol=NAN), ValueError, "atol=nan"),
    "atol of another size": (lambda: solve(atol=np.ones(4)), ValueError, r"atol of shape \(4,\)"),
    "method a function": (
        lambda: problem(method=adjoint.ode.ESDIRK4),
        TypeError,
        r"adjoint\.ode\.ESDIRK4\(\)",
    ),
    "method a word": (lambda: problem(method="RK45"), TypeError, "RK45"),
    "theta below a half": (lambda: adjoint.ode.Theta(0.3), ValueError, r"theta=0\.3"),
    "accuracy zero": (lambda: adjoint.ode.ESDIRK4(accuracy=0.0), ValueError, r"accuracy=0\.0"),
    "accuracy below rounding": (
        lambda: adjoint.ode.ESDIRK4(accuracy=1e-30),
        ValueError,
        "accuracy=1e-30",
    ),
    "no first step": (
        lambda: adjoint.ode.StepControl(first_step=0.0),
        ValueError,
        r"first_step=0\.0",
    ),
    "half a step": (
        lambda: adjoint.ode.StepControl(max_steps=2.5),
        (TypeError, ValueError),
        r"max_steps=2\.5",
    ),
    "memory a class": (
        lambda: problem(memory=adjoint.checkpointing.Everything).solve(P),
        TypeError,
        "memory",
    ),
    "memory a word": (lambda: problem(memory="disk"), TypeError, "memory='disk'"),
    "watch a number": (lambda: problem(callback=3), TypeError, "callback=3"),
    "factorize nothing": (lambda: problem(factorize=None), TypeError, "factorize=None"),
    "field a function": (lambda: problem(field=lambda t, u, p: u), TypeError, "complex_step_field"),
    "field a class": (lambda: problem(field=Weave), TypeError, "field"),
    "integrand a function": (
        lambda: problem(integrand=lambda t, u, p: u),
        TypeError,
        "complex_step_integrand",
    ),
    "p nan": (lambda: problem().solve(P * NAN), adjoint.errors.NonFinite, r"p\[0\] is nan"),
    "p a matrix": (lambda: problem().solve(P[:, None]), ValueError, "expected a vector"),
    "p in words": (lambda: problem().solve(["a"]), TypeError, "dtype"),
}
PHYSICS = {
    "f short": (
        lambda: solve(field=field(f=lambda t, u, p: u[:2])),
        ValueError,
        r"\(2,\), expected \(3,\)",
    ),
    "f a column": (
        lambda: solve(field=field(f=lambda t, u, p: u[:, None])),
        ValueError,
        r"\(3, 1\)",
    ),
    "f nothing": (lambda: solve(field=field(f=nothing)), TypeError, "the field returned"),
    "f of truth values": (lambda: solve(field=field(f=lambda t, u, p: u > 0.0)), TypeError, "bool"),
    "f complex": (
        lambda: solve(field=field(f=lambda t, u, p: FIELD(t, u, p) + 0j)),
        TypeError,
        "complex u0",
    ),
    "f complex later": (
        lambda: solve(field=field(f=lambda t, u, p: FIELD(t, u, p) + (1j if t > 0.3 else 0.0))),
        TypeError,
        "complex",
    ),
    "f short later": (
        lambda: solve(field=field(f=lambda t, u, p: FIELD(t, u, p)[: 3 if t < 0.3 else 2])),
        ValueError,
        r"\(2,\)",
    ),
    "f writes to u": (
        lambda: solve(field=field(f=lambda t, u, p: u.__imul__(2.0))),
        ValueError,
        "writes into u",
    ),
    "jacobian short": (
        lambda: solve(field=field(jacobian=lambda *_: np.eye(2))),
        ValueError,
        r"\(2, 2\)",
    ),
    "jacobian a list": (
        lambda: solve(field=field(jacobian=lambda *_: [[1.0]])),
        TypeError,
        "a list",
    ),
    "jacobian complex": (
        lambda: solve(field=field(jacobian=lambda *a: FIELD.jacobian(*a) + 1j)),
        TypeError,
        "complex",
    ),
    "vjp short": (
        lambda: solve(field=field(vjp=lambda *_: np.ones(3))).vjp(ONES),
        ValueError,
        r"\(3,\), expected \(5,\)",
    ),
    "vjp nothing": (
        lambda: solve(field=field(vjp=nothing)).vjp(ONES),
        (TypeError, ValueError),
        "vjp of the field",
    ),
    "jvp long": (
        lambda: solve(field=field(jvp=lambda *_: np.ones(5))).jvp(P),
        ValueError,
        r"\(5,\), expected \(3,\)",
    ),
    "mass of another size": (lambda: solve(mass=np.eye(2)), ValueError, r"\(2, 2\)"),
    "mass not square": (lambda: solve(mass=np.ones((3, 2))), ValueError, r"\(3, 2\)"),
    "mass of integers": (lambda: solve(mass=np.eye(3, dtype=int)), TypeError, "int64"),
    "mass nan": (lambda: solve(mass=np.eye(3) * NAN), adjoint.errors.NonFinite, "nan"),
    "mass complex, u0 real": (lambda: solve(mass=np.eye(3) * (1.0 + 1j)), TypeError, "complex"),
    "mass a function": (lambda: solve(mass=lambda p: np.eye(3)), TypeError, "mass"),
    "M(p) with a vjp of one number": (
        lambda: solve(mass=matrix(vjp=lambda *_: 0.0)).vjp(ONES),
        ValueError,
        r"M\(p\)",
    ),
    "M(p) with a short jvp": (
        lambda: solve(mass=matrix(jvp=lambda *_: np.ones(2))).jvp(P),
        ValueError,
        r"M\(p\)",
    ),
    "integrand a number": (
        lambda: integral(__call__=lambda *_: 1.0),
        ValueError,
        "the integrand returned",
    ),
    "integrand complex": (
        lambda: integral(__call__=lambda *_: np.array([1j])),
        TypeError,
        "integrand",
    ),
    "integrand nan": (
        lambda: integral(__call__=lambda *_: Q * NAN),
        adjoint.errors.NonFiniteField,
        "integrand",
    ),
    "integrand that grows": (
        lambda: integral(__call__=lambda t, u, p: np.ones(1 + int(t > 0.3))),
        ValueError,
        "integrand",
    ),
    "integrand vjp alone": (
        lambda: integral(vjp=lambda *_: np.ones(3)).vjp(ONES, Q),
        (TypeError, ValueError),
        "integrand",
    ),
    "integrand vjp broadcast": (
        lambda: integral(vjp=lambda *_: (np.ones(3), 1.0)).vjp(ONES, Q),
        ValueError,
        "integrand",
    ),
    "integrand vjp of one unknown": (
        lambda: integral(vjp=lambda *_: (np.ones(1), P)).vjp(ONES, Q),
        ValueError,
        "integrand",
    ),
    "integrand jvp long": (
        lambda: integral(jvp=lambda *_: np.ones(2)).jvp(P),
        ValueError,
        "integrand",
    ),
    "integrand jvp a number": (
        lambda: integral(jvp=lambda *_: 0.0).jvp(P),
        ValueError,
        "integrand",
    ),
    "weights of another size": (
        lambda: solve(integrand=adjoint.ode.LinearIntegrand(np.ones(4))),
        ValueError,
        "4",
    ),
    "weights complex": (lambda: adjoint.ode.LinearIntegrand(np.ones(3) * 1j), ValueError, "real"),
}
DERIVATIVES = {
    "u_bar of one time": (lambda: solve().vjp(np.ones(3)), ValueError, r"u_bar of shape \(3,\)"),
    "u_bar of two times": (lambda: solve().vjp(np.ones((2, 3))), ValueError, "u_bar"),
    "u_bar nan": (lambda: solve().vjp(ONES * NAN), (ValueError, adjoint.errors.NonFinite), "u_bar"),
    "u_bar in words": (lambda: solve().vjp([["a", "b", "c"]]), TypeError, "u_bar|isfinite"),
    "q_bar without integrals": (lambda: solve().vjp(ONES, Q), ValueError, "q_bar"),
    "q_bar of another size": (
        lambda: integral().vjp(ONES, np.ones(2)),
        ValueError,
        r"q_bar of shape \(2,\)",
    ),
    "q_bar of no block": (lambda: integral().vjp(np.ones((1, 3, 2)), Q), ValueError, "q_bar"),
    "q_bar complex": (lambda: integral().vjp(ONES, Q * 1j), (TypeError, ValueError), "q_bar"),
    "p_dot short": (lambda: solve().jvp(np.ones(4)), ValueError, r"p_dot of shape \(4,\)"),
    "p_dot nan": (lambda: solve().jvp(P * NAN), (ValueError, adjoint.errors.NonFinite), "p_dot"),
    "p_dot complex": (lambda: solve().jvp(P * 1j), (TypeError, ValueError), "p_dot"),
    "u0_dot long": (lambda: solve().tangent(u0_dot=np.ones(4)), ValueError, "u0_dot"),
    "u0_dot complex": (
        lambda: solve().tangent(u0_dot=np.ones(3) * 1j),
        (TypeError, ValueError),
        "u0_dot",
    ),
    "no direction": (lambda: solve().tangent(), ValueError, "tangent"),
    "as many of neither": (
        lambda: solve().tangent(np.ones((5, 2)), np.ones(3)),
        ValueError,
        "same number of columns",
    ),
    "mode in another word": (
        lambda: solve().jacobian(mode="forward"),
        ValueError,
        "mode='forward'",
    ),
    "functionals of another shape": (lambda: solve().jacobian(of=ONES), ValueError, "functionals"),
    "replay of fewer parameters": (lambda: solve().replay(P[:2]), ValueError, r"\(2,\)"),
    "replay of fewer times": (
        lambda: solve(observe=[0.2, 1.0]).replay(P, observe=[0.2]),
        ValueError,
        "1 observation",
    ),
    "replay of times exchanged": (
        lambda: solve(observe=[0.2, 0.5]).replay(P, observe=[0.5, 0.2]),
        ValueError,
        "ascend",
    ),
    "replay backward": (lambda: solve().replay(P, t=(1.0, 0.0)), ValueError, "t0 < tf"),
    "replay of three ends": (lambda: solve().replay(P, t=(0.0, 0.5, 1.0)), ValueError, "t"),
    "replay until nan": (lambda: solve().replay(P, t=(0.0, NAN)), ValueError, "nan|ascend"),
}
ALL = ARGUMENTS | PHYSICS | DERIVATIVES


@pytest.mark.parametrize(("act", "error", "says"), ALL.values(), ids=ALL)
def test_wrong_input_is_a_named_error(act, error, says):
    with pytest.raises(error, match=says) as caught:
        act()
    assert "np.float64(" not in str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_meant_is_accepted(method):
    """Lists, tuples, integers, dense or sparse jacobians in any order: the same trajectory."""
    options = {"grid": np.linspace(0.0, 1.0, 9), "observe": None, "u0": U0, "integrand": None}
    expected = weave(3, method, **options).solve(P)
    J = FIELD.jacobian
    for change in (
        {"u0": list(U0), "grid": list(np.linspace(0.0, 1.0, 9))},
        {"u0": tuple(U0), "atol": [1e-4] * 3, "t": [0, 1], "observe": [1]},
        {"field": field(jacobian=lambda *a: np.asfortranarray(J(*a)))},
        {"field": field(jacobian=lambda *a: sparse.csr_array(J(*a)))},
        {"field": field(jacobian=lambda *a: sparse.coo_matrix(J(*a)))},
        {"field": field(f=lambda *a: FIELD(*a).tolist())},
        {"mass": np.eye(3)},
        {"mass": sparse.csr_array(np.eye(3))},
    ):
        got = weave(3, method, **(options | change)).solve(list(P))
        np.testing.assert_allclose(got.u, expected.u, rtol=1e-12)
        np.testing.assert_allclose(got.vjp(ONES.tolist()), expected.vjp(ONES), rtol=1e-10)
    integers = adjoint.ODEProblem(
        DECAY, np.array([1, 5]), (0, 1), method=METHODS[method], grid=[0, 1]
    ).solve([1])
    assert integers.u.dtype == np.float64
    assert np.all(integers.u % 1.0 > 0.0)


LARGE = Weave(70)
SPARSE = {
    "csr": lambda *a: sparse.csr_array(LARGE.jacobian(*a)),
    "coo": lambda *a: sparse.coo_matrix(LARGE.jacobian(*a)),
    "dense": lambda *a: LARGE.jacobian(*a).toarray(),
}


@pytest.mark.parametrize("jacobian", SPARSE.values(), ids=SPARSE)
@pytest.mark.parametrize("method", ["ESDIRK4", "BE"])
def test_jacobians_of_many_unknowns_may_be_of_any_format(method, jacobian):
    got, expected = (
        weave(70, method, "of p", field=f).solve(P)
        for f in (CustomField(LARGE, jacobian=jacobian), LARGE)
    )
    np.testing.assert_allclose(
        got.vjp(*cotangents(got)), expected.vjp(*cotangents(got)), rtol=1e-10
    )


@pytest.mark.parametrize("method", ["ESDIRK4", "BE"])
def test_repeated_entries_of_a_jacobian_are_refused_or_summed_elsewhere(method):
    """The user's arrays, whose pattern is used again, are not modified."""
    J = LARGE.jacobian(0.0, np.ones(70), P)
    columns = np.tile(np.repeat(np.arange(70), np.diff(J.indptr)), 2)
    order = np.lexsort((-np.arange(2 * J.nnz), columns))
    indices, indptr = np.tile(J.indices, 2)[order], 2 * J.indptr
    kept = indices.copy()

    def twice(t, u, p):
        data = np.tile(0.5 * LARGE.jacobian(t, u, p).data, 2)[order]
        return sparse.csc_array((data, indices, indptr), shape=(70, 70))

    expected = weave(70, method, "of p").solve(P)
    bars = cotangents(expected)
    with suppress(ValueError):
        got = weave(70, method, "of p", field=CustomField(LARGE, jacobian=twice)).solve(P)
        np.testing.assert_allclose(got.vjp(*bars), expected.vjp(*bars), rtol=1e-10)
    np.testing.assert_array_equal(indices, kept)


def test_what_a_field_raises_by_itself_comes_with_the_shapes_it_was_given():
    """A field that unpacks more unknowns than u0 has."""
    unpacking = CustomField(FIELD, __call__=lambda t, u, p: np.array([u[0] + u[1] + u[3]]))
    with pytest.raises(IndexError) as caught:
        solve(field=unpacking)
    assert caught.value.__notes__ == ["Raised for field(t, u, p) at t = 0, with u (3,) and p (5,)."]


FROM_ZERO = {
    "field": adjoint.complex_step_field(
        lambda t, u, p: np.array([-p[0] * u[0], p[0] * u[0]]), n=2, m=1
    ),
    "u0": np.array([1.0, 0.0]),
    "t": (0.0, 1.0),
    "rtol": 1e-6,
    "atol": 0.0,
}
"""The size of u relative to tolerances of zero is infinite."""


@pytest.mark.parametrize("method", ["Tsit5", "Radau9"])
def test_no_absolute_tolerance_for_an_unknown_that_is_zero_may_do(method):
    trajectory = adjoint.ODEProblem(**FROM_ZERO, method=METHODS[method]).solve([2.0])
    np.testing.assert_allclose(trajectory.u[0], [np.exp(-2.0), 1.0 - np.exp(-2.0)], rtol=1e-4)


@pytest.mark.parametrize("method", ["TRBDF2", "ESDIRK4", "ESDIRK5"])
def test_no_absolute_tolerance_for_an_unknown_that_is_zero_is_named(method):
    with pytest.raises(adjoint.errors.StageFailure, match="atol = 0 for an unknown that is 0"):
        adjoint.ODEProblem(**FROM_ZERO, method=METHODS[method]).solve([2.0])


@pytest.mark.parametrize("times", ["no", None, 1, 0.0, []])
def test_the_flag_of_sensitivities_is_a_flag(times):
    trajectory = adjoint.ODEProblem(FIELD, U0, t=(0.0, 0.5)).solve(P)
    with pytest.raises(TypeError, match="sensitivities: got times="):
        trajectory.sensitivities(ONES, times=times)
    assert trajectory.sensitivities(ONES, times=np.False_).tf is None
