"""Reinitialization where f may jump: K₁, and the algebraic unknowns of a DAE."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ..._numerics import rms
from ..._validation import first_nonfinite
from ...errors import NonFiniteField, integration_failure
from ...factor.factorizers import lu
from ...typing import Array
from ..equations import System
from ..methods.tableau import Tableau
from ..stages.coupled_matrices import CoupledInverse
from ..stages.simplified_newton import stage_tolerance
from ..stages.stage_matrices import Inverse, SparseInverse, dense_inverse
from .consistency import consistent_unknowns
from .initial_values import InitialValues
from .null_spaces import NullSpace

CONSISTENT = 10.0
"""Largest error of algebraic unknowns that is accepted, in units of the stage tolerance."""


@dataclass(frozen=True, eq=False)
class Reinitialization:
    """Initial values behind possible discontinuities of f.

    The last stage of the step before was computed with f at t⁻. K₁ is computed with f
    at t⁺ instead, and the algebraic unknowns solve the equations at t⁺. If f does not
    jump, the values change by rounding only. The values are computed again at each
    possible discontinuity, because derivatives of f may jump even if f does not.

    nulls: null spaces of a singular M, None for a regular M.
    """

    system: System
    nulls: NullSpace | None

    def needed(self, tableau: Tableau) -> bool:
        """True if a step of this method starts with K₁, or with consistent algebraic unknowns."""
        return tableau.continues or self.nulls is not None

    def inconsistent(
        self, t: float, u: Array, inverse: Inverse | None, hg: float
    ) -> tuple[bool, Array]:
        """(True if the algebraic unknowns must be solved for at t, f(t, u)).

        inverse: the factors of a nearby matrix M − hγ ∂f/∂u. The solution with these
        factors for hγ Z Zᴴ f is nearly the error of the algebraic unknowns.
        """
        f = self.system.rate(t, u)
        if self.nulls is None:
            return False, f
        if inverse is None or not np.isfinite(f).all():
            return True, f
        single = inverse.single if isinstance(inverse, CoupledInverse) else inverse
        Z, N = self.nulls.Z, self.nulls.N
        off = np.asarray(
            N @ (N.conj().T @ single.solve(hg * np.asarray(Z @ (Z.conj().T @ f)), "N"))
        )
        return not rms(off * self.system.weights(u)) <= CONSISTENT * stage_tolerance(self.system), f

    def solved(self, t: float, u: Array, steps: int) -> Array:
        """The state u with its algebraic unknowns replaced by values that are consistent at t.

        Raises InconsistentStart if Newton's method does not find consistent values.
        """
        assert self.nulls is not None
        return consistent_unknowns(self.system, (t, steps), t, u, self.nulls)

    def first_stage(
        self, t: float, u: Array, k: Array, tableau: Tableau, f: Array | None, steps: int
    ) -> Array:
        """K₁ at (t, u) for a consistent u, (n,); for coupled stages the argument k.

        k: the last stage before t, (n,); all stages, (s, n), if coupled. f: f(t, u),
        None if unknown. No stage value depends on the algebraic components of K₁: these
        components are taken from k, because they are good first guesses. Raises
        NonFiniteField if f is nan or inf.
        """
        system, nulls = self.system, self.nulls
        if not tableau.continues:
            return k
        f = system.rate(t, u) if f is None else f
        bad = None if math.isfinite(rms(f)) else first_nonfinite(f)
        if bad is not None:
            raise integration_failure(
                NonFiniteField,
                f"The field is {bad[1]} in component {bad[0]} just behind a stop time.",
                t,
                steps,
            )
        rates = self._rates
        K = (
            np.array(f, dtype=system.dtype)
            if rates is None
            else rates.solve(np.array(f, dtype=system.dtype), "N")
        )
        if nulls is not None:
            K = K + nulls.N @ (nulls.N.conj().T @ (k - K))
        return K

    def known(self, t: float, u: Array, k: Array, tableau: Tableau) -> InitialValues:
        """The initial values at (t, u) if K₁ = k is known."""
        derived = tableau.continues
        inverse = self._rates if derived else None
        return InitialValues(
            self.system, t, u, k, self.nulls, self.nulls is not None, derived, inverse
        )

    @cached_property
    def _rates(self) -> Inverse | None:
        """The factors of M, or of M + σ Z Nᴴ if M is singular; None for the identity.

        A solution K with M + σ Z Nᴴ satisfies M K = f and Nᴴ K = 0.
        """
        system = self.system
        if self.nulls is None:
            return system.mass_inverse
        M, bordering = system.mass.matrix, self.nulls.Z @ self.nulls.N.conj().T
        if isinstance(M, np.ndarray):
            dense = np.ascontiguousarray(
                M + float(np.abs(M).max(initial=0.0) or 1.0) * bordering.toarray()
            )
            return dense_inverse(dense.astype(system.dtype), "M + Z N'")
        A = sparse.csc_array(M + float(np.abs(M.data).max(initial=0.0) or 1.0) * bordering)  # type: ignore[union-attr]
        A.sum_duplicates()
        return SparseInverse(lu(A), True)
