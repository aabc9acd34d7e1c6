"""The full Jacobian of what is observed, by tangents or by adjoints, whichever are fewer."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..arguments import as_array
from ..arrays import Array

MODES = ("auto", "tangent", "adjoint")


class Differentiable(Protocol):
    """A solution with its two derivatives."""

    @property
    def u(self) -> Array:
        """(K, n)."""

    @property
    def p(self) -> Array:
        """(m,)."""

    def vjp(self, u_bar: Array) -> Array:
        """(m, j) for (K, n, j)."""

    def jvp(self, p_dot: Array) -> Array:
        """(K, n, j) for (m, j)."""


@dataclass(frozen=True, eq=False)
class Jacobian:
    """matrix: (outputs, m). mode: "tangent" or "adjoint"; reason: why, in words."""

    matrix: Array
    mode: str
    reason: str


def by_counts(solution: Differentiable, of: Array | None, mode: str) -> Jacobian:
    """d(outputs)/dp; of: (K, n, j), the functionals Re Σ ū u that are the outputs, None for all of u (real u only).

    Raises ValueError for another mode or shape.
    """
    of = of if of is None else as_array("jacobian", "of", of)
    if not isinstance(mode, str) or mode not in MODES:
        raise ValueError(f"jacobian: got mode={mode!r}, expected one of {MODES}")
    m, shape = solution.p.size, solution.u.shape
    if of is not None and (np.ndim(of) != 3 or np.shape(of)[:2] != shape):
        raise ValueError(f"jacobian: got functionals of shape {np.shape(of)}, expected {(*shape, 'j')}")
    if of is None and solution.u.dtype.kind == "c":
        raise ValueError("jacobian: a complex state has no real Jacobian; give functionals, of=(K, n, j)")
    outputs = solution.u.size if of is None else np.shape(of)[2]
    chosen = mode if mode != "auto" else ("tangent" if m <= outputs else "adjoint")
    reason = f"{m} parameters, {outputs} outputs: " + (
        f"asked for {mode}" if mode != "auto" else f"{min(m, outputs)} columns by {chosen}, {max(m, outputs)} otherwise"
    )
    if chosen == "tangent":
        u_dot = solution.jvp(np.eye(m)).reshape(solution.u.size, m)
        if of is not None:
            u_dot = np.real(np.reshape(of, (-1, outputs)).conj().T @ u_dot)
        return Jacobian(u_dot, chosen, reason)
    bars = np.eye(outputs).reshape((*shape, outputs)) if of is None else np.asarray(of)
    return Jacobian(solution.vjp(bars).T, chosen, reason)
