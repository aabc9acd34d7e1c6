"""(K − μ_i M)⁻¹ without the part of the cluster of μ_i, by the factors of K − σM.

See docs/math/spectra.md, eqs. 223 and 224.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sparse

from ..factor.backward_error import product
from ..protocols import Inverse
from ..typing import Array
from .biorthogonal import Modes
from .deflated_gmres import Projector, deflated_gmres

Side = Literal["N", "H"]
"""The operator K − μM ("N", tangents) or its adjoint ("H", cotangents)."""


@dataclass(frozen=True, eq=False)
class Resolvent:
    """The reduced resolvents of all wanted eigenvalues, for blocks of right-hand sides.

    M: (n, n); inverse: of K − σM; real: True if K, M and σ are real.
    """

    M: sparse.csc_array
    inverse: Inverse
    modes: Modes
    sigma: complex
    real: bool

    def solve(self, rhs: Array, side: Side) -> tuple[Array, int]:
        """Solve (K − μ_i M) y = rhs ("N") or its adjoint ("H") without the part of cluster i.

        rhs: (n, k, j). Parts along other computed modes in closed form, the rest by
        deflated GMRES. Returns y, (n, k, j), and the number of iterations.
        """
        modes, M, j = self.modes, self.M, rhs.shape[2]
        values = modes.values if side == "N" else modes.values.conj()
        sigma = self.sigma if side == "N" else np.conj(self.sigma)
        V, other = (modes.right, modes.left) if side == "N" else (modes.left, modes.right)
        MV = product(M, V, side)
        W = product(M, other, "H" if side == "N" else "N")
        flat = rhs.reshape(rhs.shape[0], -1)
        used = np.flatnonzero(np.abs(flat).max(axis=0, initial=0.0) > 0.0)
        y = np.zeros(flat.shape, dtype=complex)
        if used.size == 0:
            return y.reshape(rhs.shape), 0
        flat, owner = flat[:, used], np.repeat(np.arange(modes.count), j)[used]
        along = other.conj().T @ flat  # (c, columns)
        divisor = values[:, None] - values[None, owner]
        for members in modes.groups:
            inside = np.isin(np.arange(values.size), members)
            divisor[np.outer(inside, np.isin(owner, members))] = np.inf
        y[:, used] = V @ (along / divisor)
        iterations = 0
        if V.shape[1] < V.shape[0]:
            shifts: Array = values[owner] - sigma
            rest: Array = flat - MV @ along
            if self.real and not shifts.imag.any() and not rest.imag.any():
                shifts, rest = shifts.real, np.asfortranarray(rest.real)
            x, iterations = deflated_gmres(
                lambda v: self.inverse.solve(product(M, v, side), side),
                Projector(V, W),
                shifts,
                self.inverse.solve(rest, side),
            )
            y[:, used] += x
        return y.reshape(rhs.shape), iterations
