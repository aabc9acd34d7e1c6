"""The derivative of observed states with respect to parameters, as a linear operator."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import LinearOperator

from .typing import Array


@dataclass(frozen=True, eq=False)
class Derivative:
    """du/dp of states u of any shape, as a matrix with one row per entry of u in C order.

    See docs/math/steady.md, eq. 7.

    u, p: states and parameters; only their shapes and dtypes are used. jvp: function
    that maps directions, (m, j), to derivatives, of u's shape with one more axis of
    length j. vjp: the conjugate transpose of jvp; the real part of the result if p is
    real.
    """

    u: Array
    p: Array
    jvp: Callable[[Array], Array]
    vjp: Callable[[Array], Array]

    @property
    def operator(self) -> LinearOperator:
        """A SciPy LinearOperator: `D @ v` is the jvp, `D.H @ w` the vjp.

        The operator is complex if u is complex.
        """
        return LinearOperator(
            (self.u.size, self.p.size),
            matvec=lambda v: self._forward(v.reshape(-1, 1))[:, 0],
            rmatvec=lambda w: self._backward(w.reshape(-1, 1))[:, 0],
            matmat=self._forward,
            rmatmat=self._backward,
            dtype=np.result_type(self.u.dtype, self.p.dtype),
        )

    def _forward(self, V: Array) -> Array:
        """Return (du/dp) V, (rows, j)."""
        j = V.shape[1]
        if V.dtype.kind == "c" and self.p.dtype.kind == "f":
            # The steps of a solve with real parameters take real directions only.
            both = self._forward(np.hstack([V.real, V.imag]))
            return both[:, :j] + 1j * both[:, j:]
        return self.jvp(V).reshape(self.u.size, j)

    def _backward(self, W: Array) -> Array:
        """Return (du/dp)ᴴ W, (m, j)."""
        j = W.shape[1]
        if self.p.dtype.kind == "f" and (self.u.dtype.kind == "c" or W.dtype.kind == "c"):
            # The vjp is the real part of Dᴴw; the imaginary part of Dᴴw is the real part of
            # Dᴴ(−i w).
            both = self._pulled_back(np.hstack([W, -1j * W]))
            return both[:, :j] + 1j * both[:, j:]
        return self._pulled_back(W)

    def _pulled_back(self, W: Array) -> Array:
        return self.vjp(W.reshape((*self.u.shape, W.shape[1])))
