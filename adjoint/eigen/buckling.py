"""Linearized buckling (K(p) + μ G(u, p)) φ = 0, where u solves K(p) u = b(p).

See docs/math/spectra.md, eqs. 440–447.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import (
    as_cotangent,
    as_parameters,
    require_bool,
    require_integer,
    require_kind,
    require_methods,
)
from ..errors import NonFinite, NoPositiveLoadFactor, NotPositiveDefinite, NotSymmetric
from ..factor.backward_error import require_symmetric
from ..factor.counts import collecting, phase
from ..factor.csc import as_csc, owned
from ..factor.evidence import Evidence
from ..matrices.affine import Constant
from ..protocols import Inverse
from ..steady.linear import LinearProblem
from ..steady.reuse import undecorated
from ..steady.solution import SteadySolution
from ..typing import Array, Trans
from .geometric_stiffness import GeometricStiffness, GeometricStiffnessWithHvp
from .hermitian import HermitianEigenSolution, _Known
from .hermitian_modes import find_modes
from .pencils import BucklingPencil


@dataclass(frozen=True, eq=False)
class LinearBuckling(Portable):
    """(K(p) + μ G(u, p)) φ = 0: the smallest positive load factors μ, where K(p) u = b(p).

    At μ times the load b the straight form of the structure loses its stability. One
    factorization, of K, serves the displacements u, the search, and all derivatives:
    those of K, those of G with fixed u, and those of u, by one more solve
    (docs/math/spectra.md, eqs. 440–447).

    The method `solve` returns the solution of the pencil (K, M) with M = −G(u(p), p):
    μ ascends, φᵀMφ = 1, and `prebuckling` holds u. All objectives of eigenvalues,
    `BoundFormulation` and `ModeTracker` work as with an `EigenProblem`.

    Parameters
    ----------
    prebuckling : LinearProblem
        K(p) u = b(p), with K real and symmetric positive definite, one load case, and a
        factorizer that states this: `cholesky`, or an accurate `cg`. Unknowns with
        Dirichlet data are fixed in the modes.
    G : GeometricStiffness
        G(u, p), for example a `StressStiffness`.
    count : int
        Number of wanted load factors, k.
    guard : int
        Number of load factors beyond `count` that are computed as well, at least 2; see
        `EigenProblem`.
    reversed_load : bool
        If True, the load factors of the load −b: the negative load factors of b, with
        positive sign.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or is out of range.

    References
    ----------
    Cook, Malkus & Plesha (1989), Concepts and Applications of Finite Element Analysis,
    chapter 14. Ferrari & Sigmund (2019), Revisiting topology optimization with buckling
    constraints, Struct. Multidiscip. Optim. 59, 1401, section 2.
    """

    prebuckling: LinearProblem
    G: GeometricStiffness
    count: int = 6
    guard: int = 2
    reversed_load: bool = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "LinearBuckling"
        expected = "adjoint.LinearProblem(K, b, factorize=adjoint.cholesky)"
        require_kind(who, "prebuckling", self.prebuckling, LinearProblem, expected)
        expected = "a GeometricStiffness, such as StressStiffness"
        require_methods(who, "G", self.G, ("__call__", "vjp", "jvp"), expected)
        require_integer(who, "count", self.count, 1)
        require_integer(who, "guard", self.guard, 0)
        require_bool(who, "reversed_load", self.reversed_load)

    def solve(self, p: Array) -> HermitianEigenSolution:
        """Find the load factors and buckling modes at p, by one factorization.

        Parameters
        ----------
        p : (m,) array
            Parameters.

        Returns
        -------
        HermitianEigenSolution
            Load factors, modes, and the derivatives of p ↦ (load factors, modes).

        Raises
        ------
        NoPositiveLoadFactor
            If no load factor is positive: the load is zero, or only stretches.
        MissingEigenvalues
            If the search did not converge, or fewer load factors are positive than
            wanted.
        NotPositiveDefinite
            If K is not positive definite.
        NotSymmetric
            If K or G is not symmetric.
        TypeError
            If K, u or G is complex, or if the factorizer does not state that K is
            symmetric positive definite.
        ValueError, NonFinite
            If an array has the wrong shape, or contains nan or inf.
        """
        p = as_parameters(p)
        if p.dtype.kind == "c":
            raise TypeError("LinearBuckling: got complex p, expected real parameters")
        try:
            solution = self.prebuckling.solve(p)
        except NotPositiveDefinite as error:
            raise NotPositiveDefinite(
                f"LinearBuckling: K is not positive definite, so that the structure is not stable "
                f"without load: {error}"
            ) from error
        inverse, free, whole = undecorated(solution.inverse)
        if inverse.symmetry != "hermitian":
            raise TypeError(
                "LinearBuckling: got a factorizer that does not state that K is positive definite, "
                "expected LinearProblem(…, factorize=adjoint.cholesky)"
            )
        K = inverse.A
        n = solution.u.shape[0]
        if solution.u.ndim != 1:
            raise ValueError(
                f"LinearBuckling: got {solution.u.shape[1]} load cases, expected one: b of shape "
                f"({n},)"
            )
        if "c" in (K.dtype.kind, solution.u.dtype.kind):
            raise TypeError("LinearBuckling: got a complex K or load, expected real ones")
        if self.count > K.shape[0]:
            raise ValueError(
                f"LinearBuckling: got count={self.count}, but K has only {K.shape[0]} free unknowns"
            )
        with collecting(solution._counts):
            with phase("assembly"):
                M = self._load_matrix(solution.u, solution.p)
            solve_free: Inverse = inverse
            if free is not None:
                K = _within_fixed(whole, free, float(np.abs(K.diagonal()).max()))
                M = _within_fixed(M, free, 0.0)
                solve_free = FreeInverse(inverse, free)
            if M.count_nonzero() == 0:
                raise NoPositiveLoadFactor(
                    "LinearBuckling: G(u) is zero, so that no load factor exists. Usual causes: a "
                    "load that is zero, or a load on fixed unknowns"
                )
            pencil = BucklingPencil(K, M, solve_free)
            modes = find_modes(pencil, self.count, max(self.guard, 2))
        k = self.count
        u = np.concatenate([modes.values[None, :k], modes.vectors[:, :k]])
        u.setflags(write=False)
        A = self.prebuckling.A
        of_p = Constant(A) if sparse.issparse(A) else A
        load = LoadMatrix(solution, self.G, self._sign)
        return HermitianEigenSolution(
            u, solution.p, of_p, load, pencil, solution._counts, _Known(modes), solution
        )

    @property
    def _sign(self) -> float:
        """The sign of G in M."""
        return 1.0 if self.reversed_load else -1.0

    def _load_matrix(self, u: Array, p: Array) -> sparse.csc_array:
        """Return M = −G(u, p), or G(u, p) for the reversed load."""
        try:
            G = owned(as_csc(self.G(u, p), "G(u, p): "))
        except NonFinite as error:
            raise NonFinite(f"LinearBuckling: G(u, p): {error}") from error
        n = u.shape[0]
        if G.shape != (n, n):
            raise ValueError(f"LinearBuckling: got G of shape {G.shape}, expected ({n}, {n}) as K")
        if G.dtype.kind == "c":
            raise TypeError("LinearBuckling: got a complex G, expected a real one")
        try:
            require_symmetric(G, "symmetric", "G(u, p)")
        except NotSymmetric as error:
            raise NotSymmetric(
                f"LinearBuckling: the geometric stiffness is not symmetric: {error}"
            ) from error
        return self._sign * G


def _within_fixed(A: sparse.csc_array, free: Array, diagonal: float) -> sparse.csc_array:
    """Return A without rows and columns of fixed unknowns, but with their diagonal entries."""
    kept = np.zeros(A.shape[0])
    kept[free] = 1.0
    D = sparse.diags_array(kept)
    return sparse.csc_array(D @ A @ D + sparse.diags_array(diagonal * (1.0 - kept)))


@dataclass(frozen=True, eq=False)
class FreeInverse:
    """K⁻¹ for the free unknowns, and zero for the fixed ones; inner: the inverse of K_ff."""

    inner: Inverse
    free: Array

    @property
    def evidence(self) -> Evidence:
        """The evidence of the factorization of K_ff."""
        return self.inner.evidence

    def solve(self, b: Array, trans: Trans = "N") -> Array:
        """Return K_ff⁻¹ b for the free unknowns, zero for the fixed ones; b: (n,) or (n, k)."""
        x = np.zeros(b.shape, dtype=b.dtype)
        x[self.free] = self.inner.solve(b[self.free], trans)
        return x


@dataclass(frozen=True, eq=False)
class LoadMatrix:
    """M(p) = ∓G(u(p), p) at one p: derivatives through u by the factors of K.

    This class implements `adjoint.protocols.Matrix` (docs/math/spectra.md, eqs. 444 and
    445). prebuckling: u(p). sign: −1; +1 for a reversed load.
    """

    prebuckling: SteadySolution
    G: GeometricStiffness
    sign: float

    __repr__ = short_repr

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return M, (n, n); raise ValueError for another p."""
        if not np.array_equal(p, self.prebuckling.p):
            raise ValueError("the matrix −G(u(p), p) is known at the p of its solution only")
        return as_csc(self.sign * self.G(self.prebuckling.u, p))

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return the derivative of Σ λᵀ M φ, (m,), for φ = u (n, c): one solve with K."""
        u_bar, p_bar = self._cotangents(p, u, lam)
        return np.asarray(self.sign * (p_bar + self.prebuckling.vjp(u_bar)))

    def _cotangents(self, p: Array, phi: Array, psi: Array) -> tuple[Array, Array]:
        """Return the derivatives of Σ ψᵀ G φ with respect to u and p, checked."""
        state = self.prebuckling.u
        u_bar, p_bar = self.G.vjp(state, p, phi, psi)
        what = "the vjp of the geometric stiffness"
        return as_cotangent(u_bar, state, f"{what}, u_bar"), as_cotangent(p_bar, p, what)

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return Ṁ φ, (n, c), for φ = u: one solve with K."""
        return self._rate(p, u, self.prebuckling.jvp(p_dot), p_dot)

    def _rate(self, p: Array, phi: Array, state_dot: Array, p_dot: Array) -> Array:
        rate = np.asarray(self.G.jvp(self.prebuckling.u, p, phi, state_dot, p_dot))
        if rate.shape != phi.shape:  # NumPy would broadcast it silently.
            raise ValueError(
                f"the jvp of the geometric stiffness has shape {rate.shape}, expected {phi.shape}"
            )
        return self.sign * rate

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the rates along ṗ of M λ, (n, c), and of vjp(p, φ, λ), (m,), for φ = u.

        Raises TypeError if G, K or b has no `hvp`.
        """
        if not isinstance(self.G, GeometricStiffnessWithHvp):
            raise TypeError(
                f"{type(self.G).__name__} has no method hvp(u, p, phi, psi, u_dot, p_dot), which a "
                "Hessian–vector product needs. Expected the derivative of (u, p) ↦ vjp(u, p, phi, "
                "psi) along (u_dot, p_dot), arrays (n,) and (m,)"
            )
        state, of_state = self.prebuckling.u, self.prebuckling
        state_dot = of_state.jvp(p_dot)
        u_bar, _ = self._cotangents(p, u, lam)
        u_bar_dot, p_bar_dot = self.G.hvp(state, p, u, lam, state_dot, p_dot)
        what = "the hvp of the geometric stiffness"
        u_bar_dot = as_cotangent(u_bar_dot, state, f"{what}, u_bar")
        p_bar_dot = as_cotangent(p_bar_dot, p, what)
        through_u = of_state.hvp(of_state.adjoint(u_bar), state_dot, p_dot, u_bar_dot)
        rate = np.asarray(self.sign * (p_bar_dot + through_u))
        return self._rate(p, lam, state_dot, p_dot), rate
