"""Clusters of equal eigenvalues or singular values: which derivatives exist there."""

import numpy as np

from ..errors import RepeatedEigenvalue
from ..typing import Array

CLUSTER = 1e-8
"""Gap between eigenvalues, relative to the largest modulus, below which they count as equal:
at this gap rounding changes the eigenvectors by 1e-8."""

GAUGE = 1e-8
"""Largest part of a cotangent that depends on the basis of a cluster, relative to the
cotangent, that counts as rounding."""


def clusters_of(values: Array) -> Array:
    """The number of the cluster of each ascending value, (n,)."""
    limit = CLUSTER * float(np.abs(values).max(initial=0.0))
    return np.concatenate([[0], np.cumsum(~(np.diff(values) <= limit))])


def first_repeated(clusters: Array) -> int | None:
    repeated = np.flatnonzero(np.diff(clusters) == 0)
    return int(repeated[0]) if repeated.size else None


def require_equal(who: str, values: Array, clusters: Array, bar: Array) -> None:
    """Raise RepeatedEigenvalue unless cotangents are equal within each cluster."""
    limit = GAUGE * float(np.abs(bar).max(initial=0.0))
    for k in np.flatnonzero(np.diff(clusters) == 0):
        if not abs(bar[k] - bar[k + 1]) <= limit:
            raise RepeatedEigenvalue(
                f"{who}: the eigenvalue {values[k]:.10g} is repeated, and its members have "
                f"different cotangents, {bar[k]:.6g} and {bar[k + 1]:.6g}: single members have no "
                "derivative. Remedies: a symmetric function of the cluster (the sum, a log-sum-exp "
                "or p-norm of all), or hermitian_function"
            )


def require_unsplit(who: str, values: Array, clusters: Array, H: Array) -> None:
    """Raise RepeatedEigenvalue unless the tangent is a multiple of 1 on each cluster."""
    limit = GAUGE * float(np.abs(H).max(initial=0.0))
    for cluster in np.unique(clusters[:-1][np.diff(clusters) == 0]):
        member = clusters == cluster
        block = H[np.ix_(member, member)]
        if not np.abs(block - np.mean(np.diag(block)) * np.eye(len(block))).max() <= limit:
            raise RepeatedEigenvalue(
                f"{who}: the tangent splits the repeated eigenvalue {values[member][0]:.10g}: the "
                "change of its members is not linear in the tangent. One-sided derivatives are "
                "the eigenvalues of Vᴴ Ȧ V on the cluster"
            )


def require_invariant(who: str, values: Array, together: Array, turning: Array, G: Array) -> None:
    """Raise RepeatedEigenvalue unless a cotangent is independent of the basis of clusters."""
    inside = np.where(together & ~np.eye(len(values), dtype=bool), np.abs(turning), 0.0)
    if not inside.max() <= GAUGE * float(np.abs(G).max(initial=0.0)):
        i = int(np.argmax(inside.max(axis=0)))
        raise RepeatedEigenvalue(
            f"{who}: the cotangent depends on the basis of the repeated value {values[i]:.10g}, "
            "which is arbitrary. Remedies: a quantity that does not depend on the basis, such as "
            "the projector onto the cluster; hermitian_function"
        )
