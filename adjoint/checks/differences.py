"""Errors of ∂R/∂u and ∂R/∂p against differences of R, along directions and by columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._numerics import dot, read_only
from .._validation import as_cotangent, first_nonfinite
from ..derive.differentiation.finite_differences import MOST, difference, differences
from ..derive.user_function import Function
from ..errors import NonFinite
from ..protocols import Residual
from ..typing import Array
from .tolerances import RESOLVED, TINY, TOLERANCE

CLOSE = 2.0**-30
"""A tiny step, about 1e-9, for unknowns far smaller than the size they are taken to have.

An unknown below 1e-5 of the largest one is taken to have that size.
"""


EXAMINED = 64
"""Number of unknowns (or parameters) up to which each column is compared by itself.

Also the number of entries of a wrong row that are compared.
"""


ROUNDING = 1e3 * float(np.finfo(float).eps) / 1e-3
"""Maximum rounding error of a difference, relative to the terms of its row."""


@dataclass(frozen=True, eq=False)
class Worst:
    """The largest error of a derivative against differences of R, relative to its row.

    error: the error of the row, divided by the terms of the row; row, column: indices of
    the wrong entry, with column −1 if no single column was found; stored: True if the
    pattern of the Jacobian has the entry; given, expected: the value by the derivative and
    the value by differences, of the entry or, if column is −1, of the row along the
    direction.
    """

    error: float
    row: int
    column: int
    stored: bool
    given: float
    expected: float

    def __str__(self) -> str:
        if not self.error > TOLERANCE:
            return f"{self.error:.1e}"
        place = (
            f"row {self.row}, column {self.column}"
            if self.column >= 0
            else f"row {self.row}, along v"
        )
        absent = "" if self.stored else ", MISSING from the pattern"
        return (
            f"{self.error:.1e} in {place}: {self.given:.9g}, expected {self.expected:.9g}{absent}"
        )


def state_error(R: Function, J: sparse.csc_array, u: Array, p: Array, v: Array) -> Worst:
    """Return the largest error of J v against differences of R; J: ∂R/∂u, (n, n); v: (n,).

    If a row is wrong, its entries are compared one by one, and the worst entry is
    returned. Otherwise, with at most EXAMINED unknowns, each column is compared by itself.
    """

    def along(direction: Array) -> tuple[Array, Array, Array]:
        """Return the derivative of R in u along a direction; see `_differences`."""
        return _differences(lambda x: R(x, p), u, direction)

    worst = _worst(J @ v, along(v), abs(J) @ np.abs(v))
    if not worst.error > TOLERANCE:
        columns = (J[:, [j]].toarray().ravel() * v[j] for j in range(v.size))
        alone = _by_columns(columns, along, v, _terms(R(u, p), J, u))
        if alone.error > TOLERANCE:
            return replace(alone, stored=alone.row in J[:, [alone.column]].indices)
        return max(worst, alone, key=lambda found: found.error)
    row = sparse.coo_array(sparse.csr_array(J)[[worst.row]])
    outside = v.copy()
    outside[row.col] = 0.0
    if outside.any() and along(outside)[0][worst.row] != 0.0:
        candidates = [(_responsible(along, outside, worst.row), 0.0)]
    else:
        candidates = list(
            zip(row.col[:EXAMINED].tolist(), row.data[:EXAMINED].tolist(), strict=True)
        )
    entries = []
    for j, given in candidates:
        expected = float(along(np.where(np.arange(v.size) == j, v, 0.0))[0][worst.row] / v[j])
        entries.append(
            replace(worst, column=j, stored=j in row.col, given=given, expected=expected)
        )
    return max(
        entries,
        key=lambda entry: abs((entry.given - entry.expected) * v[entry.column]),
        default=worst,
    )


def _responsible(along: Callable[[Array], tuple[Array, Array, Array]], v: Array, row: int) -> int:
    """Return the first column j with v_j ≠ 0 on which a row of R depends, by bisection."""
    columns = np.flatnonzero(v)
    while columns.size > 1:
        half, rest = np.array_split(columns, 2)
        kept = np.isin(np.arange(v.size), half)
        columns = half if along(np.where(kept, v, 0.0))[0][row] != 0.0 else rest
    return int(columns[0])


def parameter_error(
    residual: Residual, R: Function, J: sparse.csc_array, u: Array, p: Array, w: Array
) -> Worst:
    """Return the largest error of (∂R/∂p) w, by jvp, against differences of R; w: (m,).

    With at most EXAMINED parameters each column is also compared by itself.
    """

    def along(direction: Array) -> tuple[Array, Array, Array]:
        """Return the derivative of R in p along a direction; see `_differences`."""
        return _differences(lambda x: R(u, x), p, direction)

    given = _pushed(residual, u, p, w)
    worst = _worst(given, along(w), np.abs(given))
    columns = (
        (_pushed(residual, u, p, alone) for alone in np.diag(w)) if w.size <= EXAMINED else iter(())
    )
    return max(
        worst, _by_columns(columns, along, w, _terms(R(u, p), J, u)), key=lambda found: found.error
    )


def _pushed(residual: Residual, u: Array, p: Array, w: Array) -> Array:
    """Return (∂R/∂p) w, (n,), by jvp.

    The result is a copy, because a residual may return the same array in each call.
    """
    given = as_cotangent(
        residual.jvp(read_only(u), read_only(p), read_only(w)), u, "jvp(u, p, p_dot)"
    )
    return finite(given.copy(), "jvp(u, p, p_dot)")


def _terms(value: Array, J: sparse.csc_array, u: Array) -> Array:
    """Return |R| + |J| |u|, (n,): the approximate size of the terms of each row of R."""
    return np.asarray(np.abs(value) + abs(J) @ np.abs(u))


def _by_columns(
    columns: Iterator[Array],
    along: Callable[[Array], tuple[Array, Array, Array]],
    v: Array,
    terms: Array,
) -> Worst:
    """Compare each column by itself, and return the largest error.

    Along a random direction a stiff term of a row would hide the error of a weak term. With
    more than EXAMINED columns nothing is compared, and the error is 0. columns: column j of
    the derivative times v_j, (n,), for each j; terms: size of the terms of each row of R,
    (n,), whose rounding error is part of each difference.
    """
    worst = Worst(0.0, 0, -1, True, 0.0, 0.0)
    if v.size > EXAMINED:
        return worst
    for j, given in enumerate(columns):
        if v[j] == 0.0:
            continue
        expected, uncertain, close = along(np.where(np.arange(v.size) == j, v, 0.0))
        # A difference by a tiny step is used only if it is larger than its rounding.
        close = np.where(
            np.abs(expected) > 10.0 * np.finfo(float).eps / CLOSE * terms, close, expected
        )
        found = _worst(
            given,
            (expected, np.maximum(uncertain, ROUNDING / RESOLVED * terms), close),
            np.abs(given),
        )
        if found.error > worst.error:
            worst = Worst(
                found.error, found.row, j, True, found.given / v[j], found.expected / v[j]
            )
    return worst


def _worst(given: Array, differences: tuple[Array, Array, Array], terms: Array) -> Worst:
    """Return the row with the largest error, as a `Worst` with column −1.

    given: J v, (n,); differences: the result of `_differences`; terms: Σ_j |J_ij v_j|,
    (n,).
    """
    expected, uncertain, close = differences
    # The last term: a difference that is rounding throughout is no error.
    scale = np.maximum(np.maximum(terms, np.abs(expected)), RESOLVED * uncertain / TOLERANCE)
    # Steps of 1e-3 may be far too long for unknowns in small units. A wrong derivative
    # is wrong by tiny steps as well.
    gap = np.minimum(np.abs(given - expected), np.abs(given - close))
    errors = gap / np.maximum(scale, TINY)
    row = int(np.argmax(errors))
    return Worst(float(errors[row]), row, -1, True, float(given[row]), float(expected[row]))


def _differences(f: Callable[[Array], Array], x: Array, v: Array) -> tuple[Array, Array, Array]:
    """Return the derivative of f along v, its uncertainty, and a difference by a tiny step.

    The three arrays have the shape (n,). Raises NonFinite if f is not finite next to x.
    f(x) itself must be finite.
    """
    if not v.any():
        zero = np.zeros_like(f(x))
        return zero, zero, zero
    value, uncertain = differences(f, x, v, MOST)
    return finite(value, "residual, within 1e-3 of (u, p),"), uncertain, difference(f, x, v, CLOSE)


def transpose_error(
    residual: Residual, u: Array, p: Array, w: Array, rng: np.random.Generator
) -> float:
    """|⟨R_p w, λ⟩ − ⟨w, R_pᵀ λ⟩| / (‖R_p w‖‖λ‖ + ‖w‖‖R_pᵀ λ‖) for a random λ.

    With at most EXAMINED parameters each column is also tested by itself. The result is
    the largest error.
    """
    lam, forward = rng.standard_normal(u.size), _pushed(residual, u, p, w)
    if (length := float(np.linalg.norm(forward))) > 0.0:
        # Random vectors of many components are nearly orthogonal: without this term a
        # wrong factor would not be seen.
        lam += forward * (float(np.linalg.norm(lam)) / length)
    back = as_cotangent(
        residual.vjp(read_only(u), read_only(p), read_only(lam)), p, "vjp(u, p, lam)"
    ).copy()
    finite(back, "vjp(u, p, lam)")
    size = float(
        np.linalg.norm(forward) * np.linalg.norm(lam) + np.linalg.norm(w) * np.linalg.norm(back)
    )
    errors = [abs(dot(lam, forward) - dot(back, w)) / max(size, TINY)]
    for k in range(p.size if p.size <= EXAMINED else 0):
        column, share = (
            _pushed(residual, u, p, np.where(np.arange(p.size) == k, w, 0.0)),
            float(back[k] * w[k]),
        )
        size = dot(np.abs(lam), np.abs(column)) + abs(share)
        errors.append(abs(dot(lam, column) - share) / max(size, TINY))
    return max(errors)


def finite(values: Array, what: str) -> Array:
    """Return the values; raise NonFinite if one of the values is nan or inf."""
    if (bad := first_nonfinite(values)) is not None:
        index, entry, count = bad
        raise NonFinite(f"check_residual: {what} has {entry} in entry {index} ({count} such)")
    return values
