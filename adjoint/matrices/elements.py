"""Matrices of elements with one parameter per element: A(s) = Σ_e s_e L_eᵀ K_e L_e."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_array, cotangent, require_length
from ..errors import NonFinite
from ..typing import Array
from .assembly import Assembly, as_dofs
from .patterns import entries_on

BLOCK_MULTIPLICATIONS = 1 << 18
"""Number of multiplications K_e u_e that are done at once, for a block of elements.

The arrays of a block fit into the cache, and BLAS uses one thread for them.
"""


@dataclass(frozen=True, eq=False)
class Elements(Portable):
    """A(s) = Σ_e s_e L_eᵀ K_e L_e; ∂A/∂s is never formed.

    See docs/math/matrices_and_objectives.md, eq. 9. L_e selects the k unknowns of element
    e: L_e u = u[dofs[e]]. The parameters are the element factors s, (n_e,): densities,
    conductivities, or moduli.

    `Assembly` computes the pattern, once. After that an assembly is one sparse product,
    and a gradient is one contraction over the elements.

    Parameters
    ----------
    dofs : (n_e, k) array of int
        Global numbers of the k local unknowns of each element; −1 for a fixed unknown,
        which is left out. A is (n, n), with n = dofs.max() + 1.
    Ke : (k, k) or (n_e, k, k) array
        K_e: one element matrix for all elements, or one per element; real or complex,
        symmetric or not.

    Raises
    ------
    TypeError
        If dofs is not an array (n_e, k) of integers.
    ValueError
        If Ke has another shape, or if a number in dofs is out of range.
    NonFinite
        If Ke contains nan or inf.
    """

    dofs: Array
    Ke: Array

    __repr__ = short_repr

    def __post_init__(self) -> None:
        dofs, Ke = as_dofs(self.dofs, "Elements"), as_array("Elements", "Ke", self.Ke)
        count, k = dofs.shape
        if Ke.shape not in ((k, k), (count, k, k)) or Ke.dtype.kind not in "fciu":
            raise ValueError(
                f"Elements: got Ke of {Ke.dtype}, shape {Ke.shape}; expected ({k}, {k}) or "
                f"({count}, {k}, {k})"
            )
        if not np.isfinite(Ke).all():
            raise NonFinite(
                "Elements: Ke contains nan or inf. Usual causes: a degenerate element, a missing "
                "material constant"
            )
        object.__setattr__(self, "dofs", dofs)
        object.__setattr__(self, "Ke", Ke.astype(complex if Ke.dtype.kind == "c" else float))

    @property
    def n(self) -> int:
        """The number of unknowns."""
        return int(self.dofs.max()) + 1

    @cached_property
    def scatter(self) -> tuple[sparse.csr_array, sparse.csc_array]:
        """S, (nnz, n_e), with A.data = S s, and a matrix of ones on the pattern of A, (n, n)."""
        count, k = self.dofs.shape
        # Column (e·k + i)·k + j of `ones` belongs to entry (i, j) of K_e.
        ones, pattern = Assembly(self.dofs).scatter
        values = np.broadcast_to(self.Ke, (count, k, k)).reshape(-1)[ones.indices]
        scatter = sparse.csr_array(
            (values, ones.indices // (k * k), ones.indptr), shape=(pattern.nnz, count)
        )
        return scatter, pattern

    def __call__(self, p: Array) -> sparse.csc_array:
        """Return A(s), (n, n), always on the same pattern; p: the element factors s, (n_e,)."""
        require_length(p, len(self.dofs), "Elements")
        scatter, pattern = self.scatter
        A = sparse.csc_array((scatter @ p, pattern.indices, pattern.indptr), shape=pattern.shape)
        A.has_canonical_format = True  # By construction: SciPy need not test all entries.
        return A

    def vjp(self, p: Array, u: Array, lam: Array) -> Array:
        """Return the gradient g, (n_e,), from h_e = λ_eᴴ K_e u_e with u_e = L_e u, λ_e = L_e λ.

        g = Re(h) if p is real, and g = conj(h) if p is complex.
        """
        dtype = np.result_type(u.dtype, lam.dtype, self.Ke.dtype)
        derivative = np.zeros(len(self.dofs), dtype=dtype)
        for v, w in zip(_extended_columns(u), _extended_columns(lam), strict=True):
            for block in self._blocks():
                forces = self._forces(v, block)
                derivative[block] += np.einsum("ei,ei->e", w[self.dofs[block]].conj(), forces)
        return cotangent(derivative, p)

    def jvp(self, p: Array, u: Array, p_dot: Array) -> Array:
        """Return Σ_e ṡ_e L_eᵀ K_e L_e u, of the shape of u."""
        require_length(p_dot, len(self.dofs), "Elements")
        applied = []
        for v in _extended_columns(u):
            result = np.zeros(self.n + 1, dtype=np.result_type(u.dtype, p_dot.dtype, self.Ke.dtype))
            for block in self._blocks():
                np.add.at(result, self.dofs[block], p_dot[block, None] * self._forces(v, block))
            applied.append(result[:-1])  # The last entry sums the contributions to fixed unknowns.
        return np.stack(applied, axis=-1).reshape(u.shape)

    def hvp(self, p: Array, u: Array, lam: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return Σ_e conj(ṡ_e) L_eᵀ K_eᴴ L_e λ, of the shape of u, and zeros, (n_e,)."""
        transposed = Elements(self.dofs, np.conj(np.swapaxes(self.Ke, -1, -2)))
        return transposed.jvp(p, lam, np.conj(p_dot)), np.zeros_like(p)

    def contract(self, p: Array, A_bar: sparse.csc_array) -> Array:
        """Return the gradient from h_e = Σ_ij conj(Ā_ij) (L_eᵀ K_e L_e)_ij, (n_e,)."""
        scatter, pattern = self.scatter
        return cotangent(scatter.T @ entries_on(A_bar, pattern, "Elements").conj(), p)

    def contract_rate(self, p: Array, A_bar: sparse.csc_array, p_dot: Array) -> Array:
        """Return zeros, (n_e,)."""
        return np.zeros_like(p)

    def _forces(self, v: Array, block: slice) -> Array:
        """Return K_e u_e for the elements of a block, (number of elements in the block, k)."""
        gathered = v[self.dofs[block]]
        if self.Ke.ndim == 2:
            return np.asarray(gathered @ self.Ke.T)
        return np.einsum("eij,ej->ei", self.Ke[block], gathered)

    def _blocks(self) -> Iterator[slice]:
        """Return slices of the elements, of about BLOCK_MULTIPLICATIONS multiplications each."""
        count, k = self.dofs.shape
        size = max(1, BLOCK_MULTIPLICATIONS // k**2)
        return (slice(start, start + size) for start in range(0, count, size))


def _extended_columns(u: Array) -> Iterator[Array]:
    """Yield each column of u with a zero appended.

    Fixed unknowns have the index −1, which selects this zero.
    """
    for column in u.reshape(u.shape[0], -1).T:
        yield np.append(column, 0.0)
