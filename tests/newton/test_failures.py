"""Nonlinear problems without a solution: named errors with a history or a remedy."""

import math
from contextlib import nullcontext, suppress
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from problems.steady.bratu import Bratu, bratu

N, NAN, INF = 4, np.nan, np.inf
ONE, FOUR = np.ones(1), np.ones(N)


class Physics:
    """u² − p in each unknown, with methods that a test may replace."""

    def __init__(self, **methods):
        self.methods, self.states = methods, []

    def _called(self, name, default, *args):
        return self.methods[name](*args) if name in self.methods else default

    def residual(self, u, p):
        self.states.append(u.copy())
        return self._called("residual", u**2 - p[0], u, p)

    def jacobian(self, u, p):
        return self._called("jacobian", sparse.diags_array(2.0 * u, format="csc"), u, p)

    def vjp(self, u, p, lam):
        return self._called("vjp", -lam.sum(keepdims=True), u, p, lam)

    def jvp(self, u, p, p_dot):
        return self._called("jvp", np.full(u.size, -p_dot[0]), u, p, p_dot)


def problem(u0=None, **changes):
    methods = {
        name: changes.pop(name)
        for name in ("residual", "jacobian", "vjp", "jvp")
        if name in changes
    }
    return adjoint.NonlinearProblem(
        Physics(**methods), np.full(N, 2.0) if u0 is None else u0, **changes
    )


def solved(u0=None, **changes):
    return problem(u0, **changes).solve(ONE)


def one(equation, slope, u0, **changes):
    """R(u) = 0 in one unknown."""
    physics = Physics(
        residual=lambda u, p: np.array([equation(u[0])]), jacobian=lambda u, p: dense(slope(u[0]))
    )
    return adjoint.NonlinearProblem(physics, np.array([u0]), **changes).solve(ONE)


def dense(value):
    return sparse.csc_array(np.atleast_2d(value))


def outside(u, p):
    """nan, except at the start."""
    return u**2 - p[0] if np.all(u == 2.0) else np.full(N, NAN)


LAMBDA = (
    3.506681116784881  # λ_c of Bratu (15,), of R = 0, (∂R/∂u) v = 0, cᵀv = 1 by dense Newton steps.
)
newton, AT_ONE = adjoint.newton.Newton, bratu(N).solve(ONE)
diverged, stalled = adjoint.errors.NewtonDiverged, adjoint.errors.NewtonStalled
singular, not_finite = adjoint.errors.SingularJacobian, adjoint.errors.NonFiniteResidual
FULL = {"method": newton(globalization=adjoint.newton.FullSteps())}
UNSORTED = sparse.csc_array((np.ones(5), [1, 0, 1, 2, 3], [0, 2, 3, 4, 5]), shape=(N, N))
SQUARE, SLOPE = (lambda u: u**2 - 1.0), (lambda u: 2.0 * u)
BOUNDED = {"bounds": adjoint.Bounds(0.0, 9.0)}
SKEW = dense(5.0 * np.eye(N) + np.eye(N, k=1))
ATAN = (np.arctan, lambda u: 1.0 / (1.0 + u**2))
CUBE, CUBED = (lambda u: u**3 - 1.0), (lambda u: 3.0 * u**2)
ROOT = (lambda u: math.sqrt(u) + 1.0, lambda u: 0.5 / math.sqrt(u))

# name: (R(u, p), the error, its message); with Dirichlet data as without
RESIDUALS = {
    "too short": (lambda u, p: u[:3], ValueError, r"\(3,\), expected \(4,\)"),
    "a column": (lambda u, p: u[:, None], ValueError, r"\(4, 1\), expected \(4,\)"),
    "a number": (lambda u, p: 0.0, ValueError, r"\(\), expected \(4,\)"),
    "nothing": (lambda u, p: None, (TypeError, ValueError), "expected"),
    "booleans": (lambda u, p: u > 0.0, TypeError, "dtype bool"),
    "words": (lambda u, p: np.array(list("abcd")), TypeError, "expected float64"),
    "complex": (lambda u, p: np.sqrt(-u + 0j), TypeError, "complex u0.*square root.*FFT"),
    "written to u": (lambda u, p: np.add(u, 1.0, out=u), ValueError, "read-only"),
    "nan": (
        lambda u, p: np.array([1.0, NAN, INF, 1.0]),
        not_finite,
        r"R\[1\] = nan, R\[2\] = inf \(2 of 4\)",
    ),
    "nan at every trial": (outside, not_finite, "shortest trial steps.*Bounds"),
}
# name: (∂R/∂u, the error, its message)
JACOBIANS = {
    "too small": (dense(np.eye(3)), ValueError, r"\(3, 3\), expected \(4, 4\)"),
    "nan": (
        dense(np.diag([1.0, NAN, 1.0, 1.0])),
        adjoint.errors.NonFinite,
        r"entry \(1, 1\) is nan",
    ),
    "a list": ([[1.0]], TypeError, "expected a SciPy sparse matrix"),
    "nothing": (None, TypeError, "expected a SciPy sparse matrix"),
    "integers": (sparse.eye_array(N, dtype=int), TypeError, r"astype\(float\)"),
    "complex": (dense(np.eye(N) * (4.0 + 0.5j)), TypeError, "complex"),
    "unsorted": (UNSORTED, ValueError, "sum_duplicates"),
    "of the wrong sign": (dense(-4.0 * np.eye(N)), stalled, "check_residual"),
    "singular": (dense(np.diag([1.0, 0.0, 1.0, 1.0])), singular, "step 1 is singular"),
    "with two rows the same": (
        dense(np.ones((N, N)) + np.diag([1.0, 2.0, 0.0, 0.0])),
        singular,
        "singular",
    ),
}
# name: (R, R′, u0, what else the problem is given, the error, its message), for one unknown
ROOTS = {
    "singular at the start": (
        SQUARE,
        SLOPE,
        0.0,
        {},
        singular,
        "start where the derivative vanishes",
    ),
    "double root": (
        lambda u: (u - 1.0) ** 2,
        lambda u: 2.0 * (u - 1.0),
        1.7,
        {},
        singular,
        "double root",
    ),
    "term forgotten": (
        lambda u: u + 0.5 * u**2 - 1.0,
        lambda u: 1.0,
        0.8,
        {},
        adjoint.SolveError,
        "check_residual",
    ),
    "no root": (np.exp, np.exp, 0.0, {}, diverged, "did not converge in 50 iterations"),
    "few iterations": (
        CUBE,
        CUBED,
        1e3,
        {"method": newton(max_iterations=8)},
        diverged,
        "in 8 .*max_iterations",
    ),
    "cycle": (
        lambda u: u**3 - 2.0 * u + 2.0,
        lambda u: 3.0 * u**2 - 2.0,
        0.0,
        FULL,
        diverged,
        "PseudoTransient",
    ),
    "kink": (
        lambda u: abs(u - 0.123) + 1.0,
        lambda u: np.sign(u - 0.123),
        1.0,
        {},
        stalled,
        "a kink in R",
    ),
    "root out of bounds": (
        SQUARE,
        SLOPE,
        3.0,
        {"bounds": adjoint.Bounds(2.0, 5.0)},
        stalled,
        "bounds leave no room",
    ),
    "no root in its domain": (*ROOT, 4.0, BOUNDED, stalled, "bounds leave no room"),
    "full steps to a bound": (*ROOT, 4.0, FULL | BOUNDED, adjoint.SolveError, "bounds|converge"),
    "full steps to infinity": (*ATAN, 2.0, FULL, adjoint.SolveError, "step [5-9]|step 1[0-9]"),
}
# name: (what is done, the error, its message)
REFUSED = {
    "at a fold": (
        lambda: bratu(15).solve(np.array([LAMBDA])),
        singular,
        "fold.*adjoint.continuation.trace",
    ),
    "past a fold": (
        lambda: bratu(15).solve(np.array([LAMBDA + 0.01])),
        stalled,
        "past a fold: adjoint.continuation.trace",
    ),
    "indefinite": (
        lambda: solved(-FOUR, factorize=adjoint.cholesky),
        adjoint.errors.NotPositiveDefinite,
        "ldl or",
    ),
    "nonsymmetric": (
        lambda: solved(jacobian=lambda u, p: SKEW, factorize=adjoint.cholesky),
        adjoint.errors.NotSymmetric,
        "adjoint.lu",
    ),
    "out of bounds": (
        lambda: solved(bounds=adjoint.Bounds(3.0, 4.0)),
        ValueError,
        r"= 2 is outside of .* \[3, 4\]",
    ),
    "bounds too short": (
        lambda: solved(bounds=adjoint.Bounds(np.zeros(3))),
        ValueError,
        r"\(3,\), expected a number",
    ),
    "bounds crossed": (
        lambda: solved(bounds=adjoint.Bounds(1.0, 1.0)),
        ValueError,
        "lower < upper",
    ),
    "bounds of two lengths": (
        lambda: adjoint.Bounds(np.zeros(3), np.ones(2)),
        ValueError,
        "Bounds",
    ),
    "bounds a pair": (lambda: solved(bounds=(0.0, 9.0)), TypeError, "adjoint.Bounds|Bounds"),
    "bounds of complex states": (
        lambda: solved(FOUR + 0j, bounds=adjoint.Bounds(0.0)),
        TypeError,
        "complex",
    ),
    "u0 nan": (lambda: problem(np.array([1.0, NAN])), adjoint.errors.NonFinite, r"u0\[1\] is nan"),
    "u0 a function to nan": (
        lambda: solved(lambda p: NAN * np.ones(N)),
        adjoint.errors.NonFinite,
        r"u0\[0\] is nan",
    ),
    "u0 empty": (lambda: problem(np.zeros(0)), ValueError, "at least one unknown"),
    "u0 a word": (lambda: problem("zero"), TypeError, "u0 of dtype"),
    "p nan": (lambda: problem().solve(np.array([NAN])), adjoint.errors.NonFinite, r"p\[0\] is nan"),
    "p a matrix": (
        lambda: problem().solve(np.ones((1, 1))),
        ValueError,
        r"expected a vector \(m,\)",
    ),
    "p_dot too long": (
        lambda: solved().jvp(np.ones(2)),
        ValueError,
        r"p_dot of shape \(2,\), expected \(1,\)",
    ),
    "u_bar too long": (
        lambda: solved().vjp(np.ones(5)),
        ValueError,
        r"u_bar of shape \(5,\), expected \(4,\)",
    ),
    "u_bar nan": (lambda: solved().vjp(np.full(N, NAN)), adjoint.errors.NonFinite, "nan"),
    "vjp too long": (
        lambda: solved(vjp=lambda u, p, lam: lam).vjp(FOUR),
        ValueError,
        r"\(4,\), expected \(1,\)",
    ),
    "vjp nan": (
        lambda: solved(vjp=lambda u, p, lam: NAN * p).vjp(FOUR),
        adjoint.errors.NonFinite,
        "vjp",
    ),
    "jvp too short": (
        lambda: solved(jvp=lambda u, p, p_dot: p_dot).jvp(ONE),
        ValueError,
        r"\(1,\), expected \(4,\)",
    ),
    "near a vector": (lambda: problem().solve(ONE, near=FOUR), TypeError, "near"),
    "near other parameters": (
        lambda: bratu(N).solve(FOUR, near=AT_ONE),
        ValueError,
        r"near.*expected p \(4,\)",
    ),
    "near another size": (
        lambda: replace(bratu(5), u0=FOUR[:3]).solve(ONE, near=AT_ONE),
        ValueError,
        "near|4",
    ),
    "a function": (
        lambda: adjoint.NonlinearProblem(lambda u, p: u - p, ONE),
        TypeError,
        "complex_step",
    ),
    "methods missing": (
        lambda: adjoint.NonlinearProblem(object(), ONE),
        TypeError,
        "an object, which has no method residual",
    ),
    "a class": (lambda: adjoint.NonlinearProblem(Bratu, ONE), TypeError, "class"),
    "factorizer a word": (lambda: problem(factorize="lu"), TypeError, "adjoint.lu"),
    "method a word": (lambda: problem(method="newton"), TypeError, "Newton"),
    "globalization a class": (
        lambda: newton(globalization=adjoint.newton.LineSearch),
        TypeError,
        "LineSearch",
    ),
    "start a word": (lambda: problem(start="homotopy"), TypeError, "PseudoTransient"),
    "Dirichlet data a pair": (lambda: problem(dirichlet=([0], [0.0])), TypeError, "Dirichlet"),
    "forcing lu": (
        lambda: problem(method=newton(forcing=adjoint.newton.EisenstatWalker())),
        TypeError,
        "gmres",
    ),
    "forcing above one": (lambda: adjoint.newton.EisenstatWalker(gamma=2.0), ValueError, "gamma"),
    "no iterations": (lambda: newton(max_iterations=0), ValueError, "at least 1"),
    "chord one": (lambda: newton(chord=1.0), ValueError, "contraction"),
    "scale zero": (lambda: newton(scale=np.array([1.0, 0.0])), ValueError, "sizes > 0"),
    "scale too short": (lambda: solved(method=newton(scale=np.ones(3))), ValueError, "scale"),
    "scale a column": (lambda: solved(method=newton(scale=np.ones((N, 1)))), ValueError, "scale"),
    "search without end": (
        lambda: adjoint.newton.LineSearch(shortest=-1.0),
        ValueError,
        "LineSearch",
    ),
    "damping without end": (
        lambda: adjoint.newton.AffineInvariant(shortest=0.0),
        ValueError,
        "AffineInvariant",
    ),
}


def fails(act, error, message):
    """Check the type, the message and the finite history of an error."""
    with pytest.raises(error, match=f"(?s){message}") as caught:
        act()
    if isinstance(caught.value, diverged | stalled | singular | not_finite):
        history = caught.value.history
        assert all(np.isfinite(history))
        assert len(history) <= 51
        assert not history or f"{history[-1]:.3e}" in str(caught.value)


@pytest.mark.parametrize(
    "dirichlet", [None, adjoint.Dirichlet(np.array([3]), np.full(1, 2.0))], ids=["", "Dirichlet"]
)
@pytest.mark.parametrize("case", RESIDUALS.values(), ids=RESIDUALS)
def test_wrong_residual_is_named(case, dirichlet):
    residual, error, message = case
    fails(lambda: solved(residual=residual, dirichlet=dirichlet), error, message)


@pytest.mark.parametrize("case", JACOBIANS.values(), ids=JACOBIANS)
def test_wrong_jacobian_is_named(case):
    A, error, message = case
    fails(lambda: solved(jacobian=lambda u, p: A), error, message)


@pytest.mark.parametrize("case", ROOTS.values(), ids=ROOTS)
def test_iteration_without_an_end_ends_with_its_history(case):
    *equation, changes, error, message = case
    fails(lambda: one(*equation, **changes), error, message)


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_bad_input_is_a_named_error(case):
    fails(*case)


@pytest.mark.parametrize("gap", [1e-5, 1e-7, 1e-9])
def test_solutions_close_to_a_fold_are_solutions(gap):
    """du/dλ ~ (λ_c − λ)^(−½) near the fold, to O(√gap)."""
    sizes = [
        bratu(15).solve(np.array([LAMBDA * (1.0 - g)])).jvp(ONE).max() * np.sqrt(g)
        for g in (gap, 1e-6)
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=1e-2)


@pytest.mark.parametrize(
    "search",
    [adjoint.newton.AffineInvariant(), adjoint.newton.LineSearch(), adjoint.newton.FullSteps()],
)
@pytest.mark.parametrize("u0", [-5.0, -0.15, 0.0, 0.003, 0.1, 2.0, 15.0])
@pytest.mark.parametrize("width", [0.7, 0.021])
def test_exponentials_end_in_a_solution_or_a_named_error_without_warnings(width, u0, search):
    changes = {"method": newton(globalization=search)}
    try:
        solution = one(
            lambda u: np.exp(u / width) - 1e8, lambda u: np.exp(u / width) / width, u0, **changes
        )
    except adjoint.SolveError as error:
        message = str(error)
    else:
        message = "" if solution.u[0] == pytest.approx(width * np.log(1e8)) else "wrong"
    assert "Usual causes" in message or not message


@pytest.mark.parametrize(
    "search",
    [adjoint.newton.AffineInvariant(), adjoint.newton.LineSearch(), adjoint.newton.FullSteps()],
)
@pytest.mark.parametrize("chord", [0.0, 0.7])
@pytest.mark.parametrize("lower", [0.9998581081046426, 0.999, 0.97, 0.6])
def test_every_evaluation_is_within_the_bounds(chord, lower, search):
    def curved(u, p):
        return np.array([np.expm1(u[0]), u[1] + u[0] - 0.3 * u[0] ** 2 - p[0]])

    physics = Physics(
        residual=curved, jacobian=lambda u, p: dense([[np.exp(u[0]), 0.0], [1.0 - 0.6 * u[0], 1.0]])
    )
    bounds = adjoint.Bounds(np.array([-9.0, lower]), 9.0)
    method = newton(globalization=search, chord=chord)
    with (
        suppress(stalled, diverged) if lower > 0.99 else nullcontext()
    ):  # Steps may be cut at a bound again and again.
        solution = adjoint.NonlinearProblem(
            physics, np.array([-0.4, 1.2]), method=method, bounds=bounds
        ).solve(ONE)
        np.testing.assert_allclose(solution.u, [0.0, 1.0], atol=1e-9)
    assert min(u[1] for u in physics.states) >= lower


def test_inputs_are_never_written_to_and_may_be_written_to_later():
    u0, p, mine = np.full(N, 2.0), np.ones(1), np.ones(1)
    for v in (u0, p):
        v.setflags(write=False)
    assert problem(u0).solve(p).vjp(FOUR) == pytest.approx([2.0])
    later = problem(u0).solve(mine)
    mine[0] = 9.0
    assert later.vjp(FOUR) == pytest.approx([2.0])
    with pytest.raises(ValueError, match="read-only"):
        later.u[0] = 3.0
