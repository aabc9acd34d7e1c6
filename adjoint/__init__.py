"""Exact gradients through the solutions of sparse models, by the adjoint method.

A model is a problem that is solved for u at parameters p, and an objective J(u, p);
`Reduced` makes of them f(p) = J(u(p), p), with its gradient at the price of one
transposed solve:

>>> import adjoint, numpy as np, scipy.sparse as sparse
>>> n = 100
>>> K = sparse.diags_array([-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
>>> A = adjoint.Affine(K, [sparse.eye_array(n)])           # A(p) = K + p₀ I
>>> problem = adjoint.LinearProblem(A, np.ones(n), adjoint.cholesky)
>>> f = adjoint.Reduced(problem, adjoint.Compliance(np.ones(n)))
>>> point = f(np.array([0.1]))                             # solved once
>>> point.value, point.gradient                            # the factors serve the gradient, too
>>> adjoint.check(f, np.array([0.1])).ok                   # Taylor test
True

Here are the names that most programs need; the rest is in namespaces.

problems    LinearProblem, NonlinearProblem, ODEProblem, RecurrenceProblem, Dirichlet
matrices    Affine, Elements, Entries, Combination, Constant, Part; adjoint.matrices
objectives  Compliance, LeastSquares, LinearFunctional, Sum, Product plain code
complex_step_residual, complex_step_field, jax_residual, …; adjoint.derive solvers lu,
cholesky, ldl, cg, gmres; adjoint.factor, adjoint.newton, adjoint.ode checks check,
check_hvp, check_residual, check_field optimizers  minimize, descend, Stopping, Bounds;
adjoint.optimize, adjoint.interop also        adjoint.design (filters, projections),
adjoint.continuation (branches, folds),
            adjoint.checkpointing (memory of sweeps), adjoint.report (pages and figures),
            adjoint.protocols (what you may write yourself), adjoint.errors (what may be raised)

`python -m adjoint doctor` says which solvers are installed. Eqs. are those of
docs/math.
"""

from . import (
    checkpointing,
    checks,
    continuation,
    derive,
    design,
    errors,
    factor,
    matrices,
    newton,
    ode,
    optimize,
    protocols,
    recurrence,
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
from .optimize.run import Result, descend, minimize
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
    # Residuals, fields and integrands from plain functions
    "complex_step_residual",
    "finite_difference_residual",
    "jax_residual",
    "complex_step_field",
    "jax_field",
    "complex_step_integrand",
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
    "checkpointing",
    "checks",
    "continuation",
    "derive",
    "design",
    "errors",
    "factor",
    "matrices",
    "newton",
    "ode",
    "optimize",
    "protocols",
    "recurrence",
    "steady",
]
