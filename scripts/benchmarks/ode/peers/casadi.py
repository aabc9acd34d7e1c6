"""CasADi: CVODES of SUNDIALS with its continuous adjoint.

CasADi differentiates f; CSparse or MUMPS factors the sparse matrices.
"""

import casadi as ca
import numpy as np
import scipy.sparse as sparse

from problems.time.brusselator import Brusselator
from problems.time.kinetics import Robertson
from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.peers.libraries import Prepared

MAX_STEPS = 100_000
LARGE = 100  # unknowns from which MUMPS is used: it is then up to 5 times as fast as CSparse


def prepare(case: Case, rtol: float) -> Prepared:
    """BDF for stiff cases, Adams for the others."""
    u, p = ca.SX.sym("u", case.u0.size), ca.SX.sym("p", case.p.size)
    f = field(case, u, p)
    options = {
        "reltol": rtol,
        "abstol": case.atol(rtol),
        "max_num_steps": MAX_STEPS,
        "quad_err_con": True,
        "linear_multistep_method": "bdf" if case.stiff else "adams",
        "nonlinear_solver_iteration": "newton" if case.stiff else "functional",
        "linear_solver": "csparse" if case.u0.size < LARGE else "mumps",
    }
    equations = {"x": u, "p": p, "ode": f}
    if not case.observed:
        equations["quad"] = ca.dot(ca.DM(case.c), u)
    grid = case.times if case.observed else [case.tf]
    integrate = ca.integrator(
        "integrate", "cvodes", equations, 0.0, [float(t) for t in grid], options
    )
    P = ca.MX.sym("p", case.p.size)
    path = integrate(x0=ca.DM(case.u0), p=P)
    J = 0.5 * case.w * ca.sumsqr(path["xf"] - ca.DM(case.data.T)) if case.observed else path["qf"]
    value, both = ca.Function("value", [P], [J]), ca.Function("both", [P], [J, ca.gradient(J, P)])
    at = ca.Function("f", [u, p], [f])

    def gradient() -> tuple[float, np.ndarray]:
        J, slope = both(case.p)
        return float(J), np.asarray(slope).ravel()

    return Prepared(
        lambda: float(value(case.p)), gradient, lambda w: np.asarray(at(w, case.p)).ravel()
    )


def field(case: Case, u: ca.SX, p: ca.SX) -> ca.SX:
    """f as a graph of scalar operations."""
    physics = case.physics
    if isinstance(physics, Robertson):
        gained, third = p[0] * u[0] - p[1] * u[1] * u[2], p[2] * u[1] ** 2
        return ca.vertcat(-gained, gained - third, third)
    if not isinstance(physics, Brusselator):
        return ca.vertcat((p[0] - p[1] * u[1]) * u[0], (p[3] * u[0] - p[2]) * u[1])
    laplacian = ca.DM(sparse.csc_matrix(physics.lattice.laplacian))
    first, second = u[0::2], u[1::2]
    converted = first * (first * second - physics.conversion)
    left = p[0] * ca.mtimes(laplacian, first) + p[2:] + converted - first
    right = p[1] * ca.mtimes(laplacian, second) - converted
    return ca.vec(ca.horzcat(left, right).T)
