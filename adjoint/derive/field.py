"""∂f/∂x of a function of time, x being u or p: a dense array where both are few, coloured and sparse otherwise.

The user's function of time, f(t, u, p), with every argument and every value of it checked.

Vector fields whose derivatives come from the function f(t, u, p) itself, by complex steps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from ..errors import NonFinite, NotComplexSafe
from ..factor.csc import SparseMatrix
from ..typing import Array
from .compressed import Block, as_pattern
from .differentiation.complex_step import EXPONENT, ComplexSlice
from .differentiation.directional import Examination, random_signs
from .differentiation.finite_differences import FLOOR, sizes
from .user_function import COMPLEX, FIELD, FLOAT, UserFunction, read_only, require_size
from .verification import require_bounded, require_finite

CLOCK = 2.0**23
"""√ulp(t) times this is the size of t at most: its differences, 2⁻²³ of the size, are then √ulp(t) long."""


class Near(NamedTuple):
    """x ↦ f, x being u or p, at x; a tuple, for a dataclass takes a third of the time of a small field to be made.

    function: the user's own, unchecked; slice: the same checked, with its derivatives, and more costly to make.
    """

    x: Array
    function: Callable[[Array], object]
    slice: Callable[[], ComplexSlice]


@dataclass(frozen=True, eq=False)
class TimedFunction:
    """f: ℝ × ℝⁿ × ℝᵐ → ℝʳ, or its continuation to complex arguments; u and p are handed over read-only."""

    user: UserFunction
    n: int
    m: int

    def __post_init__(self) -> None:
        require_size(self.n, "n", 1, self.user.maker)
        require_size(self.m, "m", 0, self.user.maker)

    def point(self, t: float, u: Array, p: Array) -> tuple[float, Array, Array]:
        """t, u (n,) and p (m,), real; raises TypeError or ValueError."""
        return self._time(t), self.user.vector(u, "u", self.n), self.user.vector(p, "p", self.m)

    def __call__(self, t: complex, u: Array, p: Array) -> Array:
        """f, (r,), of real or complex arguments; an array of its own. Raises as `Function` does."""
        # Complex numbers of NumPy's have an order: f may compare t with other times.
        t = np.complex128(t) if isinstance(t, complex) else self._time(t)
        u, p = self.user.numbers(u, "u", self.n), self.user.numbers(p, "p", self.m)
        try:
            returned = self.user.function(t, read_only(u), read_only(p))
        except Exception as error:
            self.user.raise_for(error)
        return self.user.value(
            returned, u.dtype is FLOAT and p.dtype is FLOAT and not isinstance(t, complex)
        )

    def _time(self, t: float) -> float:
        if t.__class__ is float:
            return t
        if np.shape(t) != () or np.asarray(t).dtype.kind not in "fiu":
            raise TypeError(f"{self.user.maker}: got t = {t!r}, expected a real number")
        return float(t)

    def in_u(self, t: float, u: Array, p: Array) -> Near:
        """u ↦ f(t, u, p) at a point as from `point`."""
        f, shown = self.user.function, read_only(p)
        return Near(
            u,
            lambda x: f(t, x, shown),
            lambda: ComplexSlice(self.user, lambda x: self(t, x, p), u, sizes(u, FLOOR)),
        )

    def in_p(self, t: float, u: Array, p: Array) -> Near:
        """p ↦ f(t, u, p)."""
        f, shown = self.user.function, read_only(u)
        return Near(
            p,
            lambda x: f(t, shown, x),
            lambda: ComplexSlice(self.user, lambda x: self(t, u, x), p, sizes(p, 0.0)),
        )

    def in_t(self, t: float, u: Array, p: Array) -> ComplexSlice:
        """t ↦ f(t, u, p), as a function of (1,)."""
        x = np.array([t])
        size = sizes(x, 0.0)
        if t:  # Of a clock with a far zero |t| tells nothing of how fast f changes; differences need some ulps of t.
            size = np.minimum(size, CLOCK * math.sqrt(math.ulp(t)))
        return ComplexSlice(self.user, lambda x: self(x[0], u, p), x, size)


SMALL = 40
"""Rows and columns up to which a derivative is a dense array, one evaluation a column: a coloured Jacobian takes the
time of some 40 evaluations to be put together and verified, however few its colours are."""


STEP = 2.0**EXPONENT
"""h of f(x + ih)."""


INVERSE = 2.0**-EXPONENT
"""1/h."""


MODERATE = 1e100
"""Square of the length of directions, and one over it, for which h need not be scaled."""


SUSPICIOUS = 1e40
"""Sum of squares of derivatives from which on it is looked into whether one is infinite: that of √u at 0 is 1e50."""


class TimedBlock(Protocol):
    """∂f/∂x."""

    def at(self, near: Near) -> sparse.csc_array | Array:
        """∂f/∂x at a point, (rows, k)."""

    def along(self, near: Near, v: Array) -> Array:
        """(∂f/∂x) v, (rows,): one evaluation."""


@dataclass(frozen=True, eq=False)
class DenseBlock:
    """∂f/∂x, (rows, k), as a dense array; name: "∂f/∂u"."""

    name: str
    user: UserFunction
    columns: int
    examination: Examination = field(default_factory=Examination)

    @cached_property
    def _steps(self) -> Array:
        """i h times the identity, (k, k)."""
        return 1j * STEP * np.eye(self.columns)

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.columns, 4)

    def at(self, near: Near) -> Array:
        """∂f/∂x at a point, (rows, k); raises NotComplexSafe, NonFinite, and what `UserFunction` raises."""
        if not self.columns:
            return np.zeros((self.user.rows, 0))
        due = self.examination.due()
        if due:
            self.examination.first(near.slice())
        J = self._matrix(near)
        if due:
            self._examine_here(near, J)
        return J

    def along(self, near: Near, v: Array) -> Array:
        """(∂f/∂x) v, (rows,): one evaluation; raises as `at` does."""
        if not self.columns:
            return np.zeros(self.user.rows)
        if self.examination.due():
            self.examination.first(near.slice())
            self._examine_here(near, self._matrix(near))
        moderate = 1.0 / MODERATE < v.dot(v) < MODERATE
        derivatives = self._quickly(near, (near.x + 1j * STEP * v)[None]) if moderate else None
        derivative = near.slice().along(v) if derivatives is None else derivatives[:, 0]
        return finite(derivative, f"({self.name}) v", self.user.maker)

    def _matrix(self, near: Near) -> Array:
        points = self._steps.copy()
        points.real = near.x
        J = self._quickly(near, points)
        if J is None:
            J = self._carefully(near)
        entries = J.reshape(-1)
        if not entries.dot(entries) < SUSPICIOUS:  # One number for all: nan, inf, or large.
            self._require_finite(near.slice(), J)
        return J

    def _require_finite(self, point: ComplexSlice, J: Array) -> None:
        try:
            require_finite(sparse.csc_array(J), J.sum(axis=1), point)
            largest = (np.abs(J) * sizes(point.x, 0.0)).max(axis=1)
            require_bounded(largest, point.value(point.x), np.arange(largest.size))
        except NonFinite as error:
            raise NonFinite(f"{self.user.maker}, {self.name}: {error}") from None

    def _quickly(self, near: Near, points: Array) -> Array | None:
        """Im f / h at each of the points x + ihv, (rows, points), by the user's function as it is.

        None where it raises, or returns anything but complex arrays of one length: then it is to be evaluated
        carefully. Without ComplexSlice's guards against warnings, which take longer than a small field; each point is
        an array of its own, for functions that remember what they were given.
        """
        rows, function, j = self.user.rows, near.function, 0
        derivatives = np.empty((rows, len(points)))
        points.setflags(write=False)
        try:
            for z in points:
                f = function(z)
                if type(f) is list or type(f) is tuple:
                    f = np.array(f)
                if type(f) is not np.ndarray or f.dtype is not COMPLEX or f.shape != (rows,):
                    return None
                derivatives[:, j] = f.imag
                j += 1
        except Exception:  # It will be raised once more, and named.
            return None
        derivatives *= INVERSE
        return derivatives

    def _examine_here(self, near: Near, J: Array) -> None:
        near.slice().examine_here(self._direction, abs(J) @ np.abs(near.x))

    def _carefully(self, near: Near) -> Array:
        """The same, whatever the function does: one that returns real numbers may not depend on x, or has lost it."""
        point = near.slice()
        if not point.along(self._direction).any():
            return np.zeros((self.user.rows, self.columns))
        return np.stack([point.along(e) for e in np.eye(self.columns)], axis=1)


@dataclass(frozen=True, eq=False)
class SparseBlock:
    """∂f/∂x, (rows, k), by colours, always on the same pattern, which may grow; see `Block`."""

    block: Block

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.block.columns, 4)

    def at(self, near: Near) -> sparse.csc_array:
        """∂f/∂x at a point, canonical; raises as `Block.at` does."""
        point = near.slice()
        J = self.block.at(point)
        if self.block.examination.due():
            point.examine_here(self._direction, self.block.terms(near.x))
        return J

    def along(self, near: Near, v: Array) -> Array:
        """(∂f/∂x) v, (rows,): one evaluation."""
        point = near.slice()
        self.block.examination.first(point)
        if self.block.examination.due():
            point.examine_here(self._direction, self.block.terms(near.x))
        return finite(point.along(v), f"({self.block.name}) v", self.block.maker)


def timed_block(
    user: UserFunction, x: str, columns: int, pattern: SparseMatrix | None
) -> TimedBlock:
    """∂f/∂x, dense or sparse; x: "u" or "p". Raises TypeError or ValueError for a pattern that is none."""
    block = block_of(user, x, columns, pattern)
    dense = user.rows <= SMALL and columns <= SMALL
    return DenseBlock(block.name, user, columns) if dense else SparseBlock(block)


def block_of(user: UserFunction, x: str, columns: int, pattern: SparseMatrix | None) -> Block:
    """∂f/∂x by colours, (rows, columns); pattern: as given to the public functions."""
    argument = f"{x}_pattern"
    given = (
        None
        if pattern is None
        else as_pattern(pattern, (user.rows, columns), f"{user.maker}: {argument}")
    )
    return Block(f"∂{user.kind.symbol}/∂{x}", argument, user.maker, columns, given)


def finite(derivative: Array, name: str, maker: str) -> Array:
    """A derivative, a vector, as it is; raises NonFinite for nan and inf."""
    if not derivative.dot(derivative) < np.inf and not np.isfinite(derivative).all():
        row = int(np.flatnonzero(~np.isfinite(derivative))[0])
        raise NonFinite(
            f"{maker}: entry {row} of {name} is {derivative[row]}. Usual causes: a point outside of the domain of the "
            "function, a root or a power at zero; by JAX also nan in a branch that jnp.where discards."
        )
    return derivative


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

    __repr__ = short_repr

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
    f: FieldFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> DerivedField:
    """∂f/∂u, ∂f/∂p and ∂f/∂t of a plain NumPy function f(t, u, p) by Im f(x + ihv)/h: exact to rounding.

    f: of t, u (n,) and p (m,), real or complex, returns (n,); continuous in the complex plane near the real line, as
    for `complex_step_residual`. That is examined thoroughly at the first point, and again at the 2nd, 4th, 8th, …

    ∂f/∂u is a dense array, by n evaluations, for up to 40 unknowns, and sparse for more, by colours: u_pattern (n, n)
    and p_pattern (n, m) are the entries that may be other than zero, detected at the first point if not given. A
    detected pattern grows where a later point needs it; one that is given and too small raises SparsityError.
    ∂f/∂p is sparse where there are more than 40 unknowns or parameters.
    """
    return derived_field(
        TimedFunction(UserFunction(f, n, FIELD, "complex_step_field"), n, m), u_pattern, p_pattern
    )


def derived_field(
    function: TimedFunction, u_pattern: SparseMatrix | None, p_pattern: SparseMatrix | None
) -> DerivedField:
    """The field of a function; patterns as given to the public functions."""
    by_u = timed_block(function.user, "u", function.n, u_pattern)
    return DerivedField(function, by_u, timed_block(function.user, "p", function.m, p_pattern))
