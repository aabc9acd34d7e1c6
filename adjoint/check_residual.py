"""Is a residual's Jacobian its derivative, is its vjp the transpose of its jvp? For physics written by hand."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from .arrays import Array, dot
from .check import SECOND_ORDER, STEPS, TOLERANCE, TRANSPOSED, order
from .derive.differences import FLOOR, MOST, difference, differences, sizes
from .derive.function import Function
from .factor.errors import NonFinite
from .parameters import as_cotangent
from .residual import Residual

FIRST_STEP = 1e-2
"""The largest step of the Taylor remainder, relative to u."""

RESOLVED = 10.0
"""Times its own estimate, the error that a difference is granted."""

CONVINCING = 1e-9
"""An error of the Jacobian against extrapolated differences that no kink and no wrong entry would leave."""

CLOSE = 2.0**-30
"""A step, 1e-9: of unknowns far smaller than others, that are taken to be as large as 1e-5 of those, too."""

EXAMINED = 64
"""Entries of the worst row that are compared one by one."""


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
        place = f"row {self.row}, column {self.column}" if self.column >= 0 else f"row {self.row}, along v"
        absent = "" if self.stored else ", MISSING from the pattern"
        return f"{self.error:.1e} in {place}: {self.given:.9g}, expected {self.expected:.9g}{absent}"


@dataclass(frozen=True, eq=False)
class ResidualReport:
    """What `check_residual` measured along random directions v of u and w of p.

    steps: h; first, second: ‖R(u+hv) − R(u)‖ and ‖R(u+hv) − R(u) − h (∂R/∂u) v‖, of orders 1 and 2 (`orders`; 2
    where the remainder is rounding throughout: R is linear). jacobian: (∂R/∂u) v against extrapolated differences;
    jvp: (∂R/∂p) w likewise. dot_product_error: |⟨R_p w, λ⟩ − ⟨w, R_pᵀ λ⟩| relative to ‖R_p w‖‖λ‖ + ‖w‖‖R_pᵀ λ‖.
    entries, zeros: stored in ∂R/∂u, and how many of them are zero here. canonical: columns sorted, no entry twice;
    constant: the same pattern at a point nearby. seed: of the directions.
    """

    steps: Array
    first: Array
    second: Array
    orders: tuple[float, float]
    jacobian: Worst
    jvp: Worst
    dot_product_error: float
    entries: int
    zeros: int
    canonical: bool
    constant: bool
    seed: int

    @property
    def ok(self) -> bool:
        """Whether derivatives agree to 1e-5, the transposes to 1e-8, and the pattern is canonical and constant."""
        # Of steep functions, exp(u/0.026), the remainder may not have its order yet where its steps end.
        smooth = self.orders[1] >= SECOND_ORDER or self.jacobian.error <= CONVINCING
        right = smooth and self.jacobian.error <= TOLERANCE and self.jvp.error <= TOLERANCE
        return right and self.dot_product_error <= TRANSPOSED and self.canonical and self.constant

    def table(self) -> str:
        """The measured numbers, for a terminal."""
        lines = ["         h    |R(u+hv) - R(u)|    ... - h J v"]
        rows = zip(self.steps, self.first, self.second, strict=True)
        lines += [f"{h:10.2e}    {first:16.6e}  {second:12.4e}" for h, first, second in rows]
        form = "canonical" if self.canonical else "NOT CANONICAL: call sum_duplicates()"
        pattern = "constant" if self.constant else "NOT CONSTANT: it differs at a point nearby; store zeros as well"
        lines += [
            f"orders    {self.orders[0]:.2f} (expected 1), {self.orders[1]:.2f} (expected 2)",
            f"jacobian  relative error {self.jacobian}",
            f"jvp       relative error {self.jvp}",
            f"<R_p w,lam> - <w,R_p'lam>  {self.dot_product_error:.1e} of the norms",
            f"pattern   {self.entries} entries, {self.zeros} of them zero here; {form}; {pattern}",
            "the residual is right" if self.ok else "THE RESIDUAL IS WRONG (or it is not smooth here)",
        ]
        return "\n".join(lines)


def check_residual(residual: Residual, u: Array, p: Array, *, seed: int = 0) -> ResidualReport:
    """Compare a residual's derivatives with differences of R at (u, p), along random directions.

    residual: anything with the methods of `adjoint.Residual`; u: (n,), p: (m,), real, where R is smooth. If ∂R/∂u is
    wrong, its worst row is looked into, and the entry named. About 30 evaluations of R and two Jacobians.
    Raises ValueError, TypeError for shapes and dtypes that do not fit (and for writing into u or p), NonFinite for nan.
    """
    u, p = np.asarray(u), np.asarray(p)
    R = Function(residual.residual, u.size, p.size, "check_residual")
    u, p = R.point(u, p)
    rng = np.random.default_rng(seed)
    v, w = _direction(u, rng), _direction(p, rng)
    near = np.sign(v) * np.minimum(np.abs(v), sizes(u, 0.0))  # Steps of this size need be small for R.
    base = _finite(R(u, p), "residual(u, p)")
    J = _jacobian(residual, u, p)
    canonical = _canonical(J)  # Now: SciPy sorts in passing.
    steps, noise = FIRST_STEP * 0.5 ** np.arange(STEPS), 1e3 * np.finfo(float).eps * float(np.linalg.norm(base))
    change = np.stack([R(u + h * near, p) - base for h in steps])
    first = np.linalg.norm(change, axis=1)
    second = np.linalg.norm(change - steps[:, None] * (J @ near), axis=1)
    noise += 1e2 * np.finfo(float).eps * float(np.linalg.norm(abs(J) @ np.abs(u)))
    nearby = _jacobian(residual, u + FIRST_STEP * near, p + FIRST_STEP * w)
    return ResidualReport(
        steps,
        first,
        second,
        (order(first, noise, 1.0), order(second, noise, 2.0)),
        _jacobian_error(R, J, u, p, v),
        _jvp_error(residual, R, u, p, w),
        _dot_product_error(residual, u, p, w, rng),
        J.nnz,
        int(np.count_nonzero(J.data == 0.0)),
        canonical,
        np.array_equal(J.indptr, nearby.indptr) and np.array_equal(J.indices, nearby.indices),
        seed,
    )


def _direction(x: Array, rng: np.random.Generator) -> Array:
    """±[½, 1] of the size of each component, the zeros' too: every column of a Jacobian takes part."""
    return sizes(x, FLOOR) * rng.uniform(0.5, 1.0, x.size) * rng.choice([-1.0, 1.0], x.size)


def _jacobian(residual: Residual, u: Array, p: Array) -> sparse.csc_array:
    """∂R/∂u as the residual has it; raises TypeError or ValueError unless it is a csc_array (n, n) of float64."""
    J = residual.jacobian(_read_only(u), _read_only(p))
    if not isinstance(J, sparse.csc_array):
        raise TypeError(f"jacobian returned a {type(J).__name__}, expected scipy.sparse.csc_array")
    if J.shape != (u.size, u.size):
        raise ValueError(f"jacobian returned shape {J.shape}, expected {(u.size, u.size)}")
    if J.dtype != np.float64:
        raise TypeError(f"jacobian returned dtype {J.dtype}, expected float64")
    _finite(J.data, "the data of jacobian(u, p)")
    return J


def _jacobian_error(R: Function, J: sparse.csc_array, u: Array, p: Array, v: Array) -> Worst:
    """J v against differences; where they disagree, the entry of the worst row that does."""

    def along(direction: Array) -> tuple[Array, Array, Array]:
        return _differences(lambda x: R(x, p), u, direction)

    worst = _worst(J @ v, along(v), abs(J) @ np.abs(v))
    if not worst.error > TOLERANCE:
        return worst
    row = sparse.coo_array(sparse.csr_array(J)[[worst.row]])
    outside = v.copy()
    outside[row.col] = 0.0
    if outside.any() and along(outside)[0][worst.row] != 0.0:
        candidates = [(_responsible(along, outside, worst.row), 0.0)]
    else:
        candidates = list(zip(row.col[:EXAMINED].tolist(), row.data[:EXAMINED].tolist(), strict=True))
    entries = []
    for j, given in candidates:
        expected = float(along(np.where(np.arange(v.size) == j, v, 0.0))[0][worst.row] / v[j])
        entries.append(replace(worst, column=j, stored=j in row.col, given=given, expected=expected))
    return max(entries, key=lambda entry: abs((entry.given - entry.expected) * v[entry.column]), default=worst)


def _responsible(along: Callable[[Array], tuple[Array, Array, Array]], v: Array, row: int) -> int:
    """The first column, of those where v ≠ 0, that a row depends on; by bisection."""
    columns = np.flatnonzero(v)
    while columns.size > 1:
        half, rest = np.array_split(columns, 2)
        kept = np.isin(np.arange(v.size), half)
        columns = half if along(np.where(kept, v, 0.0))[0][row] != 0.0 else rest
    return int(columns[0])


def _jvp_error(residual: Residual, R: Function, u: Array, p: Array, w: Array) -> Worst:
    """(∂R/∂p) w by jvp against differences."""
    given = as_cotangent(residual.jvp(_read_only(u), _read_only(p), _read_only(w)), u, "jvp(u, p, p_dot)")
    _finite(given, "jvp(u, p, p_dot)")
    return _worst(given, _differences(lambda x: R(u, x), p, w), np.abs(given))


def _worst(given: Array, differences: tuple[Array, Array, Array], terms: Array) -> Worst:
    """The row that is farthest from its difference; terms: Σ_j |J_ij v_j| of each row."""
    expected, uncertain, close = differences
    # The last term: differences that are rounding throughout are no error.
    scale = np.maximum(np.maximum(terms, np.abs(expected)), RESOLVED * uncertain / TOLERANCE)
    # Steps of 1e-3 may be far too long for unknowns in small units: a wrong derivative is wrong at tiny ones as well.
    gap = np.minimum(np.abs(given - expected), np.abs(given - close))
    errors = gap / np.maximum(scale, np.finfo(float).tiny)
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
    return _finite(value, "residual, within 1e-3 of (u, p),"), uncertain, difference(f, x, v, CLOSE)


def _dot_product_error(residual: Residual, u: Array, p: Array, w: Array, rng: np.random.Generator) -> float:
    """|⟨R_p w, λ⟩ − ⟨w, R_pᵀ λ⟩| / (‖R_p w‖‖λ‖ + ‖w‖‖R_pᵀ λ‖) for a random λ."""
    lam = rng.standard_normal(u.size)
    forward = np.asarray(residual.jvp(_read_only(u), _read_only(p), _read_only(w)))
    back = as_cotangent(residual.vjp(_read_only(u), _read_only(p), _read_only(lam)), p, "vjp(u, p, lam)")
    _finite(back, "vjp(u, p, lam)")
    size = np.linalg.norm(forward) * np.linalg.norm(lam) + np.linalg.norm(w) * np.linalg.norm(back)
    return float(abs(dot(lam, forward) - dot(back, w)) / max(size, np.finfo(float).tiny))


def _canonical(J: sparse.csc_array) -> bool:
    """Whether rows increase in each column; looked up, for SciPy believes a flag that may be wrong."""
    rising = np.diff(J.indices) > 0
    starts = J.indptr[1:-1]
    rising[starts[(starts > 0) & (starts < J.nnz)] - 1] = True  # From one column to the next.
    return bool(rising.all())


def _finite(values: Array, what: str) -> Array:
    """The values, if they are finite; raises NonFinite, naming the first that is not."""
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise NonFinite(f"check_residual: {what} has {values[bad[0]]} in entry {bad[0]} ({bad.size} such)")
    return values


def _read_only(x: Array) -> Array:
    view = x.view()
    view.flags.writeable = False
    return view
