"""The solution of R(u, p) = 0, linear or not, and the derivative of p ↦ u."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._numerics import finite_sum
from .._optional_methods import of_residual
from .._pickling import Local
from .._validation import as_array, as_cotangent, as_parameters
from ..derivative import Derivative
from ..errors import NonFinite
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_right_hand_side
from ..factor.evidence import Evidence
from ..protocols import Inverse, Residual
from ..typing import Array


@dataclass(frozen=True, eq=False, repr=False)
class SteadySolution(Local):
    """u with R(u, p) = 0, and the derivative of p ↦ u as a linear operator.

    See docs/math/steady.md, eqs. 2–4.

    u: (n,), or (n, k) for k load cases; p: (m,); inverse: that of ∂R/∂u. Made by a problem's `solve`.
    Everything here costs solves with the factors of the forward solution, never a factorization.
    """

    u: Array
    p: Array
    residual: Residual
    inverse: Inverse
    _counts: Counts

    def __repr__(self) -> str:
        return f"SteadySolution(u: {self.u.dtype} {self.u.shape}, p: {self.p.dtype} {self.p.shape})"

    def adjoint(self, u_bar: Array) -> Array:
        """λ with (∂R/∂u)ᴴ λ = ū, of ū's shape.

        u_bar: of u's shape, or with one axis more for several objectives: one block solve for all of them.
        A ū in the span of the right-hand sides of a problem stated to be symmetric costs no solve.
        Raises ValueError for another shape, NonFinite for nan and inf.
        """
        return self._adjoint(
            u_bar
        ).copy()  # The caller may write to his: the one remembered serves vjp again.

    def _adjoint(self, u_bar: Array) -> Array:
        u_bar = as_array("vjp", "u_bar", u_bar)
        if not (finite_sum(u_bar) or np.isfinite(u_bar).all()):
            raise NonFinite(
                f"an entry of u_bar is {u_bar[~np.isfinite(u_bar)][0]}, expected finite numbers"
            )
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or one axis more"
            )
        n = self.u.shape[0]
        with collecting(self._counts):
            lam = self.inverse.solve(as_right_hand_side(u_bar.reshape(n, -1), n), "H")
        return lam.reshape(u_bar.shape)

    def vjp(self, u_bar: Array) -> Array:
        """(du/dp)ᴴ ū: (m,), or (m, j) for ū with j objectives along its last axis; see `adjoint`."""
        lam = self._adjoint(u_bar)
        with collecting(self._counts), phase("gradient"):
            if lam.shape == self.u.shape:
                return self._pulled_back(lam)
            columns = [self._pulled_back(lam[..., j]) for j in range(lam.shape[-1])]
            return np.stack(columns, axis=-1) if columns else np.zeros((self.p.size, 0))

    def _pulled_back(self, lam: Array) -> Array:
        """−(∂R/∂p)ᴴ λ, (m,)."""
        g = as_cotangent(
            self.residual.vjp(self.u, self.p, lam), self.p, "the vjp of the residual (of A or b)"
        )
        if not finite_sum(g) and not np.isfinite(g).all():
            bad = np.flatnonzero(~np.isfinite(g))
            raise NonFinite(
                f"the vjp of the residual (of A or b) is {g[bad[0]]} at component {bad[0]} ({bad.size} such)"
            )
        return -g

    def _pushed_forward(self, p_dot: Array) -> Array:
        """−(∂R/∂p) ṗ, of u's shape."""
        r = np.asarray(self.residual.jvp(self.u, self.p, as_parameters(p_dot, "p_dot")))
        if r.shape != self.u.shape:  # NumPy would broadcast it without a word.
            raise ValueError(
                f"the jvp of the residual (of A or b) has shape {r.shape}, expected {self.u.shape}"
            )
        return -r

    def jvp(self, p_dot: Array) -> Array:
        """(du/dp) ṗ: of u's shape for ṗ (m,), with one axis more for ṗ (m, j): one block solve.

        Raises ValueError for another shape, NonFinite for nan and inf.
        """
        p_dot = as_array("jvp", "p_dot", p_dot)
        m, n = self.p.size, self.u.shape[0]
        if p_dot.ndim not in (1, 2) or p_dot.shape[0] != m:
            raise ValueError(f"got p_dot of shape {p_dot.shape}, expected ({m},) or ({m}, j)")
        columns = p_dot if p_dot.ndim == 2 else p_dot[:, None]
        rates = [self._pushed_forward(direction) for direction in columns.T]
        rhs = np.stack(rates, axis=-1) if rates else np.zeros((*self.u.shape, 0))
        with collecting(self._counts):
            u_dot = self.inverse.solve(rhs.reshape(n, -1)).reshape(rhs.shape)
        return u_dot if p_dot.ndim == 2 else u_dot[..., 0]

    def hvp(self, lam: Array, u_dot: Array, p_dot: Array, u_bar_dot: Array) -> Array:
        """The derivative of p ↦ (du/dp)ᴴ ū along ṗ, (m,), while ū changes by ū̇.

        See docs/math/optimization.md, eqs. 70 and 71.

        lam: `adjoint(u_bar)`; u_dot: `jvp(p_dot)`; p_dot: (m,); u_bar_dot: of u's shape. One transposed solve. Raises
        TypeError for a residual without `hvp`, NonFinite for nan and inf.
        """
        with collecting(self._counts), phase("gradient"):
            u_part, p_part = of_residual(self.residual, self.u, self.p, lam, u_dot, p_dot)
        rhs = np.asarray(u_bar_dot - u_part)
        with collecting(self._counts):
            # Not by `adjoint`: what that remembers is the adjoint state itself, for the next product.
            lam_dot = self.inverse.solve(rhs.reshape(rhs.shape[0], -1), "H").reshape(rhs.shape)
        with collecting(self._counts), phase("gradient"):
            return self._pulled_back(lam_dot) - p_part

    @property
    def derivative(self) -> LinearOperator:
        """du/dp as a SciPy LinearOperator (n·k, m): `@` is the jvp, `.T @` (`.H @`) the vjp.

        See docs/math/steady.md, eq. 7.

        The state is flattened in C order. Block products are block solves. Of a complex state with real
        parameters it is the complex matrix ∂u_i/∂p_j. Works with lsqr, svds, …
        """
        return Derivative(self.u, self.p, self.jvp, self.vjp).operator

    @property
    def evidence(self) -> Evidence:
        """Backward errors of the solves so far, the counts and seconds of all work for this solution."""
        return replace(self.inverse.evidence, counts=self._counts.copy())
