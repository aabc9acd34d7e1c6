"""The derivatives of a residual against differences of it, along random directions and by columns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .._numerics import dot
from .._validation import as_cotangent
from ..derive.differentiation.finite_differences import MOST, difference, differences
from ..derive.user_function import Function
from ..errors import NonFinite
from ..protocols import Residual
from ..typing import Array
from .gradient import TOLERANCE

RESOLVED = 10.0
"""Times its own estimate, the error that a difference is granted."""


CLOSE = 2.0**-30
"""A step, 1e-9: of unknowns far smaller than others, that are taken to be as large as 1e-5 of those, too."""


EXAMINED = 64
"""Unknowns, or parameters, up to which each column is compared by itself; entries of a wrong row that are."""


ROUNDING = 1e3 * float(np.finfo(float).eps) / 1e-3
"""What differences of the terms of a row are rounded by, at most, relative to these."""


TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True, eq=False)
class Worst:
    """Where a derivative is farthest from differences of R, relative to the terms of its row.

    error: relative; row; column: −1 where none was singled out; stored: whether the pattern has that entry; given,
    expected: the two numbers there, or of the whole row along the direction.
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
    """J v against differences; where they disagree, the entry of the worst row that does. Few columns one by one."""

    def along(direction: Array) -> tuple[Array, Array, Array]:
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
    """The first column, of those where v ≠ 0, that a row depends on; by bisection."""
    columns = np.flatnonzero(v)
    while columns.size > 1:
        half, rest = np.array_split(columns, 2)
        kept = np.isin(np.arange(v.size), half)
        columns = half if along(np.where(kept, v, 0.0))[0][row] != 0.0 else rest
    return int(columns[0])


def parameter_error(
    residual: Residual, R: Function, J: sparse.csc_array, u: Array, p: Array, w: Array
) -> Worst:
    """(∂R/∂p) w by jvp against differences; few parameters one by one."""

    def along(direction: Array) -> tuple[Array, Array, Array]:
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
    """A copy of (∂R/∂p) w as the residual has it, checked: a residual may fill one array anew."""
    given = as_cotangent(
        residual.jvp(read_only(u), read_only(p), read_only(w)), u, "jvp(u, p, p_dot)"
    )
    return finite(given.copy(), "jvp(u, p, p_dot)")


def _terms(value: Array, J: sparse.csc_array, u: Array) -> Array:
    """The size of the terms of each row of R, about, (n,)."""
    return np.asarray(np.abs(value) + abs(J) @ np.abs(u))


def _by_columns(
    columns: Iterator[Array],
    along: Callable[[Array], tuple[Array, Array, Array]],
    v: Array,
    terms: Array,
) -> Worst:
    """The worst of few columns, each compared by itself: next to a stiff term a weak one would be no part of its row.

    columns: times v_j. terms: of each row, whose rounding is in all differences.
    """
    worst = Worst(0.0, 0, -1, True, 0.0, 0.0)
    if v.size > EXAMINED:
        return worst
    for j, given in enumerate(columns):
        if v[j] == 0.0:
            continue
        expected, uncertain, close = along(np.where(np.arange(v.size) == j, v, 0.0))
        # A tiny step says nothing about what is smaller than its rounding.
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
    """The row that is farthest from its difference; terms: Σ_j |J_ij v_j| of each row."""
    expected, uncertain, close = differences
    # The last term: differences that are rounding throughout are no error.
    scale = np.maximum(np.maximum(terms, np.abs(expected)), RESOLVED * uncertain / TOLERANCE)
    # Steps of 1e-3 may be far too long for unknowns in small units: a wrong derivative is wrong at tiny ones as well.
    gap = np.minimum(np.abs(given - expected), np.abs(given - close))
    errors = gap / np.maximum(scale, TINY)
    row = int(np.argmax(errors))
    return Worst(float(errors[row]), row, -1, True, float(given[row]), float(expected[row]))


def _differences(f: Callable[[Array], Array], x: Array, v: Array) -> tuple[Array, Array, Array]:
    """The derivative of f along v, its uncertainty, and another one by a tiny step, (n,) each.

    f(x) is known to be finite, but x may be at an end.
    """
    if not v.any():
        zero = np.zeros_like(f(x))
        return zero, zero, zero
    value, uncertain = differences(f, x, v, MOST)
    return finite(value, "residual, within 1e-3 of (u, p),"), uncertain, difference(f, x, v, CLOSE)


def transpose_error(
    residual: Residual, u: Array, p: Array, w: Array, rng: np.random.Generator
) -> float:
    """|⟨R_p w, λ⟩ − ⟨w, R_pᵀ λ⟩| / (‖R_p w‖‖λ‖ + ‖w‖‖R_pᵀ λ‖) for a random λ; of few parameters the worst of each."""
    lam, forward = rng.standard_normal(u.size), _pushed(residual, u, p, w)
    if (length := float(np.linalg.norm(forward))) > 0.0:
        # At a right angle, as random vectors of many components nearly are, a wrong factor would not be seen.
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
    """The values, if they are finite; raises NonFinite, naming the first that is not."""
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise NonFinite(
            f"check_residual: {what} has {values[bad[0]]} in entry {bad[0]} ({bad.size} such)"
        )
    return values


def read_only(x: Array) -> Array:
    view = x.view()
    view.flags.writeable = False
    return view
