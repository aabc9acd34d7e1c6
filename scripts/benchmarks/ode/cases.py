"""The initial value problems of the benchmark, with the same equations for every library."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.integrate import solve_ivp

from adjoint.typing import Array
from problems.time.brusselator import Brusselator
from problems.time.kinetics import Robertson
from problems.time.lattice import Lattice
from problems.time.oscillators import LotkaVolterra

ROBERTSON_TF = 4e7  # s; next to the steady state
TIMES = np.linspace(0.0, 10.0, 101)  # of Lotka–Volterra's observations
NOISE = 0.05  # of an observation
BRUSSELATOR_TF = 1.0


class Unsuited(Exception):
    """The library has no method for the case."""


@dataclass(frozen=True, eq=False)
class Case:
    """J = c·∫u dt + ½ w Σ_k |u(t_k) − d_k|² along u' = f(t, u, p) on (0, tf), and dJ/dp.

    physics: f with its derivatives. c: (n,). times: t_k, (K,). data: d, (K, n). ratio:
    absolute tolerance divided by relative tolerance. stiff: True for implicit methods.
    """

    name: str
    physics: Robertson | LotkaVolterra | Brusselator
    tf: float
    c: Array
    times: Array
    data: Array
    w: float
    ratio: float
    stiff: bool

    @property
    def u0(self) -> Array:
        """(n,)."""
        return self.physics.initial

    @property
    def p(self) -> Array:
        """(m,)."""
        return self.physics.nominal

    def atol(self, rtol: float) -> float:
        """Return the absolute tolerance for a relative tolerance."""
        return self.ratio * rtol

    def error(self, g: Array, exact: Array) -> float:
        """Return the largest relative error of a component of the gradient.

        For the Brusselator, the errors of diffusivities and feeds are relative to the
        largest component of their kind.
        """
        blocks = (
            [slice(0, 2), slice(2, None)]
            if g.size > 10
            else [slice(i, i + 1) for i in range(g.size)]
        )
        return max(float(np.abs(g[b] - exact[b]).max() / np.abs(exact[b]).max()) for b in blocks)

    @property
    def observed(self) -> bool:
        """True if J depends on the states at `times`, False if J is the integral alone."""
        return self.w > 0.0

    @cached_property
    def probe(self) -> tuple[Array, Array]:
        """A random state u and f(0, u, p), (n,) each, to compare implementations of f."""
        u = np.random.default_rng(0).uniform(0.1, 2.0, self.u0.size)
        return u, self.physics(0.0, u, self.p)

    def objective(self, states: Array) -> tuple[float, Array]:
        """Return ½ w Σ_k |u_k − d_k|² and its derivative, (K, n).

        states: at `times`, (K, n).
        """
        misfit = states - self.data
        return 0.5 * self.w * float(np.vdot(misfit, misfit)), self.w * misfit


def robertson() -> Case:
    """Robertson's reaction, J = ∫ y₃ dt: three unknowns, eleven decades of time."""
    nothing = np.zeros((0, 3))
    return Case(
        "Robertson",
        Robertson(),
        ROBERTSON_TF,
        np.array([0.0, 0.0, 1.0]),
        np.zeros(0),
        nothing,
        0.0,
        1e-4,
        True,
    )


def lotka_volterra() -> Case:
    """Prey and predators, J = ½ Σ|u(t_i) − d_i|² at 101 times, with noisy observations."""
    physics = LotkaVolterra()
    exact = np.array([1.4, 1.1, 2.8, 1.0])
    path = solve_ivp(
        lambda t, u: physics(t, u, exact), (0.0, 10.0), physics.initial, "DOP853", TIMES, rtol=1e-10
    )
    data = path.y.T * (1.0 + NOISE * np.random.default_rng(0).standard_normal((TIMES.size, 2)))
    return Case("Lotka-Volterra", physics, 10.0, np.zeros(2), TIMES, data, 1.0, 1.0, False)


def brusselator(k: int) -> Case:
    """The Brusselator on k × k closed cells, J = ½ mean |u(tf)|²: 2k² unknowns."""
    physics = Brusselator(Lattice((k, k), size=(1.0, 1.0), periodic=False))
    tf, n = BRUSSELATOR_TF, 2 * k * k
    return Case(
        "Brusselator",
        physics,
        tf,
        np.zeros(n),
        np.array([tf]),
        np.zeros((1, n)),
        1.0 / n,
        1e-2,
        True,
    )


def case(name: str, size: int) -> Case:
    """Return a case by its name; size: cells along a side, for the Brusselator."""
    if name == "Brusselator":
        return brusselator(size)
    return robertson() if name == "Robertson" else lotka_volterra()
