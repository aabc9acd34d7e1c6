"""A vector field, an integrand, mass matrices and problems, for the laws of initial value problems (test_ode_*.py)."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

import adjoint

P = np.array([1.1, 0.4, 0.3, 0.7, 1.9])
OBSERVED = np.array([0.0, 0.37, 0.8, 1.0])
GRID = np.union1d(np.linspace(0.0, 1.0, 9), OBSERVED)

EXPLICIT = {"Tsit5": adjoint.ode.Tsit5(), "DOP853": adjoint.ode.DOP853()}
STIFF = {"TRBDF2": adjoint.ode.TRBDF2(), "ESDIRK4": adjoint.ode.ESDIRK4(), "ESDIRK5": adjoint.ode.ESDIRK5()}
STIFF |= {"Radau5": adjoint.ode.Radau5(), "Radau9": adjoint.ode.Radau9()}
FIXED = {"BE": adjoint.ode.BackwardEuler(), "CN": adjoint.ode.CrankNicolson(), "theta": adjoint.ode.Theta(0.6)}
IMPLICIT = STIFF | FIXED
METHODS = EXPLICIT | IMPLICIT


@dataclass(frozen=True, eq=False)
class Weave:
    """f_i = p₀ (c u_{i−1} − 2 u_i) + p₁ u_i u_{i+1} − p₂ u_i³ + p₃ cos(p₄ t + i), indices cyclic.

    Nonsymmetric, nonlinear, forced in time; ∂f/∂u is dense up to 64 unknowns unless stated otherwise. size: n ≥ 3.
    """

    size: int
    c: complex = 1.0
    sparse: bool | None = None

    def __call__(self, t, u, p):
        return (
            p[0] * (self.c * np.roll(u, 1) - 2.0 * u)
            + p[1] * u * np.roll(u, -1)
            - p[2] * u**3
            + p[3] * np.cos(p[4] * t + np.arange(self.size))
        )

    def jacobian(self, t, u, p):
        i = np.arange(self.size)
        diagonal = p[1] * np.roll(u, -1) - 2.0 * p[0] - 3.0 * p[2] * u**2
        data = np.concatenate([diagonal, p[0] * self.c * np.ones(self.size), p[1] * u])
        columns = np.concatenate([i, np.roll(i, 1), np.roll(i, -1)])
        J = sparse.csc_array((data, (np.tile(i, 3), columns)), shape=(self.size, self.size))
        J.sum_duplicates()
        return J if (self.size > 64 if self.sparse is None else self.sparse) else np.ascontiguousarray(J.toarray())

    def by_parameters(self, t, u, p):
        angle = p[4] * t + np.arange(self.size)
        columns = (u * np.roll(u, -1), -(u**3), np.cos(angle), -t * p[3] * np.sin(angle))
        return np.stack([self.c * np.roll(u, 1) - 2.0 * u, *columns], axis=1)

    def vjp(self, t, u, p, lam):
        return self.by_parameters(t, u, p).conj().T @ lam

    def jvp(self, t, u, p, p_dot):
        return self.by_parameters(t, u, p) @ p_dot

    def time_derivative(self, t, u, p):
        return -p[3] * p[4] * np.sin(p[4] * t + np.arange(self.size))


@dataclass(frozen=True, eq=False)
class Moments:
    """ℓ = (cos 2t Σ u_i², p₀ t² + sin t u₀ u₁)."""

    def __call__(self, t, u, p):
        return np.array([np.cos(2.0 * t) * (u @ u), p[0] * t**2 + np.sin(t) * u[0] * u[1]])

    def by_state(self, t, u):
        D = np.zeros((2, u.size), dtype=u.dtype)
        D[0], D[1, :2] = 2.0 * np.cos(2.0 * t) * u, np.sin(t) * u[1::-1]
        return D

    def vjp(self, t, u, p, q_bar):
        g = np.zeros_like(p)
        g[0] = t**2 * q_bar[1]
        return self.by_state(t, u).T @ q_bar, g

    def jvp(self, t, u, p, u_dot, p_dot):
        return self.by_state(t, u) @ u_dot + np.array([0.0, t**2 * p_dot[0]])

    def time_derivative(self, t, u, p):
        return np.array([-2.0 * np.sin(2.0 * t) * (u @ u), 2.0 * p[0] * t + np.cos(t) * u[0] * u[1]])


@dataclass(frozen=True, eq=False)
class Linear:
    """f = p₀ A u + p₁ b, A = tridiag(lower, diagonal, upper): constant coefficients; sparse for n > 64."""

    A: object
    b: object

    @classmethod
    def banded(cls, size, lower, diagonal, upper):
        bands = (np.full(size - 1, lower), diagonal * np.linspace(1.0, 2.0, size), np.full(size - 1, upper))
        A = sparse.csc_array(sparse.diags_array(bands, offsets=(-1, 0, 1)))
        A.sum_duplicates()
        return cls(A, np.cos(np.arange(size)))

    def __call__(self, t, u, p):
        return p[0] * (self.A @ u) + p[1] * self.b

    def jacobian(self, t, u, p):
        return p[0] * self.A

    def vjp(self, t, u, p, lam):
        return np.array([lam @ (self.A @ u), lam @ self.b])

    def jvp(self, t, u, p, p_dot):
        return self(t, u, p_dot)

    def time_derivative(self, t, u, p):
        return np.zeros_like(u)


@dataclass(frozen=True, eq=False)
class Plain:
    """A field from functions of (t, u, p): f, ∂f/∂u and, where p matters, ∂f/∂p as a dense matrix."""

    f: object
    J: object = None
    by_p: object = None

    def __call__(self, t, u, p):
        return self.f(t, u, p)

    def jacobian(self, t, u, p):
        return self.J(t, u, p)

    def _by_p(self, t, u, p):
        return np.zeros((u.size, p.size)) if self.by_p is None else self.by_p(t, u, p)

    def vjp(self, t, u, p, lam):
        return self._by_p(t, u, p).conj().T @ lam

    def jvp(self, t, u, p, p_dot):
        return self._by_p(t, u, p) @ p_dot

    def time_derivative(self, t, u, p):
        return np.zeros(u.size)


DECAY = Plain(lambda t, u, p: -p[0] * u, lambda t, u, p: -p[0] * np.eye(u.size), lambda t, u, p: -u[:, None])
"""u' = −p u: u = u₀ exp(−p (t − t₀))."""


def mass(kind, n):
    """A mass matrix by what is remarkable about it; None for the identity."""
    M, shift = np.eye(n) + 0.3 * np.roll(np.eye(n), 1, axis=0), 0.1 * np.roll(np.eye(n), 2, axis=0)
    slope = np.diag(np.linspace(0.1, 0.4, n))
    if kind == "constant":
        return M
    if kind == "of p":
        return adjoint.Part(adjoint.Affine(sparse.csc_array(M), list(map(sparse.csc_array, (slope, shift)))), [1, 3])
    if kind.startswith("zero rows"):
        for matrix in (M, slope):
            matrix[:2] = matrix[:, :2] = 0.0
        of_p = adjoint.Affine(sparse.csc_array(M), [sparse.csc_array(slope)])
        return adjoint.Part(of_p, slice(2, 3)) if kind == "zero rows, of p" else M
    if kind == "rank deficient":
        M = np.eye(n)
        M[:3, :3] = [[1.0, -1.0, 0.0], [-1.0, 2.0, -1.0], [0.0, -1.0, 1.0]]
        return M
    return None


REGULAR = ("identity", "constant", "of p")
SINGULAR = ("zero rows", "zero rows, of p", "rank deficient")


def start(n):
    """u₀(p) = b + B p."""
    slope = 0.1 * np.random.default_rng(n).standard_normal((n, P.size))
    return adjoint.matrices.AffineVector(0.5 + 0.3 * np.cos(np.arange(n)), slope)


def weave(n, method, kind="identity", **changes):
    """The Weave on (0, 1) by a method of the table, seen four times and integrated, at a loose tolerance."""
    options = {
        "field": Weave(n),
        "u0": start(n),
        "t": (0.0, 1.0),
        "observe": OBSERVED,
        "method": METHODS[method],
        "rtol": 1e-3,
        "atol": 1e-4,
        "mass": mass(kind, n),
        "integrand": Moments(),
        "grid": GRID if method in FIXED else None,
        "consistent": kind in SINGULAR,
    }
    return adjoint.ODEProblem(**(options | changes))


def cotangents(trajectory, seed=0, j=None):
    """(ū, q̄) at random, as blocks of j objectives if asked for."""
    rng, tail = np.random.default_rng(seed), () if j is None else (j,)
    u_bar = rng.standard_normal((*trajectory.u.shape, *tail))
    if trajectory.u.dtype.kind == "c":
        u_bar = u_bar + 1j * rng.standard_normal(u_bar.shape)
    return u_bar, rng.standard_normal((trajectory.integrals.size, *tail))


def inner(u_bar, q_bar, u, q):
    """Re Σ conj(ū) u + q̄ᵀ q."""
    return float(np.vdot(u_bar, u).real + q_bar @ q)


def relative(a, b):
    """‖a − b‖ / ‖b‖."""
    return float(np.linalg.norm(np.asarray(a) - b) / np.linalg.norm(b))


def kinds(*of):
    """(method, kind of mass): those that go together."""
    return [(m, kind) for kind in of for m in METHODS if kind in REGULAR or m in IMPLICIT]
