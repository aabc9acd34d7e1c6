"""scikit-sundae: SUNDIALS' CVODE, which has no derivatives, and what a user can add to it.

For few parameters, forward sensitivities as further unknowns. For many parameters, the
adjoint equation as a second problem, with the state interpolated between the steps and
dJ/dp by Gauss quadrature. SuperLU_MT factors the sparse Jacobian, which is written by
hand.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sparse
from scipy.interpolate import CubicHermiteSpline
from sksundae.cvode import CVODE

from adjoint.typing import Array
from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.peers.libraries import Prepared

MAX_STEPS = 100_000
GAUSS = np.polynomial.legendre.leggauss(3)


def prepare(case: Case, rtol: float) -> Prepared:
    """Choose sensitivities or the adjoint equation by the number of parameters."""
    make = _adjoint if case.p.size > 10 else _sensitivities
    value, gradient = make(case, rtol)
    return Prepared(value, gradient, lambda u: case.physics(0.0, u, case.p))


def solver(case: Case, rtol: float, f: Callable, **linear: object) -> CVODE:  # type: ignore[type-arg]
    """Make CVODE with BDF for stiff cases, with Adams for the others."""

    def rhs(t: float, u: Array, out: Array) -> None:
        out[:] = f(t, u)

    method, atol = "BDF" if case.stiff else "Adams", case.atol(rtol)
    return CVODE(rhs, method=method, rtol=rtol, atol=atol, max_num_steps=MAX_STEPS, **linear)


def _sensitivities(case: Case, rtol: float):  # type: ignore[no-untyped-def]
    """(u, ∫c·u) and, for the gradient, S = ∂u/∂p and ∫Sᵀc after them."""
    physics, p, n, m = case.physics, case.p, case.u0.size, case.p.size
    times = case.times if case.observed else np.array([0.0, case.tf])
    rates = np.diag(p)  # S is scaled by p: its columns get comparable tolerances.

    def state(t: float, z: Array) -> Array:
        return np.append(physics(t, z[:n], p), case.c @ z[:n])

    def all_of_it(t: float, z: Array) -> Array:
        u, S = z[:n], z[n + 1 : -m].reshape(n, m)
        slopes = np.stack([physics.jvp(t, u, p, rate) for rate in rates], axis=1)
        S_dot = physics.jacobian(t, u, p) @ S + slopes
        return np.concatenate([state(t, z), S_dot.ravel(), case.c @ S])

    plain, whole = solver(case, rtol, state), solver(case, rtol, all_of_it)
    start = np.append(case.u0, 0.0)

    def value() -> float:
        path = _solved(plain, times, start)
        return case.objective(path[:, :n])[0] if case.observed else float(path[-1, n])

    def gradient() -> tuple[float, Array]:
        path = _solved(whole, times, np.concatenate([start, np.zeros((n + 1) * m)]))
        if not case.observed:
            return float(path[-1, n]), path[-1, -m:] / p
        J, u_bar = case.objective(path[:, :n])
        S = path[:, n + 1 : -m].reshape(-1, n, m)
        return J, np.einsum("knm,kn->m", S, u_bar) / p

    return value, gradient


def _solved(cvode: CVODE, times: Array, start: Array) -> Array:
    """The states at the times, (K, n)."""
    path = cvode.solve(times, start)
    if not path.success:
        raise RuntimeError(path.message)
    return path.y


def _adjoint(case: Case, rtol: float):  # type: ignore[no-untyped-def]
    """One observation, at tf: λ' = −Jᵀλ backwards from it, dJ/dp = ∫ (∂f/∂p)ᵀ λ dt."""
    physics, p, tf = case.physics, case.p, case.tf
    J = physics.jacobian(0.0, case.u0, p)
    # Positions of the entries of Jᵀ in the data of J.
    order = sparse.csc_array((np.arange(J.nnz), J.indices, J.indptr), J.shape).T.tocsc().data
    pattern = sparse.csc_array((np.ones(J.nnz), J.indices, J.indptr), J.shape)

    def jacobian(t: float, u: Array, f: Array, out: Array) -> None:
        out[:] = physics.jacobian(t, u, p).data

    def forwards(t: float, u: Array) -> Array:
        return physics(t, u, p)

    there = solver(case, rtol, forwards, linsolver="sparse", sparsity=pattern, jacfn=jacobian)

    def path():  # type: ignore[no-untyped-def]
        steps = there.solve(np.array([0.0, tf]), case.u0)
        if not steps.success:
            raise RuntimeError(steps.message)
        return steps

    def value() -> float:
        return case.objective(path().y[-1:])[0]

    def gradient() -> tuple[float, Array]:
        steps = path()
        rates = np.stack([physics(t, u, p) for t, u in zip(steps.t, steps.y, strict=True)])
        state = CubicHermiteSpline(steps.t, steps.y, rates)

        def backwards(s: float, lam: Array) -> Array:
            return physics.jacobian(tf - s, state(tf - s), p).T @ lam

        def transposed(s: float, lam: Array, f: Array, out: Array) -> None:
            out[:] = physics.jacobian(tf - s, state(tf - s), p).data[order]

        objective, u_bar = case.objective(steps.y[-1:])
        scaled = u_bar[0] / np.abs(u_bar).max()  # The tolerances are meant for numbers of size one.
        back = solver(
            case, rtol, backwards, linsolver="sparse", sparsity=pattern.T.tocsc(), jacfn=transposed
        )
        lam = back.solve(np.array([0.0, tf]), scaled)
        if not lam.success:
            raise RuntimeError(lam.message)
        slopes = np.stack([backwards(s, v) for s, v in zip(lam.t, lam.y, strict=True)])
        costate, g = CubicHermiteSpline(lam.t, lam.y, slopes), np.zeros(p.size)
        for low, high in zip(lam.t[:-1], lam.t[1:], strict=True):
            for x, weight in zip(*GAUSS, strict=True):
                s = 0.5 * (low + high) + 0.5 * (high - low) * x
                g += 0.5 * (high - low) * weight * physics.vjp(tf - s, state(tf - s), p, costate(s))
        return objective, g * np.abs(u_bar).max()

    return value, gradient
