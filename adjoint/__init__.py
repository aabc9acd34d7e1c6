"""Exact gradients through the solutions of sparse models, by the adjoint method.

A problem is solved for u at parameters p; an objective is a function J(u, p). `Reduced`
joins both to f(p) = J(u(p), p), whose gradient costs one transposed solve with the
factors of the solution:

>>> import adjoint, numpy as np, scipy.sparse as sparse
>>> n = 100
>>> ones = np.ones(n)
>>> K = sparse.diags_array([-ones[1:], 2.0 * ones, -ones[1:]], offsets=[-1, 0, 1])
>>> A = adjoint.Affine(K, [sparse.eye_array(n)])  # A(p) = K + p₀ I
>>> problem = adjoint.LinearProblem(A, ones, adjoint.cholesky)
>>> f = adjoint.Reduced(problem, adjoint.Compliance(ones))
>>> point = f(np.array([0.1]))  # one factorization
>>> value, gradient = point.value, point.gradient  # no further factorization
>>> adjoint.check(f, np.array([0.1])).ok  # is the gradient right?
True

The top level has the names that most programs need; namespaces have all others.

- problems: LinearProblem, NonlinearProblem, ODEProblem, RecurrenceProblem, Dirichlet
- matrices: Affine, Elements, Entries, Combination, Constant, Part; more in adjoint.matrices
- objectives: Compliance, LeastSquares, LinearFunctional, Sum, Product
- plain functions: complex_step_residual, complex_step_field, jax_residual; adjoint.derive
- solvers: lu, cholesky, ldl, cg, gmres; adjoint.factor, adjoint.newton, adjoint.ode
- checks: check, check_hvp, check_residual, check_field
- optimization: minimize, descend, Stopping, Bounds; adjoint.optimize, adjoint.interop
- designs: adjoint.design; branches and folds: adjoint.continuation
- memory of reverse sweeps: adjoint.checkpointing; pages and figures: adjoint.report
- what you may write: adjoint.protocols; what may be raised: adjoint.errors

`python -m adjoint doctor` lists the solvers that are installed. Equation numbers in
docstrings are those of docs/math.
"""

from . import (
    accuracy,
    checkpointing,
    checks,
    continuation,
    dense,
    derive,
    design,
    determinant,
    eigen,
    errors,
    factor,
    interop,
    matrices,
    newton,
    ode,
    optimize,
    protocols,
    recurrence,
    report,
    steady,
)
from .bounds import Bounds
from .checks.field import check_field
from .checks.gradient import check
from .checks.hessian import check_hvp
from .checks.residual import check_residual
from .derive.field import complex_step_field
from .derive.field_with_jax import jax_field
from .derive.integrand import complex_step_integrand
from .derive.residual import complex_step_residual, finite_difference_residual
from .derive.residual_with_jax import jax_residual
from .derive.step import complex_step_step
from .errors import SolveError
from .factor.counts import counting
from .factor.factorizers import cholesky, ldl, lu
from .factor.krylov import cg, gmres
from .matrices.affine import Affine, Constant
from .matrices.combination import Combination
from .matrices.elements import Elements
from .matrices.entries import Entries
from .matrices.part import Part
from .newton.problem import NonlinearProblem
from .objectives import Compliance, LeastSquares, LinearFunctional, Product, Sum
from .ode.problem import ODEProblem
from .optimize.result import Result
from .optimize.run import descend, minimize
from .optimize.status import Status
from .optimize.stopping import Stopping
from .recurrence.problem import RecurrenceProblem
from .reduced import Point, Reduced
from .steady.dirichlet import Dirichlet
from .steady.linear import LinearProblem

__all__ = [
    # Problems, and what is solved for
    "LinearProblem",
    "NonlinearProblem",
    "ODEProblem",
    "RecurrenceProblem",
    "Dirichlet",
    # f(x) = J(u(p), p) and its gradient
    "Reduced",
    "Point",
    # Objectives
    "Compliance",
    "LeastSquares",
    "LinearFunctional",
    "Sum",
    "Product",
    # Matrices A(p) and vectors b(p)
    "Affine",
    "Combination",
    "Constant",
    "Elements",
    "Entries",
    "Part",
    # Residuals, fields, integrands and steps from plain functions
    "complex_step_residual",
    "finite_difference_residual",
    "jax_residual",
    "complex_step_field",
    "jax_field",
    "complex_step_integrand",
    "complex_step_step",
    # Factorizers
    "lu",
    "cholesky",
    "ldl",
    "cg",
    "gmres",
    # Checks
    "check",
    "check_hvp",
    "check_residual",
    "check_field",
    # Optimization
    "minimize",
    "descend",
    "Stopping",
    "Status",
    "Result",
    "Bounds",
    # Counts of factorizations and solves; the error that failed solves raise
    "counting",
    "SolveError",
    # Namespaces
    "accuracy",
    "checkpointing",
    "checks",
    "continuation",
    "dense",
    "derive",
    "design",
    "determinant",
    "eigen",
    "errors",
    "factor",
    "interop",
    "matrices",
    "newton",
    "ode",
    "optimize",
    "protocols",
    "recurrence",
    "report",
    "steady",
]
