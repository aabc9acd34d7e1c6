"""∂f/∂x of a function of time, x being u or p: a dense array where both are few, coloured and sparse otherwise."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.sparse as sparse

from ..arrays import Array
from ..factor.errors import NonFinite
from ..factor.matrix import SparseMatrix
from .block import Block, as_pattern
from .complex_step import EXPONENT, ComplexSlice
from .differences import sizes
from .examination import Examination
from .slices import random_signs
from .timed import Near
from .user_function import COMPLEX, UserFunction
from .verification import require_bounded, require_finite

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


def timed_block(user: UserFunction, x: str, columns: int, pattern: SparseMatrix | None) -> TimedBlock:
    """∂f/∂x, dense or sparse; x: "u" or "p". Raises TypeError or ValueError for a pattern that is none."""
    block = block_of(user, x, columns, pattern)
    dense = user.rows <= SMALL and columns <= SMALL
    return DenseBlock(block.name, user, columns) if dense else SparseBlock(block)


def block_of(user: UserFunction, x: str, columns: int, pattern: SparseMatrix | None) -> Block:
    """∂f/∂x by colours, (rows, columns); pattern: as given to the public functions."""
    argument = f"{x}_pattern"
    given = None if pattern is None else as_pattern(pattern, (user.rows, columns), f"{user.maker}: {argument}")
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
