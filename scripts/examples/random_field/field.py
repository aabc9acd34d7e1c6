"""A Matérn field on a square map, its parameters, and counts of events that depend on it.

The stochastic differential equation τ (κ² − Δ) u = white noise on a grid of nodes gives the
sparse precision matrix

    Q = τ² (κ² C + G) C⁻¹ (κ² C + G) = τ²κ⁴ C + 2 τ²κ² G + τ² G C⁻¹ G

with the lumped mass matrix C and the stiffness matrix G of linear elements. In the plane u
is a Matérn field of smoothness 1, with the range √8/κ (correlation 0.14) and the standard
deviation σ = 1 / (√(4π) κ τ); at the edges, where no flux leaves, σ is larger.

Lindgren, Rue & Lindström (2011), An explicit link between Gaussian fields and Gaussian
Markov random fields, J. R. Stat. Soc. B 73, 423, sections 2.2 and 2.3.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

import adjoint
from adjoint.determinant import LaplaceApproximation, LatentGaussianModel, Poisson
from adjoint.matrices import AffineVector, Part, PartVector
from adjoint.typing import Array

SIDE = 60.0
"""Side of the map, km."""

LAKE = (41.0, 38.0, 7.0)
"""Centre and radius of a lake, km: nobody lives there, so that there are no data."""

DENSITY = 60.0
"""Mean exposure: expected events per km² for a rate of 1."""


@dataclass(frozen=True, eq=False)
class FieldParameters:
    """The design map x = (log κ, log τ, β) ↦ p = (τ²κ⁴, 2τ²κ², τ², β)."""

    def __call__(self, x: Array) -> Array:
        """Return p, (4,)."""
        k, t, beta = x
        return np.array(
            [np.exp(2.0 * t + 4.0 * k), 2.0 * np.exp(2.0 * t + 2.0 * k), np.exp(2.0 * t), beta]
        )

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return (∂p/∂x)ᵀ p̄, (3,)."""
        return np.asarray(self._jacobian(x).T @ p_bar)

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return ∂p/∂x ẋ, (4,)."""
        return np.asarray(self._jacobian(x) @ x_dot)

    def _jacobian(self, x: Array) -> Array:
        a, b, c, _ = self(x)
        return np.array(
            [[4.0 * a, 2.0 * a, 0.0], [2.0 * b, 2.0 * b, 0.0], [0.0, 2.0 * c, 0.0], [0.0, 0.0, 1.0]]
        )


@dataclass(frozen=True, eq=False)
class FieldMap:
    """A grid of nodes × nodes points on the map; unknowns are numbered [x, y]."""

    nodes: int

    @property
    def spacing(self) -> float:
        """Distance of two nodes, km."""
        return SIDE / (self.nodes - 1)

    @cached_property
    def masses(self) -> Array:
        """The diagonal of C, (n,), km²."""
        width = np.full(self.nodes, self.spacing)
        width[[0, -1]] *= 0.5
        return np.outer(width, width).ravel()

    @cached_property
    def stiffness(self) -> sparse.csc_array:
        """G, (n, n): the integrals of the products of gradients; no unit in the plane."""
        m = self.nodes
        second = sparse.diags_array(
            [np.full(m - 1, -1.0), np.r_[1.0, np.full(m - 2, 2.0), 1.0], np.full(m - 1, -1.0)],
            offsets=[-1, 0, 1],
        )
        # Along an edge of the map, a link has half the width of a link inside.
        share = sparse.diags_array(np.r_[0.5, np.ones(m - 2), 0.5])
        return _canonical(sparse.kron(second, share) + sparse.kron(share, second))

    @cached_property
    def precision(self) -> adjoint.Affine:
        """Q as a function of (τ²κ⁴, 2τ²κ², τ²)."""
        G = self.stiffness
        bending = _canonical(G @ sparse.diags_array(1.0 / self.masses) @ G)
        return adjoint.Affine(None, [_canonical(sparse.diags_array(self.masses)), G, bending])

    def sample(self, x: Array, rng: np.random.Generator) -> Array:
        """Draw u, (n,), with the parameters x = (log κ, log τ, β); the mean β is included."""
        kappa, tau = np.exp(x[:2])
        K = _canonical(kappa**2 * sparse.diags_array(self.masses) + self.stiffness)
        noise = np.sqrt(self.masses) * rng.standard_normal(self.masses.size)
        return np.asarray(x[2] + adjoint.cholesky(K).solve(noise) / tau)

    @cached_property
    def exposure(self) -> Array:
        """Expected events at a node for a rate of 1, (n,): towns and countryside; 0 in the lake."""
        x, y = self._places
        rng = np.random.default_rng(1)
        density = np.full(x.size, 0.4)
        for cx, cy, width in zip(
            *rng.uniform(4.0, 56.0, (2, 9)), rng.uniform(2, 7, 9), strict=True
        ):
            density += 2.0 * np.exp(-0.5 * ((x - cx) ** 2 + (y - cy) ** 2) / width**2)
        density *= DENSITY / density.mean()
        return np.where(self.lake, 0.0, density * self.masses)

    @cached_property
    def lake(self) -> Array:
        """True for nodes in the lake, (n,)."""
        x, y = self._places
        return np.asarray((x - LAKE[0]) ** 2 + (y - LAKE[1]) ** 2 < LAKE[2] ** 2)

    @property
    def _places(self) -> tuple[Array, Array]:
        """The coordinates of the nodes, (n,) each, km."""
        line = np.linspace(0.0, SIDE, self.nodes)
        x, y = np.meshgrid(line, line, indexing="ij")
        return x.ravel(), y.ravel()

    def function(self, counts: Array) -> LaplaceApproximation:
        """Return −log of the marginal likelihood of counts, (n,), as a function of x."""
        n, observed = counts.size, np.flatnonzero(~self.lake)
        model = LatentGaussianModel(
            Part(self.precision, slice(0, 3)),
            Poisson(counts[observed], self.exposure[observed]),
            mean=PartVector(AffineVector(np.zeros(n), np.ones((n, 1))), slice(3, 4)),
            B=sparse.eye_array(n, format="csr")[observed],
        )
        return LaplaceApproximation(model, design=FieldParameters())

    def picture(self, values: Array) -> Array:
        """Return values at the nodes, (n,), as a picture [x, y]."""
        return values.reshape(self.nodes, self.nodes)


def logarithms(correlation_range: float, deviation: float, level: float) -> Array:
    """Return x = (log κ, log τ, β) of a range (km), a standard deviation and a mean."""
    kappa = np.sqrt(8.0) / correlation_range
    return np.array([np.log(kappa), -np.log(np.sqrt(4.0 * np.pi) * kappa * deviation), level])


def range_and_deviation(x: Array) -> tuple[float, float]:
    """Return the range, km, and the standard deviation of u for x = (log κ, log τ, β)."""
    kappa, tau = np.exp(x[:2])
    return float(np.sqrt(8.0) / kappa), float(1.0 / (np.sqrt(4.0 * np.pi) * kappa * tau))


def _canonical(A: sparse.sparray) -> sparse.csc_array:
    csc = sparse.csc_array(A)
    csc.sum_duplicates()
    return csc
