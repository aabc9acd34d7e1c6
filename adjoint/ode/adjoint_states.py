"""λ(t) at the steps: the adjoint of the states, by collocation along the trajectory.

See docs/math/time.md, section 15.

The transposed steps themselves are no picture of it where stiff components meet a first stage that is explicit.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..errors import NotSymmetric
from ..factor.factorizers import lu
from ..typing import Array
from .dense_output import extended_stages
from .discontinuities.knots import Interval
from .equations import System
from .initial_values import NullSpace
from .methods.radau import collocation
from .methods.tableau import Tableau
from .stages.coupled_matrices import CoupledInverse, coupled_inverse, stage_matrix
from .stages.refinement import Recent
from .stages.stage_matrices import times
from .step_derivatives import Seed, Step

STAGES, STAGES_OF_MANY = 5, 3
"""Collocation points in a step, of order 9 and 5: of small systems, and of many unknowns, with fewer matrices."""


def collocated(tableau: Tableau, small: bool) -> bool:
    """Whether λ is found by collocation: for methods with error estimates that begin with an explicit stage.

    Explicit methods at the edge of their stability do not damp stiff components of λ either; but of many unknowns they
    are to factor no matrices. small: whether matrices are dense.
    """
    return tableau.continues and bool(tableau.errors) and (tableau.gamma != 0.0 or small)


@dataclass(eq=False)
class Collocation:
    """The adjoint equation along the computed states, solved step by step. nulls: of a singular M.

    Remembers whether the user's factorizer takes the matrices: complex shifts of symmetric ones are not Hermitian.
    """

    system: System
    nulls: NullSpace | None
    recent: Recent
    general: bool = False

    def pulled(
        self,
        tableau: Tableau,
        at: Interval,
        u: Array,
        K: Array,
        lam: Array,
        q_bar: Array | None,
        seeds: Sequence[Seed],
    ) -> Array:
        """λ (n, j) where a step begins from that where it ends; at, u, K: of the step, as it was taken."""
        h, system = at.h, self.system
        points = collocation(STAGES if system.algebra.dense else STAGES_OF_MANY)
        if tableau.gamma == 0.0:
            K, seen = extended_stages(system, tableau, at, u, K), tableau.extended
        else:  # The polynomial through the stages' values, which are those of stiff components, too.
            seen = tableau.algebraic
        Y = np.stack([u + h * system.combined(seen.weights(c), K) for c in points.c.tolist()])
        Y_bar, K_bar = np.zeros((2, *Y.shape, lam.shape[1]), dtype=system.dtype)
        Y_bar[-1] = lam
        if q_bar is not None:
            self._integrals(points, at, Y, q_bar, Y_bar)
        start = np.zeros(lam.shape, dtype=system.dtype)
        for seed in seeds:
            start += seed.u_bar
            K_bar += h * np.multiply.outer(points.weights(seed.theta), seed.u_bar)
        A = stage_matrix(system, points, at, Y)
        inverse = None
        if not A.dense:
            J = system.jacobian(at.t + 0.5 * h, Y[points.stages // 2])
            inverse = self._factored(points, J, h * points.gamma)
        b = K_bar + np.einsum("li,l...->i...", h * points.A, Y_bar)
        step = Step(system, points, at, u, K, inverse, self.recent)
        W = step.solved(A, b.reshape(-1, lam.shape[1]), "H").reshape(Y_bar.shape)
        return np.asarray(start + (Y_bar + A.slopes(W)).sum(axis=0))

    def _factored(self, points: Tableau, J: Array | sparse.csc_array, hg: float) -> CoupledInverse:
        """The factors of all stages for one J: by the user's factorizer, or by `lu`."""
        if not self.general:
            try:
                return coupled_inverse(self.system.nearby, points, J, hg)
            except NotSymmetric:
                self.general = True
        return coupled_inverse(
            dataclasses.replace(self.system.nearby, factorize=lu, iterative=False), points, J, hg
        )

    def _integrals(
        self, points: Tableau, at: Interval, Y: Array, q_bar: Array, Y_bar: Array
    ) -> None:
        """Add h b_i (∂ℓ/∂u)ᴴ q̄ to Ȳ."""
        times = points.times(at)
        for i, weight, _ in points.quadrature:
            for j, q in enumerate((at.h * weight * q_bar).T):
                Y_bar[i, :, j] += self.system.integrand_cotangents(
                    times[i], Y[i], np.ascontiguousarray(q)
                )[0]

    def consistent(self, t: float, u: Array, lam: Array) -> Array:
        """λ of states whose algebraic unknowns follow the others: λ + Jᴴ w with Mᴴ w = 0, its part along N is zero."""
        if self.nulls is None or not lam.any():
            return lam
        return lam + with_slopes(self.system, self.nulls, t, u, lam, np.zeros_like(lam))


def with_slopes(
    system: System, nulls: NullSpace, t: float, u: Array, lam: Array, kappa: Array
) -> Array:
    """Jᴴ w of (M + J N Nᴴ)ᴴ w = κ − N Nᴴ λ, (n, j): docs/math/time.md, eq. 55 for a singular M."""
    J = system.jacobian(t, u)
    along = nulls.N @ nulls.N.conj().T
    A = sparse.csc_array(sparse.csc_array(system.mass.matrix) + sparse.csc_array(J) @ along)
    A.sum_duplicates()
    return times(J, lu(A).solve(np.asarray(kappa - along @ lam), "H"), "H")
