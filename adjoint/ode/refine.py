"""Solutions with M − hγ J at a stage by the factors of the step: a few sweeps instead of a factorization."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array, Trans
from ..factor.counting import count
from .algebra import Algebra, Inverse, times

REACHED = 2e-13
"""Relative error of a solution, as predicted from the last correction, at which the sweeps end."""

RECENT = 6
"""Solutions that the next one is guessed from: those of the stages of about a step."""

SWEEPS = 14
"""Corrections at most; a factorization costs as much as about twenty."""

NOISE = 1e-9
"""Relative size below which a correction that no longer shrinks is rounding."""


@dataclass(eq=False)
class Recent:
    """Right-hand sides solved for last, and their solutions, (n,) each: the next one is close to a combination."""

    rhs: Array = field(default_factory=lambda: np.zeros((0, 0)))
    solutions: Array = field(default_factory=lambda: np.zeros((0, 0)))
    gram: Array = field(default_factory=lambda: np.zeros((RECENT, RECENT)))
    number: int = 0

    def remember(self, b: Array, w: Array) -> None:
        """Take b and w in, for the oldest of RECENT."""
        if self.number == 0:
            kind = np.result_type(b, w)
            self.rhs, self.solutions = np.zeros((2, RECENT, b.size), dtype=kind)
            self.gram = self.gram.astype(kind)
        place = self.number % RECENT
        self.rhs[place], self.solutions[place] = b, w
        overlap = np.einsum("in,n->i", self.rhs.conj(), b)
        self.gram[:, place], self.gram[place] = overlap, overlap.conj()
        self.number += 1

    def guess(self, b: Array) -> Array | None:
        """Σ c_i w_i with Σ c_i b_i closest to b, (n,); None without any."""
        if not self.number:
            return None
        size = np.sqrt(np.maximum(np.diag(self.gram).real, np.finfo(float).tiny))
        overlap = np.einsum("in,n->i", self.rhs.conj(), b) / size
        c = np.linalg.lstsq(self.gram / np.outer(size, size), overlap, rcond=1e-12)[0] / size
        return np.asarray(np.einsum("i,in->n", c, self.solutions))


@dataclass(frozen=True, eq=False)
class StageSolver:
    """Solves with A = M − hγ J, J at one stage, in either direction.

    algebra: M and how to factor; J: at the stage; hg: hγ; near: the factors of a matrix nearby. scale: (n,), the size
    of each unknown: what corrections are measured in (the reciprocal of it for the adjoint). recent: what was solved
    for at the stages before, in the same direction.
    """

    algebra: Algebra
    J: Array | sparse.csc_array
    hg: float
    near: Inverse
    scale: Array
    recent: Recent

    def solve(self, b: Array, trans: Trans) -> tuple[Array, Array]:
        """(w, J w) with A w = b, or (w, Jᴴ w) with Aᴴ w = b; b: (n,) or (n, j).

        By generalized conjugate residuals on B⁻¹A w = B⁻¹b, B the matrix nearby (Eisenstat, Elman & Schultz 1983); A is
        factored where that does not converge.
        """
        if isinstance(self.J, np.ndarray):
            w = self.algebra.inverse(self.J, self.hg).solve(b, trans)
            return w, times(self.J, w, trans)
        single = b.ndim == 1 or b.shape[1] == 1
        columns = b.reshape(-1) if single else b
        w, Jw = self._refined(columns, trans, self.near) or self._factored(columns, trans)
        if single:
            self.recent.remember(columns, w)
        return w.reshape(b.shape), Jw.reshape(b.shape)

    @cached_property
    def _transposed(self) -> sparse.csr_array:
        """Jᴴ: made once, for SciPy takes longer to make it than to multiply with it."""
        return self.J.T if self.J.dtype.kind != "c" else self.J.conj().T

    def _apply(self, v: Array, trans: Trans) -> tuple[Array, Array]:
        """(J v, A v), or (Jᴴ v, Aᴴ v)."""
        Jv = np.asarray((self.J if trans == "N" else self._transposed) @ v)
        return Jv, times(self.algebra.mass, v, trans) - self.hg * Jv

    def _factored(self, b: Array, trans: Trans) -> tuple[Array, Array]:
        """By factors of its own; each solution is verified, should refinement not converge even then."""
        assert not isinstance(self.J, np.ndarray)
        inverse = self.algebra.sparse_inverse(self.J, self.hg)
        refined = self._refined(b, trans, inverse)
        if refined is None:
            w = inverse.verified(b, trans)
            return w, self._apply(w, trans)[0]
        return refined

    def _refined(self, b: Array, trans: Trans, near: Inverse) -> tuple[Array, Array] | None:
        scale = 1.0 / self.scale if trans == "N" else self.scale
        scale = scale if b.ndim == 1 else scale[:, None]
        guess = self.recent.guess(b) if b.ndim == 1 else None
        w, Jw = np.zeros((2, *b.shape), dtype=np.result_type(b, self.J))
        if guess is not None:
            w = guess
            Jw, Aw = self._apply(w, trans)
            b = b - Aw
        d = near.solve(b, trans)
        residual = scale * d
        size, reached = _norms(residual), _norms(scale * (w + d))
        before: tuple[Array, Array, Array, Array] | None = None
        for left in reversed(range(SWEEPS)):
            Jd, q = self._apply(d, trans)
            q = scale * near.solve(q, trans)
            if before is not None:  # B⁻¹A is close to the identity: one direction to be orthogonal to is enough.
                direction, image, J_direction, norm = before
                component = _dots(image, q) / norm
                d, q, Jd = d - component * direction, q - component * image, Jd - component * J_direction
            norm = _positive(_dots(q, q).real)
            before = d, q, Jd, norm
            step = _dots(q, residual) / norm
            w, Jw, residual = w + step * d, Jw + step * Jd, residual - step * q
            last, size, d = size, _norms(residual), residual / scale
            rate = size / _positive(last)
            # The residual itself is one more correction, which leaves an error of rate · size.
            if np.all((size * rate <= REACHED * reached) | ((size <= NOISE * reached) & (rate > 0.5))):
                count(refinements=SWEEPS - left)
                return w + d, Jw + self._apply(d, trans)[0]
            if not np.all(size * rate**left <= REACHED * reached):
                return None
        return None


def _dots(v: Array, w: Array) -> Array:
    """vᴴ w, for each column; without BLAS (see `adjoint.arrays.dot`)."""
    v = v.conj() if v.dtype.kind == "c" else v
    return np.asarray(np.einsum("i,i->" if v.ndim == 1 else "ij,ij->j", v, w))


def _norms(v: Array) -> Array:
    return np.sqrt(_dots(v, v).real)


def _positive(v: Array) -> Array:
    return np.where(v > 0.0, v, 1.0)
