"""A battery of bad inputs: every public entry point, each of its arguments, every kind of slip.

A slip must raise ValueError, TypeError or a SolveError, within two seconds, and the
message must name the argument, or the class or function that it was given to. "Bare" is
any other error, "silent" none at all.
"""

import importlib
import inspect
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import factor, optimize, report
from adjoint.interop import scipy as interop

N, M = 4, 2
NAN, INF = float("nan"), float("inf")


class Nothing:
    """An object without any method that anybody asks for."""


def generator():
    yield from (1.0, 2.0)


def plain(*arguments):
    """A function, where an object with methods is wanted."""
    return np.ones(N)


# The kinds of slips, by what an argument is meant to be.
WORDS: dict[str, Any] = {"a word": "one", "a number as a word": "1.0", "words": ["a", "b"]}
OBJECTS: dict[str, Any] = {
    "None": None,
    "an object": Nothing(),
    "a class": Nothing,
    "a dict": {"a": 1.0},
}
NUMBERS = (
    WORDS
    | OBJECTS
    | {"nan": NAN, "complex": 1.0 + 2.0j, "a list": [0.3, 0.4], "a flag": True, "a function": plain}
)
POSITIVE = NUMBERS | {"negative": -1.0, "inf": INF}
FRACTION = POSITIVE | {"huge": 1e300}
COUNT = NUMBERS | {"negative": -1, "half": 2.5, "inf": INF}
FLAG = {"a word": "no", "None": None, "a number": 2.0, "an object": Nothing(), "a list": []}
ARRAY = (
    WORDS
    | OBJECTS
    | {"nan": np.full(N, NAN), "inf": np.full(N, INF), "nothing": np.zeros(0), "a number": 1.0}
    | {
        "a cube": np.zeros((N, N, N)),
        "ragged": [[1.0], [1.0, 2.0]],
        "a generator": generator(),
        "sparse": sparse.eye(N),
    }
)
PARAMETERS = ARRAY | {
    "a matrix": np.ones((M, M)),
    "nan": np.full(M, NAN),
    "inf": np.full(M, INF),
    "a flag": True,
}
REALS = PARAMETERS | {"complex": np.ones(M) * 1j}
SPARSE = (
    WORDS
    | OBJECTS
    | {"a number": 1.0, "a list": [1.0], "a cube": np.zeros((2, 2, 2)), "a function": plain}
)
OBJECT = (
    WORDS | OBJECTS | {"a number": 1.0, "an array": np.ones(N), "a function": plain, "a list": []}
)
FUNCTION = WORDS | {
    "None": None,
    "an object": Nothing(),
    "a dict": {},
    "a number": 1.0,
    "an array": np.ones(N),
}
FACTORIZER = (
    WORDS | OBJECTS | {"a number": 1.0, "cg itself": adjoint.cg, "gmres itself": adjoint.gmres}
)
FACTORIZER |= {
    "a class of them": factor.Direct,
    "a matrix": sparse.eye(N),
    "a function": lambda A: A,
}
PRECONDITIONER = (
    WORDS
    | OBJECTS
    | {
        "jacobi itself": adjoint.factor.jacobi,
        "ilu itself": adjoint.factor.ilu,
        "a matrix": sparse.eye(N),
    }
)
PATH = {
    "None": None,
    "a number": 1.5,
    "an object": Nothing(),
    "a list": ["a"],
    "an array": np.ones(2),
}


def but(kinds, *names, **more):
    """The kinds without those that the argument may be."""
    return {name: value for name, value in kinds.items() if name not in names} | more


@dataclass(eq=False)
class Physics:
    """R = A u + u³ − p[0] − p[1]: a residual of one's own."""

    def residual(self, u, p):
        return laplacian() @ u + u**3 - p.sum()

    def jacobian(self, u, p):
        return sparse.csc_array(laplacian() + sparse.diags_array(3.0 * u**2))

    def vjp(self, u, p, lam):
        return np.full(M, -lam.sum())

    def jvp(self, u, p, p_dot):
        return np.full(N, -p_dot.sum())


class Step:
    """u_k = u_{k−1} + p[0]."""

    def __call__(self, k, u, p):
        return u + p[0]

    def vjp(self, k, u, p, lam):
        return lam, np.array([lam.sum(), 0.0])

    def jvp(self, k, u, p, u_dot, p_dot):
        return u_dot + p_dot[0]


class Components:
    """c(u, p) = u."""

    def values(self, u, p):
        return u

    def vjp(self, u, p, weights):
        return weights, np.zeros_like(p)


def laplacian():
    return sparse.diags_array([-1.0, 3.0, -1.0], offsets=[-1, 0, 1], shape=(N, N)).tocsc()


def affine():
    return adjoint.Affine(laplacian(), [sparse.eye_array(N, format="csc"), laplacian()])


P = np.array([0.5, 0.7])
DOFS = np.array([[0, 1], [1, 2], [2, 3]])
KE = np.array([[1.0, -1.0], [-1.0, 1.0]])
SQUARE = adjoint.optimize.ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
LIMIT = adjoint.optimize.LinearConstraint(np.ones(M), 1.5)
UNIT = adjoint.Bounds(0.1, 1.0)
CENTRES = np.random.default_rng(0).random((M, 2))


def linear(**given):
    return adjoint.LinearProblem(**({"A": affine(), "b": np.ones(N)} | given))


def nonlinear(**given):
    return adjoint.NonlinearProblem(**({"residual": Physics(), "u0": np.zeros(N)} | given))


def decay(t, u, p):
    return -p[0] * u + p[1]


def ode(**given):
    start = {
        "field": adjoint.complex_step_field(decay, n=N, m=M),
        "u0": np.ones(N),
        "t": (0.0, 1.0),
        "rtol": 1e-3,
    }
    return adjoint.ODEProblem(**(start | given))


def recurrence(**given):
    return adjoint.RecurrenceProblem(**({"step": Step(), "u0": np.ones(N), "steps": 3} | given))


def reduced(**given):
    parts = {"problem": linear(), "objective": adjoint.LeastSquares(np.zeros(N))}
    return adjoint.Reduced(**(parts | given))


def entries(**given):
    base = laplacian()
    parts = {
        "pattern": base,
        "values": lambda p: base.data * p[0],
        "pullback": lambda p, data_bar: np.array([base.data @ data_bar, 0.0]),
        "pushforward": lambda p, p_dot: base.data * p_dot[0],
    }
    return adjoint.Entries(**(parts | given))


def mapped(design, x=P):
    """A design map, with its two derivatives."""
    value = design(x)
    return value, design.vjp(x, np.ones_like(value)), design.jvp(x, np.ones_like(x))


def run(algorithm, f=SQUARE, x=P, **given):
    return adjoint.minimize(f, x, algorithm, **({"stop": adjoint.Stopping(iterations=2)} | given))


def foreign(method, f=SQUARE, x=P, **given):
    return adjoint.interop.minimize(
        f, x, method, **({"stop": adjoint.Stopping(iterations=2)} | given)
    )


@dataclass(eq=False)
class Entry:
    """One entry point. call: used with all of `good`, which works.

    bad: the kinds of slips of each argument.
    """

    call: Callable[..., Any]
    good: dict[str, Any]
    bad: dict[str, dict[str, Any]]
    names: tuple[str, ...] = field(default=())
    """Words that a message may name it by besides those of the arguments and of the entry."""


ENTRIES: dict[str, Entry] = {}


def entry(name, call, good, bad, *names):
    ENTRIES[name] = Entry(call, good, bad, names)


# Matrices and vectors.
entry("Constant", adjoint.Constant, {"value": laplacian()}, {"value": SPARSE}, "matrix")
LISTS = but(SPARSE, "a list") | {
    "one matrix": laplacian(),
    "an array": np.eye(N),
    "numbers": [1.0, 2.0],
    "nothing": [],
}
entry(
    "Affine",
    lambda base, terms: adjoint.Affine(base, terms)(P),
    {"base": None, "terms": [laplacian(), laplacian()]},
    {"base": but(SPARSE, "None"), "terms": LISTS},
    "matrix",
)
PAIRS = LISTS | {
    "matrices": [laplacian()],
    "triples": [(1.0, laplacian(), 2.0)],
    "words": [("a", laplacian())],
    "objects": [(1.0, Nothing())],
    "classes": [(1.0, adjoint.Constant)],
    "nan": [(NAN, laplacian())],
}
entry(
    "Combination",
    lambda terms: adjoint.Combination(terms)(P),
    {"terms": [(1.0, laplacian())]},
    {"terms": PAIRS},
)
INTEGERS = ARRAY | {
    "floats": DOFS * 1.0,
    "negative": DOFS - 5,
    "far beyond": np.array([[0, 1], [1, 10**9]]),
}
entry(
    "Elements",
    lambda dofs, Ke: adjoint.Elements(dofs, Ke)(np.ones(3)),
    {"dofs": DOFS, "Ke": KE},
    {"dofs": INTEGERS, "Ke": ARRAY},
)
entry(
    "Assembly",
    lambda dofs: adjoint.matrices.Assembly(dofs).matrix(np.ones((3, 2, 2))),
    {"dofs": DOFS},
    {"dofs": INTEGERS},
)
entry(
    "Assembly.matrix",
    lambda Ke: adjoint.matrices.Assembly(DOFS).matrix(Ke),
    {"Ke": np.ones((3, 2, 2))},
    {"Ke": ARRAY},
    "Assembly",
)
entry(
    "Assembly.vector",
    lambda fe: adjoint.matrices.Assembly(DOFS).vector(fe),
    {"fe": np.ones((3, 2))},
    {"fe": ARRAY},
    "Assembly",
)
entry(
    "Assembly.gather",
    lambda u: adjoint.matrices.Assembly(DOFS).gather(u),
    {"u": np.ones(4)},
    {"u": but(ARRAY, "nan", "inf")},
    "Assembly",
)
entry(
    "Entries",
    lambda **given: entries(**given)(P),
    {},
    {
        "pattern": SPARSE,
        "values": FUNCTION,
        "pullback": FUNCTION,
        "pushforward": but(FUNCTION, "None"),
        "pullback_rate": but(FUNCTION, "None"),
    },
)
CHOSEN = but(OBJECT, "a number", "an array", "a list") | {
    "beyond": np.array([0, 7]),
    "half": np.array([0.5]),
    "far below": np.array([-5]),
    "a cube": np.zeros((1, 1, 1), dtype=int),
    "wide": slice(0, 5),
    "a flag": True,
}
entry(
    "Part",
    lambda of, chosen: adjoint.Part(of, chosen)(P),
    {"of": affine(), "chosen": slice(0, 2)},
    {"of": OBJECT, "chosen": CHOSEN},
)
entry(
    "PartVector",
    lambda of, chosen: adjoint.matrices.PartVector(of, chosen)(P),
    {"of": adjoint.matrices.AffineVector(np.ones(N), np.ones((N, M))), "chosen": slice(0, 2)},
    {"of": OBJECT, "chosen": CHOSEN},
)
entry(
    "ConstantVector",
    adjoint.matrices.ConstantVector,
    {"value": np.ones(N)},
    {"value": but(ARRAY, "nan", "inf")},
    "vector",
)
entry(
    "AffineVector",
    lambda base, slope: adjoint.matrices.AffineVector(base, slope)(P),
    {"base": np.ones(N), "slope": np.ones((N, M))},
    {"base": but(ARRAY, "nan", "inf"), "slope": but(ARRAY, "sparse")},
)

# Linear problems, and what their solutions are asked.
MATRIX = but(OBJECT) | {
    "a dense one": np.eye(N),
    "a maker": adjoint.Constant,
    "a list of them": [laplacian()],
}
entry(
    "LinearProblem",
    lambda **given: linear(**given).solve(P).vjp(np.ones(N)),
    {},
    {
        "A": MATRIX,
        "b": ARRAY | {"a class of them": adjoint.matrices.AffineVector},
        "factorize": FACTORIZER,
        "dirichlet": but(OBJECT, "None") | {"a class of them": adjoint.Dirichlet},
    },
    "right-hand side",
    "vector",
)
entry(
    "LinearProblem.solve",
    lambda p: linear().solve(p),
    {"p": P},
    {"p": PARAMETERS},
    "got p",
    "Affine",
)
entry(
    "SteadySolution.vjp",
    lambda u_bar: linear().solve(P).vjp(u_bar),
    {"u_bar": np.ones(N)},
    {"u_bar": ARRAY},
)
entry(
    "SteadySolution.adjoint",
    lambda u_bar: linear().solve(P).adjoint(u_bar),
    {"u_bar": np.ones(N)},
    {"u_bar": ARRAY},
)
entry(
    "SteadySolution.jvp",
    lambda p_dot: linear().solve(P).jvp(p_dot),
    {"p_dot": P},
    {"p_dot": but(PARAMETERS, "a matrix")},
)
entry(
    "Dirichlet",
    lambda fixed, values: linear(dirichlet=adjoint.Dirichlet(fixed, values)).solve(P),
    {"fixed": np.array([1]), "values": np.ones(1)},
    {
        "fixed": ARRAY
        | {"half": np.array([0.5]), "beyond": np.array([9]), "a flag": np.array([True])},
        "values": ARRAY,
    },
)

# Factorizers.
for name in ("lu", "cholesky", "ldl"):
    entry(
        name,
        lambda A, name=name: getattr(adjoint, name)(A).solve(np.ones(N)),
        {"A": laplacian()},
        {
            "A": SPARSE
            | {
                "integers": np.eye(N, dtype=int),
                "a row": np.ones((1, N)),
                "nan": np.full((N, N), NAN),
            }
        },
        "matrix",
    )
entry(
    "Factorization.solve",
    lambda b, trans: adjoint.lu(laplacian()).solve(b, trans),
    {"b": np.ones(N), "trans": "N"},
    {"b": ARRAY, "trans": but(OBJECT)},
    "right-hand side",
)
KRYLOV = {"rtol": FRACTION, "adjoint_rtol": FRACTION, "max_iterations": COUNT | {"none": 0}}
entry(
    "cg",
    lambda preconditioner, **given: adjoint.cg(preconditioner, **given)(laplacian()).solve(
        np.ones(N)
    ),
    {"preconditioner": adjoint.factor.jacobi()},
    KRYLOV | {"preconditioner": PRECONDITIONER},
)
entry(
    "gmres",
    lambda preconditioner, **given: adjoint.gmres(preconditioner, **given)(laplacian()).solve(
        np.ones(N)
    ),
    {"preconditioner": adjoint.factor.jacobi()},
    KRYLOV | {"preconditioner": PRECONDITIONER, "restart": COUNT | {"none": 0}},
)
entry(
    "ilu",
    lambda **given: adjoint.factor.ilu(**given)(laplacian(), "none"),
    {},
    {"drop_tolerance": FRACTION, "fill": POSITIVE},
)
entry(
    "rigid_body_modes",
    adjoint.factor.rigid_body_modes,
    {"coordinates": np.ones((3, 2))},
    {"coordinates": ARRAY, "dofs": but(ARRAY, "None") | {"floats": np.ones((3, 2))}},
)

# Newton's method.
entry(
    "NonlinearProblem",
    lambda **given: nonlinear(**given).solve(P),
    {},
    {
        "residual": OBJECT | {"a class of them": Physics},
        "u0": ARRAY,
        "factorize": FACTORIZER,
        "dirichlet": but(OBJECT, "None"),
        "method": OBJECT | {"a class of them": adjoint.newton.Newton},
        "start": but(OBJECT, "None", "a function") | {"a class of them": adjoint.newton.Homotopy},
        "bounds": but(OBJECT, "None") | {"a box": UNIT},
    },
    "right-hand side",
    "Factorization",
    "residual",
)
entry(
    "NonlinearProblem.solve",
    lambda p, near: nonlinear().solve(p, near),
    {"p": P, "near": None},
    {"p": but(PARAMETERS, "nothing"), "near": but(OBJECT, "None")},
)
entry(
    "NonlinearProblem.at",
    lambda u, p: nonlinear().at(u, p),
    {"u": nonlinear().solve(P).u, "p": P},
    {"u": ARRAY, "p": PARAMETERS},
    "u0",
    "the residual",
)
entry(
    "NonlinearProblem.near",
    lambda solution: nonlinear().near(solution).solve(P),
    {"solution": nonlinear().solve(P)},
    {"solution": OBJECT},
    "near",
)
entry(
    "Newton",
    lambda **given: nonlinear(method=adjoint.newton.Newton(**given)).solve(P),
    {},
    {
        "rtol": FRACTION,
        "gradient_rtol": FRACTION,
        "max_iterations": COUNT | {"none": 0},
        "globalization": but(OBJECT, "a function") | {"a class of them": adjoint.newton.LineSearch},
        "chord": FRACTION,
        "forcing": but(OBJECT, "None") | {"a class of them": adjoint.newton.EisenstatWalker},
        "scale": but(ARRAY, "a number") | {"negative": -1.0, "zero": 0.0, "complex": 1j},
    },
)
entry("AffineInvariant", adjoint.newton.AffineInvariant, {}, {"shortest": FRACTION})
entry("LineSearch", adjoint.newton.LineSearch, {}, {"c1": FRACTION, "shortest": FRACTION})
entry(
    "EisenstatWalker",
    adjoint.newton.EisenstatWalker,
    {},
    {"gamma": FRACTION, "alpha": FRACTION, "largest": FRACTION},
)
entry(
    "Bounds",
    adjoint.Bounds,
    {},
    {
        "lower": but(ARRAY, "a number", "inf", "nothing") | {"above": np.full(2, INF)},
        "upper": but(ARRAY, "a number", "inf", "nothing"),
    },
)
entry(
    "PseudoTransient",
    lambda **given: nonlinear(start=adjoint.newton.PseudoTransient(**given)).solve(P),
    {"step": 0.1},
    {
        "step": POSITIVE,
        "mass": but(ARRAY, "a number") | {"complex": 1j},
        "until": FRACTION,
        "max_steps": COUNT | {"none": 0},
    },
)
entry(
    "Homotopy",
    lambda **given: nonlinear(start=adjoint.newton.Homotopy(**given)).solve(P),
    {"path": lambda p, s: s * p},
    {"path": FUNCTION, "steps": COUNT | {"none": 0}, "shortest": FRACTION, "method": OBJECT},
)

# Branches.
entry(
    "trace",
    lambda problem, p, parameter, **given: next(
        adjoint.continuation.trace(problem, p, parameter, **given)
    ),
    {"problem": nonlinear(), "p": P, "parameter": 0},
    {
        "problem": OBJECT,
        "p": REALS,
        "parameter": COUNT | {"beyond": 5},
        "step": POSITIVE,
        "scale": POSITIVE,
        "longest": but(POSITIVE, "inf"),
        "decreasing": FLAG,
    },
)
entry(
    "follow",
    lambda problem, parameters, **given: list(
        adjoint.continuation.follow(problem, parameters, **given)
    ),
    {"problem": nonlinear(), "parameters": [P, 2.0 * P]},
    {
        "problem": OBJECT,
        "parameters": {
            "None": None,
            "a number": 1.0,
            "numbers": [1.0, 2.0],
            "words": ["a"],
            "an object": Nothing(),
            "nan": [np.full(M, NAN)],
        },
        "shortest": FRACTION,
    },
)
entry(
    "fold",
    lambda problem, u, p, parameter: adjoint.continuation.fold(problem, u, p, parameter),
    {
        "problem": adjoint.NonlinearProblem(
            adjoint.complex_step_residual(lambda u, p: u**2 + p[:1], n=1, m=M), np.ones(1)
        ),
        "u": np.array([0.1]),
        "p": np.array([-0.01, 0.0]),
        "parameter": 0,
    },
    {"problem": OBJECT, "u": ARRAY, "p": REALS, "parameter": COUNT | {"beyond": 5}},
)


# Objectives.
def valued(objective):
    u = np.ones(N)
    return objective.value(u, P), objective.gradients(u, P)


entry(
    "LinearFunctional",
    lambda c: valued(adjoint.LinearFunctional(c)),
    {"c": np.ones(N)},
    {"c": ARRAY},
)
entry(
    "Compliance",
    lambda load: valued(adjoint.Compliance(load)),
    {"load": np.ones(N)},
    {"load": ARRAY | {"a class of them": adjoint.matrices.AffineVector}},
    "vector",
)
entry(
    "LeastSquares",
    lambda **given: valued(adjoint.LeastSquares(**given)),
    {"data": np.zeros(N)},
    {
        "data": ARRAY,
        "observe": but(ARRAY, "None", "sparse"),
        "weights": but(ARRAY, "None") | {"negative": -np.ones(N)},
    },
)
TERMS = {
    "None": None,
    "a number": 1.0,
    "an objective alone": adjoint.LeastSquares(np.zeros(N)),
    "nothing": [],
    "numbers": [1.0],
    "words": ["a"],
    "classes": [adjoint.LeastSquares],
    "a word": "abc",
    "functions": [plain],
    "objects": [Nothing()],
    "pairs": [(1.0, adjoint.LeastSquares(np.zeros(N)))],
}
entry(
    "Sum",
    lambda **given: valued(adjoint.Sum(**given)),
    {"terms": [adjoint.LeastSquares(np.zeros(N))]},
    {"terms": TERMS, "weights": but(ARRAY, "None") | {"complex": [1j], "too many": [1.0, 2.0]}},
)
entry(
    "Product",
    lambda first, other: valued(adjoint.Product(first, other)),
    {"first": adjoint.LeastSquares(np.zeros(N)), "other": adjoint.LeastSquares(np.ones(N))},
    {"first": OBJECT | {"a class of them": adjoint.LeastSquares}, "other": OBJECT},
)
entry(
    "Reduced",
    lambda **given: reduced(**given)(P).gradient,
    {},
    {
        "problem": OBJECT | {"a class of them": adjoint.LinearProblem},
        "objective": OBJECT | {"a class of them": adjoint.LeastSquares},
        "design": OBJECT | {"a class of them": adjoint.design.SIMP},
    },
)
entry("Reduced.__call__", lambda x: reduced()(x), {"x": P}, {"x": PARAMETERS}, "got x", "Affine")
entry(
    "Reduced.of",
    lambda objective: reduced().of(objective)(P),
    {"objective": adjoint.LeastSquares(np.ones(N))},
    {"objective": OBJECT},
)
entry(
    "Point.of",
    lambda objective: reduced()(P).of(objective).gradient,
    {"objective": adjoint.LeastSquares(np.ones(N))},
    {"objective": OBJECT},
)
entry(
    "Point.of_each",
    lambda objectives: reduced()(P).of_each(objectives),
    {"objectives": [adjoint.LeastSquares(np.ones(N))]},
    {"objectives": but(TERMS, "nothing")},
    "objective",
)
entry(
    "Point.hvp",
    lambda v: reduced()(P).hvp(v),
    {"v": P},
    {"v": but(PARAMETERS, "a matrix")},
    "got v",
)
entry(
    "Point.hessian",
    lambda block, max_bytes: reduced()(P).hessian(block=block, max_bytes=max_bytes),
    {"block": 1, "max_bytes": 10**6},
    {"block": but(COUNT, "None"), "max_bytes": COUNT},
)
entry("Point.jvp", lambda x_dot: reduced()(P).jvp(x_dot), {"x_dot": P}, {"x_dot": PARAMETERS})
entry(
    "Point.jvp_residual",
    lambda v: reduced()(P).jvp_residual(v),
    {"v": P},
    {"v": but(PARAMETERS, "a matrix")},
    "got v",
)
entry(
    "Point.vjp_residual",
    lambda w: reduced()(P).vjp_residual(w),
    {"w": np.ones(N)},
    {"w": ARRAY},
    "got w",
)

# Design maps.
DESIGN = {"x": PARAMETERS}
for name, make in {
    "SIMP": lambda: adjoint.design.SIMP(),
    "SIMP, a power of its own": lambda: adjoint.design.SIMP(2.5),
    "Ramp": lambda: adjoint.design.Ramp(),
    "HeavisideProjection": lambda: adjoint.design.HeavisideProjection(4.0),
    "DensityFilter": lambda: adjoint.design.DensityFilter(CENTRES, 0.5),
    "ConvolutionFilter": lambda: adjoint.design.ConvolutionFilter((2, 1), (1.0, 1.0), 1.5),
    "HelmholtzFilter": lambda: adjoint.design.HelmholtzFilter(
        laplacian(), sparse.csc_array(np.ones((N, M))), np.ones(M)
    ),
    "Identity": lambda: adjoint.design.Identity(),
    "Composed": lambda: adjoint.design.SIMP() >> adjoint.design.Ramp(),
}.items():
    may = () if "Filter" in name else ("nothing",)  # Pointwise maps take designs of every length.
    more = {"below": np.array([-0.5, 0.5])} if name == "SIMP, a power of its own" else {}
    entry(
        f"{name}: __call__",
        lambda x, make=make: make()(x),
        {"x": P},
        {"x": but(PARAMETERS, *may) | more},
        *name.split(",")[:1],
        "SIMP",
    )
    entry(
        f"{name}: vjp",
        lambda x, p_bar, make=make: make().vjp(x, p_bar),
        {"x": P, "p_bar": P},
        {"x": PARAMETERS, "p_bar": PARAMETERS},
        *name.split(",")[:1],
        "SIMP",
    )
    entry(
        f"{name}: jvp",
        lambda x, x_dot, make=make: make().jvp(x, x_dot),
        {"x": P, "x_dot": P},
        {"x": PARAMETERS, "x_dot": PARAMETERS},
        *name.split(",")[:1],
        "SIMP",
    )
    entry(
        f"{name}: >>",
        lambda then, make=make: make() >> then,
        {"then": adjoint.design.Identity()},
        {"then": OBJECT | {"a class of them": adjoint.design.SIMP}},
        *name.split(",")[:1],
        "Composed",
        ">>",
    )
entry(
    "Composed",
    lambda first, then: adjoint.design.Composed(first, then),
    {"first": adjoint.design.SIMP(), "then": adjoint.design.Ramp()},
    {"first": OBJECT, "then": OBJECT},
)
entry(
    "SIMP",
    lambda **given: mapped(adjoint.design.SIMP(**given)),
    {},
    {"penalty": POSITIVE, "minimum": but(POSITIVE, "zero"), "maximum": POSITIVE},
)
entry(
    "Ramp",
    lambda **given: mapped(adjoint.design.Ramp(**given)),
    {},
    {"curvature": POSITIVE, "minimum": POSITIVE, "maximum": POSITIVE},
)
entry(
    "HeavisideProjection",
    lambda **given: mapped(adjoint.design.HeavisideProjection(**given)),
    {"beta": 2.0},
    {"beta": POSITIVE, "eta": FRACTION},
)
entry(
    "DensityFilter",
    lambda **given: mapped(adjoint.design.DensityFilter(**given)),
    {"centres": CENTRES, "radius": 0.5},
    {
        "centres": ARRAY,
        "radius": POSITIVE | {"zero": 0.0},
        "volumes": but(ARRAY, "None") | {"negative": -np.ones(M)},
    },
)
entry(
    "ConvolutionFilter",
    lambda **given: mapped(adjoint.design.ConvolutionFilter(**given)),
    {"shape": (2, 1), "spacing": (1.0, 1.0), "radius": 1.5},
    {
        "shape": ARRAY | {"halves": (2.5, 1.0), "negative": (-2, 1)},
        "spacing": ARRAY | {"negative": (-1.0, 1.0)},
        "radius": POSITIVE,
    },
)
entry(
    "HelmholtzFilter",
    lambda **given: mapped(adjoint.design.HelmholtzFilter(**given)),
    {"K": laplacian(), "T": sparse.csc_array(np.ones((N, M))), "volumes": np.ones(M)},
    {"K": SPARSE, "T": but(SPARSE), "volumes": ARRAY | {"zeros": np.zeros(M)}},
    "matrix",
)

# Derivatives from functions.
DERIVED = {
    "n": COUNT | {"none": 0},
    "m": COUNT,
    "u_pattern": but(SPARSE, "None"),
    "p_pattern": but(SPARSE, "None"),
}
for name in ("complex_step_residual", "finite_difference_residual"):
    entry(
        name,
        lambda residual, n, m, name=name, **given: getattr(adjoint, name)(
            residual, n, m, **given
        ).jacobian(np.ones(N), P),
        {"residual": lambda u, p: u - p[0], "n": N, "m": M},
        DERIVED | {"residual": FUNCTION},
    )
entry(
    "complex_step_field",
    lambda f, n, m, **given: adjoint.complex_step_field(f, n, m, **given).jacobian(
        0.0, np.ones(N), P
    ),
    {"f": decay, "n": N, "m": M},
    DERIVED | {"f": FUNCTION},
)
entry(
    "complex_step_step",
    lambda step, n, m, **given: adjoint.complex_step_step(step, n, m, **given).vjp(
        1, np.ones(N), P, np.ones(N)
    ),
    {"step": decay, "n": N, "m": M},
    DERIVED | {"step": FUNCTION},
)
entry(
    "complex_step_integrand",
    lambda terms, n, m, **given: adjoint.complex_step_integrand(terms, n, m, **given)(
        0.0, np.ones(N), P
    ),
    {"terms": lambda t, u, p: u * p[0], "n": N, "m": M},
    {
        "terms": FUNCTION,
        "n": COUNT | {"none": 0},
        "m": COUNT,
        "weights": but(ARRAY, "None", "sparse"),
    },
)
entry("with_hvp", adjoint.derive.with_hvp, {"physics": Physics()}, {"physics": OBJECT})

# Initial value problems.
TIMES = but(ARRAY, "None") | {
    "backwards": (1.0, 0.0),
    "infinite": (0.0, INF),
    "equal": (1.0, 1.0),
    "one": (0.0,),
}
entry(
    "ODEProblem",
    lambda **given: ode(**given).solve(P),
    {},
    {
        "field": OBJECT,
        "u0": ARRAY | {"a class of them": adjoint.matrices.AffineVector},
        "t": TIMES | {"None": None},
        "observe": but(TIMES, "nothing", "equal", "one") | {"beyond": np.array([0.5, 3.0])},
        "method": OBJECT | {"a maker": adjoint.ode.ESDIRK4},
        "rtol": FRACTION,
        "atol": but(ARRAY, "a number") | {"negative": -1.0, "complex": 1j},
        "mass": but(OBJECT, "None", "an array")
        | {"a row": np.ones((1, N)), "nan": np.full((N, N), NAN)},
        "integrand": but(OBJECT, "None"),
        "grid": but(TIMES, "equal", "one") | {"off": np.array([0.0, 0.5])},
        "dense": FLAG,
        "consistent": FLAG,
        "factorize": FACTORIZER,
        "memory": OBJECT | {"a class of them": adjoint.checkpointing.Budget},
        "control": OBJECT | {"a class of them": adjoint.ode.StepControl},
        "breaks": but(TIMES, "nothing", "one", "backwards", "equal")
        | {"a class of them": adjoint.matrices.AffineVector},
        "integral_atol": but(ARRAY, "None", "a number", "nothing")
        | {"negative": -1.0, "complex": 1j},
        "callback": but(FUNCTION, "None"),
    },
    "mass",
    "matrix",
)
ENTRIES["ODEProblem"].bad["factorize"] = but(FACTORIZER, "a function")
entry("ODEProblem.solve", lambda p: ode().solve(p), {"p": P}, {"p": PARAMETERS}, "got p", "field")
entry(
    "Trajectory.vjp",
    lambda u_bar, q_bar: (
        ode(integrand=adjoint.ode.LinearIntegrand(np.ones(N))).solve(P).vjp(u_bar, q_bar)
    ),
    {"u_bar": np.ones((1, N)), "q_bar": np.ones(1)},
    {"u_bar": but(ARRAY, "None"), "q_bar": but(ARRAY, "None")},
)
entry(
    "Trajectory.jvp",
    lambda p_dot: ode().solve(P).jvp(p_dot),
    {"p_dot": P},
    {"p_dot": but(PARAMETERS, "a matrix")},
    "directions",
)
entry(
    "Trajectory.tangent",
    lambda p_dot, u0_dot: ode().solve(P).tangent(p_dot, u0_dot),
    {"p_dot": P, "u0_dot": np.ones(N)},
    {"p_dot": but(PARAMETERS, "a matrix", "None"), "u0_dot": but(ARRAY, "None")},
    "direction",
)
entry(
    "Trajectory.replay",
    lambda p, t, observe: ode().solve(P).replay(p, t, observe),
    {"p": P, "t": (0.0, 1.5), "observe": None},
    {"p": PARAMETERS, "t": TIMES, "observe": but(TIMES, "nan", "one") | {"nan": np.array([NAN])}},
)
entry(
    "Trajectory.jacobian",
    lambda of, mode: ode().solve(P).jacobian(of, mode),
    {"of": None, "mode": "auto"},
    {"of": but(ARRAY, "None"), "mode": but(OBJECT)},
    "u_bar",
    "functionals",
)
for name in ("ESDIRK4", "ESDIRK5", "TRBDF2", "Radau5", "Radau9", "BackwardEuler", "CrankNicolson"):
    entry(
        name,
        lambda accuracy, name=name: getattr(adjoint.ode, name)(accuracy),
        {"accuracy": 1e-12},
        {"accuracy": FRACTION},
        "Method",
    )
entry(
    "Theta", adjoint.ode.Theta, {"theta": 0.7}, {"theta": FRACTION, "accuracy": FRACTION}, "Method"
)
entry(
    "Control",
    adjoint.ode.StepControl,
    {},
    {
        "first_step": but(POSITIVE, "None"),
        "max_step": but(POSITIVE, "inf"),
        "max_steps": COUNT | {"none": 0},
        "safety": FRACTION,
        "hold": POSITIVE,
        "refresh": FRACTION,
        "integrals": FLAG,
    },
)
entry(
    "Outputs",
    lambda problem: adjoint.ode.Outputs(problem).solve(P),
    {"problem": ode()},
    {"problem": OBJECT},
)
entry(
    "LinearIntegrand",
    lambda C: ode(integrand=adjoint.ode.LinearIntegrand(C)).solve(P),
    {"C": np.ones(N)},
    {"C": but(ARRAY, "sparse")},
)
entry(
    "SquaredIntegrand",
    lambda **given: ode(integrand=adjoint.ode.SquaredIntegrand(**given)).solve(P),
    {},
    {"weights": but(ARRAY, "None"), "target": but(ARRAY, "None"), "slope": but(FUNCTION, "None")},
)

# Recurrences, and what is kept.
entry(
    "RecurrenceProblem",
    lambda **given: recurrence(**given).solve(P),
    {},
    {
        "step": OBJECT | {"a class of them": Step},
        "u0": ARRAY,
        "steps": COUNT,
        "observe": but(ARRAY, "None") | {"half": [0.5], "beyond": [9], "twice": [1, 1]},
        "memory": OBJECT | {"a class of them": adjoint.checkpointing.Budget},
        "callback": but(FUNCTION, "None"),
    },
)
entry(
    "RecurrenceSolution.vjp",
    lambda u_bar: recurrence().solve(P).vjp(u_bar),
    {"u_bar": np.ones((1, N))},
    {"u_bar": ARRAY},
)
entry(
    "RecurrenceSolution.jvp",
    lambda p_dot: recurrence().solve(P).jvp(p_dot),
    {"p_dot": P},
    {"p_dot": but(PARAMETERS, "a matrix")},
)
entry(
    "Checkpoints", adjoint.checkpointing.Checkpoints, {"slots": 2}, {"slots": COUNT | {"none": 0}}
)
entry(
    "Trajectory.sensitivities",
    lambda u_bar, q_bar, **given: (
        ode(integrand=adjoint.ode.LinearIntegrand(np.ones(N)))
        .solve(P)
        .sensitivities(u_bar, q_bar, **given)
    ),
    {"u_bar": np.ones((1, N)), "q_bar": np.ones(1), "times": False},
    {"u_bar": but(ARRAY, "None"), "q_bar": but(ARRAY, "None"), "times": FLAG},
)
entry(
    "Trajectory.at",
    lambda times: ode().solve(P).at(times),
    {"times": np.array([0.5])},
    {"times": but(ARRAY, "nothing", "a number") | {"beyond": 3.0, "before": -1.0, "complex": 1j}},
)
entry(
    "Budget",
    adjoint.checkpointing.Budget,
    {"bytes": 1000},
    {"bytes": COUNT | {"none": 0}, "directory": but(PATH, "None")},
)
entry(
    "Disk",
    adjoint.checkpointing.Disk,
    {"directory": "."},
    {"directory": PATH | {"missing": "/nowhere/at/all"}, "slots": but(COUNT, "None")},
)

# Checks.
entry(
    "check",
    lambda f, x, **given: adjoint.check(f, x, **given),
    {"f": reduced(), "x": P},
    {"f": FUNCTION, "x": PARAMETERS, "seed": COUNT, "step": POSITIVE},
    "got x",
    "Affine",
)
entry(
    "check_hvp",
    lambda f, x, **given: adjoint.check_hvp(f, x, **given),
    {"f": reduced(), "x": P},
    {"f": FUNCTION, "x": PARAMETERS, "seed": COUNT},
    "got x",
    "Affine",
)
entry(
    "check_residual",
    lambda residual, u, p, **given: adjoint.check_residual(residual, u, p, **given),
    {"residual": Physics(), "u": np.ones(N), "p": P},
    {"residual": OBJECT, "u": ARRAY, "p": REALS, "seed": COUNT},
)
entry(
    "check_field",
    lambda field, t, u, p, **given: adjoint.check_field(field, t, u, p, **given),
    {"field": adjoint.complex_step_field(decay, n=N, m=M), "t": 0.0, "u": np.ones(N), "p": P},
    {"field": OBJECT, "t": NUMBERS | {"inf": INF}, "u": ARRAY, "p": REALS, "seed": COUNT},
    "check_residual",
)

# Optimization.
entry(
    "Bounds",
    adjoint.Bounds,
    {},
    {
        "lower": but(ARRAY, "a number", "nothing") | {"complex": 1j},
        "upper": but(ARRAY, "a number", "nothing", "inf"),
    },
)
entry(
    "Stopping",
    adjoint.Stopping,
    {},
    {
        "iterations": COUNT | {"none": 0},
        "stall": COUNT,
        "factorizations": but(POSITIVE, "inf"),
        "seconds": but(POSITIVE, "inf"),
        "floor": but(POSITIVE, "negative"),
    }
    | dict.fromkeys(
        ("change", "stationarity", "absolute", "projected", "feasibility", "improvement"), POSITIVE
    ),
)
ALGORITHM = {
    "bounds": OBJECT | {"a class of them": adjoint.Bounds},
    "inner": OBJECT | {"a class of them": adjoint.optimize.Euclidean},
}
SEARCH = {
    "search": OBJECT | {"a class of them": adjoint.optimize.StrongWolfe},
    "first_step": but(POSITIVE, "None"),
}
RADIUS = {
    "radius": but(POSITIVE, "None"),
    "exponent": FRACTION,
    "accept": FRACTION,
    "products": COUNT | {"none": 0},
}
entry("LBFGS", adjoint.optimize.LBFGS, {}, ALGORITHM | SEARCH | {"memory": COUNT | {"none": 0}})
entry("BFGS", adjoint.optimize.BFGS, {}, ALGORITHM | SEARCH)
entry(
    "SteepestDescent",
    adjoint.optimize.SteepestDescent,
    {},
    ALGORITHM | SEARCH | {"history": COUNT | {"none": 0}, "steps": OBJECT},
)
entry("NewtonCG", adjoint.optimize.NewtonCG, {}, ALGORITHM | RADIUS)
entry("GaussNewton", adjoint.optimize.GaussNewton, {}, ALGORITHM | RADIUS | {"few": COUNT})
CONSTRAINTS = {
    "None": None,
    "a number": 1.0,
    "one alone": LIMIT,
    "numbers": (1.0,),
    "words": ("a",),
    "functions": (plain,),
    "classes": (adjoint.optimize.LinearConstraint,),
    "objects": (Nothing(),),
    "a word": "abc",
    "nan": (adjoint.optimize.LinearConstraint(np.ones(M), NAN),),
}
for name in ("MMA", "GCMMA"):
    entry(
        name,
        lambda constraints, bounds, name=name, **given: getattr(adjoint.optimize, name)(
            constraints, bounds, **given
        ),
        {"constraints": (LIMIT,), "bounds": UNIT},
        ALGORITHM
        | {
            "constraints": CONSTRAINTS,
            "move": FRACTION,
            "asymptotes": OBJECT,
            "elastic": POSITIVE,
            "scale": but(POSITIVE, "None"),
        },
    )
entry(
    "AugmentedLagrangian",
    lambda algorithm, constraints, **given: adjoint.optimize.AugmentedLagrangian(
        algorithm, constraints, **given
    ),
    {"algorithm": adjoint.optimize.LBFGS(), "constraints": (LIMIT,)},
    {
        "algorithm": OBJECT | {"a class of them": adjoint.optimize.LBFGS},
        "constraints": CONSTRAINTS,
        "equalities": CONSTRAINTS,
        "penalty": but(POSITIVE, "None"),
        "growth": POSITIVE,
        "iterations": COUNT | {"none": 0},
    },
)
entry(
    "OptimalityCriteria",
    lambda constraint, **given: adjoint.optimize.OptimalityCriteria(constraint, **given),
    {"constraint": LIMIT},
    {
        "constraint": OBJECT | {"a class of them": adjoint.optimize.LinearConstraint},
        "move": but(POSITIVE, "inf"),
        "exponent": FRACTION,
        "width": FRACTION,
        "bounds": OBJECT,
        "sensitivity_filter": but(OBJECT, "None"),
    },
)
entry(
    "SiMPL",
    lambda constraint, **given: adjoint.optimize.SiMPL(constraint, **given),
    {"constraint": LIMIT},
    {"constraint": OBJECT, "inner": OBJECT, "search": OBJECT, "first_step": but(POSITIVE, "None")},
)
entry(
    "Asymptotes",
    adjoint.optimize.Asymptotes,
    {},
    dict.fromkeys(("initial", "increase", "decrease", "least", "most"), POSITIVE),
)
entry(
    "Backtracking",
    adjoint.optimize.Backtracking,
    {},
    {"c1": FRACTION, "shrink": FRACTION, "trials": COUNT | {"none": 0}},
)
entry(
    "StrongWolfe",
    adjoint.optimize.StrongWolfe,
    {},
    {"c1": FRACTION, "c2": FRACTION, "trials": COUNT | {"none": 0}, "noise": FRACTION},
)
entry(
    "BarzilaiBorwein",
    adjoint.optimize.BarzilaiBorwein,
    {},
    {"threshold": FRACTION, "recent": COUNT | {"none": 0}},
)
entry(
    "Weighted",
    lambda weights: run(adjoint.optimize.LBFGS(inner=adjoint.optimize.Weighted(weights))),
    {"weights": np.ones(M)},
    {"weights": but(ARRAY, "a number") | {"negative": -np.ones(M), "complex": np.ones(M) * 1j}},
)
entry(
    "MassMatrix",
    lambda M, **given: run(adjoint.optimize.LBFGS(inner=adjoint.optimize.MassMatrix(M, **given))),
    {"M": sparse.eye_array(M, format="csc")},
    {"M": SPARSE, "factorize": FACTORIZER},
    "matrix",
    "Factorization",
)
entry(
    "LinearConstraint",
    lambda weights, bound: run(
        adjoint.optimize.MMA((adjoint.optimize.LinearConstraint(weights, bound),), UNIT)
    ),
    {"weights": np.ones(M), "bound": 1.0},
    {"weights": ARRAY, "bound": POSITIVE | {"negative": "1"}},
)
entry(
    "LinearConstraint.volume",
    lambda linear, volumes, fraction: adjoint.optimize.LinearConstraint.volume(
        linear, volumes, fraction
    ),
    {"linear": adjoint.design.Identity(), "volumes": np.ones(M), "fraction": 0.5},
    {
        "linear": OBJECT | {"a class of them": adjoint.design.Identity},
        "volumes": ARRAY,
        "fraction": FRACTION,
    },
)
entry(
    "DesignConstraint",
    lambda design, weights, bound: run(
        adjoint.optimize.MMA((adjoint.optimize.DesignConstraint(design, weights, bound),), UNIT)
    ),
    {"design": adjoint.design.SIMP(), "weights": np.ones(M), "bound": 1.5},
    {
        "design": OBJECT | {"a class of them": adjoint.design.SIMP},
        "weights": ARRAY,
        "bound": NUMBERS,
    },
)
entry(
    "StateConstraint",
    lambda objective, bound: run(
        adjoint.optimize.MMA((adjoint.optimize.StateConstraint(objective, bound),), UNIT), reduced()
    ),
    {"objective": adjoint.LeastSquares(np.zeros(N)), "bound": 10.0},
    {"objective": OBJECT, "bound": NUMBERS},
    "bound of a constraint",
)
entry(
    "FunctionConstraint",
    lambda function, bound: run(
        adjoint.optimize.MMA((adjoint.optimize.FunctionConstraint(function, bound),), UNIT)
    ),
    {"function": SQUARE, "bound": 10.0},
    {"function": FUNCTION | {"a class of them": adjoint.Reduced}, "bound": NUMBERS},
    "bound of a constraint",
)
entry(
    "StateConstraints",
    lambda function, bounds: run(
        adjoint.optimize.AugmentedLagrangian(
            adjoint.optimize.LBFGS(bounds=UNIT), (optimize.StateConstraints(function, bounds),)
        ),
        reduced(),
    ),
    {"function": Components(), "bounds": 10.0},
    {"function": OBJECT, "bounds": but(ARRAY, "a number", "inf", "nothing")},
)
entry(
    "ScalarFunction",
    lambda value, gradient, product=None: run(
        adjoint.optimize.LBFGS(), adjoint.optimize.ScalarFunction(value, gradient, product)
    ),
    {"value": lambda x: float(x @ x), "gradient": lambda x: 2.0 * x},
    {
        "value": FUNCTION | {"an array": plain},
        "gradient": FUNCTION | {"an array": lambda x: np.ones(7)},
        "product": but(FUNCTION, "None"),
    },
)
entry(
    "ScalarFunction.of",
    lambda function: run(adjoint.optimize.LBFGS(), adjoint.optimize.ScalarFunction.of(function)),
    {"function": lambda x: (float(x @ x), 2.0 * x)},
    {"function": FUNCTION | {"a value": lambda x: 1.0, "an array": plain}},
    "ScalarFunction",
)
entry(
    "ResidualFunction",
    lambda residual, jacobian: run(
        adjoint.optimize.GaussNewton(), adjoint.optimize.ResidualFunction(residual, jacobian)
    ),
    {"residual": lambda x: x, "jacobian": lambda x: np.eye(M)},
    {
        "residual": FUNCTION | {"words": lambda x: ["a"], "a number": lambda x: 1.0},
        "jacobian": FUNCTION | {"words": lambda x: "a", "a row": lambda x: np.ones(M)},
    },
)
entry(
    "Stage",
    adjoint.optimize.Stage,
    {"settings": {"beta": 1.0}},
    {
        "settings": but(OBJECT, "a dict"),
        "until": OBJECT,
        "rule": but(FUNCTION, "None"),
        "keep": but(OBJECT, "a list", "a function", "a word", "words", "an array", "a dict")
        | {"a word": "x"},
    },
)
entry(
    "Continuation",
    lambda build, stages: adjoint.optimize.Continuation(build, stages).f,
    {
        "build": lambda settings: (SQUARE, adjoint.optimize.LBFGS()),
        "stages": (adjoint.optimize.Stage({"beta": 1.0}),),
    },
    {
        "build": FUNCTION | {"nothing": lambda settings: None},
        "stages": {
            "None": None,
            "a number": 1.0,
            "a word": "a",
            "one alone": adjoint.optimize.Stage({}),
            "nothing": (),
            "numbers": (1.0,),
            "classes": (adjoint.optimize.Stage,),
            "an object": Nothing(),
        },
    },
)
entry(
    "Grayness",
    adjoint.optimize.Grayness,
    {"tolerance": 0.1},
    {"tolerance": FRACTION, "density": but(OBJECT, "a function")},
)
entry(
    "SensitivityFilter",
    adjoint.optimize.SensitivityFilter,
    {"average": adjoint.design.DensityFilter(CENTRES, 0.5)},
    {"average": but(OBJECT, "a function")},
)
entry(
    "DifferencedHessian",
    lambda function: adjoint.optimize.DifferencedHessian(function)(P),
    {"function": SQUARE},
    {"function": FUNCTION},
)
entry(
    "minimize",
    lambda f, x, algorithm, **given: adjoint.minimize(f, x, algorithm, **given),
    {
        "f": SQUARE,
        "x": P,
        "algorithm": adjoint.optimize.LBFGS(),
        "stop": adjoint.Stopping(iterations=2),
    },
    {
        "f": FUNCTION,
        "x": REALS,
        "algorithm": OBJECT
        | {"a class of them": adjoint.optimize.LBFGS, "another's": interop.LBFGSB()},
        "stop": but(OBJECT, "None") | {"a class of them": adjoint.Stopping},
        "check": FLAG,
        "resume": FLAG,
        "each": but(FUNCTION) | {"numbers": [1.0]},
        "checkpoint": but(PATH, "None"),
    },
    "LBFGS",
    "got x",
)
entry(
    "descend",
    lambda f, x, algorithm: next(adjoint.descend(f, x, algorithm)),
    {"f": SQUARE, "x": P, "algorithm": adjoint.optimize.LBFGS()},
    {"f": FUNCTION, "x": REALS, "algorithm": OBJECT},
    "LBFGS",
    "got x",
)
METHOD = {"bounds": OBJECT | {"a class of them": adjoint.Bounds}, "inner": OBJECT}
entry(
    "interop.LBFGSB",
    lambda **given: foreign(interop.LBFGSB(**given)),
    {},
    METHOD | {"memory": COUNT | {"none": 0}},
    "LBFGSB",
)
entry(
    "interop.SLSQP",
    lambda **given: foreign(interop.SLSQP(**given)),
    {},
    METHOD | {"constraints": CONSTRAINTS, "equalities": CONSTRAINTS},
    "SLSQP",
)
entry(
    "interop.TrustConstr",
    lambda **given: foreign(interop.TrustConstr(**given)),
    {},
    METHOD | {"constraints": CONSTRAINTS, "equalities": CONSTRAINTS, "hessian": FLAG},
    "TrustConstr",
)
entry(
    "interop.LeastSquares",
    lambda **given: foreign(
        interop.LeastSquares(**given),
        adjoint.optimize.ResidualFunction(lambda x: x, lambda x: np.eye(M)),
    ),
    {},
    METHOD | {"dense": FLAG},
    "LeastSquares",
)
entry(
    "interop.minimize",
    lambda f, x, method, **given: adjoint.interop.minimize(f, x, method, **given),
    {"f": SQUARE, "x": P, "method": interop.LBFGSB(), "stop": adjoint.Stopping(iterations=2)},
    {
        "f": FUNCTION,
        "x": REALS,
        "method": OBJECT | {"a class of them": interop.LBFGSB, "our own": adjoint.optimize.LBFGS()},
        "stop": but(OBJECT, "None"),
        "check": FLAG,
        "each": FUNCTION,
    },
    "minimize",
    "LBFGSB",
    "got x",
)

# Reports.
entry(
    "read_history",
    report.read_history,
    {},
    {"path": PATH | {"missing": "nowhere.jsonl"}},
    "history",
)
entry("read_run", report.read_run, {}, {"directory": PATH | {"missing": "nowhere"}})
entry(
    "performance_profile",
    report.performance_profile,
    {"costs": np.ones((2, 3))},
    {"costs": but(ARRAY, "nan", "inf")},
)
entry(
    "design_png",
    report.design_png,
    {"design": np.ones((2, 3))},
    {"design": ARRAY, "pixels": COUNT | {"none": 0, "huge": 10**9}},
)


SLIPS = [
    (name, argument, kind, value)
    for name, one in ENTRIES.items()
    for argument, kinds in one.bad.items()
    for kind, value in kinds.items()
]
SECONDS = 2.0


def judged(name, argument, value):
    """Whether a slip is "named", "bare" or "silent", and what was raised."""
    one = ENTRIES[name]
    if inspect.isgenerator(value):
        value = generator()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = one.call(**(one.good | {argument: value}))
    except (ValueError, TypeError, adjoint.SolveError, adjoint.errors.RestartError) as error:
        words = (argument, *re.split("[:.] ?", name), *one.names)
        named = any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", str(error)) for word in words)
        return "named" if named else "bare", repr(error)
    except Exception as error:
        return "bare", repr(error)
    return "silent", repr(result)[:200]


@pytest.mark.parametrize("name", ENTRIES)
def test_what_the_slips_are_made_of_works(name):
    one = ENTRIES[name]
    if name not in ("read_history", "read_run"):  # These ask for files.
        one.call(**one.good)


@pytest.mark.parametrize("name", ENTRIES)
def test_every_slip_is_named(name):
    found = []
    for _, argument, kind, value in [slip for slip in SLIPS if slip[0] == name]:
        began = perf_counter()
        verdict, what = judged(name, argument, value)
        if verdict != "named" or perf_counter() - began > SECONDS:
            found.append(f"{argument}, {kind}: {verdict}, {what}, {perf_counter() - began:.1f} s")
    assert not found, "\n".join(found)


def test_the_whole_battery(capsys):
    verdicts = Counter(judged(name, argument, value)[0] for name, argument, _, value in SLIPS)
    with capsys.disabled():
        print(
            f"\nbad inputs: {len(SLIPS)} tried at {len(ENTRIES)} entry points: {verdicts['named']} "
            "named, "
            f"{verdicts['bare']} bare, {verdicts['silent']} silent"
        )
    assert len(SLIPS) >= 500
    assert verdicts == {"named": len(SLIPS)}


MAPS = {
    "SIMP": adjoint.design.SIMP(),
    "SIMP, 2.5": adjoint.design.SIMP(2.5),
    "SIMP, 1": adjoint.design.SIMP(1.0),
    "Ramp": adjoint.design.Ramp(),
    "HeavisideProjection": adjoint.design.HeavisideProjection(50.0),
    "DensityFilter": adjoint.design.DensityFilter(CENTRES, 0.5),
    "ConvolutionFilter": adjoint.design.ConvolutionFilter((2, 1), (1.0, 1.0), 1.5),
    "HelmholtzFilter": adjoint.design.HelmholtzFilter(
        laplacian(), sparse.csc_array(np.ones((N, M))), np.ones(M)
    ),
    "Composed": adjoint.design.SIMP()
    >> adjoint.design.Ramp()
    >> adjoint.design.HeavisideProjection(3.0),
    "Identity": adjoint.design.Identity(),
}
VALUES = [0.0, -0.0, 1.0, -5.0, 1.125, 5e-324, -1e-300, 1e150, -1e300, 1.7e308, NAN, INF, -INF]


def answered(act):
    """What a map returns; None where it raises an error that has a name."""
    try:
        with np.errstate(all="ignore"):
            return act()
    except (ValueError, TypeError, adjoint.SolveError):
        return None


@pytest.mark.parametrize("name", MAPS)
def test_maps_used_alone_give_no_nan(name):
    design = MAPS[name]
    for value in VALUES:
        for x in (np.array([value, 0.5]), np.array([0.5, value]) + 0.1j):
            for act in (
                lambda x=x: design(x),
                lambda x=x: design.vjp(x, np.ones(M)),
                lambda x=x: design.jvp(x, np.ones(M)),
                lambda x=x: design.vjp(np.full(M, 0.5), x),
            ):
                answer = answered(act)
                assert answer is None or np.isfinite(answer).all(), (value, answer)


@pytest.mark.parametrize(("module", "package"), [("nlopt", "nlopt"), ("ipopt", "cyipopt")])
def test_optimizers_of_packages_that_are_missing_name_the_remedy(module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"adjoint.interop.{module}", raising=False)
    with pytest.raises(
        ImportError, match=rf"adjoint\.interop\.{module}: .*pip install {package}"
    ) as raised:
        importlib.import_module(f"adjoint.interop.{module}")
    assert isinstance(raised.value, adjoint.errors.BackendMissing)
    monkeypatch.undo()
