"""λ(t) at the steps, by collocation of the adjoint equation (docs/math/time.md, section 15).

If the first stage is explicit, the transposed steps give a different λ(t) in stiff
components.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from ..errors import NotSymmetric
from ..factor.factorizers import lu
from ..typing import Array
from .arguments import Bars
from .dense_output import extended_stages
from .discontinuities.one_sided_times import Interval
from .equations import System
from .initial_values.null_spaces import NullSpace, consistent_term
from .methods.radau import radau_iia
from .methods.tableau import Tableau
from .sensitivities import Integrated
from .stages.coupled_matrices import CoupledInverse, coupled_inverse, coupled_stage_matrix
from .stages.refinement import Recent
from .steps.frozen_step import FrozenStep, Seed

STAGES, STAGES_OF_MANY = 5, 3
"""Collocation points per step: 5 (order 9) up to 64 unknowns, 3 (order 5) above.

Fewer points need fewer factorizations.
"""


def adjoint_states(solution: Integrated, bars: Bars) -> Array:
    """λ_k = ∂J/∂u(t_k) for k = 0, …, N, (N + 1, n, j), from the cotangents of the observations.

    λ_0 is the derivative of the computed numbers. The other λ_k come from `Collocation`,
    or from the transposed steps if `by_collocation` is False.
    """
    sweeps = solution.sweeps
    nulls = sweeps.initial_values.nulls
    lam = np.zeros((sweeps.accepted.count + 1, *bars.u.shape[1:]), dtype=solution.u.dtype)
    at_ends, seeds = sweeps.seeds(bars.u)
    for k, places in at_ends.items():
        lam[k] = bars.u[places].sum(axis=0)
    if bars.u.shape[2]:
        with np.errstate(all="ignore"):
            collocation = Collocation(sweeps.system, nulls, Recent())
            for k, places in at_ends.items():
                if k and lam[k].any():
                    # For consistent states just before the time of the observation.
                    lam[k] = collocation.consistent(
                        sweeps.accepted.final[k - 1], solution.u[places[0]], lam[k]
                    )
            _complete(solution, lam, bars, seeds, collocation)
    return lam


def _complete(
    solution: Integrated,
    lam: Array,
    bars: Bars,
    seeds: dict[int, list[Seed]],
    collocation: "Collocation",
) -> None:
    """Complete lam (N + 1, n, j), which holds the cotangents of the observations at the steps."""
    sweeps, accepted = solution.sweeps, solution.sweeps.accepted
    collocated = by_collocation(accepted.tableau[-1], sweeps.system.algebra.dense)
    for contribution in sweeps.reverse(bars.u, bars.q, False):
        if contribution.k == 0:
            lam[0] = sweeps.initial_values.vjp(contribution.u + lam[0], contribution.K1, None).u0
        elif not collocated:
            lam[contribution.k] += sweeps.total(contribution)
    if not collocated:
        return
    for k, u, K in sweeps.computed_backward():
        if k == 0:
            break
        at = accepted.interval(k)
        before = collocation.step_vjp(
            accepted.tableau[k], at, u, K, lam[k + 1], bars.q, seeds.get(k, [])
        )
        lam[k] += collocation.consistent(at.first, u, before)


def by_collocation(tableau: Tableau, small: bool) -> bool:
    """True if λ is found by collocation: for adaptive methods whose first stage is explicit.

    Explicit methods at their stability limit do not damp stiff components of λ either.
    Explicit methods use collocation only if matrices are dense (`small`), since
    explicit methods with many unknowns must not factor matrices.
    """
    return tableau.continues and bool(tableau.errors) and (tableau.gamma != 0.0 or small)


@dataclass(eq=False)
class Collocation:
    """The adjoint equation along the computed states, solved step by step.

    nulls: null spaces of a singular M, None for a regular M. recent: the latest solutions,
    from which the next solution is guessed.

    general: False at first; True after the user's factorizer has refused a matrix. `lu`
    is then used for all further matrices, because complex shifts of symmetric matrices
    are not Hermitian.
    """

    system: System
    nulls: NullSpace | None
    recent: Recent
    general: bool = False

    def step_vjp(
        self,
        tableau: Tableau,
        at: Interval,
        u: Array,
        K: Array,
        lam: Array,
        q_bar: Array | None,
        seeds: Sequence[Seed],
    ) -> Array:
        """λ (n, j) at the start of a step, from λ (n, j) at the end of the step.

        tableau, at, u, K: method, times, first state and stages of the step.
        """
        h, system = at.h, self.system
        points = radau_iia(STAGES if system.algebra.dense else STAGES_OF_MANY)
        if tableau.gamma == 0.0:
            K, seen = extended_stages(system, tableau, at, u, K), tableau.extended
        else:
            # The polynomial through the stage values, which are right in stiff components too.
            seen = tableau.algebraic
        Y = np.stack([u + h * system.combined(seen.weights(c), K) for c in points.c.tolist()])
        Y_bar, K_bar = np.zeros((2, *Y.shape, lam.shape[1]), dtype=system.dtype)
        Y_bar[-1] = lam
        if q_bar is not None:
            self._add_integrals(points, at, Y, q_bar, Y_bar)
        start = np.zeros(lam.shape, dtype=system.dtype)
        for seed in seeds:
            start += seed.u_bar
            K_bar += h * np.multiply.outer(points.weights(seed.theta), seed.u_bar)
        A = coupled_stage_matrix(system, points, at, Y)
        inverse = None
        if not A.dense:
            J = system.jacobian(at.t + 0.5 * h, Y[points.stages // 2])
            inverse = self._factored(points, J, h * points.gamma)
        b = K_bar + np.einsum("li,l...->i...", h * points.A, Y_bar)
        step = FrozenStep(system, points, at, u, K, inverse, self.recent)
        W = step.solved(A, b.reshape(-1, lam.shape[1]), "H").reshape(Y_bar.shape)
        return np.asarray(start + (Y_bar + A.slopes(W)).sum(axis=0))

    def _factored(self, points: Tableau, J: Array | sparse.csc_array, hg: float) -> CoupledInverse:
        """The factors of all stages with the same J, by the user's factorizer or by `lu`."""
        if not self.general:
            try:
                return coupled_inverse(self.system.newton_algebra, points, J, hg)
            except NotSymmetric:
                self.general = True
        algebra = dataclasses.replace(self.system.newton_algebra, factorize=lu, iterative=False)
        return coupled_inverse(algebra, points, J, hg)

    def _add_integrals(
        self, points: Tableau, at: Interval, Y: Array, q_bar: Array, Y_bar: Array
    ) -> None:
        """Add h b_i (∂ℓ/∂u)ᴴ q̄ to Ȳ_i."""
        times = points.times(at)
        for i, weight, _ in points.quadrature:
            for j, q in enumerate((at.h * weight * q_bar).T):
                Y_bar[i, :, j] += self.system.integrand_cotangents(
                    times[i], Y[i], np.ascontiguousarray(q)
                )[0]

    def consistent(self, t: float, u: Array, lam: Array) -> Array:
        """The adjoint λ + Jᴴ w of consistent states, (n, j), with Mᴴ w = 0.

        The result has no component along N: algebraic unknowns depend on the other
        unknowns.
        """
        if self.nulls is None or not lam.any():
            return lam
        return lam + consistent_term(self.system, self.nulls, t, u, lam, np.zeros_like(lam))
