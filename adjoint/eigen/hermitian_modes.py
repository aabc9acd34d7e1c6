"""Eigenpairs of a Hermitian pencil with positive semidefinite M, by Lanczos' method.

S = (K − σM)⁻¹ M has the eigenvalues θ = 1/(μ − σ) and is selfadjoint in vᴴ M w. One
factorization of K − σM serves all searches (docs/math/spectra.md, eqs. 200–203).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

from .._numerics import column_dots
from ..errors import MissingEigenvalues, NotPositiveDefinite
from ..factor.backward_error import probe_vector, product
from ..protocols import Inverse
from ..typing import Array
from .biorthogonal import anchor
from .deflated_cg import Complement

DENSE = 64
"""Number of unknowns up to which S is written as a dense matrix."""

STILL_DENSE = 1000
"""Number of unknowns up to which S is written as a dense matrix if Lanczos' method fails."""

CLOSE = 1e-8
"""Relative gap below which eigenvalues are one cluster."""

RESOLVED = 1e3
"""Gap of separate eigenvalues, at least, in units of the rounding errors of the eigenvalues."""

LOSS = 1e-6
"""Largest accepted relative error of a single eigenvector, residual / gap."""

ACCURATE = 1e-8
"""Largest accepted relative residual ‖(S − θ)φ‖ / |θ| of an eigenpair."""

CHECK_STEPS = 16
"""Lanczos steps of the search for missed modes."""

ROUNDS = 6
"""Maximum number of searches that add missed modes; each adds twice as many as the one before."""

MORE = 4
"""Number of guards of the first addition of modes; each further addition doubles the number."""


@dataclass(frozen=True, eq=False)
class HermitianModes:
    """Computed eigenpairs: the `count` wanted ones in ascending order, then the guards.

    sigma: σ; values: μ, (c,), real; vectors: Φ, (n, c), Φᴴ M Φ = I; M_vectors: MΦ;
    residuals: ‖(S − θ)φ‖_M / |θ|, (c,); roundings: bounds of the rounding errors of μ,
    (c,); anchors: the entry of each φ that is real and positive; dense: True if the modes
    are those of a dense matrix.
    """

    count: int
    sigma: float
    values: Array
    vectors: Array
    M_vectors: Array
    residuals: Array
    roundings: Array
    anchors: Array
    dense: bool

    @cached_property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the modes of each cluster, guards included, in the order of first members."""
        # Residuals are relative to the distance from σ, which may be large or tiny.
        unresolved = self.residuals / LOSS * np.abs(self.values - self.sigma)
        apart = np.maximum(CLOSE * np.abs(self.values), unresolved)
        return _clusters(self.values, np.maximum(apart, RESOLVED * self.roundings))

    @property
    def cut(self) -> tuple[int, ...]:
        """The cluster that has both wanted modes and guards; empty if no cluster has."""
        for cluster in self.clusters:
            if cluster[0] < self.count <= cluster[-1]:
                return cluster
        return ()

    @property
    def complement(self) -> Complement:
        """The projector that removes all computed modes."""
        return Complement(self.vectors, self.M_vectors)


@dataclass(frozen=True, eq=False)
class Pencil:
    """(K, M) with the factors of K − σM. real: True if both matrices are real."""

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

    def apply_M(self, v: Array) -> Array:
        """Return M v for a block (n, j)."""
        return product(self.M, v, "N")

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
        return np.asarray(np.finfo(float).eps * column_dots(size, sums))

    def backward_errors(self, values: Array, phi: Array) -> Array:
        """Return ‖Kφ − μMφ‖ / ‖(|K| + |μ||M|)|φ|‖ of each pair, (j,)."""
        K, M = self._moduli
        size = np.abs(phi)
        r = product(self.K, phi, "N") - self.apply_M(phi) * values
        sizes = product(K, size, "N") + product(M, size, "N") * np.abs(values)
        sums = np.linalg.norm(sizes, axis=0)
        return np.asarray(np.linalg.norm(r, axis=0) / np.where(sums > 0.0, sums, 1.0))

    def S(self, v: Array) -> Array:
        """Return (K − σM)⁻¹ M v for a block (n, j)."""
        return self.inverse.solve(self.apply_M(v))


def find_modes(pencil: Pencil, count: int, guard: int) -> HermitianModes:
    """Return the `count` modes nearest to σ, and at least `guard` further ones.

    Raises MissingEigenvalues if the search does not converge, finds fewer modes, or still
    misses modes after ROUNDS searches; NotPositiveDefinite if M is indefinite.
    """
    asked = min(pencil.n, count + guard)
    dense = pencil.n <= DENSE or asked > pencil.n // 3
    if not dense:
        try:
            theta, V, residuals = _searched(pencil, count, asked)
        except MissingEigenvalues:
            # S may have fewer distinct eigenvalues than Lanczos' method has vectors.
            if pencil.n > STILL_DENSE:
                raise
            dense = True
    if dense:
        theta, V = _dense(pencil, asked)
        if theta.size < count:
            raise MissingEigenvalues(
                f"the pencil has {theta.size} finite eigenvalues, but count={count}. The others "
                "are infinite, because M is singular. Remedy: a smaller count"
            )
        theta, V, residuals = _rayleigh_ritz(pencil, V)
    if not (residuals[:count] <= ACCURATE).all():
        nearest, farthest = np.abs(theta[0]), np.abs(theta[count - 1])
        if farthest * RESOLVED**2 < nearest:
            raise MissingEigenvalues(
                f"sigma = {pencil.sigma:.12g} is too near to the eigenvalue "
                f"{pencil.sigma + 1.0 / theta[0]:.12g}: the {count} wanted eigenvalues are up to "
                f"{nearest / farthest:.1e} times as far from sigma, and rounding errors of that "
                "size hide them. Remedy: a sigma between eigenvalues or below all of them, or "
                "farther below 0 for a body that can move freely"
            )
        raise MissingEigenvalues(
            f"the search near sigma = {pencil.sigma:.6g} left a relative residual of "
            f"{residuals[:count].max():.1e}, accepted is {ACCURATE:.0e}. Usual cause: an iterative "
            "solver with a loose tolerance. Remedy: a direct factorizer, or a smaller rtol"
        )
    modes = _ordered(pencil, theta, V, residuals, count, dense)
    more = MORE
    while (cut := modes.cut) and modes.values.size - 1 in cut:
        # The cluster may have members beyond the last guard.
        known = modes.values.size
        modes = more_modes(pencil, modes, more)
        if modes.values.size == known:
            break
        more *= 2
    return modes


def more_modes(pencil: Pencil, modes: HermitianModes, more: int) -> HermitianModes:
    """Return the modes with `more` further guards, by a search that is deflated by the known ones.

    The known modes keep their bits: solutions refer to the bases of their clusters.

    Raises the errors of `find_modes`.
    """
    known, c = modes.complement, modes.values.size
    more = min(more, pencil.n - c)
    if more <= 0:
        return modes
    # The dense search has equal bits in each run, so that its first c modes are the known ones.
    if modes.dense:
        V = _dense(pencil, c + more)[1][:, c:]
    else:
        try:
            V = _lanczos(pencil, known, more)
        except MissingEigenvalues:
            if pencil.n > STILL_DENSE:
                raise
            V = _dense_outside(pencil, known, c + more)
    if V.shape[1] == 0:
        return modes
    theta, V, residuals = _rayleigh_ritz(pencil, known(V))
    old = 1.0 / (modes.values - pencil.sigma)
    if not np.abs(theta).max() <= np.abs(old[: modes.count]).min() * (1.0 + LOSS):
        raise MissingEigenvalues(
            f"the eigenvalue {pencil.sigma + 1.0 / theta[0]:.12g} is nearer to "
            f"sigma = {pencil.sigma:.6g} than one of the {modes.count} wanted eigenvalues, but the "
            "first search missed it. Usual cause: eigenvalues of high multiplicity. Remedy: a "
            "larger guard"
        )
    V, anchors = _with_phases(known(V))
    return HermitianModes(
        modes.count,
        pencil.sigma,
        np.concatenate([modes.values, pencil.sigma + 1.0 / theta]),
        np.hstack([modes.vectors, V]),
        np.hstack([modes.M_vectors, pencil.apply_M(V)]),
        np.concatenate([modes.residuals, residuals]),
        np.concatenate([modes.roundings, pencil.roundings(V)]),
        np.concatenate([modes.anchors, anchors]),
        modes.dense,
    )


def _searched(pencil: Pencil, count: int, asked: int) -> tuple[Array, Array, Array]:
    """Return θ, Φ and residuals of `asked` or more modes, by descending |θ|."""
    V = _lanczos(pencil, None, asked)
    for i in range(ROUNDS):
        theta, V, residuals = _rayleigh_ritz(pencil, V)
        known = Complement(V, pencil.apply_M(V))
        missed = _largest_outside(pencil, known)
        if not missed > np.abs(theta[asked - 1]) * (1.0 + LOSS):
            return theta, V, residuals
        V = np.hstack([V, _lanczos(pencil, known, max(2, asked - count) * 2**i)])
    raise MissingEigenvalues(
        f"the search near sigma = {pencil.sigma:.6g} still misses modes after {ROUNDS} rounds. "
        "Usual cause: eigenvalues of high multiplicity. Remedy: a larger guard"
    )


def _lanczos(pencil: Pencil, known: Complement | None, asked: int) -> Array:
    """Return `asked` vectors V (n, asked) of largest |θ| outside of the known modes."""
    n = pencil.n
    if pencil.M.count_nonzero() == 0:
        raise MissingEigenvalues("M is zero: the pencil has no finite eigenvalues")

    def outside(v: Array) -> Array:
        return v if known is None else known(v)

    def shift_invert(v: Array) -> Array:
        # ARPACK passes M x: the solve completes S x.
        return outside(pencil.inverse.solve(v.reshape(n, -1)))[:, 0]

    start = probe_vector(n) if known is None else probe_vector(n + known.phi.shape[1])[:n]
    start = outside(pencil.S(start[:, None].astype(pencil.dtype)))[:, 0]
    try:
        return np.asarray(
            eigsh(
                pencil.K,
                asked,
                M=pencil.M,
                sigma=pencil.sigma,
                OPinv=LinearOperator((n, n), dtype=pencil.dtype, matvec=shift_invert),
                v0=start,
                ncv=min(n, max(2 * asked + 2, 24)),
                tol=0.0,
            )[1]
        )
    except (ArpackNoConvergence, ArpackError) as error:
        raise MissingEigenvalues(
            f"Lanczos' method did not find {asked} eigenvalues near sigma = {pencil.sigma:.6g} of "
            f"a pencil with {n} unknowns: {error}. Usual causes: sigma far from the eigenvalues, "
            "or more eigenvalues asked for than are finite (a singular M). Remedy: sigma closer "
            "to the eigenvalues, or a smaller count"
        ) from error


def _dense(pencil: Pencil, asked: int) -> tuple[Array, Array]:
    """Return θ and Φ of up to `asked` modes from dense matrices, by descending |θ|.

    With M = L Lᴴ the nonzero eigenvalues of S are those of Lᴴ (K − σM)⁻¹ L. Rows and
    columns of M are divided by √M_ii first: masses and rotary inertias may have units that
    differ by 10¹⁵, and are not rounding errors of each other.
    """
    M = pencil.M.toarray()
    diagonal = np.diagonal(M).real
    units = np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    weights, U = np.linalg.eigh(M / units[:, None] / units)
    largest = float(np.abs(weights).max(initial=0.0))
    if not weights.min(initial=0.0) >= -1e-12 * largest:
        raise _indefinite(float(weights.min()) / largest)
    kept = weights > 1e-13 * largest
    L = units[:, None] * U[:, kept] * np.sqrt(weights[kept])
    F_L = pencil.inverse.solve(np.ascontiguousarray(L))
    H = L.conj().T @ F_L
    theta, Y = np.linalg.eigh(0.5 * (H + H.conj().T))
    order = np.argsort(-np.abs(theta), kind="stable")[:asked]
    order = order[np.abs(theta[order]) > 0.0]
    return theta[order], F_L @ (Y[:, order] / theta[order])


def _dense_outside(pencil: Pencil, known: Complement, asked: int) -> Array:
    """Return the part of the first `asked` modes of S that is outside of the known modes."""
    V = known(_dense(pencil, asked)[1])
    gram = pencil.apply_M(V).conj().T @ V
    shares, U = np.linalg.eigh(0.5 * (gram + gram.conj().T))  # 1, or 0 for a known mode.
    return np.asarray(V @ U[:, shares > 0.5])


def _rayleigh_ritz(pencil: Pencil, V: Array) -> tuple[Array, Array, Array]:
    """Return θ, Φ with Φᴴ M Φ = I, and residuals, from a basis V of the space; one block solve.

    Modes are ordered by descending |θ|. Φ lies in the range of S, so that a singular M
    leaves no part of its null space in Φ.
    """
    V = _orthonormal(pencil, V)
    SV = pencil.S(V)
    H = pencil.apply_M(V).conj().T @ SV
    theta, Q = np.linalg.eigh(0.5 * (H + H.conj().T))
    order = np.argsort(-np.abs(theta), kind="stable")
    theta, Q = theta[order], Q[:, order]
    SV_Q = SV @ Q
    r = SV_Q - (V @ Q) * theta
    sizes = np.sqrt(np.maximum(column_dots(pencil.apply_M(r), r).real, 0.0))
    phi = _orthonormal(pencil, SV_Q / theta)
    return theta, phi, sizes / np.abs(theta)


def _orthonormal(pencil: Pencil, V: Array) -> Array:
    """Return V R⁻¹ with Vᴴ M V = I: Cholesky of the Gram matrix, applied twice."""
    for _ in range(2):
        gram = pencil.apply_M(V).conj().T @ V
        squares = np.diagonal(gram).real
        if not (squares > 0.0).all():
            sizes = column_dots(V, V).real * np.abs(pencil.M.data).max(initial=0.0)
            raise _indefinite(float((squares / np.where(sizes > 0.0, sizes, 1.0)).min()))
        V = V / np.sqrt(squares)
        gram = pencil.apply_M(V).conj().T @ V
        try:
            R = scipy.linalg.cholesky(0.5 * (gram + gram.conj().T))
        except np.linalg.LinAlgError as error:
            raise _indefinite(float(np.linalg.eigvalsh(gram).min())) from error
        V = scipy.linalg.solve_triangular(R, V.conj().T, trans="C").conj().T
    return V


def _indefinite(found: float) -> NotPositiveDefinite:
    return NotPositiveDefinite(
        f"EigenProblem: M is not positive semidefinite: φᴴMφ = {found:.1e} of its size. A "
        "Hermitian pencil needs M ≥ 0 for real eigenvalues and for the normalization φᴴMφ = 1. "
        "Usual causes: a wrong sign, or an element with negative mass. For a pencil with an "
        "indefinite M use factorize=adjoint.lu"
    )


def _largest_outside(pencil: Pencil, known: Complement) -> float:
    """Return the largest |Ritz value| of S outside of the known modes: CHECK_STEPS of Lanczos.

    Ritz values are lower bounds of |θ|: the result never suspects a mode that does not
    exist.
    """
    n, room = pencil.n, pencil.n - known.phi.shape[1]
    v = known(pencil.S(probe_vector(n + 1)[:n, None].astype(pencil.dtype)))
    basis: list[Array] = []
    M_basis: list[Array] = []
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(min(CHECK_STEPS, room)):
        M_v = pencil.apply_M(v)
        size = float(np.sqrt(max(column_dots(M_v, v).real[0], 0.0)))
        if basis and not size > 1e-12 * max(map(abs, alphas)):
            break
        if size == 0.0:
            return 0.0
        v, M_v = v / size, M_v / size
        if basis:
            betas.append(size)
        basis.append(v)
        M_basis.append(M_v)
        w = known(pencil.inverse.solve(M_v))
        alphas.append(float(column_dots(M_v, w).real[0]))
        for _ in range(2):
            for q, M_q in zip(basis, M_basis, strict=True):
                w = w - q * column_dots(M_q, w)
        v = w
    if not alphas:
        return 0.0
    ritz = scipy.linalg.eigvalsh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1]))
    return float(np.abs(ritz).max())


def _ordered(
    pencil: Pencil, theta: Array, V: Array, residuals: Array, count: int, dense: bool
) -> HermitianModes:
    """Return the modes with the wanted ones in ascending order, and with fixed phases."""
    values = pencil.sigma + 1.0 / theta
    ascending = np.argsort(values[:count], kind="stable")
    order = np.concatenate([ascending, np.arange(count, theta.size)])
    V, anchors = _with_phases(V[:, order])
    return HermitianModes(
        count,
        pencil.sigma,
        values[order],
        V,
        pencil.apply_M(V),
        residuals[order],
        pencil.roundings(V),
        anchors,
        dense,
    )


def _with_phases(V: Array) -> tuple[Array, Array]:
    """Return V with one real positive entry in each column, and the rows of these entries."""
    columns = np.arange(V.shape[1])
    anchors = np.array([anchor(column) for column in V.T])
    pivots = V[anchors, columns]
    V = V * (np.abs(pivots) / pivots)
    V[anchors, columns] = np.abs(pivots)
    return V, anchors


def _clusters(values: Array, apart: Array) -> tuple[tuple[int, ...], ...]:
    """Return the clusters: neighbours whose gap is at most the larger of their `apart`, (c,)."""
    order = np.argsort(values, kind="stable")
    groups: list[list[int]] = []
    for i in order.tolist():
        if groups:
            j = groups[-1][-1]
            if values[i] - values[j] <= max(apart[i], apart[j]):
                groups[-1].append(i)
                continue
        groups.append([i])
    return tuple(sorted(tuple(sorted(group)) for group in groups))
