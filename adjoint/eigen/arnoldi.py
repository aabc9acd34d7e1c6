"""The eigenvalues of largest modulus of an operator, by Arnoldi's method, with complete pairs.

References: Lehoucq, Sorensen & Yang (1998), ARPACK Users' Guide, chapter 4.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigs

from ..errors import MissingEigenvalues
from ..factor.backward_error import probe_vector
from ..typing import Array

DENSE = 100
"""Number of unknowns up to which the operator is written as a dense matrix."""

TIE = 1e-8
"""Relative difference of two distances |μ − σ| that count as equal when values are ordered."""


def largest(apply: Callable[[Array], Array], n: int, count: int, real: bool) -> tuple[Array, Array]:
    """Return θ (count,) and V (n, count) with S V = V diag(θ), for the largest |θ|.

    apply: S, for blocks (n, j); real: True if S is real. The start vector is the same
    in each call. Members of complex pairs may be cut; see `without_lone_members`.
    Raises MissingEigenvalues if Arnoldi's method does not converge.
    """
    if n <= DENSE or count > n // 4:
        theta, V = np.linalg.eig(apply(np.eye(n)))
        order = np.argsort(-np.abs(theta), kind="stable")[:count]
        return theta[order].astype(complex), V[:, order].astype(complex)
    operator = LinearOperator(
        (n, n),
        dtype=float if real else complex,
        matvec=lambda v: apply(v.reshape(-1, 1))[:, 0],
    )
    start = probe_vector(n)
    try:
        theta, V = eigs(
            operator,
            count,
            which="LM",
            v0=start if real else start.astype(complex),
            ncv=min(n, max(2 * count + 2, 24)),
            tol=0.0,
        )
    except (ArpackNoConvergence, ArpackError) as error:
        raise MissingEigenvalues(
            f"Arnoldi's method did not find {count} eigenvalues of a pencil with {n} unknowns: "
            f"{error}. Usual causes: sigma far from the eigenvalues, or more eigenvalues asked "
            "for than are finite (a singular M). Remedy: sigma closer to the eigenvalues, or a "
            "smaller count."
        ) from error
    order = np.argsort(-np.abs(theta), kind="stable")
    return theta[order], V[:, order]


def without_lone_members(theta: Array) -> Array:
    """Return the indices of the values that are real, or whose conjugate is among the values.

    Arnoldi's method cuts conjugate pairs. The run for the right vectors and the run for
    the left vectors may keep opposite members, and their product ψᴴMφ is then zero.
    """
    size = np.abs(theta)
    keep = [
        i
        for i, value in enumerate(theta)
        if abs(value.imag) <= 1e-14 * size[i]
        or np.abs(theta - value.conj()).min() <= 1e-10 * size[i]
    ]
    return np.array(keep, dtype=int)


def by_distance(values: Array, sigma: complex) -> Array:
    """Return the order of the values by |μ − σ|, with a reproducible order of ties.

    Values at equal distance are ordered by their real parts, then by descending
    imaginary parts: in a conjugate pair the member with Im μ > 0 is first.
    """
    distance = np.abs(values - sigma)
    order = np.argsort(distance, kind="stable")
    groups: list[list[int]] = []
    for i in order:
        if groups and distance[i] <= distance[groups[-1][-1]] * (1.0 + TIE):
            groups[-1].append(int(i))
        else:
            groups.append([int(i)])
    sorted_groups = [_sorted_ties(values, group) for group in groups]
    return np.array([i for group in sorted_groups for i in group], dtype=int)


def _sorted_ties(values: Array, group: list[int]) -> list[int]:
    """Sort a group of equal distances by real part, then by descending imaginary part."""
    members = sorted(group, key=lambda i: values[i].real)
    scale = max(abs(values[i]) for i in group)
    columns: list[list[int]] = []
    for i in members:
        if columns and values[i].real - values[columns[-1][-1]].real <= TIE * scale:
            columns[-1].append(i)
        else:
            columns.append([i])
    return [i for column in columns for i in sorted(column, key=lambda i: -values[i].imag)]
