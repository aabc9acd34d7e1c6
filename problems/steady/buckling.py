"""Linearized buckling: plane bodies by rectangles with stress stiffness, columns by beams."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.eigen import LinearBuckling, StressStiffness
from adjoint.typing import Array

from ..finite_elements.grid import Grid, number_free
from .elasticity import Elastic


def stress_stiffness(grid: Grid, poisson: float = 0.3) -> tuple[Array, Array]:
    """S and G_i of a rectangle in plane stress with modulus and thickness 1.

    The q = 12 stresses are σ_xx, σ_yy and σ_xy at four Gauss points. S: (12, 8), stresses of
    the displacements of the corners; G_i: (12, 8, 8), ∫ (∂_a N)ᵀ σ_ab (∂_b N) for each
    displacement component.

    Cook, Malkus & Plesha (1989), Concepts and Applications of Finite Element Analysis,
    section 14.3.
    """
    nu = poisson
    D = np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]]) / (1 - nu**2)
    weights, _, gradients = grid.shape_functions()
    points, corners, d = gradients.shape
    B = np.zeros((points, 3, corners, d))
    for row, (i, j) in enumerate([(0, 0), (1, 1), (0, 1)]):
        B[:, row, :, i] = gradients[:, :, j]
        B[:, row, :, j] = gradients[:, :, i]
    S = D @ B.reshape(points, 3, corners * d)
    directions = np.zeros((3, d, d))
    directions[0, 0, 0] = directions[1, 1, 1] = directions[2, 0, 1] = directions[2, 1, 0] = 1.0
    scalar = np.einsum("q,qia,sab,qjb->qsij", weights, gradients, directions, gradients)
    Ge = np.einsum("qsij,ab->qsiajb", scalar, np.eye(d))
    return S.reshape(points * 3, -1), Ge.reshape(points * 3, corners * d, corners * d)


@dataclass(frozen=True, eq=False)
class TwoModuli:
    """p = (E_min + xᵏ(1 − E_min), xᵏ): moduli of K and of G; implements `DesignMap`.

    Without the lower bound in G, elements without material have no stress, and do not
    buckle on their own.

    Gao & Ma (2015), Topology optimization of continuum structures under buckling
    constraints, Comput. Struct. 157, 142. k: the exponent. least: E_min.
    """

    exponent: float = 3.0
    least: float = 1e-6

    def __call__(self, x: Array) -> Array:
        """Return (E, s), (2 m,)."""
        s = x**self.exponent
        return np.concatenate([self.least + (1.0 - self.least) * s, s])

    def _slope(self, x: Array) -> Array:
        return np.asarray(self.exponent * x ** (self.exponent - 1.0))

    def _folded(self, p_bar: Array) -> Array:
        of_E, of_s = np.split(p_bar, 2)
        return np.asarray((1.0 - self.least) * of_E + of_s)

    def vjp(self, x: Array, p_bar: Array) -> Array:
        """Return x̄, (m,)."""
        return self._slope(x) * self._folded(p_bar)

    def jvp(self, x: Array, x_dot: Array) -> Array:
        """Return (Ė, ṡ), (2 m,)."""
        s_dot = self._slope(x) * x_dot
        return np.concatenate([(1.0 - self.least) * s_dot, s_dot])

    def hvp(self, x: Array, p_bar: Array, x_dot: Array) -> Array:
        """Return the derivative of vjp along ẋ, (m,)."""
        k = self.exponent
        return np.asarray(k * (k - 1.0) * x ** (k - 2.0) * self._folded(p_bar) * x_dot)


def plane_buckling(body: Elastic, count: int = 4, poisson: float = 0.3) -> LinearBuckling:
    """Return the buckling problem of a plane body; p = (E, s), the moduli of K and of G.

    body: displacements, supports and one load case. `TwoModuli` maps densities to p.
    """
    m = len(body.K.dofs)
    K = adjoint.Part(body.K, slice(0, m))
    S, Ge = stress_stiffness(body.grid, poisson)
    G = StressStiffness(body.K.dofs, S, Ge, slice(m, 2 * m))
    prebuckling = adjoint.LinearProblem(K, body.load, factorize=adjoint.cholesky)
    return LinearBuckling(prebuckling, G, count)


def compressed_column(nelx: int, nely: int, length: float = 10.0) -> Elastic:
    """Make a cantilever column of height 1 along x, with a force −1 spread over its free end.

    nelx, nely: numbers of elements. Euler's load is π² E/(12 · 4 length²) for a slender column.
    """
    grid = Grid((nelx, nely), (length / nelx, 1.0 / nely))
    left, right = grid.boundary(0, 0), grid.boundary(0, 1)
    load = np.zeros(2 * len(grid.nodes))
    ends = np.array([right.min(), right.max()])
    load[2 * right] = -1.0 / nely
    load[2 * ends] *= 0.5
    fixed = (2 * left[:, None] + np.arange(2)).ravel()
    return Elastic.supported(grid, fixed, load)


def beam_matrices(length: float, EA: float, EI: float) -> tuple[Array, Array, Array]:
    """K_e (6, 6), S (1, 6) and G_1 (1, 6, 6) of a beam along x; unknowns u, w, θ of two nodes.

    S gives the axial force. Przemieniecki (1968), Theory of Matrix Structural Analysis,
    sections 5.6 and 15.3.
    """
    h = length
    axial = np.array([-1.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    bending = np.zeros((6, 6))
    geometric = np.zeros((6, 6))
    w = np.ix_([1, 2, 4, 5], [1, 2, 4, 5])
    bending[w] = (EI / h**3) * np.array(
        [
            [12, 6 * h, -12, 6 * h],
            [6 * h, 4 * h**2, -6 * h, 2 * h**2],
            [-12, -6 * h, 12, -6 * h],
            [6 * h, 2 * h**2, -6 * h, 4 * h**2],
        ]
    )
    geometric[w] = np.array(
        [
            [36, 3 * h, -36, 3 * h],
            [3 * h, 4 * h**2, -3 * h, -(h**2)],
            [-36, -3 * h, 36, -3 * h],
            [3 * h, -(h**2), -3 * h, 4 * h**2],
        ]
    ) / (30 * h)
    K = (EA / h) * np.outer(axial, axial) + bending
    return K, (EA / h) * axial[None], geometric[None]


def beam_frame(
    nodes: Array,
    beams: Array,
    fixed: Array,
    load: Array,
    EA: float,
    EI: float,
    count: int = 2,
) -> LinearBuckling:
    """Return the buckling problem of a plane frame; parameters: one stiffness factor per beam.

    nodes: (nodes, 2), m. beams: pairs of nodes, (m, 2). fixed: numbers of unknowns that are
    zero; unknown i of a node (u, v, θ) is 3 · node + i. load: (3 · nodes,), N and N m. EA: N,
    EI: N m². The factor of a beam multiplies EA and EI.
    """
    K, S, Ge = [], [], []
    for a, b in beams:
        along = nodes[b] - nodes[a]
        h = float(np.linalg.norm(along))
        c, s = along / h
        turn = np.kron(np.eye(2), np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]))
        of_beam = beam_matrices(h, EA, EI)
        K.append(turn.T @ of_beam[0] @ turn)
        S.append(of_beam[1] @ turn)
        Ge.append(turn.T @ of_beam[2] @ turn)
    dofs = (3 * np.asarray(beams)[:, :, None] + np.arange(3)).reshape(len(beams), 6)
    dofs, free = number_free(dofs, fixed, 3 * len(nodes))
    G = StressStiffness(dofs, np.array(S), np.array(Ge))
    stiffness = adjoint.Elements(dofs, np.array(K))
    prebuckling = adjoint.LinearProblem(stiffness, load[free], factorize=adjoint.cholesky)
    return LinearBuckling(prebuckling, G, count)


def column(elements: int, ends: str = "pinned", count: int = 2, EA: float = 1e6) -> LinearBuckling:
    """Return a column of beams: length 1, EI = 1, load 1; its load factors are P/(EI/L²).

    ends: "pinned" (π²), "clamped" (4π²) or "free" (π²/4): the ends, Timoshenko & Gere (1961),
    Theory of Elastic Stability, section 2.1.
    """
    nodes = np.column_stack([np.linspace(0.0, 1.0, elements + 1), np.zeros(elements + 1)])
    beams = np.column_stack([np.arange(elements), np.arange(1, elements + 1)])
    last = 3 * elements
    fixed = {
        "pinned": [0, 1, last + 1],
        "clamped": [0, 1, 2, last + 1, last + 2],
        "free": [0, 1, 2],
    }[ends]
    load = np.zeros(3 * (elements + 1))
    load[last] = -1.0
    return beam_frame(nodes, beams, np.array(fixed), load, EA, 1.0, count)


def portal_frame(elements: int, clamped: bool, count: int = 2) -> LinearBuckling:
    """Return a portal of three beams of length 1, EI = 1, with loads 1 on its two columns.

    clamped: the feet are clamped, else hinged. The columns buckle sideways at the load x²,
    where tan(x) = −x/6 for clamped feet and x tan(x) = 6 for hinged feet (axially stiff
    beams; Timoshenko & Gere 1961, section 2.4).
    """
    t = np.linspace(0.0, 1.0, elements + 1)
    zero, one = np.zeros_like(t), np.ones_like(t)
    nodes = np.vstack(
        [
            np.column_stack([zero, t]),
            np.column_stack([t, one])[1:],
            np.column_stack([one, t[::-1]])[1:],
        ]
    )
    beams = np.column_stack([np.arange(3 * elements), np.arange(1, 3 * elements + 1)])
    last = 9 * elements
    fixed = [0, 1, last, last + 1] + ([2, last + 2] if clamped else [])
    load = np.zeros(3 * len(nodes))
    load[3 * elements + 1] = load[6 * elements + 1] = -1.0
    return beam_frame(nodes, beams, np.array(fixed), load, 1e7, 1.0, count)
