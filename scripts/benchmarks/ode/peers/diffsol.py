"""pydiffsol: the Rust library diffsol.

f is written in the language DiffSL and compiled when the problem is made.
"""

import numpy as np
import pydiffsol as ds

from adjoint.typing import Array
from problems.time.brusselator import Brusselator
from problems.time.kinetics import Robertson
from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.peers.libraries import Prepared

ROBERTSON = """
in_i { p = 0.04, q = 1e4, r = 3e7 }
u_i { x = 1, y = 0, z = 0 }
F_i { -p * x + q * y * z, p * x - q * y * z - r * y * y, r * y * y }
out_i { z }
"""
LOTKA_VOLTERRA = """
in_i { p = 1.5, q = 1.0, r = 3.0, s = 1.0 }
u_i { x = 1, y = 1 }
F_i { p * x - q * x * y, s * x * y - r * y }
out_i { x, y }
"""


def prepare(case: Case, rtol: float) -> Prepared:
    """Continuous adjoint of an integral, discrete adjoint of observations.

    The Brusselator uses a sparse LU factorization of faer; KLU with BDF ends the
    process.
    """
    code = text(case)
    large = isinstance(case.physics, Brusselator)
    matrices, method = (
        ds.faer_sparse if large else ds.nalgebra_dense,
        ds.bdf if case.stiff else ds.tsit45,
    )
    problem = ds.Ode(code, matrix_type=matrices, linear_solver=ds.lu, ode_solver=method)
    problem.rtol, problem.atol = rtol, case.atol(rtol)
    problem.sens_rtol = problem.out_rtol = problem.param_rtol = rtol
    problem.sens_atol = problem.out_atol = problem.param_atol = case.atol(rtol)

    # The unknowns of pydiffsol, as indices of ours.
    order = np.arange(case.u0.size).reshape(-1, 2 if large else 1).T.ravel()

    def value() -> float:
        if case.observed:
            return case.objective(
                problem.solve_dense(case.p, case.times).ys.T[:, np.argsort(order)]
            )[0]
        problem.integrate_out = True
        return float(problem.solve(case.p, case.tf).ys[0, -1])

    def gradient() -> tuple[float, Array]:
        if not case.observed:
            problem.integrate_out = False
            J, slope = problem.solve_continuous_adjoint(case.p, case.tf)
            return float(J[0]), np.asarray(slope).ravel()
        path, checkpoints = problem.solve_adjoint_fwd(case.p, case.times)
        J, u_bar = case.objective(path.ys.T[:, np.argsort(order)])
        slope = problem.solve_adjoint_bkwd(
            path, checkpoints, np.ascontiguousarray(u_bar[:, order].T)
        )
        return J, np.asarray(slope).ravel()

    return Prepared(
        value, gradient, lambda u: np.asarray(problem.rhs(case.p, 0.0, u[order]))[np.argsort(order)]
    )


def text(case: Case) -> str:
    """The problem in DiffSL."""
    physics = case.physics
    if isinstance(physics, Brusselator):
        return brusselator(physics)
    return ROBERTSON if isinstance(physics, Robertson) else LOTKA_VOLTERRA


def brusselator(physics: Brusselator) -> str:
    """The Laplacian as a sparse matrix of one species; all of u, then all of v."""
    L, cells = physics.lattice.laplacian.tocoo(), physics.lattice.count
    triplets = sorted(zip(_listed(L.row), _listed(L.col), _listed(L.data), strict=True))
    entries = ", ".join(f"({i},{j}): {v!r}" for i, j, v in triplets)
    first, second = (
        ", ".join(f"({i}): {v!r}" for i, v in enumerate(_listed(physics.initial[k::2])))
        for k in (0, 1)
    )
    feed = f"(2:{2 + cells}): b = 1"
    return f"""
in_i {{ a = 0.1, c = 0.1, {feed} }}
L_ij {{ {entries} }}
s_i {{ {first} }}
r_i {{ {second} }}
u_i {{ x = s_i, y = r_i }}
v_i {{ L_ij * x_j }}
w_i {{ L_ij * y_j }}
z_i {{ x_i * x_i * y_i - {physics.conversion!r} * x_i }}
F_i {{ a * v_i + b_i + z_i - x_i, c * w_i - z_i }}
"""


def _listed(v: Array) -> list[float]:
    return v.tolist()
