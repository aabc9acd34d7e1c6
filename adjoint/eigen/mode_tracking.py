"""Modes followed from design to design by the modal assurance criterion (MAC)."""

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from .._dataclasses import short_repr
from .._validation import as_array, first_nonfinite, named, require_number
from ..typing import Array, SparseMatrix
from .objectives.weights import require_hermitian, weighted
from .solution import EigenSolution


def mac(first: Array, second: Array, weight: SparseMatrix | None = None) -> Array:
    """Return the MAC of all pairs of mode shapes: |φ_iᴴ W χ_j|² / (φ_iᴴ W φ_i · χ_jᴴ W χ_j).

    Parameters
    ----------
    first : (n, k) array
        Mode shapes φ, one per column.
    second : (n, l) array
        Mode shapes χ, one per column.
    weight : (n, n) sparse matrix, optional
        W, Hermitian positive definite, for example a mass matrix; the identity by default.

    Returns
    -------
    (k, l) array
        Numbers in [0, 1], without unit: 1 for shapes that are multiples of each other.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, is not finite, or if a mode shape is
        zero.

    References
    ----------
    Allemang & Brown (1982), A correlation coefficient for modal vector analysis, Proc.
    1st Int. Modal Analysis Conf., 110.
    """
    phi, chi = _shapes("first", first), _shapes("second", second)
    if phi.shape[0] != chi.shape[0]:
        raise ValueError(
            f"mac: got mode shapes of {phi.shape[0]} and of {chi.shape[0]} entries, expected equal "
            "numbers"
        )
    require_hermitian("mac", weight)
    W_phi, W_chi = weighted("mac", weight, phi), weighted("mac", weight, chi)
    lengths = [np.einsum("ij,ij->j", v.conj(), w).real for v, w in ((phi, W_phi), (chi, W_chi))]
    if not all((length > 0.0).all() for length in lengths):
        raise ValueError("mac: got a mode shape of length zero, expected φᴴ W φ > 0 for all shapes")
    return np.asarray(np.abs(phi.conj().T @ W_chi) ** 2 / np.outer(*lengths))


@dataclass(frozen=True, eq=False)
class TrackedModes:
    """The modes of one design, in the order of the reference modes.

    Attributes
    ----------
    order : (k,) integer array
        The tracked mode i is the mode order[i] of the solution.
    mac : (k,) array
        The MAC of the tracked mode i and the reference mode i, in [0, 1].
    values : (k,) array
        Eigenvalues.
    vectors : (n, k) array
        Eigenvectors. Within a cluster of equal eigenvalues the basis is the basis closest
        to the reference modes; signs (phases) agree with the reference modes.
    lost : tuple of int
        The tracked modes whose MAC is below `ModeTracker.threshold`: they left the
        computed part of the spectrum, or changed beyond recognition.
    """

    order: Array
    mac: Array
    values: Array
    vectors: Array
    lost: tuple[int, ...]

    __repr__ = short_repr


@dataclass(eq=False)
class ModeTracker:
    """Follows modes from design to design; calling the tracker with a solution returns the modes.

    The tracker remembers the mode shapes of the last call as the reference modes of
    the next call; a lost mode keeps its last shape.

    Parameters
    ----------
    reference : (n, k) array
        The mode shapes to follow, one per column, for example `solution.vectors` at the
        first design, or measured shapes.
    weight : (n, n) sparse matrix, optional
        W of the MAC, Hermitian positive definite; the identity by default.
    threshold : float
        MAC below which a mode counts as lost, in [0, 1]; 0.5 by default.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, or is out of range; when called, if
        the solution has fewer modes than the reference.

    Examples
    --------
    ::

        tracker = ModeTracker(f(x).solution.vectors)
        for x in designs:
            modes = tracker(f(x).solution)
    """

    reference: Array
    weight: SparseMatrix | None = None
    threshold: float = 0.5
    _shapes: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._shapes = _shapes("reference", self.reference)
        mac(self._shapes, self._shapes, self.weight)  # Raises unless lengths are positive.
        require_number("ModeTracker", "threshold", self.threshold)
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"ModeTracker: got threshold={self.threshold}, expected 0 … 1")

    def __repr__(self) -> str:
        n, k = self._shapes.shape
        return f"ModeTracker({k} modes of {n} entries, threshold={self.threshold})"

    def __call__(self, solution: EigenSolution) -> TrackedModes:
        """Return the modes of a solution in the order of the reference modes."""
        if not all(hasattr(solution, name) for name in ("values", "vectors", "clusters")):
            raise TypeError(
                f"ModeTracker: got {named(solution)}, expected an EigenSolution, such as "
                "problem.solve(p)"
            )
        values, vectors = solution.values, solution.vectors
        k = self._shapes.shape[1]
        if vectors.shape[0] != self._shapes.shape[0] or vectors.shape[1] < k:
            raise ValueError(
                f"ModeTracker: got eigenvectors of shape {vectors.shape}, expected "
                f"{self._shapes.shape[0]} rows and at least {k} columns"
            )
        computed = range(values.size)
        clusters = [[i for i in cluster if i in computed] for cluster in solution.clusters]
        order, aligned = self._matched(vectors, clusters)
        agreement = np.diagonal(mac(aligned, self._shapes, self.weight)).copy()
        lost = tuple(int(i) for i in np.flatnonzero(~(agreement >= self.threshold)))
        kept = [i for i in range(k) if i not in lost]
        reference = self._shapes.astype(np.result_type(self._shapes, aligned))
        reference[:, kept] = aligned[:, kept]
        self._shapes = reference
        return TrackedModes(order, agreement, values[order], aligned, lost)

    def _matched(self, vectors: Array, clusters: list[list[int]]) -> tuple[Array, Array]:
        """Return (order, shapes): the best assignment, and its shapes with aligned bases.

        A mode in a cluster has the MAC of the whole space of the cluster, so that the
        assignment does not depend on the basis that the eigensolver returned.
        """
        found = mac(vectors, self._shapes, self.weight)
        W_reference = weighted("mac", self.weight, self._shapes)
        lengths = np.einsum("ij,ij->j", self._shapes.conj(), W_reference).real
        orthonormal = {}
        for cluster in clusters:
            if len(cluster) > 1:
                basis = _orthonormal(vectors[:, cluster], self.weight)
                shares = np.abs(basis.conj().T @ W_reference) ** 2 / lengths
                found[cluster] = shares.sum(axis=0)
                orthonormal[tuple(cluster)] = basis
        columns, rows = linear_sum_assignment(-found.T)
        order = rows[np.argsort(columns)]
        aligned = vectors[:, order].astype(np.result_type(vectors, self._shapes))
        for i, mode in enumerate(order):
            phase = np.vdot(aligned[:, i], W_reference[:, i])
            aligned[:, i] *= phase / abs(phase) if phase != 0.0 else 1.0
            for members, basis in orthonormal.items():
                if mode in members:
                    aligned[:, i] = self._nearest(basis, members, order, W_reference, i)
        return order, aligned

    def _nearest(
        self, basis: Array, cluster: tuple[int, ...], order: Array, W_reference: Array, i: int
    ) -> Array:
        """Return the shape of mode i in the orthonormal basis of its cluster nearest the reference.

        The nearest basis is the unitary polar factor of the reference's coordinates.
        """
        members = [j for j, mode in enumerate(order) if mode in cluster]
        U, _, Vh = np.linalg.svd(basis.conj().T @ W_reference[:, members], full_matrices=False)
        return np.asarray(basis @ (U @ Vh)[:, members.index(i)])


def _orthonormal(vectors: Array, weight: SparseMatrix | None) -> Array:
    """Return a W-orthonormal basis of the span of vectors (n, k)."""
    gram = vectors.conj().T @ weighted("mac", weight, vectors)
    L = np.linalg.cholesky(0.5 * (gram + gram.conj().T))
    return np.asarray(np.linalg.solve(L, vectors.conj().T).conj().T)


def _shapes(name: str, given: object) -> Array:
    """Return mode shapes as an array (n, k); raise ValueError unless they are finite."""
    shapes = as_array("mac", name, given)
    if shapes.ndim not in (1, 2) or shapes.size == 0:
        raise ValueError(f"mac: got {name} of shape {shapes.shape}, expected (n, k)")
    if bad := first_nonfinite(shapes):
        raise ValueError(f"mac: {name} holds {bad[1]}, expected finite numbers")
    return shapes.reshape(shapes.shape[0], -1)
