"""Pencils K φ = μ M φ with real eigenvalues: K − σM with M ≥ 0, and K > 0 with any M.

S is the operator whose eigenvalues θ = 1/(μ − σ) are searched. S is selfadjoint in vᴴ W w:
W = M if M ≥ 0 (docs/math/spectra.md, eq. 200), W = K for the load factors of buckling,
where M = −G is indefinite (eq. 441). One factorization, of K − σM or of K, serves all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from .._numerics import column_dots
from ..errors import EigenError, MissingEigenvalues, NoPositiveLoadFactor, NotPositiveDefinite
from ..factor.backward_error import product
from ..protocols import Inverse
from ..typing import Array
from .deflated_cg import Complement

EPS = float(np.finfo(float).eps)

RESTARTS = 100
"""Maximum number of restarts of Lanczos' method for load factors."""

NOISE = 1e3
"""Smallest 1/μ of a load factor, in units of the rounding errors of φᴴMφ."""

DENSE_ROUNDING = 1e-13
"""Size of 1/μ from dense matrices, relative to the largest 1/|μ|, that counts as zero."""

LOOSE = (
    "Usual cause: an iterative solver with a loose tolerance. Remedy: a direct factorizer, or a "
    "smaller rtol"
)


class RealPencil(Protocol):
    """K φ = μ M φ with real eigenvalues, with the factors of K − σM."""

    @property
    def K(self) -> sparse.csc_array:
        """K, (n, n)."""

    @property
    def M(self) -> sparse.csc_array:
        """M, (n, n)."""

    @property
    def inverse(self) -> Inverse:
        """(K − σM)⁻¹."""

    @property
    def sigma(self) -> float:
        """σ."""

    @property
    def n(self) -> int:
        """The number of unknowns."""

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """float or complex."""

    @property
    def where(self) -> str:
        """What is searched, for messages."""

    @property
    def causes(self) -> str:
        """Usual causes of residuals that are too large, for messages."""

    def apply_M(self, v: Array) -> Array:
        """Return M v for a block (n, j)."""

    def apply_W(self, v: Array) -> Array:
        """Return W v for a block (n, j)."""

    def S(self, v: Array, W_v: Array) -> Array:
        """Return S v = (K − σM)⁻¹ M v for blocks v and W v, (n, j)."""

    def rank(self, theta: Array) -> Array:
        """Return numbers that are larger for eigenvalues θ that are wanted first."""

    def resolved(self, theta: Array, phi: Array) -> Array:
        """True for each θ that can be an eigenvalue; φ: vectors with φᴴWφ = 1, (n, j)."""

    def sizes(self, r: Array, theta: Array, phi: Array) -> Array:
        """Return the sizes of residuals r = (S − θ)φ, relative to θ, (j,); φᴴWφ = 1."""

    def scaled(self, phi: Array) -> Array:
        """Return multiples of vectors φ (φᴴWφ = 1), for which φᴴMφ = 1."""

    def complement(self, phi: Array, M_phi: Array) -> Complement:
        """Return the projector that removes eigenvectors φ (φᴴMφ = 1), selfadjoint in W."""

    def roundings(self, phi: Array) -> Array:
        """Return bounds of the changes of μ by rounding errors of K and M, (j,)."""

    def backward_errors(self, values: Array, phi: Array) -> Array:
        """Return ‖Kφ − μMφ‖ / ‖(|K| + |μ||M|)|φ|‖ of each pair, (j,)."""

    @property
    def most_iterations(self) -> int:
        """Maximum number of iterations of conjugate gradients for parts of eigenvectors."""

    def too_few(self, found: int, count: int) -> EigenError:
        """Return the error of a pencil that has fewer eigenvalues than wanted."""

    def krylov(self, asked: int, start: Array, outside: Callable[[Array], Array]) -> Array:
        """Return vectors of the `asked` first θ outside of known modes, (n, j)."""

    def dense(self, asked: int) -> tuple[Array, Array]:
        """Return θ and vectors of up to `asked` modes from dense matrices, the first ones first."""


@dataclass(frozen=True, eq=False)
class Pencil:
    """(K, M), M ≥ 0, with the factors of K − σM: eigenvalues nearest to σ first; W = M."""

    K: sparse.csc_array
    M: sparse.csc_array
    inverse: Inverse
    sigma: float

    @property
    def n(self) -> int:
        """The number of unknowns."""
        return int(self.M.shape[0])

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """float or complex."""
        return np.result_type(self.K.dtype, self.M.dtype)

    @property
    def where(self) -> str:
        """What is searched, for messages."""
        return f"near sigma = {self.sigma:.6g}"

    @property
    def causes(self) -> str:
        """Usual causes of residuals that are too large, for messages."""
        return LOOSE

    @property
    def most_iterations(self) -> int:
        """Maximum number of iterations of conjugate gradients; 10 to 25 are usual."""
        return 120

    def apply_M(self, v: Array) -> Array:
        """Return M v for a block (n, j)."""
        return product(self.M, v, "N")

    def apply_W(self, v: Array) -> Array:
        """Return M v for a block (n, j)."""
        return product(self.M, v, "N")

    def S(self, v: Array, W_v: Array) -> Array:
        """Return S v = (K − σM)⁻¹ M v for a block (n, j), from W v = M v."""
        return self.inverse.solve(W_v)

    def rank(self, theta: Array) -> Array:
        """Return |θ|."""
        return np.abs(theta)

    def resolved(self, theta: Array, phi: Array) -> Array:
        """True for all θ."""
        return np.ones(theta.shape, dtype=bool)

    def sizes(self, r: Array, theta: Array, phi: Array) -> Array:
        """Return ‖r‖_M / |θ|, (j,)."""
        return _norms(self.apply_M(r), r) / np.abs(theta)

    def scaled(self, phi: Array) -> Array:
        """Return φ."""
        return phi

    def complement(self, phi: Array, M_phi: Array) -> Complement:
        """Return the projector that removes φ (φᴴMφ = 1)."""
        return Complement(phi, M_phi)

    @cached_property
    def _moduli(self) -> tuple[sparse.csc_array, sparse.csc_array]:
        """|K| and |M|, entry by entry."""
        return abs(self.K), abs(self.M)

    def roundings(self, phi: Array) -> Array:
        """Return ε |φ|ᵀ (|K| + |σ||M|) |φ|, (j,), for φ (n, j) with φᴴMφ = 1.

        Rounding errors of the entries of K and σM change the eigenvalues by as much.
        """
        K, M = self._moduli
        size = np.abs(phi)
        sums = product(K, size, "N") + abs(self.sigma) * product(M, size, "N")
        return np.asarray(EPS * column_dots(size, sums))

    def backward_errors(self, values: Array, phi: Array) -> Array:
        """Return ‖Kφ − μMφ‖ / ‖(|K| + |μ||M|)|φ|‖ of each pair, (j,)."""
        return _backward_errors((self.K, self.M), self._moduli, values, phi)

    def too_few(self, found: int, count: int) -> EigenError:
        """Return the error of a pencil that has fewer eigenvalues than wanted."""
        return MissingEigenvalues(
            f"the pencil has {found} finite eigenvalues, but count={count}. The others "
            "are infinite, because M is singular. Remedy: a smaller count"
        )

    def krylov(self, asked: int, start: Array, outside: Callable[[Array], Array]) -> Array:
        """Return vectors of the `asked` largest |θ| outside of known modes, (n, asked)."""
        n = self.n
        if self.M.count_nonzero() == 0:
            raise MissingEigenvalues("M is zero: the pencil has no finite eigenvalues")

        def shift_invert(v: Array) -> Array:
            # ARPACK passes M x: the solve completes S x.
            return outside(self.inverse.solve(v.reshape(n, -1)))[:, 0]

        try:
            return np.asarray(
                eigsh(
                    self.K,
                    asked,
                    M=self.M,
                    sigma=self.sigma,
                    OPinv=LinearOperator((n, n), dtype=self.dtype, matvec=shift_invert),
                    v0=start,
                    ncv=_lanczos_vectors(n, asked),
                    tol=0.0,
                )[1]
            )
        except (ArpackNoConvergence, ArpackError) as error:
            raise MissingEigenvalues(
                f"Lanczos' method did not find {asked} eigenvalues near sigma = {self.sigma:.6g} "
                f"of a pencil with {n} unknowns: {error}. Usual causes: sigma far from the "
                "eigenvalues, or more eigenvalues asked for than are finite (a singular M). "
                "Remedy: sigma closer to the eigenvalues, or a smaller count"
            ) from error

    def dense(self, asked: int) -> tuple[Array, Array]:
        """Return θ and Φ of up to `asked` modes from dense matrices, by descending |θ|.

        With M = L Lᴴ the nonzero eigenvalues of S are those of Lᴴ (K − σM)⁻¹ L. Rows and
        columns of M are divided by √M_ii first: masses and rotary inertias may have units that
        differ by 10¹⁵, and are not rounding errors of each other.
        """
        M = self.M.toarray()
        diagonal = np.diagonal(M).real
        units = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
        weights, U = np.linalg.eigh(M / units[:, None] / units)
        largest = float(np.abs(weights).max(initial=0.0))
        if not weights.min(initial=0.0) >= -1e-12 * largest:
            raise indefinite(float(weights.min()) / largest)
        kept = weights > 1e-13 * largest
        L = units[:, None] * U[:, kept] * np.sqrt(weights[kept])
        F_L = self.inverse.solve(np.ascontiguousarray(L))
        H = L.conj().T @ F_L
        theta, Y = np.linalg.eigh(0.5 * (H + H.conj().T))
        order = np.argsort(-np.abs(theta), kind="stable")[:asked]
        order = order[np.abs(theta[order]) > 0.0]
        return theta[order], F_L @ (Y[:, order] / theta[order])


@dataclass(frozen=True, eq=False)
class BucklingPencil:
    """(K, M) with K > 0, any symmetric M, and the factors of K; W = K, σ = 0.

    The smallest positive μ, which are the largest θ = 1/μ, come first. Eigenvectors of
    μ > 0 can have φᵀMφ = 1, as in a pencil with M ≥ 0.
    """

    K: sparse.csc_array
    M: sparse.csc_array
    inverse: Inverse
    sigma: float = 0.0

    @property
    def n(self) -> int:
        """The number of unknowns."""
        return int(self.M.shape[0])

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """float."""
        return np.result_type(self.K.dtype, self.M.dtype)

    @property
    def where(self) -> str:
        """What is searched, for messages."""
        return "for the smallest positive load factors"

    @property
    def causes(self) -> str:
        """Usual causes of residuals that are too large, for messages."""
        return (
            "Usual causes: load factors of very different size, from a part that is nearly cut off "
            "or a load that mostly stretches; an iterative solver with a loose tolerance. Remedy: "
            "a smaller count, a direct factorizer; the load factors of the opposite load: "
            "reversed_load=True"
        )

    @property
    def most_iterations(self) -> int:
        """Maximum number of iterations of conjugate gradients, with outlying negative θ."""
        return 500

    def apply_M(self, v: Array) -> Array:
        """Return M v for a block (n, j)."""
        return product(self.M, v, "N")

    def apply_W(self, v: Array) -> Array:
        """Return K v for a block (n, j)."""
        return product(self.K, v, "N")

    def S(self, v: Array, W_v: Array) -> Array:
        """Return S v = K⁻¹ M v for a block (n, j)."""
        return self.inverse.solve(self.apply_M(v))

    def rank(self, theta: Array) -> Array:
        """Return θ."""
        return theta

    def resolved(self, theta: Array, phi: Array) -> Array:
        """True for each θ above the rounding errors of φᵀMφ, for φᵀKφ = 1 (eq. 442)."""
        size = np.abs(phi)
        sums = column_dots(size, product(self._moduli[1], size, "N"))
        return np.asarray(theta > NOISE * EPS * sums)

    def sizes(self, r: Array, theta: Array, phi: Array) -> Array:
        """Return the smaller of ‖r‖_K / θ and ‖S r‖_K / θ², (j,), less what rounding explains.

        Rounding errors of stiff unknowns, such as the axial displacements of slender beams,
        are large in the first size, but do not mix the modes. Those of modes with large
        negative θ are large in the second size.
        """
        S_r = self.S(r, r)
        size = np.minimum(
            _norms(self.apply_W(r), r) / theta, _norms(self.apply_W(S_r), S_r) / theta**2
        )
        return np.asarray(np.maximum(size - self._relative_roundings(phi, theta), 0.0))

    def _relative_roundings(self, phi: Array, theta: Array) -> Array:
        """Return ε |φ|ᵀ (|K| + |M|/θ) |φ|, (j,), for φᵀKφ = 1: the rounding errors of θ over θ."""
        K, M = self._moduli
        size = np.abs(phi)
        sums = product(K, size, "N") + product(M, size, "N") / theta
        return np.asarray(EPS * column_dots(size, sums))

    def scaled(self, phi: Array) -> Array:
        """Return φ / √(φᵀMφ)."""
        return np.asarray(phi / np.sqrt(column_dots(self.apply_M(phi), phi).real))

    def complement(self, phi: Array, M_phi: Array) -> Complement:
        """Return the projector that removes φ, by products with Kφ."""
        K_phi = self.apply_W(phi)
        sizes = np.sqrt(column_dots(K_phi, phi).real)
        return Complement(phi / sizes, K_phi / sizes)

    @cached_property
    def _moduli(self) -> tuple[sparse.csc_array, sparse.csc_array]:
        """|K| and |M|, entry by entry."""
        return abs(self.K), abs(self.M)

    def roundings(self, phi: Array) -> Array:
        """Return ε |φ|ᵀ (|K| + μ |M|) |φ|, (j,), for φ (n, j) with φᵀMφ = 1, μ = φᵀKφ."""
        # φ is scaled by √θ, so that the relative bound becomes the absolute one.
        return self._relative_roundings(phi, 1.0 / column_dots(phi, self.apply_W(phi)).real)

    def backward_errors(self, values: Array, phi: Array) -> Array:
        """Return ‖Kφ − μMφ‖ / ‖(|K| + |μ||M|)|φ|‖ of each pair, (j,)."""
        return _backward_errors((self.K, self.M), self._moduli, values, phi)

    def too_few(self, found: int, count: int) -> EigenError:
        """Return the error of a structure that has fewer positive load factors than wanted."""
        if found == 0:
            return NoPositiveLoadFactor(
                "LinearBuckling: no positive load factor was found: none exists, or all are more "
                "than about 1e4 times as large as the negative ones. Usual causes: a load that "
                "pulls where it should push (the wrong sign), or a G(u) of the opposite sign. Load "
                "factors of the reversed load: reversed_load=True"
            )
        return MissingEigenvalues(
            f"LinearBuckling: {found} positive load factors were found, but count={count}. "
            "Others do not exist, or are many times as large as the negative ones. Remedy: a "
            "smaller count"
        )

    def krylov(self, asked: int, start: Array, outside: Callable[[Array], Array]) -> Array:
        """Return vectors of the largest θ outside of known modes, at most `asked`, (n, j).

        There are fewer if the largest eigenvalues accumulate at zero: then the others
        are not positive, or far away from the first ones.
        """
        n = self.n

        def solve(v: Array) -> Array:
            return outside(self.inverse.solve(v.reshape(n, -1)))[:, 0]

        try:
            return np.asarray(
                eigsh(
                    self.M,
                    asked,
                    M=self.K,
                    Minv=LinearOperator((n, n), dtype=self.dtype, matvec=solve),
                    which="LA",
                    v0=start,
                    ncv=min(n, max(3 * asked, 40)),
                    maxiter=RESTARTS,
                    tol=0.0,
                )[1]
            )
        except ArpackNoConvergence as error:
            return np.asarray(error.eigenvectors)
        except ArpackError as error:
            raise MissingEigenvalues(
                f"Lanczos' method did not find {asked} load factors of a structure with {n} "
                f"unknowns: {error}. Remedy: a smaller count"
            ) from error

    def dense(self, asked: int) -> tuple[Array, Array]:
        """Return θ > 0 and Φ of up to `asked` modes from dense matrices, by descending θ."""
        units = 1.0 / np.sqrt(self.K.diagonal())
        K, M = (A.toarray() * units[:, None] * units for A in (self.K, self.M))
        try:
            theta, Y = scipy.linalg.eigh(M, K)
        except np.linalg.LinAlgError as error:
            raise NotPositiveDefinite(
                f"LinearBuckling: K is not positive definite to working precision: {error}"
            ) from error
        order = np.arange(self.n)[::-1][:asked]
        order = order[theta[order] > DENSE_ROUNDING * np.abs(theta).max()]
        # A product with S reduces errors by ill-conditioned K to those of the factors.
        V = units[:, None] * Y[:, order] / theta[order]
        return theta[order], self.inverse.solve(self.apply_M(V))


def _norms(W_v: Array, v: Array) -> Array:
    """Return √(vᴴ W v) of each column, (j,)."""
    return np.asarray(np.sqrt(np.maximum(column_dots(W_v, v).real, 0.0)))


def _lanczos_vectors(n: int, asked: int) -> int:
    return min(n, max(2 * asked + 2, 24))


def _backward_errors(
    matrices: tuple[sparse.csc_array, sparse.csc_array],
    moduli: tuple[sparse.csc_array, sparse.csc_array],
    values: Array,
    phi: Array,
) -> Array:
    """Return ‖Kφ − μMφ‖ / ‖(|K| + |μ||M|)|φ|‖ of each pair, (j,)."""
    size = np.abs(phi)
    (K_phi, M_phi), (K_size, M_size) = (
        [product(A, v, "N") for A in pair] for pair, v in ((matrices, phi), (moduli, size))
    )
    sums = np.linalg.norm(K_size + M_size * np.abs(values), axis=0)
    r = np.linalg.norm(K_phi - M_phi * values, axis=0)
    return np.asarray(r / np.where(sums > 0.0, sums, 1.0))


def indefinite(found: float) -> NotPositiveDefinite:
    """Return the error of a pencil whose M is indefinite; found: φᴴMφ, relative to its size."""
    return NotPositiveDefinite(
        f"EigenProblem: M is not positive semidefinite: φᴴMφ = {found:.1e} of its size. A "
        "Hermitian pencil needs M ≥ 0 for real eigenvalues and for the normalization φᴴMφ = 1. "
        "Usual causes: a wrong sign, or an element with negative mass. For a pencil with an "
        "indefinite M use factorize=adjoint.lu"
    )
