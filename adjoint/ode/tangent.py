"""The tangent of one step: the stage equations, differentiated along directions (docs/math.md, eq. 50)."""

import numpy as np

from ..arrays import Array
from .algebra import times
from .beginning import parameter_tangents
from .coupled import stage_matrix
from .reverse import Step
from .stage_matrix import SingleStage


def pushed(step: Step, u_dot: Array, k_dot: Array, p_dot: Array, integrals: int) -> tuple[Array, Array | None]:
    """(K̇ (s, n, j), q̇ (q, j)) of a step from u̇, k̇ (n, j) and ṗ (m, j); q̇: of its integrals, so many."""
    system, tableau, h = step.system, step.tableau, step.h
    A, c = tableau.A, tableau.c
    Y = system.combined(h * A, step.K) + step.u
    if tableau.coupled:
        K_dot = _coupled(step, Y, u_dot, p_dot)
        return K_dot, _integrals(step, Y, u_dot, K_dot, p_dot, integrals) if integrals else None
    K_dot = np.zeros((A.shape[0], *u_dot.shape), dtype=np.result_type(system.dtype, p_dot))
    if tableau.continues:
        K_dot[0] = k_dot
    for i in range(int(tableau.continues), A.shape[0]):
        ti, hg = step.t + c[i] * h, h * A[i, i]
        V_dot = u_dot + _sum(h * A[i, :i], K_dot[:i])
        J = system.jacobian(ti, Y[i])
        rate = times(J, V_dot, "N") + parameter_tangents(system, ti, Y[i], step.K[i], p_dot)
        if hg == 0.0:
            K_dot[i] = rate if step.inverse is None else step.inverse.solve(rate, "N")
        else:
            K_dot[i] = step.solved(SingleStage(system.algebra, J, hg), rate, "N")
    return K_dot, _integrals(step, Y, u_dot, K_dot, p_dot, integrals) if integrals else None


def _coupled(step: Step, Y: Array, u_dot: Array, p_dot: Array) -> Array:
    """K̇, (s, n, j), where the stages depend on each other."""
    system, tableau, t, h = step.system, step.tableau, step.t, step.h
    A = stage_matrix(system, tableau, t, h, Y)
    rates = [
        times(Ji, u_dot, "N") + parameter_tangents(system, t + c * h, y, K, p_dot)
        for c, Ji, y, K in zip(tableau.c.tolist(), A.J, Y, step.K, strict=True)
    ]
    return step.solved(A, np.concatenate(rates), "N").reshape(len(rates), *u_dot.shape)


def _integrals(step: Step, Y: Array, u_dot: Array, K_dot: Array, p_dot: Array, integrals: int) -> Array:
    system, tableau, h = step.system, step.tableau, step.h
    assert system.integrand is not None
    q_dot = []
    for j in range(u_dot.shape[1]):
        total: Array | float = 0.0
        for i in range(tableau.last + 1):
            if tableau.b[i] != 0.0:
                Y_dot = u_dot[:, j] + _sum(h * tableau.A[i], K_dot[:, :, j])
                rate = np.asarray(system.integrand.jvp(step.t + tableau.c[i] * h, Y[i], system.p, Y_dot, p_dot[:, j]))
                if rate.shape != (integrals,):
                    raise ValueError(f"the jvp of the integrand returned shape {rate.shape}, expected ({integrals},)")
                total = total + h * tableau.b[i] * rate
        q_dot.append(np.asarray(total))
    return np.stack(q_dot, axis=1)


def _sum(weights: Array, K: Array) -> Array:
    return np.asarray(np.einsum("i,i...->...", weights, K))
