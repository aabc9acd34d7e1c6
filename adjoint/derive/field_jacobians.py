"""∂f/∂u and ∂f/∂p of a function f(t, u, p): dense if small, sparse and by colours if large."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from .._validation import first_nonfinite
from ..errors import NonFinite
from ..typing import Array, SparseMatrix
from .compressed import JacobianBlock, as_pattern
from .differentiation.complex_step import EXPONENT, ComplexSlice
from .differentiation.directional import Examination, random_signs
from .differentiation.finite_differences import sizes
from .function_of_time import LocalFunction
from .user_function import COMPLEX, UserFunction
from .verification import require_bounded, require_finite

SMALL = 40
"""Maximum number of rows and of columns of a derivative that is a dense array.

A dense array takes one evaluation per column. A coloured Jacobian takes the time of about
40 evaluations to assemble and verify, even if it has few colours.
"""

STEP = 2.0**EXPONENT
"""The step h of f(x + ih)."""

INVERSE_STEP = 2.0**-EXPONENT
"""1/h."""

LARGEST_SQUARE = 1e100
"""Limit of |v|² and of 1/|v|², below which the step h need not be scaled to the direction v."""

LARGE_SUM = 1e40
"""Sum of squares of derivatives above which each derivative is checked for infinity.

The complex step of √u at 0 is 1e50.
"""


class FieldBlock(Protocol):
    """Protocol for objects that evaluate ∂f/∂x, where x is u or p."""

    def at(self, local: LocalFunction) -> sparse.csc_array | Array:
        """∂f/∂x at a point, (rows, k)."""

    def along(self, local: LocalFunction, v: Array) -> Array:
        """(∂f/∂x) v, (rows,), by one evaluation."""


@dataclass(frozen=True, eq=False)
class DenseBlock:
    """∂f/∂x, (rows, k), as a dense array; name: "∂f/∂u" or "∂f/∂p", for messages."""

    name: str
    user: UserFunction
    columns: int
    examination: Examination = field(default_factory=Examination)

    @cached_property
    def _steps(self) -> Array:
        """The steps i h e_j of all columns: i h times the identity, (k, k)."""
        return 1j * STEP * np.eye(self.columns)

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.columns, 4)

    def at(self, local: LocalFunction) -> Array:
        """∂f/∂x at a point, (rows, k).

        Raises NotComplexSafe if f loses imaginary parts, NonFinite if a derivative is
        nan or infinite, and the errors of `UserFunction`.
        """
        if not self.columns:
            return np.zeros((self.user.rows, 0))
        due = self.examination.due()
        if due:
            self.examination.first(local.slice())
        J = self._matrix(local)
        if due:
            self._examine_here(local, J)
        return J

    def along(self, local: LocalFunction, v: Array) -> Array:
        """(∂f/∂x) v, (rows,), by one evaluation; raises the errors of `at`."""
        if not self.columns:
            return np.zeros(self.user.rows)
        if self.examination.due():
            self.examination.first(local.slice())
            self._examine_here(local, self._matrix(local))
        representable = 1.0 / LARGEST_SQUARE < v.dot(v) < LARGEST_SQUARE
        derivatives = (
            self._unchecked(local, (local.x + 1j * STEP * v)[None]) if representable else None
        )
        derivative = local.slice().along(v) if derivatives is None else derivatives[:, 0]
        return finite(derivative, f"({self.name}) v", self.user.maker)

    def _matrix(self, local: LocalFunction) -> Array:
        """∂f/∂x, (rows, k), finite."""
        points = self._steps.copy()
        points.real = local.x
        J = self._unchecked(local, points)
        if J is None:
            J = self._checked(local)
        entries = J.reshape(-1)
        if not entries.dot(entries) < LARGE_SUM:  # One test for nan, inf and large entries.
            self._require_finite(local.slice(), J)
        return J

    def _require_finite(self, point: ComplexSlice, J: Array) -> None:
        """Raise NonFinite if an entry of J is nan or infinite."""
        try:
            require_finite(sparse.csc_array(J), J.sum(axis=1), point)
            largest = (np.abs(J) * sizes(point.x, 0.0)).max(axis=1)
            require_bounded(largest, point.value(point.x), np.arange(largest.size))
        except NonFinite as error:
            raise NonFinite(f"{self.user.maker}, {self.name}: {error}") from None

    def _unchecked(self, local: LocalFunction, points: Array) -> Array | None:
        """Im f / h at complex points, (rows, number of points), by the function without checks.

        The checks of `ComplexSlice` take longer than the evaluation of a small field.
        Returns None if the function raises an error, or if a result is not a complex array
        (rows,). The caller then evaluates the function with all checks. Each point is a new
        array, because a function may keep its arguments.
        """
        rows, function, j = self.user.rows, local.function, 0
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
        except Exception:  # The evaluation with checks raises the error again, with a note.
            return None
        derivatives *= INVERSE_STEP
        return derivatives

    def _examine_here(self, local: LocalFunction, J: Array) -> None:
        """Raise NotComplexSafe if f loses imaginary parts at the point of `local`."""
        local.slice().examine_here(self._direction, abs(J) @ np.abs(local.x))

    def _checked(self, local: LocalFunction) -> Array:
        """Im f / h for each column, (rows, k), by the function with all checks.

        If the derivative along a random direction is zero, the result is zero. Either f
        does not depend on x, or f loses imaginary parts, for which `_examine_here` tests.
        """
        point = local.slice()
        if not point.along(self._direction).any():
            return np.zeros((self.user.rows, self.columns))
        return np.stack([point.along(e) for e in np.eye(self.columns)], axis=1)


@dataclass(frozen=True, eq=False)
class SparseBlock:
    """∂f/∂x, (rows, k), by colours, on a pattern that may grow: see `JacobianBlock`."""

    block: JacobianBlock

    @cached_property
    def _direction(self) -> Array:
        return random_signs(self.block.columns, 4)

    def at(self, local: LocalFunction) -> sparse.csc_array:
        """∂f/∂x at a point, canonical; raises the errors of `JacobianBlock.at`."""
        point = local.slice()
        J = self.block.at(point)
        if self.block.examination.due():
            point.examine_here(self._direction, self.block.terms(local.x))
        return J

    def along(self, local: LocalFunction, v: Array) -> Array:
        """(∂f/∂x) v, (rows,), by one evaluation."""
        point = local.slice()
        self.block.examination.first(point)
        if self.block.examination.due():
            point.examine_here(self._direction, self.block.terms(local.x))
        return finite(point.along(v), f"({self.block.name}) v", self.block.maker)


def field_block(
    user: UserFunction, x: str, columns: int, pattern: SparseMatrix | None
) -> FieldBlock:
    """∂f/∂x, dense or sparse. x: "u" or "p". columns: the size of x.

    Raises TypeError if the pattern is not a sparse matrix, ValueError if the pattern
    has the wrong shape.
    """
    block = block_of(user, x, columns, pattern)
    dense = user.rows <= SMALL and columns <= SMALL
    return DenseBlock(block.name, user, columns) if dense else SparseBlock(block)


def block_of(
    user: UserFunction, x: str, columns: int, pattern: SparseMatrix | None
) -> JacobianBlock:
    """∂f/∂x by colours, (rows, columns); pattern: see `complex_step_field`."""
    argument = f"{x}_pattern"
    given = (
        None
        if pattern is None
        else as_pattern(pattern, (user.rows, columns), f"{user.maker}: {argument}")
    )
    return JacobianBlock(f"∂{user.kind.symbol}/∂{x}", argument, user.maker, columns, given)


def finite(derivative: Array, name: str, maker: str) -> Array:
    """Return `derivative`, (rows,), unchanged; raise NonFinite if an entry is nan or inf."""
    if not derivative.dot(derivative) < np.inf and (bad := first_nonfinite(derivative)) is not None:
        row, entry, _ = bad
        raise NonFinite(
            f"{maker}: entry {row} of {name} is {entry}. Usual causes: a point outside of the "
            "domain of the function, a root or a power at zero; by JAX also nan in a branch that "
            "jnp.where discards."
        )
    return derivative
