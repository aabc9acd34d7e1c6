"""The solution of R(u, p) = 0, linear or not, and the derivative of p ↦ u."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .._dataclasses import Local
from .._numerics import finite_sum
from .._optional_methods import checked_residual_hvp
from .._validation import as_array, as_cotangent, as_parameters, first_nonfinite
from ..derivative import Derivative
from ..errors import NonFinite
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_right_hand_side
from ..factor.evidence import Evidence
from ..protocols import Inverse, Residual
from ..typing import Array
from .log_determinant import MatrixLogDeterminant, log_determinant_of


@dataclass(frozen=True, eq=False, repr=False)
class SteadySolution(Local):
    """u with R(u, p) = 0, and the derivative of p ↦ u.

    See docs/math/steady.md, eqs. 2–4. The method `solve` of a problem returns such an
    object. Each derivative costs solves with the factors of the forward solution, never
    a factorization. A solution cannot be pickled, because it holds factors.

    Parameters
    ----------
    u : (n,) or (n, k) array
        The state; k columns are k load cases.
    p : (m,) array
        The parameters.
    residual : Residual
        R(u, p).
    inverse : Inverse
        (∂R/∂u)⁻¹ at (u, p).
    """

    u: Array
    p: Array
    residual: Residual
    inverse: Inverse
    _counts: Counts

    def __repr__(self) -> str:
        return f"SteadySolution(u: {self.u.dtype} {self.u.shape}, p: {self.p.dtype} {self.p.shape})"

    def adjoint(self, u_bar: Array) -> Array:
        """Solve (∂R/∂u)ᴴ λ = ū for λ.

        If A is stated to be symmetric and ū lies in the span of the right-hand sides of
        the problem, λ costs no solve.

        Parameters
        ----------
        u_bar : (n,) or (n, k) array, or with a last axis of length j
            ū, of u's shape; for j objectives, which are solved together, with one more
            axis of length j.

        Returns
        -------
        array
            λ, of ū's shape.

        Raises
        ------
        ValueError
            If ū has the wrong shape.
        NonFinite
            If ū contains nan or inf.
        """
        # Return a copy: the caller may modify it, and `vjp` reuses the cached λ.
        return self._adjoint(u_bar).copy()

    def _adjoint(self, u_bar: Array) -> Array:
        u_bar = as_array("vjp", "u_bar", u_bar)
        if not finite_sum(u_bar) and (found := first_nonfinite(u_bar)) is not None:
            raise NonFinite(f"an entry of u_bar is {found[1]}, expected finite numbers")
        if u_bar.shape != self.u.shape and u_bar.shape[:-1] != self.u.shape:
            raise ValueError(
                f"got u_bar of shape {u_bar.shape}, expected {self.u.shape}, or one axis more"
            )
        n = self.u.shape[0]
        with collecting(self._counts):
            lam = self.inverse.solve(as_right_hand_side(u_bar.reshape(n, -1), n), "H")
        return lam.reshape(u_bar.shape)

    def vjp(self, u_bar: Array) -> Array:
        """Return (du/dp)ᴴ ū, by one adjoint solve.

        Parameters
        ----------
        u_bar : array
            ū, of u's shape; for j objectives with one more axis of length j. See
            `adjoint`.

        Returns
        -------
        (m,) or (m, j) array
            The derivative with respect to p.

        Raises
        ------
        ValueError, NonFinite
            Under the conditions of `adjoint`.
        """
        lam = self._adjoint(u_bar)
        with collecting(self._counts), phase("gradient"):
            if lam.shape == self.u.shape:
                return self._pulled_back(lam)
            columns = [self._pulled_back(lam[..., j]) for j in range(lam.shape[-1])]
            return np.stack(columns, axis=-1) if columns else np.zeros((self.p.size, 0))

    def _pulled_back(self, lam: Array) -> Array:
        """Return −(∂R/∂p)ᴴ λ, (m,)."""
        g = as_cotangent(
            self.residual.vjp(self.u, self.p, lam), self.p, "the vjp of the residual (of A or b)"
        )
        if not finite_sum(g) and (found := first_nonfinite(g)) is not None:
            place, entry, number = found
            raise NonFinite(
                f"the vjp of the residual (of A or b) is {entry} at component {place} "
                f"({number} such)"
            )
        return -g

    def _pushed_forward(self, p_dot: Array) -> Array:
        """Return −(∂R/∂p) ṗ, of u's shape."""
        r = np.asarray(self.residual.jvp(self.u, self.p, as_parameters(p_dot, "p_dot")))
        if r.shape != self.u.shape:  # NumPy would broadcast r silently.
            raise ValueError(
                f"the jvp of the residual (of A or b) has shape {r.shape}, expected {self.u.shape}"
            )
        return -r

    def jvp(self, p_dot: Array) -> Array:
        """Return (du/dp) ṗ, by one solve.

        Parameters
        ----------
        p_dot : (m,) or (m, j) array
            Direction, or j directions, which are solved together.

        Returns
        -------
        array
            The derivative of u, of u's shape; for j directions with one more axis of
            length j.

        Raises
        ------
        ValueError
            If ṗ has the wrong shape.
        NonFinite
            If ṗ contains nan or inf.
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
        """Return the rate of p ↦ (du/dp)ᴴ ū along ṗ, while ū has the rate ū̇.

        See docs/math/optimization.md, eqs. 70 and 71. The cost is one transposed solve,
        for j directions one transposed solve of a block.

        Parameters
        ----------
        lam : array
            λ = `adjoint(u_bar)`, of u's shape.
        u_dot : array
            u̇ = `jvp(p_dot)`, of u's shape; for j directions with one more axis of
            length j.
        p_dot : (m,) or (m, j) array
            ṗ, one direction or j directions.
        u_bar_dot : array
            ū̇, of the shape of u̇.

        Returns
        -------
        (m,) or (m, j) array
            The Hessian-vector products of p ↦ Re(ūᴴ u).

        Raises
        ------
        TypeError
            If the residual has no `hvp`.
        ValueError
            If ṗ, u̇ and ū̇ do not have the shapes of equally many directions.
        NonFinite
            If a result contains nan or inf.
        """
        p_dot, u_dot, u_bar_dot = np.asarray(p_dot), np.asarray(u_dot), np.asarray(u_bar_dot)
        if p_dot.ndim == 1:
            rate = self.hvp(lam, u_dot[..., None], p_dot[:, None], u_bar_dot[..., None])
            return np.ascontiguousarray(rate[:, 0])
        expected = (*self.u.shape, p_dot.shape[-1])
        if u_dot.shape != expected or u_bar_dot.shape != expected:
            raise ValueError(
                f"hvp: got p_dot of shape {p_dot.shape}, u_dot of shape {u_dot.shape} and "
                f"u_bar_dot of shape {u_bar_dot.shape}; expected the shape {expected} of u_dot "
                "and u_bar_dot"
            )
        with collecting(self._counts), phase("gradient"):
            parts = [
                checked_residual_hvp(
                    self.residual,
                    self.u,
                    self.p,
                    lam,
                    np.ascontiguousarray(u_dot[..., j]),
                    np.ascontiguousarray(p_dot[:, j]),
                )
                for j in range(p_dot.shape[1])
            ]
        if not parts:
            return np.zeros((self.p.size, 0), dtype=self.p.dtype)
        rhs = np.asarray(u_bar_dot - np.stack([u_part for u_part, _ in parts], axis=-1))
        n = rhs.shape[0]
        with collecting(self._counts):
            # Not by `adjoint`: the cache keeps λ, which the next product needs again.
            lam_dot = self.inverse.solve(rhs.reshape(n, -1), "H").reshape(rhs.shape)
        with collecting(self._counts), phase("gradient"):
            return np.stack(
                [
                    self._pulled_back(np.ascontiguousarray(lam_dot[..., j])) - p_part
                    for j, (_, p_part) in enumerate(parts)
                ],
                axis=-1,
            )

    @cached_property
    def log_determinant(self) -> MatrixLogDeterminant:
        """log |det A(p)| of a linear problem and its derivatives, by the factors of the solution.

        With Dirichlet data: of the block of A for the free unknowns. Attributes and methods:
        `value`, `gradient` (m,), `phase`, `jvp(p_dot)`, `hvp(p_dot)`. Raises TypeError if the
        problem is not linear.
        """
        return log_determinant_of(self.residual, self.inverse, self.p, self._counts)

    @property
    def derivative(self) -> LinearOperator:
        """du/dp as a SciPy LinearOperator, (n·k, m).

        See docs/math/steady.md, eq. 7. `D @ v` is the jvp, `D.T @ w` and `D.H @ w` are
        the vjp. The state is flattened in C order. Products with several columns solve
        all columns together. For a complex state and real parameters the operator is
        the complex matrix ∂u_i/∂p_j. SciPy's lsqr, svds and others accept the operator.
        """
        return Derivative(self.u, self.p, self.jvp, self.vjp).operator

    @property
    def evidence(self) -> Evidence:
        """The backward errors of the solves so far, and the counts and seconds of all work."""
        evidence = self.inverse.evidence
        error = evidence.gradient_error
        if np.isnan(error):  # Newton's method has an estimate that includes its own error.
            errors = (evidence.backward_error, evidence.adjoint_backward_error)
            error = evidence.condition * float(np.nansum(errors))
        return replace(evidence, counts=self._counts.copy(), gradient_error=error)
