"""Slips in calling the optimizers: the error names what was given, and what was expected."""

import importlib.util

import numpy as np
import pytest

import adjoint
from adjoint import Stopping
from adjoint.interop import minimize as minimize_elsewhere
from adjoint.interop.scipy import LBFGSB, SLSQP, LeastSquares
from adjoint.optimize import (
    BFGS,
    GCMMA,
    LBFGS,
    MMA,
    AugmentedLagrangian,
    Backtracking,
    Bounds,
    Continuation,
    DifferencedHessian,
    FunctionConstraint,
    GaussNewton,
    LinearConstraint,
    NewtonCG,
    OptimalityCriteria,
    ResidualFunction,
    ScalarFunction,
    SiMPL,
    Stage,
    StateConstraint,
    SteepestDescent,
    Weighted,
)

X = np.array([0.4, 0.3])
UNIT = Bounds(0.0, 1.0)


def value(x):
    return float(x[0] ** 2 + 3.0 * x[1] ** 2)


def slope(x):
    return np.array([2.0 * x[0], 6.0 * x[1]])


class Sum:
    """J = Σ u_i."""

    def value(self, u, p):
        return float(u.sum())

    def gradients(self, u, p):
        return np.ones_like(u), np.zeros_like(p)


F = ScalarFunction(value, slope)
LINE = LinearConstraint(np.ones(2), 0.5)
DISC = FunctionConstraint(F, 1.0)
OF_STATE = StateConstraint(Sum(), 1.0)


def ran(algorithm, f=F, x=X):
    return adjoint.minimize(f, x, algorithm, stop=Stopping(iterations=3))


def ran_elsewhere(method, f=F):
    return minimize_elsewhere(f, X, method, stop=Stopping(iterations=3))


def staged(build):
    continuation = Continuation(build, (Stage({"beta": 1.0}), Stage({"beta": 2.0})))
    return adjoint.minimize(continuation.f, X, continuation, stop=Stopping(iterations=3))


def written_to(x):
    x[0] = 1.0
    return 0.0


BOUNDS = [
    (
        lambda: Bounds([(0.0, 1.0), (0.0, 1.0)]),
        ValueError,
        r"shapes \(2, 2\) and \(\), expected numbers or arrays",
    ),
    (lambda: Bounds(np.zeros(2), np.ones(3)), ValueError, r"shapes \(2,\) and \(3,\)"),
    (
        lambda: Bounds(None, 1.0),
        TypeError,
        r"got None and 1.0, expected real numbers; -np.inf and np.inf",
    ),
    (lambda: Bounds(0.0, np.ones(3)).clip(X), ValueError, r"shape \(3,\), expected \(2,\)"),
    (
        lambda: ran(LBFGS(bounds=Bounds(0.0, np.ones(3)))),
        ValueError,
        r"shape \(3,\), expected \(2,\)",
    ),
    (
        lambda: ran(LBFGS(bounds=Bounds(0.35, 1.0))),
        ValueError,
        r"x\[1\] is 0.3, expected 0.35 ≤ x\[1\].*bounds.clip\(x\)",
    ),
    (
        lambda: ran_elsewhere(LBFGSB(bounds=Bounds(0.35, 1.0))),
        ValueError,
        r"LBFGSB: .*x\[1\] is 0.3.*bounds.clip\(x\)",
    ),
    (
        lambda: ran_elsewhere(LBFGSB(bounds=[(0, 1)] * 2)),
        TypeError,
        "LBFGSB: got a list as bounds, expected a Bounds",
    ),
    (lambda: MMA((LINE,), (0, 1)), TypeError, "MMA: got a tuple as bounds, expected a Bounds"),
    (
        lambda: MMA(UNIT, (LINE,)),
        TypeError,
        r"MMA: got a Bounds as constraints, expected a tuple of them, such as \(c,\)",
    ),
    (
        lambda: OptimalityCriteria(LINE, bounds=(0, 1)),
        TypeError,
        "got a tuple as bounds, expected a Bounds",
    ),
    *(
        (
            lambda kind=kind: kind(bounds=[(-2, 0.5)] * 2),
            TypeError,
            f"{kind.__name__}: got a list as bounds, expected",
        )
        for kind in (LBFGS, BFGS, SteepestDescent, NewtonCG, GaussNewton)
    ),
]

SETTINGS = [
    (
        lambda: LBFGS(inner=np.ones(2)),
        TypeError,
        r"got an array as the inner product, .*Weighted\(weights\)",
    ),
    (
        lambda: LBFGS(inner=Weighted),
        TypeError,
        "got the class Weighted itself as the inner product",
    ),
    (
        lambda: ran(LBFGS(inner=Weighted(np.ones(3)))),
        ValueError,
        r"weights of shape \(3,\), expected \(2,\)",
    ),
    (
        lambda: ran(MMA((LINE,), UNIT, inner=Weighted(np.ones(3)))),
        ValueError,
        r"shape \(3,\), expected \(2,\)",
    ),
    (
        lambda: LBFGS(search=Backtracking()),
        TypeError,
        r"got a Backtracking as the search, expected .*StrongWolfe\(",
    ),
    (
        lambda: MMA((LINE,), UNIT, asymptotes=0.5),
        TypeError,
        r"got a float as the asymptotes, expected Asymptotes\(",
    ),
    (
        lambda: OptimalityCriteria(LINE, sensitivity_filter=Sum()),
        TypeError,
        r"a Sum as the .*SensitivityFilter\(",
    ),
    (
        lambda: SteepestDescent(search=adjoint.optimize.StrongWolfe()),
        TypeError,
        "got a StrongWolfe as the search",
    ),
    (
        lambda: AugmentedLagrangian(LBFGS, (LINE,)),
        TypeError,
        r"got the class LBFGS itself .*such as LBFGS\(\)",
    ),
    (
        lambda: AugmentedLagrangian((LINE,), LBFGS()),
        TypeError,
        "got a tuple as the inner algorithm",
    ),
]

CONSTRAINTS = [
    (
        lambda: MMA(LINE, UNIT),
        TypeError,
        r"got a LinearConstraint as constraints, expected a tuple .*\(c,\)",
    ),
    (lambda: GCMMA(None, UNIT), TypeError, "GCMMA: got None as constraints, expected a tuple"),
    (
        lambda: MMA((lambda x: 0.0,), UNIT),
        TypeError,
        "got a function among the constraints, expected .*ScalarFunction",
    ),
    (
        lambda: AugmentedLagrangian(LBFGS(), equalities=LINE),
        TypeError,
        "got a LinearConstraint as constraints",
    ),
    (
        lambda: ran_elsewhere(SLSQP(constraints=LINE)),
        TypeError,
        "SLSQP: got a LinearConstraint as constraints",
    ),
    (
        lambda: ran_elsewhere(SLSQP(equalities=[value])),
        TypeError,
        "SLSQP: got a function among the constraints",
    ),
    (
        lambda: MMA((LinearConstraint(np.ones(2), np.inf),), UNIT),
        ValueError,
        "got inf as the bound of a constraint",
    ),
    (
        lambda: MMA((FunctionConstraint(F, "1"),), UNIT),
        ValueError,
        "got '1' as the bound of a constraint",
    ),
    (
        lambda: StateConstraint(lambda u, p: 0.0, 1.0),
        TypeError,
        "got a function, expected an objective, with value",
    ),
    (
        lambda: FunctionConstraint(1.0, F),
        TypeError,
        "FunctionConstraint: got a float as function, expected a",
    ),
    (
        lambda: ran(MMA((FunctionConstraint(value, 1.0),), UNIT)),
        TypeError,
        "FunctionConstraint returned a float",
    ),
    (
        lambda: ran(AugmentedLagrangian(LBFGS(), (FunctionConstraint(value, 1.0),))),
        TypeError,
        "FunctionConstraint returned a float, expected a Point",
    ),
    (
        lambda: ran(MMA((LinearConstraint(np.ones(3), 1.0),), UNIT)),
        ValueError,
        r"weights of shape \(3,\), .*\(2,\)",
    ),
    *(
        (
            lambda run=run: run((OF_STATE,)),
            TypeError,
            r"ScalarPoint, which has no state.*FunctionConstraint\(Reduced\(",
        )
        for run in (
            lambda constraints: ran(MMA(constraints, UNIT)),
            lambda constraints: ran(AugmentedLagrangian(LBFGS(), constraints)),
            lambda constraints: ran_elsewhere(SLSQP(constraints)),
        )
    ),
    *(
        (
            lambda kind=kind, c=c: kind(c),
            TypeError,
            f"{kind.__name__}: got {words} as the constraint, .*volume",
        )
        for kind in (OptimalityCriteria, SiMPL)
        for c, words in (
            ((LINE,), "a tuple"),
            (OF_STATE, "a StateConstraint"),
            (DISC, "a FunctionConstraint"),
        )
    ),
]

FUNCTIONS = [
    (
        lambda: ran(LBFGS(), value),
        TypeError,
        r"f returned a float, expected a Point .*ScalarFunction\(value",
    ),
    (lambda: ran(MMA((), UNIT), value), TypeError, "f returned a float, expected a Point"),
    (
        lambda: ran(LBFGS(), lambda x: (value(x), slope(x))),
        TypeError,
        r"returned a tuple, .*ScalarFunction.of\(f\)",
    ),
    (lambda: ran(LBFGS(), lambda x: None), TypeError, "f returned None, expected a Point"),
    (lambda: ran_elsewhere(LBFGSB(), value), TypeError, "f returned a float, expected a Point"),
    (lambda: ran(LBFGS(), 1.0), TypeError, "LBFGS: got a float as f, expected a function of x"),
    (
        lambda: ScalarFunction(value, None),
        TypeError,
        "got None as gradient, expected a function of x",
    ),
    (
        lambda: ScalarFunction(1.0, slope),
        TypeError,
        "got a float as value, expected a function of x",
    ),
    (
        lambda: ScalarFunction(value, slope, np.eye(2)),
        TypeError,
        "got an array as product, expected a function",
    ),
    (lambda: ScalarFunction.of(None), TypeError, "got None as function, expected a function of x"),
    (
        lambda: ScalarFunction.of(value)(X),
        TypeError,
        r"returned a float, expected the pair \(f, gradient\)",
    ),
    (
        lambda: ScalarFunction(slope, slope)(X),
        TypeError,
        r"returned an array of shape \(2,\), expected a real",
    ),
    (
        lambda: ScalarFunction(lambda x: [value(x)], slope)(X),
        TypeError,
        "returned a list, expected a number",
    ),
    (
        lambda: ScalarFunction(lambda x: (1.0, slope(x)), slope)(X),
        TypeError,
        r"a tuple, .*ScalarFunction.of\(f\)",
    ),
    (
        lambda: ScalarFunction(lambda x: 1j, slope)(X),
        TypeError,
        "returned a complex, expected a real number",
    ),
    (
        lambda: ScalarFunction(lambda x: None, slope)(X),
        TypeError,
        "returned None, expected a real number",
    ),
    (lambda: ran(LBFGS(), ScalarFunction(written_to, slope)), ValueError, "read-only"),
    (lambda: ran(LBFGS(), ScalarFunction(value, written_to)), ValueError, "read-only"),
    (
        lambda: ResidualFunction(slope, None),
        TypeError,
        "got None as jacobian, expected a function of x",
    ),
    (
        lambda: ResidualFunction(value, slope)(X),
        ValueError,
        r"residual returned .* of shape \(\), expected \(k,\)",
    ),
    (
        lambda: ResidualFunction(slope, slope)(X).gradient,
        ValueError,
        r"shape \(2,\), expected \(2, 2\)",
    ),
    (
        lambda: ran(NewtonCG(), lambda x: At(x)),
        TypeError,
        r"adjoint\.optimize\.DifferencedHessian\(f\)",
    ),
    (
        lambda: ran(NewtonCG(), DifferencedHessian(value)),
        TypeError,
        "of a DifferencedHessian returned a float",
    ),
    (lambda: DifferencedHessian(None), TypeError, "got None as function, expected a function of x"),
    (
        lambda: ran(GaussNewton()),
        TypeError,
        r"ScalarPoint has no residual.*ResidualFunction\(residual, jacobian\)",
    ),
    (
        lambda: adjoint.Sum([(1.0, Sum()), (2.0, Sum())]),
        TypeError,
        r"got a tuple as a term, .*Sum\(\(J1, J2\), \(",
    ),
]

ELSEWHERE = [
    (
        lambda: ran_elsewhere(LBFGS()),
        TypeError,
        "got LBFGS, an algorithm of this library: use adjoint.minimize",
    ),
    (
        lambda: ran_elsewhere("L-BFGS-B"),
        TypeError,
        r"got a str, expected a method such as .*LBFGSB\(\)",
    ),
    (lambda: ran_elsewhere(LBFGSB), TypeError, "got the class LBFGSB itself, expected a method"),
    (lambda: LBFGSB(constraints=(LINE,)), TypeError, "constraints"),
    (lambda: LeastSquares(equalities=(LINE,)), TypeError, "equalities"),
]

STAGES = [
    (lambda: Continuation(None, (Stage({}),)), TypeError, "got None as build, expected a function"),
    (
        lambda: Continuation(lambda s: (F, LBFGS()), [{"beta": 1.0}]),
        TypeError,
        r"got a dict for stages, .*Stage\(",
    ),
    (
        lambda: Continuation(lambda s: (F, LBFGS()), [1.0, 2.0]),
        TypeError,
        r"got a float for stages, .*Stage\(",
    ),
    (
        lambda: Continuation(lambda s: (F, LBFGS()), Stage({})),
        TypeError,
        "got a Stage for stages, expected a tuple",
    ),
    (
        lambda: staged(lambda s: F),
        TypeError,
        r"build returned a ScalarFunction, expected the pair \(f, ",
    ),
    (
        lambda: staged(lambda s: (LBFGS(), F)),
        TypeError,
        "build returned a LBFGS and a ScalarFunction, expected",
    ),
    (lambda: Stage(1.0), TypeError, r"got a float as settings, expected a dict"),
    (lambda: Stage({}, until=50), TypeError, r"got an int as until, expected Stopping\("),
    (
        lambda: Stage({}, rule=0.1),
        TypeError,
        "got a float as the rule, expected a function of a State",
    ),
    (
        lambda: Stage({}, keep="width"),
        TypeError,
        r"got keep='width', expected a tuple of names, such as \('width',\)",
    ),
]


class At:
    """A point without products."""

    def __init__(self, x):
        self.x, self.value, self.gradient = x, value(x), slope(x)


@pytest.mark.parametrize(
    ("slip", "error", "words"), [*BOUNDS, *SETTINGS, *CONSTRAINTS, *FUNCTIONS, *ELSEWHERE, *STAGES]
)
def test_slips_are_named(slip, error, words):
    with pytest.raises(error, match=words):
        slip()


@pytest.mark.skipif(importlib.util.find_spec("nlopt") is None, reason="nlopt is not installed")
@pytest.mark.parametrize(
    ("algorithm", "settings", "error", "words"),
    [
        (
            "LD_LBFGS",
            {"constraints": (LINE,)},
            ValueError,
            r"got constraints, expected none: .*BFGS.*LD_MMA",
        ),
        (
            "LD_TNEWTON",
            {"equalities": (LINE,)},
            ValueError,
            r"got equalities, expected none: .*Newton.*LD_SLSQP",
        ),
        (
            "LD_MMA",
            {"equalities": (LINE,)},
            ValueError,
            r"got equalities, expected none: .*MMA.*LD_SLSQP",
        ),
        ("LD_CCSAQ", {"equalities": (LINE,)}, ValueError, "got equalities, expected none"),
        (
            "LD_SLSQP",
            {"constraints": LINE},
            TypeError,
            "NLopt: got a LinearConstraint as constraints",
        ),
    ],
)
def test_nlopt_names_what_an_algorithm_does_not_take(algorithm, settings, error, words):
    import nlopt

    from adjoint.interop.nlopt import NLopt

    with pytest.raises(error, match=words):
        NLopt(getattr(nlopt, algorithm), **settings)
    with pytest.raises(TypeError, match=r"got algorithm='LD_MMA', expected .*nlopt\.LD_MMA"):
        NLopt("LD_MMA")


def test_a_function_of_both_is_called_once_a_point():
    calls = []

    def both(x):
        calls.append(x.copy())
        return value(x), slope(x)

    result = adjoint.minimize(
        ScalarFunction.of(both), X, LBFGS(), check=False, stop=Stopping(stationarity=1e-9)
    )
    assert result.success
    assert len(calls) == len({call.tobytes() for call in calls}) == result.state.evaluations
    apart = adjoint.minimize(F, X, LBFGS(), check=False, stop=Stopping(stationarity=1e-9))
    np.testing.assert_array_equal(result.x, apart.x)


def test_a_function_of_both_may_have_products():
    f = ScalarFunction.of(lambda x: (value(x), slope(x)), lambda x, v: np.array([2.0, 6.0]) * v)
    assert adjoint.minimize(f, X, NewtonCG(), stop=Stopping(stationarity=1e-9)).success


def test_gradients_in_a_buffer_of_the_user_s_are_not_overwritten():
    buffer = np.zeros(2)

    def into_the_buffer(x):
        buffer[:] = slope(x)
        return buffer

    for f in (
        ScalarFunction(value, into_the_buffer),
        ScalarFunction.of(lambda x: (value(x), into_the_buffer(x))),
    ):
        first, second = f(X), f(2.0 * X)
        np.testing.assert_array_equal(first.gradient, slope(X))
        np.testing.assert_array_equal(second.gradient, slope(2.0 * X))
        np.testing.assert_array_equal(first.gradient, slope(X))


def test_a_point_does_not_follow_what_happens_to_x():
    x = X.copy()
    point = F(x)
    x[:] = 7.0
    np.testing.assert_array_equal(point.gradient, slope(X))
