"""Eigenpairs of a pencil with real eigenvalues, by Lanczos' method.

S = (K − σM)⁻¹ M has the eigenvalues θ = 1/(μ − σ) and is selfadjoint in vᴴ W w. One
factorization of K − σM serves all searches (docs/math/spectra.md, eqs. 200–203).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg

from .._numerics import column_dots
from ..errors import MissingEigenvalues
from ..factor.backward_error import probe_vector
from ..typing import Array
from .biorthogonal import anchor
from .deflated_cg import Complement
from .pencils import RealPencil, indefinite

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

ROUNDING = 1e-10
"""Ritz value of the search for missed modes, relative to the largest one, that counts as zero."""

ROUNDS = 6
"""Maximum number of searches that add missed modes; each adds twice as many as the one before."""

MORE = 4
"""Number of guards of the first addition of modes; each further addition doubles the number."""


@dataclass(frozen=True, eq=False)
class HermitianModes:
    """Computed eigenpairs: the `count` wanted ones in ascending order, then the guards.

    sigma: σ; values: μ, (c,), real; vectors: Φ, (n, c), Φᴴ M Φ = I; M_vectors: MΦ;
    residuals: sizes of (S − θ)φ, relative to θ, (c,); roundings: bounds of the rounding
    errors of μ, (c,); anchors: the entry of each φ that is real and positive; complement: the
    projector that removes all computed modes; dense: True if the modes are those of a
    dense matrix.
    """

    count: int
    sigma: float
    values: Array
    vectors: Array
    M_vectors: Array
    residuals: Array
    roundings: Array
    anchors: Array
    complement: Complement
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


def find_modes(pencil: RealPencil, count: int, guard: int) -> HermitianModes:
    """Return the `count` modes nearest to σ, and at least `guard` further ones.

    Raises MissingEigenvalues if the search does not converge, finds fewer modes, or still
    misses modes after ROUNDS searches; NotPositiveDefinite if M is indefinite.
    """
    asked = min(pencil.n, count + guard)
    dense = pencil.n <= DENSE or asked > pencil.n // 3
    if not dense:
        try:
            theta, V, residuals = _searched(pencil, count, asked)
            dense = theta.size < count or not (residuals[:count] <= ACCURATE).all()
        except MissingEigenvalues:
            # S may have fewer distinct eigenvalues than Lanczos' method has vectors.
            if pencil.n > STILL_DENSE:
                raise
            dense = True
        dense = dense and pencil.n <= STILL_DENSE
    if dense:
        theta, V = pencil.dense(asked)
        if theta.size < count:
            raise pencil.too_few(theta.size, count)
        theta, V, residuals = _rayleigh_ritz(pencil, V)
    if theta.size < count:
        raise pencil.too_few(theta.size, count)
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
            f"the search {pencil.where} left a relative residual of "
            f"{residuals[:count].max():.1e}, accepted is {ACCURATE:.0e}. {pencil.causes}"
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


def more_modes(pencil: RealPencil, modes: HermitianModes, more: int) -> HermitianModes:
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
        V = pencil.dense(c + more)[1][:, c:]
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
    if theta.size == 0:
        return modes
    old = 1.0 / (modes.values - pencil.sigma)
    if not pencil.rank(theta).max() <= pencil.rank(old[: modes.count]).min() * (1.0 + LOSS):
        raise MissingEigenvalues(
            f"the search {pencil.where} missed the eigenvalue "
            f"{pencil.sigma + 1.0 / theta[0]:.12g}, which comes before one of the {modes.count} "
            "wanted eigenvalues. Usual cause: eigenvalues of high multiplicity. Remedy: a larger "
            "guard"
        )
    V, anchors = _with_phases(known(V))
    phi, M_phi = np.hstack([modes.vectors, V]), np.hstack([modes.M_vectors, pencil.apply_M(V)])
    return HermitianModes(
        modes.count,
        pencil.sigma,
        np.concatenate([modes.values, pencil.sigma + 1.0 / theta]),
        phi,
        M_phi,
        np.concatenate([modes.residuals, residuals]),
        np.concatenate([modes.roundings, pencil.roundings(V)]),
        np.concatenate([modes.anchors, anchors]),
        pencil.complement(phi, M_phi),
        modes.dense,
    )


def _searched(pencil: RealPencil, count: int, asked: int) -> tuple[Array, Array, Array]:
    """Return θ, Φ and residuals of `asked` or more modes, by descending |θ|."""
    V = _lanczos(pencil, None, asked)
    for i in range(ROUNDS):
        theta, V, residuals = _rayleigh_ritz(pencil, V)
        known = pencil.complement(V, pencil.apply_M(V))
        missed = _largest_outside(pencil, known)
        last = pencil.rank(theta[asked - 1]) if theta.size >= asked else 0.0
        if not missed > last * (1.0 + LOSS):
            return theta, V, residuals
        V = np.hstack([V, _lanczos(pencil, known, max(2, asked - count) * 2**i)])
    raise MissingEigenvalues(
        f"the search {pencil.where} still misses modes after {ROUNDS} rounds. "
        "Usual cause: eigenvalues of high multiplicity. Remedy: a larger guard"
    )


def _lanczos(pencil: RealPencil, known: Complement | None, asked: int) -> Array:
    """Return `asked` vectors V (n, asked) of the first θ outside of the known modes."""
    n = pencil.n

    def outside(v: Array) -> Array:
        return v if known is None else known(v)

    start = probe_vector(n) if known is None else probe_vector(n + known.phi.shape[1])[:n]
    v = start[:, None].astype(pencil.dtype)
    V = pencil.krylov(asked, outside(pencil.S(v, pencil.apply_W(v)))[:, 0], outside)
    if known is None or V.shape[1] == 0:
        return V
    # A search for the largest θ may return known modes, whose θ is 0 outside.
    W_V = pencil.apply_W(known(V))
    kept = column_dots(W_V, V).real > 0.5 * column_dots(pencil.apply_W(V), V).real
    return V[:, kept]


def _dense_outside(pencil: RealPencil, known: Complement, asked: int) -> Array:
    """Return the part of the first `asked` modes of S that is outside of the known modes."""
    V = known(pencil.dense(asked)[1])
    gram = pencil.apply_W(V).conj().T @ V
    shares, U = np.linalg.eigh(0.5 * (gram + gram.conj().T))  # 1, or 0 for a known mode.
    return np.asarray(V @ U[:, shares > 0.5])


def _rayleigh_ritz(pencil: RealPencil, V: Array) -> tuple[Array, Array, Array]:
    """Return θ, Φ with Φᴴ M Φ = I, and residuals, from a basis V of the space; one block solve.

    Modes are in the order in which they are wanted; what rounding errors may have made is
    left out. Φ lies in the range of S, so that a singular M leaves no part of its null
    space in Φ.
    """
    if V.shape[1] == 0:
        return np.zeros(0), V, np.zeros(0)
    V = _orthonormal(pencil, V)
    W_V = pencil.apply_W(V)
    SV = pencil.S(V, W_V)
    H = W_V.conj().T @ SV
    theta, Q = np.linalg.eigh(0.5 * (H + H.conj().T))
    order = np.argsort(-pencil.rank(theta), kind="stable")
    order = order[pencil.resolved(theta[order], V @ Q[:, order])]
    theta, Q = theta[order], Q[:, order]
    SV_Q = SV @ Q
    V = V @ Q
    r = SV_Q - V * theta
    phi = pencil.scaled(_orthonormal(pencil, SV_Q / theta))
    return theta, phi, pencil.sizes(r, theta, V)


def _orthonormal(pencil: RealPencil, V: Array) -> Array:
    """Return V R⁻¹ with Vᴴ W V = I: Cholesky of the Gram matrix, applied twice."""
    for _ in range(2):
        gram = pencil.apply_W(V).conj().T @ V
        squares = np.diagonal(gram).real
        if not (squares > 0.0).all():
            sizes = column_dots(V, V).real * np.abs(pencil.M.data).max(initial=0.0)
            raise indefinite(float((squares / np.where(sizes > 0.0, sizes, 1.0)).min()))
        V = V / np.sqrt(squares)
        gram = pencil.apply_W(V).conj().T @ V
        try:
            R = scipy.linalg.cholesky(0.5 * (gram + gram.conj().T))
        except np.linalg.LinAlgError as error:
            raise indefinite(float(np.linalg.eigvalsh(gram).min())) from error
        V = scipy.linalg.solve_triangular(R, V.conj().T, trans="C").conj().T
    return V


def _largest_outside(pencil: RealPencil, known: Complement) -> float:
    """Return the first Ritz value of S outside of the known modes: CHECK_STEPS of Lanczos.

    Ritz values are lower bounds of |θ|, or of θ: the result, |θ| or θ, never suspects a
    mode that does not exist. The result is 0 if it may be rounding error.
    """
    n, room = pencil.n, pencil.n - known.phi.shape[1]
    v = probe_vector(n + 1)[:n, None].astype(pencil.dtype)
    v = known(pencil.S(v, pencil.apply_W(v)))
    basis: list[Array] = []
    W_basis: list[Array] = []
    alphas: list[float] = []
    betas: list[float] = []
    for _ in range(min(CHECK_STEPS, room)):
        W_v = pencil.apply_W(v)
        size = float(np.sqrt(max(column_dots(W_v, v).real[0], 0.0)))
        if basis and not size > 1e-12 * max(map(abs, alphas)):
            break
        if size == 0.0:
            return 0.0
        v, W_v = v / size, W_v / size
        if basis:
            betas.append(size)
        basis.append(v)
        W_basis.append(W_v)
        w = known(pencil.S(v, W_v))
        alphas.append(float(column_dots(W_v, w).real[0]))
        for _ in range(2):
            for q, W_q in zip(basis, W_basis, strict=True):
                w = w - q * column_dots(W_q, w)
        v = w
    if not alphas:
        return 0.0
    ritz = scipy.linalg.eigvalsh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1]))
    first = float(pencil.rank(ritz).max())
    return first if first > ROUNDING * np.abs(ritz).max() else 0.0


def _ordered(
    pencil: RealPencil, theta: Array, V: Array, residuals: Array, count: int, dense: bool
) -> HermitianModes:
    """Return the modes with the wanted ones in ascending order, and with fixed phases."""
    values = pencil.sigma + 1.0 / theta
    ascending = np.argsort(values[:count], kind="stable")
    order = np.concatenate([ascending, np.arange(count, theta.size)])
    V, anchors = _with_phases(V[:, order])
    M_V = pencil.apply_M(V)
    return HermitianModes(
        count,
        pencil.sigma,
        values[order],
        V,
        M_V,
        residuals[order],
        pencil.roundings(V),
        anchors,
        pencil.complement(V, M_V),
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
