"""The catalogue of optimization algorithms, each with a problem to solve, for the laws that hold for all of them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from adjoint.optimize import (
    Algorithm,
    Box,
    LinearConstraint,
    OptimalityCriteria,
    SteepestDescent,
    Weighted,
)


@dataclass(eq=False)
class Smooth:
    """f = Σ (x_i − a_i)⁴ + ½ (x − a)ᵀ H (x − a); remembers where f was evaluated, and where its gradient was."""

    n: int
    evaluations: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    @cached_property
    def H(self):
        i = np.arange(self.n)
        return np.diag(1.0 + i) + 0.3 / (1.0 + np.abs(i[:, None] - i))

    @cached_property
    def a(self):
        return np.cos(np.arange(self.n))

    def __call__(self, x):
        self.evaluations.append(x.tobytes())
        return SmoothPoint(self, x)


@dataclass(eq=False)
class SmoothPoint:
    f: Smooth
    x: np.ndarray

    @cached_property
    def value(self):
        d = self.x - self.f.a
        return float(np.einsum("i->", d**4) + 0.5 * np.einsum("i,ij,j->", d, self.f.H, d))

    @cached_property
    def gradient(self):
        self.f.gradients.append(self.x.tobytes())
        d = self.x - self.f.a
        return 4.0 * d**3 + np.einsum("ij,j->i", self.f.H, d)

    def hvp(self, v):
        d = self.x - self.f.a
        return 12.0 * d**2 * v + np.einsum("ij,j->i", self.f.H, v)


@dataclass(eq=False)
class Compliant:
    """f = Σ w_i / x_i: stiffer where there is more of it; the volume it may have is a constraint."""

    n: int
    evaluations: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.tobytes())
        return CompliantPoint(self, x)


@dataclass(eq=False)
class CompliantPoint:
    f: Compliant
    x: np.ndarray

    @cached_property
    def value(self):
        return float(np.einsum("i,i->", 1.0 + np.arange(self.f.n), 1.0 / (1e-3 + self.x)))

    @cached_property
    def gradient(self):
        self.f.gradients.append(self.x.tobytes())
        return -(1.0 + np.arange(self.f.n)) / (1e-3 + self.x) ** 2


N = 12


@dataclass(frozen=True, eq=False)
class Case:
    """An algorithm, a function of the kind it is for, and a start."""

    algorithm: Algorithm
    kind: type
    start: np.ndarray

    def f(self):
        return self.kind(N)


def smooth(algorithm):
    return Case(algorithm, Smooth, np.full(N, 0.4))


def densities(algorithm):
    return Case(algorithm, Compliant, np.full(N, 0.4))


VOLUME = LinearConstraint(np.ones(N), 0.4 * N)
BOX = Box(-0.5, 0.7)

CATALOGUE = {
    "steepest descent": smooth(SteepestDescent()),
    "steepest descent, weighted, bounds": smooth(SteepestDescent(Weighted(1.0 + np.arange(N)), BOX)),
    "optimality criteria": densities(OptimalityCriteria(VOLUME)),
}
