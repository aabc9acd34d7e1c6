"""The catalogue of optimization algorithms, each with a problem to solve, for the laws that hold for all of them."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from adjoint.optimize import (
    BFGS,
    GCMMA,
    LBFGS,
    MMA,
    Algorithm,
    AugmentedLagrangian,
    Bounds,
    Continuation,
    GaussNewton,
    LinearConstraint,
    NewtonCG,
    OptimalityCriteria,
    SiMPL,
    Stage,
    SteepestDescent,
    Stopping,
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


@dataclass(eq=False)
class Squares:
    """f = ½ Σ (a_i − x_i + x_{i−1}²)² + ½ Σ x_i²/100: a least-squares problem with a residual that stays."""

    n: int
    evaluations: list = field(default_factory=list)
    gradients: list = field(default_factory=list)

    def __call__(self, x):
        self.evaluations.append(x.tobytes())
        return SquaresPoint(self, x)


@dataclass(eq=False)
class SquaresPoint:
    f: Squares
    x: np.ndarray

    @cached_property
    def residual(self):
        before = np.concatenate([[0.0], self.x[:-1]])
        return np.concatenate([np.cos(np.arange(self.f.n)) - self.x + before**2, 0.1 * self.x])

    @cached_property
    def J(self):
        slope = -np.eye(self.f.n) + np.diag(2.0 * self.x[:-1], -1)
        return np.concatenate([slope, 0.1 * np.eye(self.f.n)])

    @property
    def value(self):
        return 0.5 * float(np.einsum("i,i->", self.residual, self.residual))

    @cached_property
    def gradient(self):
        self.f.gradients.append(self.x.tobytes())
        return self.vjp_residual(self.residual)

    def jvp_residual(self, v):
        return np.einsum("ij,j...->i...", self.J, v)

    def vjp_residual(self, w):
        return np.einsum("ij,i...->j...", self.J, w)


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
PLANE = LinearConstraint(np.ones(N), 1.0)
BOX = Bounds(-0.5, 0.7)
UNIT = Bounds(0.0, 1.0)
WEIGHTED = Weighted(1.0 + np.arange(N))


@dataclass(eq=False)
class Penalized:
    """f = Σ w_i / x_i^power: a family for a continuation."""

    power: float

    def __call__(self, x):
        return PenalizedPoint(self.power, x)


@dataclass(eq=False)
class PenalizedPoint:
    power: float
    x: np.ndarray

    @cached_property
    def value(self):
        return float(np.einsum("i,i->", 1.0 + np.arange(N), (0.1 + self.x) ** -self.power))

    @cached_property
    def gradient(self):
        return -self.power * (1.0 + np.arange(N)) * (0.1 + self.x) ** (-self.power - 1.0)


def stage(settings):
    return Penalized(settings["power"]), MMA((VOLUME,), UNIT)


@dataclass(frozen=True, eq=False)
class Staged:
    """A case whose f is the continuation's."""

    algorithm: Continuation
    start: np.ndarray

    def f(self):
        return self.algorithm.f


STAGES = tuple(Stage({"power": power}, Stopping(iterations=3)) for power in (1.0, 2.0, 3.0))

CATALOGUE = {
    "steepest descent": smooth(SteepestDescent()),
    "steepest descent, weighted, bounds": smooth(SteepestDescent(WEIGHTED, BOX)),
    "BFGS": smooth(BFGS()),
    "BFGS, bounds": smooth(BFGS(bounds=BOX)),
    "L-BFGS": smooth(LBFGS()),
    "L-BFGS, weighted": smooth(LBFGS(inner=WEIGHTED, memory=3)),
    "L-BFGS, bounds": smooth(LBFGS(bounds=BOX)),
    "Newton-CG": smooth(NewtonCG()),
    "Newton-CG, weighted, bounds": smooth(NewtonCG(WEIGHTED, BOX)),
    "Gauss-Newton": Case(GaussNewton(), Squares, np.full(N, 0.4)),
    "Gauss-Newton, many": Case(GaussNewton(few=1, bounds=BOX), Squares, np.full(N, 0.4)),
    "optimality criteria": densities(OptimalityCriteria(VOLUME)),
    "MMA": densities(MMA((VOLUME,), UNIT)),
    "GCMMA": densities(GCMMA((VOLUME,), UNIT)),
    "SiMPL": densities(SiMPL(VOLUME)),
    "augmented Lagrangian": smooth(AugmentedLagrangian(LBFGS(), (LinearConstraint(-np.ones(N), 3.0),), (PLANE,))),
    "augmented Lagrangian, descent": smooth(AugmentedLagrangian(SteepestDescent(bounds=BOX), equalities=(PLANE,))),
    "continuation": Staged(Continuation(stage, STAGES), np.full(N, 0.4)),
}
