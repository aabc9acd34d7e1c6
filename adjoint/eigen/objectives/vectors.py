"""Objectives of eigenvectors: mode shapes and invariant subspaces."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import size_of
from ..._validation import as_array, first_nonfinite
from ...typing import Array, SparseMatrix
from .packed import require_index, require_modes, vectors_of
from .weights import require_hermitian, weighted


@dataclass(frozen=True, eq=False)
class Projector:
    """J = tr(Bᴴ G⁻¹ B) / tr(Tᴴ W T): the share of targets T in the span of k eigenvectors.

    With Φ the first k eigenvectors, J = tr(Bᴴ G⁻¹ B) / tr(Tᴴ W T), where B = Φᴴ W T and
    G = Φᴴ W Φ (docs/math/spectra.md, eq. 215). J is 1 if the eigenvectors span all
    targets, and 0 if all targets are orthogonal to them. J depends on the space alone,
    not on its basis: J has a gradient where the k eigenvalues cross each other.

    Parameters
    ----------
    target : (n,) or (n, q) array
        T, one column per target; the length of a column matters, unless there is only
        one target.
    k : int or None
        The number of eigenvectors; None for all that the problem computes.
    weight : (n, n) sparse matrix, optional
        W, Hermitian positive definite, for example a mass matrix; the identity by default.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, is not finite, or if all targets are
        zero; from `value`, if the problem computes fewer than k eigenvectors.
    """

    target: Array
    k: int | None = None
    weight: SparseMatrix | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_hermitian("Projector", self.weight)
        _ = self._T, self._length
        if self.k is not None:
            require_index("Projector", "k", self.k)
            if self.k < 1:
                raise ValueError("Projector: got k=0, expected at least one eigenvector")

    @cached_property
    def _T(self) -> Array:
        # Divided by the size: J does not depend on the size, and squares of it may overflow.
        T = _targets("Projector", self.target)
        return T / (np.abs(T).max() or 1.0)

    @cached_property
    def _WT(self) -> Array:
        return weighted("Projector", self.weight, self._T)

    @cached_property
    def _length(self) -> float:
        """tr(Tᴴ W T)."""
        return _squared_length("Projector", self._T, self._WT)

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p), a number in [0, 1]."""
        B, C = self._coordinates(self._vectors(u))
        return float(np.vdot(B, C).real) / self._length

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0), ū = 2 W (T − Φ C) Cᴴ / tr(Tᴴ W T) with C = G⁻¹ B."""
        phi = self._vectors(u)
        _, C = self._coordinates(phi)
        bar = (2.0 / self._length) * (self._outside(phi, C) @ C.conj().T)
        return _in_vectors(u, bar), np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivatives of `gradients` along (u̇, ṗ)."""
        phi, phi_dot = self._vectors(u), self._vectors(u_dot)
        W_phi = weighted("Projector", self.weight, phi)
        W_phi_dot = weighted("Projector", self.weight, phi_dot)
        _, C = self._coordinates(phi)
        half = phi.conj().T @ W_phi_dot
        B_dot = phi_dot.conj().T @ self._WT
        C_dot = np.linalg.solve(phi.conj().T @ W_phi, B_dot - (half + half.conj().T) @ C)
        outside = self._outside(phi, C)
        outside_dot = -(W_phi_dot @ C + W_phi @ C_dot)
        bar = (2.0 / self._length) * (outside_dot @ C.conj().T + outside @ C_dot.conj().T)
        return _in_vectors(u, bar), np.zeros_like(p)

    def _vectors(self, u: Array) -> Array:
        require_modes("Projector", u, self.k or 1)
        phi = vectors_of(u)[:, : self.k]
        _require_rows("Projector", self._T, phi)
        return phi

    def _coordinates(self, phi: Array) -> tuple[Array, Array]:
        """Return B = Φᴴ W T and C = G⁻¹ B, (k, q)."""
        B = phi.conj().T @ self._WT
        G = phi.conj().T @ weighted("Projector", self.weight, phi)
        try:
            np.linalg.cholesky(0.5 * (G + G.conj().T))
        except np.linalg.LinAlgError as error:
            raise ValueError(
                "Projector: got a weight W for which Φᴴ W Φ of the eigenvectors Φ is not positive "
                "definite; expected a positive definite W"
            ) from error
        return B, np.linalg.solve(G, B)

    def _outside(self, phi: Array, C: Array) -> Array:
        """Return W (T − Φ C), (n, q): the part of the targets outside of the span.

        The second subtraction makes the part orthogonal to Φ relative to its own size. For
        targets inside of the span the rounding errors of the first one would depend on the
        basis of a cluster.
        """
        rest = self._WT - weighted("Projector", self.weight, phi @ C)
        W_phi = weighted("Projector", self.weight, phi)
        return np.asarray(rest - W_phi @ np.linalg.solve(phi.conj().T @ W_phi, phi.conj().T @ rest))


@dataclass(frozen=True, eq=False)
class ModeShape:
    """J = |φᴴ W t|² / (φᴴ W φ · tᴴ W t): the modal assurance criterion (MAC) of mode i.

    J is 1 if the eigenvector φ_i is a multiple of the target t, and 0 if φ_i and t are
    orthogonal. J does not depend on the scale and the phase of φ_i.

    Parameters
    ----------
    target : (n,) array
        t, a mode shape, for example a measured one.
    index : int
        i, counted from 0 in the order of `EigenSolution.values`.
    weight : (n, n) sparse matrix, optional
        W, Hermitian positive definite, for example a mass matrix; the identity by default.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or shape, is not finite, or if the target is
        zero; from `value`, if the problem computes i or fewer eigenvectors.

    Notes
    -----
    If μ_i is a multiple eigenvalue, φ_i is not unique and the gradient raises
    `RepeatedEigenvalue`: use `Projector` for the space of the cluster.

    References
    ----------
    Allemang & Brown (1982), A correlation coefficient for modal vector analysis, Proc.
    1st Int. Modal Analysis Conf., 110.
    """

    target: Array
    index: int = 0
    weight: SparseMatrix | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_index("ModeShape", "index", self.index)
        _ = self._share._length
        if np.ndim(self.target) != 1:
            raise ValueError(
                f"ModeShape: got a target of shape {np.shape(self.target)}, expected (n,)"
            )

    @cached_property
    def _share(self) -> Projector:
        return Projector(self.target, 1, self.weight)

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p), a number in [0, 1]."""
        return self._share.value(self._mode(u), p)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0)."""
        return self._placed(u, self._share.gradients(self._mode(u), p)[0]), np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivatives of `gradients` along (u̇, ṗ)."""
        rate = self._share.hvp(self._mode(u), p, self._mode(u_dot), p_dot)[0]
        return self._placed(u, rate), np.zeros_like(p)

    def _mode(self, u: Array) -> Array:
        """Return the packed state of mode i alone, (n + 1, 1)."""
        require_modes("ModeShape", u, self.index + 1)
        return u[:, self.index : self.index + 1]

    def _placed(self, u: Array, bar: Array) -> Array:
        """Return the packed cotangent with `bar` (n + 1, 1) in the column of mode i."""
        u_bar = np.zeros(u.shape, dtype=np.result_type(u, bar))
        u_bar[:, self.index] = bar[:, 0]
        return u_bar


def _targets(who: str, target: object) -> Array:
    """Return the targets as an array (n, q); raise unless they are finite."""
    T = as_array(who, "target", target)
    if T.ndim not in (1, 2) or T.size == 0:
        raise ValueError(f"{who}: got a target of shape {T.shape}, expected (n,) or (n, q)")
    if bad := first_nonfinite(T):
        raise ValueError(f"{who}: target holds {bad[1]}, expected finite numbers")
    return T.reshape(T.shape[0], -1)


def _squared_length(who: str, T: Array, WT: Array) -> float:
    """Return tr(Tᴴ W T); raise ValueError unless it is a positive number."""
    length = float(np.vdot(T, WT).real)
    if not 0.0 < length < np.inf:
        raise ValueError(
            f"{who}: tr(Tᴴ W T) is {length} for a target of size {size_of(T):.3g}; expected a "
            "positive number: a target that is not zero, and a positive definite weight"
        )
    return length


def _require_rows(who: str, T: Array, phi: Array) -> None:
    if T.shape[0] != phi.shape[0]:
        raise ValueError(
            f"{who}: the target has {T.shape[0]} entries, but the eigenvectors have {phi.shape[0]}"
        )


def _in_vectors(u: Array, bar: Array) -> Array:
    """Return the packed cotangent with `bar` (n, k) for the first k vectors, and zeros."""
    u_bar = np.zeros(u.shape, dtype=np.result_type(u, bar))
    if u.dtype.kind != "c":
        u_bar, bar = np.zeros_like(u), bar.real
    u_bar[1:, : bar.shape[1]] = bar
    return u_bar
