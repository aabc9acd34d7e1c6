"""Vector fields whose derivatives come from the function f(t, u, p) itself, by complex steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor.matrix import SparseMatrix
from .errors import NotComplexSafe
from .examination import Examination
from .timed import TimedFunction
from .timed_blocks import TimedBlock, finite, timed_block
from .user_function import FIELD, UserFunction

FieldFunction: TypeAlias = Callable[[float, Array, Array], Array]
"""f(t, u, p): t, u (n,), p (m,), returns (n,)."""


@dataclass(frozen=True, eq=False)
class DerivedField:
    """f(t, u, p), (r,), from a function, with its derivatives: a `Field`, where r = n.

    All but `__call__` take real arguments only. They raise NotComplexSafe, NonFinite (nan in a derivative),
    SparsityError, TypeError and ValueError.
    """

    function: TimedFunction
    by_u: TimedBlock
    by_p: TimedBlock
    _by_t: Examination = field(default_factory=Examination)

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """f, (r,), as the function has it, nan included; u: (n,), p: (m,), real or complex."""
        return self.function(t, u, p)

    def jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂u, (r, n): an array, or canonical and always on the same pattern, but where a later point enlarges it.

        One evaluation a column, or a colour and one to verify them.
        """
        return self.by_u.at(self.function.in_u(*self.function.point(t, u, p)))

    def parameter_jacobian(self, t: float, u: Array, p: Array) -> sparse.csc_array | Array:
        """∂f/∂p, (r, m), likewise."""
        return self.by_p.at(self.function.in_p(*self.function.point(t, u, p)))

    def vjp(self, t: float, u: Array, p: Array, lam: Array) -> Array:
        """(∂f/∂p)ᵀ λ, (m,), by `parameter_jacobian`; lam: (r,)."""
        lam = self.function.user.vector(lam, "lam", self.function.user.rows)
        return np.asarray(self.parameter_jacobian(t, u, p).T.dot(lam))

    def jvp(self, t: float, u: Array, p: Array, p_dot: Array) -> Array:
        """(∂f/∂p) ṗ, (r,): one evaluation; p_dot: (m,)."""
        p_dot = self.function.user.vector(p_dot, "p_dot", self.function.m)
        return self.by_p.along(self.function.in_p(*self.function.point(t, u, p)), p_dot)

    def state_jvp(self, t: float, u: Array, p: Array, u_dot: Array) -> Array:
        """(∂f/∂u) u̇, (r,): one evaluation; u_dot: (n,)."""
        u_dot = self.function.user.vector(u_dot, "u_dot", self.function.n)
        return self.by_u.along(self.function.in_u(*self.function.point(t, u, p)), u_dot)

    def time_derivative(self, t: float, u: Array, p: Array) -> Array:
        """∂f/∂t, (r,): one evaluation with t + ih, which f need not take as long as this is not asked for."""
        point, user = self.function.in_t(*self.function.point(t, u, p)), self.function.user
        try:
            self._by_t.first(point)
            return finite(point.along(np.ones(1)), f"∂{user.kind.symbol}/∂t", user.maker)
        except NotComplexSafe as error:
            raise NotComplexSafe(
                f"{error} Here t is complex, and u and p are real: only derivatives with respect to times need "
                f"∂{user.kind.symbol}/∂t."
            ) from error


def complex_step_field(
    f: FieldFunction, n: int, m: int, *, u_pattern: SparseMatrix | None = None, p_pattern: SparseMatrix | None = None
) -> DerivedField:
    """∂f/∂u, ∂f/∂p and ∂f/∂t of a plain NumPy function f(t, u, p) by Im f(x + ihv)/h: exact to rounding.

    f: of t, u (n,) and p (m,), real or complex, returns (n,); continuous in the complex plane near the real line, as
    for `complex_step`. That is examined thoroughly at the first point, and again at the 2nd, 4th, 8th, …

    ∂f/∂u is a dense array, by n evaluations, for up to 40 unknowns, and sparse for more, by colours: u_pattern (n, n)
    and p_pattern (n, m) are the entries that may be other than zero, detected at the first point if not given. A
    detected pattern grows where a later point needs it; one that is given and too small raises SparsityError.
    ∂f/∂p is sparse where there are more than 40 unknowns or parameters.
    """
    return derived_field(TimedFunction(UserFunction(f, n, FIELD, "complex_step_field"), n, m), u_pattern, p_pattern)


def derived_field(
    function: TimedFunction, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> DerivedField:
    """The field of a function; patterns as given to the public functions."""
    by_u = timed_block(function.user, "u", function.n, u_pattern)
    return DerivedField(function, by_u, timed_block(function.user, "p", function.m, p_pattern))
