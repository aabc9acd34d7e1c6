"""Right and left eigenpairs of a general pencil: two Arnoldi runs, matched and verified.

The right run uses S = (K − σM)⁻¹ M, the left run S' = (K − σM)⁻ᴴ Mᴴ, both with one
factorization. The runs are independent, so differences of their values show errors of
both (docs/math/spectra.md, eqs. 220–223).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse
from scipy.linalg import qr, svdvals
from scipy.optimize import linear_sum_assignment

from ..errors import (
    CutCluster,
    DefectiveEigenvalue,
    EigenError,
    IllConditionedEigenvalue,
    MissingEigenvalues,
)
from ..factor.backward_error import probe_vector, product
from ..protocols import Inverse
from ..typing import Array
from .arnoldi import by_distance, largest, without_lone_members

EPS = float(np.finfo(float).eps)

WORST = 1e8
"""Largest condition 1/|ψᴴMφ| of an eigenvalue, and of the matrix ΨᴴMΦ, that is accepted."""

MISMATCH = 1e3
"""Accepted difference of left and right values, in units of ε · condition."""

MISMATCH_CAP = 1e-7
"""Largest accepted relative difference of left and right values, for every condition."""

CLOSE = 1e-6
"""Relative gap below which eigenvalues are one cluster."""

LOSS = 1e-6
"""Largest accepted relative error of an eigenvector: ε/(|ψᴴMφ| · gap), or mismatch/gap."""

PARALLEL = 1e-2
"""A cluster is defective if |ψᴴMφ| is below this share of the least singular value of its block."""

MOST_DEPARTURE = 1e3
"""Largest factor ‖S‖ / max |θ| in estimates of errors."""

GUARDS = (0, 4, 8)
"""Additional guards of the first search, and of two wider searches."""


@dataclass(frozen=True, eq=False)
class Modes:
    """Computed eigenpairs, the wanted ones first: K Φ = M Φ diag(μ), Ψᴴ K = diag(μ) Ψᴴ M, ΨᴴMΦ = I.

    values: μ, (c,); right: Φ, (n, c), with columns of Euclidean norm 1; left: Ψ, (n,
    c); anchors: the entry of each φ that is real and positive, (c,); conditions:
    1/|ψᴴMφ| for vectors ψ and Mφ of norm 1, (c,); mismatch: relative differences of
    left and right values, (c,); groups: indices of the wanted modes of each cluster;
    defective: True for groups whose eigenvectors are nearly parallel.
    """

    count: int
    values: Array
    right: Array
    left: Array
    anchors: Array
    conditions: Array
    mismatch: Array
    gaps: Array
    groups: tuple[tuple[int, ...], ...]
    defective: tuple[bool, ...]

    def basis(self, block: list[int]) -> Array:
        """Return an orthonormal basis of the span of right vectors, (n, r)."""
        return np.asarray(qr(self.right[:, block], mode="economic")[0])


def find_modes(
    M: sparse.csc_array, inverse: Inverse, sigma: complex, count: int, guard: int, real: bool
) -> Modes:
    """Return the `count` eigenpairs with the smallest |μ − σ|, and `guard` or more beyond.

    M: (n, n); inverse: of K − σM; real: True if K, M and σ are real, so that
    eigenvalues are real or come in conjugate pairs.

    Raises MissingEigenvalues, IllConditionedEigenvalue, DefectiveEigenvalue or
    CutCluster if the eigenpairs cannot be trusted, after two searches with more guards.
    """
    n = M.shape[0]

    def S(v: Array) -> Array:
        return inverse.solve(product(M, v, "N"))

    def S_left(v: Array) -> Array:
        return inverse.solve(product(M, v, "H"), "H")

    failure: EigenError | None = None
    tried = 0
    for more in GUARDS:
        asked = min(n, count + max(guard, 2) + more)
        if failure is not None and asked == tried:
            break
        tried = asked
        try:
            right = _run(S, n, asked, sigma, real)
            left = _run(S_left, n, asked, np.conj(sigma), real)
            match = _matched(M, right, left, sigma, count)
            return _verified(match, M, sigma, count, real, _departure(M, inverse, left))
        except (IllConditionedEigenvalue, MissingEigenvalues, DefectiveEigenvalue) as error:
            failure = error
    assert failure is not None
    raise failure


def _run(
    S: Callable[[Array], Array], n: int, asked: int, sigma: complex, real: bool
) -> tuple[Array, Array]:
    """Return the values by |μ − σ| and their vectors, without lone members of pairs."""
    theta, V = largest(S, n, asked, real)
    finite = np.abs(theta) > 1e-13 * np.abs(theta).max(initial=0.0)  # The others are infinite μ.
    theta, V = theta[finite], V[:, finite]
    if real:
        keep = without_lone_members(theta)
        theta, V = theta[keep], V[:, keep]
    values = sigma + 1.0 / theta
    order = by_distance(values, sigma)
    V = V[:, order].astype(complex)
    return values[order], V / np.linalg.norm(V, axis=0)


def _departure(M: sparse.csc_array, inverse: Inverse, left: tuple[Array, Array]) -> float:
    """Return ‖M (K − σM)⁻¹‖ / max |θ|, at least 1 (normal operators), by two power iterations.

    At most MOST_DEPARTURE: rows in different units make the norm large as well.
    """
    v, size = left[1][:, :1], 1.0
    theta = float(np.linalg.norm(inverse.solve(product(M, v, "H"), "H")))
    v = probe_vector(M.shape[0])[:, None] + v * np.sqrt(M.shape[0])
    for _ in range(2):
        v = v / np.linalg.norm(v)
        w = inverse.solve(product(M, v, "H"), "H")
        size = float(np.linalg.norm(w))
        v = product(M, inverse.solve(w), "N")
    return min(max(size / theta if theta else 1.0, 1.0), MOST_DEPARTURE)


@dataclass(frozen=True, eq=False)
class _Match:
    values: Array
    right: Array
    left: Array
    mismatch: Array


def _matched(
    M: sparse.csc_array,
    right: tuple[Array, Array],
    left: tuple[Array, Array],
    sigma: complex,
    count: int,
) -> _Match:
    """Match left and right modes by their values, in the order of the right values."""
    (mu, Phi), (nu, Psi) = right, (left[0].conj(), left[1])
    if min(mu.size, nu.size) < count:
        raise MissingEigenvalues(
            f"the search near sigma = {sigma:.6g} found {mu.size} right and {nu.size} left "
            f"eigenvectors, wanted are {count}. Usual causes: the pencil has fewer finite "
            "eigenvalues (a singular M), or Arnoldi's method cut complex pairs. Remedy: a smaller "
            "count, or a larger guard."
        )
    rows, columns = linear_sum_assignment(np.abs(mu[:, None] - nu[None, :]))
    scale = np.abs(mu[rows] - sigma)
    mismatch = np.abs(mu[rows] - nu[columns]) / scale
    # The last modes of each run may be without partner: guards, not wanted modes.
    lost = np.flatnonzero((mismatch > MISMATCH_CAP) & (rows >= count))
    end = rows[lost].min() if lost.size else np.inf
    keep = rows < end
    rows, columns, mismatch = rows[keep], columns[keep], mismatch[keep]
    match = _Match(mu[rows], Phi[:, rows], Psi[:, columns], mismatch)
    nearest = np.abs(nu - sigma)
    unmatched = np.setdiff1d(np.arange(nu.size), columns)
    inside = unmatched[nearest[unmatched] < np.abs(mu[count - 1] - sigma) * (1.0 - 1e-6)]
    if rows.size < count or (rows[:count] != np.arange(count)).any() or inside.size:
        # Ill-conditioned values differ in the two runs: name the cause rather than the effect.
        MPhi = product(M, match.right, "N")
        dual = np.linalg.pinv(Psi[:, columns].conj().T @ MPhi, rcond=0.0) @ Psi[:, columns].conj().T
        each = np.linalg.norm(dual, axis=1) * np.linalg.norm(MPhi, axis=0)
        condition = float(each.max(initial=0.0)) if rows.size else np.inf
        if not condition <= WORST:
            raise _untrusted(match.values, mismatch, match.right, count, condition)
        example = f", such as {nu[inside[0]]:.10g}" if inside.size else ""
        raise MissingEigenvalues(
            f"the left and the right search near sigma = {sigma:.6g} found different "
            f"eigenvalues{example}. Usual cause: multiple eigenvalues, of which Arnoldi's method "
            "found too few. Remedy: a larger guard."
        )
    return match


def _verified(
    match: _Match, M: sparse.csc_array, sigma: complex, count: int, real: bool, departure: float
) -> Modes:
    """Make ΨᴴMΦ = I over all computed modes, and examine conditions, mismatch and gaps."""
    match = _complete(match, count, real)
    mu, Phi, Psi, mismatch = match.values, match.right, match.left, match.mismatch
    MPhi = product(M, Phi, "N")
    sizes = np.linalg.norm(MPhi, axis=0)
    G = Psi.conj().T @ (MPhi / sizes)
    s = svdvals(G)
    distance = np.abs(mu - sigma)
    if not s[-1] * WORST >= s[0]:
        raise _untrusted(mu, mismatch, Phi, count, s[0] / s[-1] if s[-1] else np.inf)
    # Ψ ← Ψ (ΨᴴMΦ)⁻ᴴ
    Psi = np.linalg.solve(G * sizes, Psi.conj().T).conj().T
    conditions = np.linalg.norm(Psi, axis=0) * sizes
    ratio = distance / distance.min()
    allowed = np.minimum(MISMATCH * EPS * conditions * ratio, MISMATCH_CAP)
    wanted = slice(0, count)
    if not (conditions[wanted] <= WORST).all():
        raise _untrusted(mu, mismatch, Phi, count, float(conditions[wanted].max()))
    if not (mismatch[wanted] <= allowed[wanted]).all():
        worst = int(np.argmax(mismatch[wanted] / allowed[wanted]))
        near = (
            f" sigma = {sigma:.6g} lies at an eigenvalue, within {distance.min():.1e}: choose "
            "another sigma."
            if distance.min() <= 1e-8 * max(distance.max(), abs(sigma))
            else " Usual cause: a strongly non-normal operator, whose eigenvalues are not "
            "determined to working precision."
        )
        raise IllConditionedEigenvalue(
            f"left and right eigenvalue {worst} differ: {mu[worst]:.12g}, relative difference "
            f"{mismatch[worst]:.1e}, accepted is {allowed[worst]:.1e} at a condition of "
            f"{conditions[worst]:.1e}.{near}"
        )
    if real and _cuts(mu, count):  # After the conditions: noise has pairs as well.
        raise _cut_pair(mu, count)
    anchors = np.array([anchor(column) for column in Phi.T])
    pivots = Phi[anchors, np.arange(mu.size)]
    phases = np.abs(pivots) / pivots
    Phi, Psi = Phi * phases, Psi * phases  # ψ ← ψ / conj(phase) = ψ phase
    Phi[anchors, np.arange(mu.size)] = np.abs(pivots)
    scales = np.maximum(np.abs(mu), distance)
    gaps = _gaps(mu, scales)
    groups, defective = _groups(
        mu, scales, gaps, conditions, mismatch, departure, MPhi / sizes, Psi, count
    )
    return Modes(count, mu, Phi, Psi, anchors, conditions, mismatch, gaps, groups, defective)


def _complete(match: _Match, count: int, real: bool) -> _Match:
    """Drop last guards without their conjugates, if the pencil is real."""
    end = match.values.size
    while real and end > count and _cuts(match.values, end):
        end -= 1
    return _Match(
        match.values[:end], match.right[:, :end], match.left[:, :end], match.mismatch[:end]
    )


def _cuts(mu: Array, end: int) -> bool:
    """True if the last of mu[:end] is complex, and its conjugate is not in mu[:end]."""
    last = mu[end - 1]
    size = abs(last)
    return bool(
        abs(last.imag) > 1e-14 * size and np.abs(mu[:end] - last.conj()).min() > 1e-10 * size
    )


def _cut_pair(mu: Array, count: int) -> CutCluster:
    """Return the error for a number of wanted eigenvalues that cuts a complex pair."""
    if count == 1:
        return CutCluster(
            f"count=1 cuts a complex pair: the eigenvalue nearest to sigma is {mu[0]:.10g}, and "
            "its conjugate is as near. Ask for count=2, or give a complex sigma near one of the "
            "two."
        )
    return CutCluster(
        f"count={count} cuts a complex pair: eigenvalue {count - 1} is {mu[count - 1]:.10g}, and "
        f"its conjugate is eigenvalue {count}. Ask for count={count - 1} or count={count + 1}."
    )


def anchor(phi: Array) -> int:
    """Return the first entry whose modulus is within 10⁻³ of the largest."""
    size = np.abs(phi)
    return int(np.argmax(size >= (1.0 - 1e-3) * size.max()))


def _gaps(mu: Array, scales: Array) -> Array:
    """Relative distance of each value to its nearest neighbour, (c,); inf for one value."""
    apart = np.abs(mu[:, None] - mu[None, :])
    np.fill_diagonal(apart, np.inf)
    return np.asarray(apart.min(axis=1) / np.where(scales > 0.0, scales, 1.0))


def _groups(
    mu: Array,
    scales: Array,
    gaps: Array,
    conditions: Array,
    mismatch: Array,
    departure: float,
    right: Array,
    left: Array,
    count: int,
) -> tuple[tuple[tuple[int, ...], ...], tuple[bool, ...]]:
    """Return the clusters of all modes and the wanted ones among them that are defective."""
    c = mu.size
    label = np.arange(c)
    apart = np.abs(mu[:, None] - mu[None, :]) / scales[:, None]
    joined = apart <= CLOSE
    # Relative errors of the values: rounding errors of S are ε‖S‖, not ε|θ|.
    errors = np.maximum(EPS * departure * conditions, mismatch)
    loss = errors / np.where(gaps > 0.0, gaps, EPS)
    nearest = np.argmin(apart + np.diag(np.full(c, np.inf)), axis=1) if c > 1 else label
    for i in np.flatnonzero(loss > LOSS).tolist():
        joined[i, nearest[i]] = True
    for i in range(c):
        for j in range(c):
            if joined[i, j] and label[i] != label[j]:
                label[label == label[j]] = label[i]
    groups: list[tuple[int, ...]] = []
    defective: list[bool] = []
    for i in range(c):
        members = tuple(int(j) for j in np.flatnonzero(label == label[i]).tolist())
        if members[0] != i:
            continue
        if members[0] < count <= members[-1]:
            raise CutCluster(
                f"count={count} cuts a cluster: eigenvalues {members} are equal up to "
                f"{np.ptp(np.abs(mu[list(members)] - mu[i])):.1e}. Ask for count={members[0]} or "
                f"count={members[-1] + 1}."
            )
        if members[0] >= count:
            continue
        groups.append(members)
        block = list(members)
        Q_right, Q_left = (qr(V[:, block], mode="economic")[0] for V in (right, left))
        least = svdvals(Q_left.conj().T @ Q_right)[-1]
        defective.append(
            len(members) > 1 and bool(1.0 / conditions[block].max() < PARALLEL * least)
        )
    return tuple(groups), tuple(defective)


def _untrusted(mu: Array, mismatch: Array, Phi: Array, count: int, condition: float) -> EigenError:
    """Return the error for wanted modes whose condition exceeds WORST."""
    count = min(count, Phi.shape[1])  # The search may have found fewer.
    differ = float(mismatch[:count].max(initial=0.0))
    if count > 1:
        angles = np.abs(Phi[:, :count].conj().T @ Phi[:, :count]) - np.eye(count)
        i, j = sorted(np.unravel_index(int(np.argmax(angles)), angles.shape))
        if angles[i, j] > 1.0 - 1e-12 and abs(mu[i] - mu[j]) <= 1e-6 * abs(mu[i]):
            return DefectiveEigenvalue(
                f"eigenvalues {i} and {j}, {mu[i]:.10g} and {mu[j]:.10g}, have parallel "
                f"eigenvectors: the pencil is defective (cond(ΨᴴMΦ) = {condition:.1e}). Neither "
                "eigenvalue is differentiable. Remedy: other parameters, or eigenvalues away from "
                "this block, with another sigma or count."
            )
    return IllConditionedEigenvalue(
        f"left and right eigenvectors are almost orthogonal: condition {condition:.1e}, accepted "
        f"is {WORST:.0e}; left and right eigenvalues differ by up to "
        f"{differ:.1e}. The operator is strongly non-normal: its eigenvalues are "
        "not determined to working precision, whatever the solver. Remedies: fewer eigenvalues, "
        "a finer mesh or less advection; ask for quantities other than eigenvalues, such as the "
        "norm of the resolvent."
    )
