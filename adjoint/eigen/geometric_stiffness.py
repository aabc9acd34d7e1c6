"""Geometric stiffness matrices G(u, p): the protocol, and sums over elements linear in u."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_array
from ..errors import NonFinite
from ..matrices.assembly import Assembly
from ..typing import Array


class GeometricStiffness(Protocol):
    """G(u, p), sparse symmetric (n, n), with its derivatives; tension makes G positive.

    The matrix of the linearized buckling problem (K + μ G) φ = 0
    (docs/math/spectra.md, eq. 440).
    """

    def __call__(self, u: Array, p: Array) -> sparse.csc_array:
        """Return G(u, p) as a csc_array (n, n), real and symmetric."""

    def vjp(self, u: Array, p: Array, phi: Array, psi: Array) -> tuple[Array, Array]:
        """Return the derivatives of Σ_i ψ_iᵀ G(u, p) φ_i with respect to u and p, (n,) and (m,).

        φ, ψ: vectors, (n, c).
        """

    def jvp(self, u: Array, p: Array, phi: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return Ġ φ, (n, c): Ġ is the rate of G along (u̇, ṗ)."""


@runtime_checkable
class GeometricStiffnessWithHvp(Protocol):
    """A `GeometricStiffness` with second derivatives, for Hessian-vector products."""

    def hvp(
        self, u: Array, p: Array, phi: Array, psi: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the derivative of (u, p) ↦ vjp(u, p, φ, ψ) along (u̇, ṗ): (n,) and (m,)."""


@dataclass(frozen=True, eq=False)
class StressStiffness(Portable):
    """G(u, s) = Σ_e s_e L_eᵀ (Σ_i σ_i G_i) L_e, with the stresses σ = S L_e u of element e.

    This class implements `GeometricStiffness` (docs/math/spectra.md, eq. 440). L_e
    selects the k unknowns of element e: L_e u = u[dofs[e]]. The q stresses may be the
    three stresses of a plane element at each Gauss point, or the axial force of a beam.
    The parameters are element factors s, (n_e,), the moduli of the stresses.

    Parameters
    ----------
    dofs : (n_e, k) array of int
        Global numbers of the k local unknowns of each element; −1 for a fixed unknown,
        which is left out.
    S : (q, k) or (n_e, q, k) array
        Stresses of an element per unit of its unknowns, for s_e = 1: one matrix for all
        elements, or one per element.
    Ge : (q, k, k) or (n_e, q, k, k) array
        Symmetric matrices G_i: the geometric stiffness of an element for a unit stress i.
    chosen : slice, or (n_e,) array of int, optional
        The indices of s in p; all of p by default. K and G often have factors of their
        own, p = (E, s): a modulus without the lower bound of E for G.

    Raises
    ------
    TypeError
        If dofs is not an array (n_e, k) of integers.
    ValueError
        If S or Ge has another shape, or if a matrix G_i is not symmetric.
    NonFinite
        If S or Ge contains nan or inf.

    Notes
    -----
    docs/guide/spectra.md has a column of beams, with one stress, the axial force.
    """

    dofs: Array
    S: Array
    Ge: Array
    chosen: slice | Array | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        S, Ge = (as_array("StressStiffness", n, getattr(self, n)) for n in ("S", "Ge"))
        count, k = self._assembly.dofs.shape
        q = S.shape[-2] if S.ndim in (2, 3) else 0
        if S.shape not in ((q, k), (count, q, k)) or S.dtype.kind not in "fiu" or q == 0:
            raise ValueError(
                f"StressStiffness: got S of {S.dtype}, shape {S.shape}; expected (q, {k}) or "
                f"({count}, q, {k}), real"
            )
        if Ge.shape not in ((q, k, k), (count, q, k, k)) or Ge.dtype.kind not in "fiu":
            raise ValueError(
                f"StressStiffness: got Ge of {Ge.dtype}, shape {Ge.shape}; expected "
                f"({q}, {k}, {k}) or ({count}, {q}, {k}, {k}), real: one matrix per stress"
            )
        for name, array in (("S", S), ("Ge", Ge)):
            if not np.isfinite(array).all():
                raise NonFinite(f"StressStiffness: {name} contains nan or inf")
        skew = np.abs(Ge - np.swapaxes(Ge, -1, -2)).max(initial=0.0)
        if skew > 1e-10 * np.abs(Ge).max(initial=0.0):
            raise ValueError(
                f"StressStiffness: got Ge with a skew part of {skew:.1e}, expected symmetric "
                "matrices"
            )
        if not (self.chosen is None or isinstance(self.chosen, slice)):
            chosen = as_array("StressStiffness", "chosen", self.chosen)
            if chosen.shape != (count,) or chosen.dtype.kind not in "iu":
                raise ValueError(
                    f"StressStiffness: got chosen of {chosen.dtype}, shape {chosen.shape}; "
                    f"expected a slice, or indices ({count},)"
                )
        object.__setattr__(self, "S", S.astype(float))
        object.__setattr__(self, "Ge", Ge.astype(float))

    @cached_property
    def _assembly(self) -> Assembly:
        return Assembly(self.dofs)

    @property
    def n(self) -> int:
        """The number of unknowns."""
        return self._assembly.n

    def __call__(self, u: Array, p: Array) -> sparse.csc_array:
        """Return G(u, p), (n, n), always on the same pattern."""
        factors = self._stresses(u) * self._factors(p)[:, None]
        return self._assembly.matrix(self._combined(factors))

    def vjp(self, u: Array, p: Array, phi: Array, psi: Array) -> tuple[Array, Array]:
        """Return the derivatives of Σ ψᵀ G φ with respect to u and p, (n,) and (m,)."""
        h = self._products(phi, psi)
        return (
            self._assembly.vector(self._transposed(h * self._factors(p)[:, None])),
            self._spread(p, np.einsum("eq,eq->e", self._stresses(u), h)),
        )

    def jvp(self, u: Array, p: Array, phi: Array, u_dot: Array, p_dot: Array) -> Array:
        """Return Ġ φ, of φ's shape."""
        rates = self._stresses(u_dot) * self._factors(p)[:, None]
        rates = rates + self._stresses(u) * self._factors(p_dot)[:, None]
        return np.asarray(self._assembly.matrix(self._combined(rates)) @ phi)

    def hvp(
        self, u: Array, p: Array, phi: Array, psi: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """Return the derivative of (u, p) ↦ vjp(u, p, φ, ψ) along (u̇, ṗ): (n,) and (m,)."""
        h = self._products(phi, psi)
        return (
            self._assembly.vector(self._transposed(h * self._factors(p_dot)[:, None])),
            self._spread(p, np.einsum("eq,eq->e", self._stresses(u_dot), h)),
        )

    def _factors(self, p: Array) -> Array:
        """Return s, (n_e,)."""
        s = p if self.chosen is None else p[self.chosen]
        if s.shape != (len(self._assembly.dofs),):
            raise ValueError(
                f"StressStiffness: got {s.size} parameters, expected one for each of "
                f"{len(self._assembly.dofs)} elements"
            )
        return s

    def _spread(self, p: Array, g: Array) -> Array:
        """Return the derivative with respect to p of a function whose derivative by s is g."""
        p_bar = np.zeros(p.shape)
        indices = np.arange(p.size)
        # Not p_bar[chosen] = g: a parameter may belong to several elements.
        np.add.at(p_bar, indices if self.chosen is None else indices[self.chosen], g)
        return p_bar

    def _stresses(self, u: Array) -> Array:
        """Return σ = S L_e u for s_e = 1, (n_e, q)."""
        of_elements = self._assembly.gather(u)
        if self.S.ndim == 2:
            return np.asarray(of_elements @ self.S.T)
        return np.einsum("eqk,ek->eq", self.S, of_elements)

    def _transposed(self, h: Array) -> Array:
        """Return Sᵀ h, (n_e, k)."""
        return np.asarray(h @ self.S) if self.S.ndim == 2 else np.einsum("eqk,eq->ek", self.S, h)

    def _combined(self, factors: Array) -> Array:
        """Return Σ_i f_i G_i, (n_e, k, k)."""
        count, k = self._assembly.dofs.shape
        if self.Ge.ndim == 3:
            return (factors @ self.Ge.reshape(-1, k * k)).reshape(count, k, k)
        return np.einsum("eq,eqij->eij", factors, self.Ge)

    def _products(self, phi: Array, psi: Array) -> Array:
        """Return h_i = Σ ψ_eᵀ G_i φ_e over the columns, (n_e, q)."""
        count, k = self._assembly.dofs.shape
        outer = np.zeros((count, k, k))
        for v, w in zip(phi.reshape(len(phi), -1).T, psi.reshape(len(psi), -1).T, strict=True):
            left, right = self._assembly.gather(w), self._assembly.gather(v)
            outer += left[:, :, None] * right[:, None, :]
        if self.Ge.ndim == 3:
            return np.asarray(outer.reshape(count, -1) @ self.Ge.reshape(-1, k * k).T)
        return np.einsum("eij,eqij->eq", outer, self.Ge)
