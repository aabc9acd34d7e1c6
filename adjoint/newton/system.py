"""The equations R(·, p) = 0 at one p: checked residuals, factored Jacobians, corrections."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import short_repr
from .._numerics import finite_sum, size_of
from ..bounds import Bounds
from ..errors import InaccurateSolve, NotPositiveDefinite, SingularMatrix
from ..factor.counts import phase
from ..factor.csc import as_csc, owned
from ..factor.factorization import Factorization, Factorizer
from ..factor.factorizers import factored
from ..factor.krylov import Krylov
from ..protocols import Inverse, Residual
from ..steady.dirichlet import Constrained, Dirichlet, DirichletInverse, within
from ..steady.refinement import RefinedInverse
from ..typing import Array
from .bounds import longest_factor, require_start
from .failures import linear_convergence, nonfinite_residual, singular_jacobian
from .history import History


@dataclass(frozen=True, eq=False)
class Linearization:
    """The Jacobian at an iterate, and its inverse.

    A: ∂R/∂u, (n, n), without Dirichlet rows. inverse: the inverse of A with Dirichlet
    rows.
    """

    A: sparse.csc_array
    inverse: Inverse


@dataclass(frozen=True, eq=False)
class System:
    """R(u, p) = 0 for one p, with everything that a step of Newton's method needs.

    A globalization or a start receives a `System`.

    Parameters
    ----------
    physics : Residual
        R without the rows of Dirichlet data.
    dirichlet : Dirichlet or None
        The unknowns with given values; None if all unknowns are free.
    p : (m,) array
        The parameters, read-only.
    factorize : callable
        The factorizer of ∂R/∂u.
    bounds : Bounds or None
        The bounds of u; None if u is not bounded.
    scale : float or (n,) array
        Typical sizes of the unknowns, in the units of u.
    history : History
        The iterates and steps so far. Newton's method adds to it.
    """

    physics: Residual
    dirichlet: Dirichlet | None
    p: Array
    factorize: Factorizer
    bounds: Bounds | None
    scale: float | Array
    history: History

    __repr__ = short_repr

    @property
    def equation(self) -> Residual:
        """The residual R with the rows of Dirichlet data."""
        return self.physics if self.dirichlet is None else Constrained(self.physics, self.dirichlet)

    def norm(self, v: Array) -> float:
        """√(mean of |v_i / scale_i|²), which does not depend on the number of unknowns.

        Parameters
        ----------
        v : (n,) array
            A state or a correction.

        Returns
        -------
        float
            The norm, dimensionless if `scale` has the units of v.
        """
        scaled = v / self.scale
        return size_of(scaled) / float(np.sqrt(scaled.size))

    def residual(self, u: Array) -> Array:
        """R(u, p), (n,), which may contain nan or inf.

        Parameters
        ----------
        u : (n,) array
            A state.

        Returns
        -------
        (n,) array
            A copy of R(u, p).

        Raises
        ------
        TypeError
            If R is not numeric, or complex although u is real.
        ValueError
            If R has another shape than u.
        """
        u = u.view()
        u.setflags(write=False)
        # Trial steps may overflow; they are shortened then.
        with phase("assembly"), np.errstate(all="ignore"):
            # A copy: the user's function may reuse its array.
            r = np.array(self.equation.residual(u, self.p))
        if r.dtype.kind not in "fciu":
            raise TypeError(f"the residual has dtype {r.dtype}, expected float64 or complex128")
        if r.shape != u.shape:
            raise ValueError(
                f"the residual has shape {r.shape}, expected {u.shape}, one equation for each "
                "unknown"
            )
        self._require_real("residual", r.dtype, u)
        return r

    def finite_norm(self, r: Array) -> float:
        """‖r‖₂ of a residual that must be finite.

        Parameters
        ----------
        r : (n,) array
            A residual.

        Returns
        -------
        float
            ‖r‖₂, in the units of R.

        Raises
        ------
        NonFiniteResidual
            If r contains nan or inf.
        """
        if not is_finite(r):
            raise nonfinite_residual(r, "", self.history)
        return size_of(r)

    def jacobian(self, u: Array) -> sparse.csc_array:
        """∂R/∂u without Dirichlet rows.

        Parameters
        ----------
        u : (n,) array
            A state.

        Returns
        -------
        (n, n) csc_array
            A copy of ∂R/∂u.

        Raises
        ------
        TypeError
            If the Jacobian is not numeric, or complex although u is real.
        ValueError
            If the Jacobian has another shape than (n, n).
        """
        u = u.view()
        u.setflags(write=False)
        with phase("assembly"), np.errstate(all="ignore"):  # `factored` refuses nan and inf.
            A = as_csc(self.physics.jacobian(u, self.p))
        if A.shape[0] != u.size:
            raise ValueError(f"the Jacobian has shape {A.shape}, expected ({u.size}, {u.size})")
        self._require_real("Jacobian", A.dtype, u)
        return owned(A)  # The user's function may fill one matrix again and again.

    def _require_real(self, what: str, dtype: np.dtype[np.generic], u: Array) -> None:
        if dtype.kind == "c" and u.dtype.kind != "c":
            raise TypeError(
                f"the {what} is complex although u is real: start from a complex u0 if the state "
                "is complex (as for complex p); otherwise a square root or a power of a negative "
                "number, or an FFT without .real, made it complex"
            )

    def factored(self, A: sparse.csc_array) -> Linearization:
        """A = ∂R/∂u and its inverse.

        Parameters
        ----------
        A : (n, n) csc_array
            The Jacobian, without Dirichlet rows.

        Returns
        -------
        Linearization
            A, and the factored A with Dirichlet rows.

        Raises
        ------
        SingularJacobian
            If A is singular.
        SolveError
            If the factorizer raises another error, such as NotPositiveDefinite.
        """
        try:
            return Linearization(
                A, within(self.dirichlet, A, lambda free: factored(self.factorize, free))
            )
        except SingularMatrix as error:
            raise singular_jacobian(error, self.history) from error
        except NotPositiveDefinite as error:
            error.add_note(
                f"This was ∂R/∂u in Newton step {self.history.steps + 1}: adjoint.ldl or lu take "
                "any sign."
            )
            raise

    def correction(self, at: Linearization, r: Array) -> Array:
        """Δu = −(∂R/∂u)⁻¹ r.

        Parameters
        ----------
        at : Linearization
            ∂R/∂u at an iterate.
        r : (n,) array
            A residual.

        Returns
        -------
        (n,) array
            Δu, in the units of u.

        Raises
        ------
        SingularJacobian
            If the first solve finds ∂R/∂u singular, or if the solve is inaccurate and the
            iteration converges linearly.
        InaccurateSolve
            If the solve is inaccurate otherwise.
        """
        try:
            return -at.inverse.solve(r)
        except SingularMatrix as error:
            raise singular_jacobian(error, self.history) from error
        except InaccurateSolve as error:
            if self.history.is_linear:
                raise linear_convergence(self.history) from error
            error.add_note(
                f"This was ∂R/∂u in Newton step {self.history.steps + 1}.\n{self.history.table()}"
            )
            raise

    def rounding(self, u: Array, at: Linearization) -> float:
        """ε ‖|∂R/∂u| |u|‖₂, the rounding error of ‖R(u)‖₂.

        Parameters
        ----------
        u : (n,) array
            A state.
        at : Linearization
            ∂R/∂u at an iterate near u.

        Returns
        -------
        float
            The estimate, in the units of R.
        """
        return float(np.finfo(float).eps) * size_of(abs(at.A) @ np.abs(u))

    def refined(self, A: sparse.csc_array, stale: Inverse) -> Inverse:
        """The inverse of A by the factors of a Jacobian nearby, with iterative refinement.

        Parameters
        ----------
        A : (n, n) csc_array
            The Jacobian, without Dirichlet rows.
        stale : Inverse
            The inverse that `factored` made for a Jacobian near A.

        Returns
        -------
        Inverse
            The inverse of A with Dirichlet rows.
        """
        factors = stale.inner if isinstance(stale, DirichletInverse) else stale
        assert isinstance(factors, Factorization)  # `factored` returns no other inverse.
        return within(self.dirichlet, A, lambda free: RefinedInverse(free, factors, self.factorize))

    def with_krylov_tolerance(self, rtol: float) -> "System":
        """The same equations, with Krylov solves to another relative tolerance.

        Parameters
        ----------
        rtol : float
            ‖J Δu + R‖ / ‖R‖ to be reached.

        Returns
        -------
        System
            A new system with the same history; the system itself if its factorizer is
            direct.
        """
        if not isinstance(self.factorize, Krylov):
            return self
        return replace(self, factorize=replace(self.factorize, rtol=rtol))

    def prepared(self, u: Array) -> Array:
        """A copy of u with the given values of the Dirichlet unknowns.

        Parameters
        ----------
        u : (n,) array
            A first guess.

        Returns
        -------
        (n,) array
            The start of the iteration.

        Raises
        ------
        ValueError
            If the start is out of bounds, or if `scale` or the bounds have another shape.
        """
        u = u.copy()
        if np.ndim(self.scale) and np.shape(self.scale) != u.shape:
            raise ValueError(
                f"Newton: got scale of shape {np.shape(self.scale)}, expected a number or {u.shape}"
            )
        if self.dirichlet is not None:
            self.dirichlet.free(u.size)
            g = self.dirichlet.at(self.p, u.shape)
            u = u.astype(np.result_type(u, g))
            u[self.dirichlet.fixed] = g
        if self.bounds is not None:
            require_start(self.bounds, u)
        return u

    def longest_factor(self, u: Array, du: Array) -> float:
        """The largest α ≤ 1 for which the bounds allow the step u + α du.

        Parameters
        ----------
        u : (n,) array
            An iterate within the bounds.
        du : (n,) array
            A correction.

        Returns
        -------
        float
            α; 1 without bounds. A step that would cross a bound goes 0.9 of the way to it.
        """
        return 1.0 if self.bounds is None else longest_factor(self.bounds, u, du)


def is_finite(r: Array) -> bool:
    """True if all entries of r are finite."""
    return finite_sum(r) or bool(np.isfinite(r).all())
