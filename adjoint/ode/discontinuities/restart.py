"""What begins anew where f may jump: K₁ of methods that know it, and the algebraic unknowns of a DAE."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ..._numerics import rms
from ...errors import NonFiniteField, integration_failure
from ...factor.factorizers import lu
from ...typing import Array
from ..equations import System
from ..initial_values import Beginning, NullSpace, consistent_unknowns
from ..methods.tableau import Tableau
from ..stages.coupled_matrices import CoupledInverse
from ..stages.simplified_newton import enough
from ..stages.stage_matrices import Inverse, SparseInverse, dense_inverse

CONSISTENT = 10.0
"""How far algebraic unknowns may be off, in units of what is left of stages, to be taken as they are."""


@dataclass(frozen=True, eq=False)
class Restarts:
    """Beginnings at knots. K₁ is f at t⁺, not the last stage of the step before, which saw f at t⁻; the algebraic
    unknowns solve the equations at t⁺. Where f does not jump that changes rounding only: derivatives may jump all the
    same, so it is done at every knot.

    nulls: of a singular M.
    """

    system: System
    nulls: NullSpace | None

    def needed(self, tableau: Tableau) -> bool:
        """Whether steps by this method begin with anything but u."""
        return tableau.continues or self.nulls is not None

    def inconsistent(
        self, t: float, u: Array, inverse: Inverse | None, hg: float
    ) -> tuple[bool, Array]:
        """Whether the algebraic unknowns have to be solved for at t, and f(t, u).

        inverse: the factors of M − hγ ∂f/∂u nearby, whose solution for hγ Z Zᴴ f is nearly what they are off by.
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
        return not rms(off * self.system.weights(u)) <= CONSISTENT * enough(self.system), f

    def solved(self, t: float, u: Array, steps: int) -> Array:
        """u with the algebraic unknowns that belong to t; raises InconsistentStart."""
        assert self.nulls is not None
        return consistent_unknowns(self.system, (t, steps), t, u, self.nulls)

    def first_stage(
        self, t: float, u: Array, k: Array, tableau: Tableau, f: Array | None, steps: int
    ) -> Array:
        """K₁ at (t, u), u being consistent; k: the last stage before; f: f(t, u), if known. Of coupled stages k itself.

        Of the algebraic components of K₁, on which no stage value depends, those of k are kept: good first guesses.
        Raises NonFiniteField.
        """
        system, nulls = self.system, self.nulls
        if not tableau.continues:
            return k
        f = system.rate(t, u) if f is None else f
        if not math.isfinite(rms(f)) and not np.isfinite(f).all():
            bad = int(np.flatnonzero(~np.isfinite(f))[0])
            raise integration_failure(
                NonFiniteField,
                f"The field is {f[bad]} in component {bad} just behind a knot.",
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

    def known(self, t: float, u: Array, k: Array, tableau: Tableau) -> Beginning:
        """The beginning at (t, u) with K₁ = k."""
        derived = tableau.continues
        inverse = self._rates if derived else None
        return Beginning(self.system, t, u, k, self.nulls, self.nulls is not None, derived, inverse)

    @cached_property
    def _rates(self) -> Inverse | None:
        """The factors of M; where it is singular, of M + σ Z Nᴴ, which gives the K with M K = f and Nᴴ K = 0."""
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
