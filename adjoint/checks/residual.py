"""Are the derivatives of a hand-written residual right? Differences and a transpose test."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._numerics import read_only
from .._validation import as_array, require_integer, require_methods
from ..derive.differentiation.finite_differences import FLOOR, sizes
from ..derive.user_function import Function
from ..protocols import Residual
from ..typing import Array
from .differences import Worst, finite, parameter_error, state_error, transpose_error
from .extrapolation import order
from .tolerances import CONVINCING_JACOBIAN, SECOND_ORDER, STEPS, TOLERANCE, TRANSPOSED

FIRST_STEP = 1e-2
"""The longest step of the Taylor remainder, relative to u."""


@dataclass(frozen=True, eq=False)
class ResidualReport:
    """Measured errors of ∂R/∂u, ∂R/∂p and (∂R/∂p)ᵀ along random directions v of u and w of p.

    `check_residual` returns this report. ``print(report)`` shows the numbers and the
    verdict.

    Parameters
    ----------
    steps : (k,) array
        Steps h, relative to the direction v, from the longest to the shortest.
    first : (k,) array
        ‖R(u+hv, p) − R(u, p)‖, in the units of R, of order 1 in h.
    second : (k,) array
        ‖R(u+hv, p) − R(u, p) − h (∂R/∂u) v‖, in the units of R, of order 2 in h.
    orders : (float, float)
        Measured orders of `first` and `second`. If R is linear, the second remainder is
        rounding, and its order is set to 2.
    jacobian : Worst
        Largest error of (∂R/∂u) v against extrapolated differences, relative to the
        row.
    jvp : Worst
        Largest error of (∂R/∂p) w against extrapolated differences, relative to the
        row.
    dot_product_error : float
        |⟨R_p w, λ⟩ − ⟨w, R_pᵀ λ⟩| divided by ‖R_p w‖‖λ‖ + ‖w‖‖R_pᵀ λ‖.
    entries : int
        Number of entries that ∂R/∂u stores.
    zeros : int
        Number of stored entries that are zero at this point.
    canonical : bool
        True if the rows of each column are sorted and no entry is stored twice.
    constant : bool
        True if ∂R/∂u has the same pattern at a point nearby.
    seed : int
        Seed of the random directions.
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

    def __repr__(self) -> str:
        return (
            f"ResidualReport(ok={self.ok}, orders=({self.orders[0]:.2f}, {self.orders[1]:.2f}), "
            f"jacobian={self.jacobian.error:.1e}, jvp={self.jvp.error:.1e}, "
            f"dot_product_error={self.dot_product_error:.1e})"
        )

    def __str__(self) -> str:
        """The table, so that ``print(report)`` shows the numbers."""
        return self.table()

    @property
    def ok(self) -> bool:
        """True if all derivatives are right.

        ∂R/∂u and ∂R/∂p must agree with differences to 1e-5, the transposes to 1e-8, and
        the pattern of ∂R/∂u must be canonical and constant.
        """
        # The remainder of a steep function, exp(u/0.026), may not have reached its
        # order at the shortest step.
        smooth = self.orders[1] >= SECOND_ORDER or self.jacobian.error <= CONVINCING_JACOBIAN
        right = smooth and self.jacobian.error <= TOLERANCE and self.jvp.error <= TOLERANCE
        return right and self.dot_product_error <= TRANSPOSED and self.canonical and self.constant

    def table(self) -> str:
        """Return the measured numbers and the verdict as lines of text, for a terminal."""
        lines = ["         h    |R(u+hv) - R(u)|    ... - h J v"]
        rows = zip(self.steps, self.first, self.second, strict=True)
        lines += [f"{h:10.2e}    {first:16.6e}  {second:12.4e}" for h, first, second in rows]
        form = "canonical" if self.canonical else "NOT CANONICAL: call sum_duplicates()"
        pattern = (
            "constant"
            if self.constant
            else "NOT CONSTANT: it differs at a point nearby; store zeros as well"
        )
        lines += [
            f"orders    {self.orders[0]:.2f} (expected 1), {self.orders[1]:.2f} (expected 2)",
            f"jacobian  relative error {self.jacobian}",
            f"jvp       relative error {self.jvp}",
            f"<R_p w,lam> - <w,R_p'lam>  {self.dot_product_error:.1e} of the norms",
            f"pattern   {self.entries} entries, {self.zeros} of them zero here; {form}; {pattern}",
            "the residual is right"
            if self.ok
            else "THE RESIDUAL IS WRONG (or it is not smooth here)",
        ]
        return "\n".join(lines)


def check_residual(residual: Residual, u: Array, p: Array, *, seed: int = 0) -> ResidualReport:
    """Compare ∂R/∂u and ∂R/∂p of a hand-written residual R(u, p) with differences of R.

    The test uses random directions v of u and w of p. If ∂R/∂u is wrong, its worst row
    is examined and the wrong entry is named.

    Parameters
    ----------
    residual : Residual
        Object with the methods `residual`, `jacobian`, `vjp` and `jvp` of
        `adjoint.protocols.Residual`.
    u : (n,) array
        State at which the derivatives are checked, real. R must be smooth there; u need
        not solve R(u, p) = 0.
    p : (m,) array
        Parameters, real.
    seed : int
        Seed of the random directions; default 0.

    Returns
    -------
    ResidualReport
        Measured numbers: ``report.ok`` is True if all derivatives are right, and
        ``print(report)`` shows a table with the verdict.

    Raises
    ------
    TypeError
        If a method is missing, if u, p or a result is not an array of real numbers, or
        if the Jacobian is not a csc_array of float64.
    ValueError
        If u, p or a result has the wrong shape, if a method writes into u or p, or if
        `seed` is negative.
    NonFinite
        If R or a derivative holds nan or inf at (u, p) or next to it.

    Notes
    -----
    With up to 64 unknowns (or parameters) each column is also compared by itself: next
    to a stiff term the error of a weak term would not be seen along a random direction.

    Cost: about 30 evaluations of R, and 10 for each column that is compared by itself.

    Examples
    --------
    A residual u² − p with a Jacobian that lacks its factor 2:

    >>> import numpy as np
    >>> import scipy.sparse as sparse
    >>> import adjoint
    >>> class Root:
    ...     def residual(self, u, p):
    ...         return u**2 - p
    ...     def jacobian(self, u, p):
    ...         return sparse.csc_array(sparse.diags_array(u))
    ...     def vjp(self, u, p, lam):
    ...         return -lam
    ...     def jvp(self, u, p, p_dot):
    ...         return -p_dot
    >>> u, p = np.array([1.0, 2.0]), np.array([1.0, 4.0])
    >>> report = adjoint.check_residual(Root(), u, p)
    >>> report.ok
    False
    >>> print(report.jacobian)
    5.0e-01 in row 1, column 1: 2, expected 4
    """
    expected = (
        "a residual, see adjoint.protocols.Residual; a plain function: "
        "adjoint.complex_step_residual(function, n=…, m=…)"
    )
    methods = ("residual", "jacobian", "vjp", "jvp")
    require_methods("check_residual", "residual", residual, methods, expected)
    require_integer("check_residual", "seed", seed, 0)
    u, p = as_array("check_residual", "u", u), as_array("check_residual", "p", p)
    R = Function(residual.residual, u.size, p.size, "check_residual")
    u, p = R.point(u, p)
    rng = np.random.default_rng(seed)
    v, w = _direction(u, rng), _direction(p, rng)
    # v, shortened for components of u that are zero or small: the remainder needs short steps.
    short = np.sign(v) * np.minimum(np.abs(v), sizes(u, 0.0))
    R0 = finite(R(u, p), "residual(u, p)")
    J = _jacobian(residual, u, p)
    canonical = _canonical(J)  # Before any product with J, in which SciPy may sort its entries.
    steps = FIRST_STEP * 0.5 ** np.arange(STEPS)
    change = np.stack([R(u + h * short, p) - R0 for h in steps])
    first = np.linalg.norm(change, axis=1)
    second = np.linalg.norm(change - steps[:, None] * (J @ short), axis=1)
    # Rounding error of R, that of its terms included: they may cancel in R.
    noise = 1e3 * np.finfo(float).eps * float(np.linalg.norm(R0))
    noise += 1e2 * np.finfo(float).eps * float(np.linalg.norm(abs(J) @ np.abs(u)))
    nearby = _jacobian(residual, u + FIRST_STEP * short, p + FIRST_STEP * w)
    return ResidualReport(
        steps=steps,
        first=first,
        second=second,
        orders=(order(first, noise, 1.0), order(second, noise, 2.0)),
        jacobian=state_error(R, J, u, p, v),
        jvp=parameter_error(residual, R, J, u, p, w),
        dot_product_error=transpose_error(residual, u, p, w, rng),
        entries=J.nnz,
        zeros=int(np.count_nonzero(J.data == 0.0)),
        canonical=canonical,
        constant=np.array_equal(J.indptr, nearby.indptr)
        and np.array_equal(J.indices, nearby.indices),
        seed=seed,
    )


def _direction(x: Array, rng: np.random.Generator) -> Array:
    """Return ±[½, 1] times the size of each component of x, (k,).

    A component of x that is zero has a nonzero size as well. The direction v then has no
    zero component, and each column of a Jacobian J enters J v.
    """
    return sizes(x, FLOOR) * rng.uniform(0.5, 1.0, x.size) * rng.choice([-1.0, 1.0], x.size)


def _jacobian(residual: Residual, u: Array, p: Array) -> sparse.csc_array:
    """Return a copy of ∂R/∂u, (n, n).

    Raises TypeError unless the Jacobian is a csc_array of float64, ValueError if its
    shape is not (n, n), NonFinite if an entry is nan or inf.
    """
    J = residual.jacobian(read_only(u), read_only(p))
    if not isinstance(J, sparse.csc_array):
        raise TypeError(f"jacobian returned a {type(J).__name__}, expected scipy.sparse.csc_array")
    if J.shape != (u.size, u.size):
        raise ValueError(f"jacobian returned shape {J.shape}, expected {(u.size, u.size)}")
    if J.dtype != np.float64:
        raise TypeError(f"jacobian returned dtype {J.dtype}, expected float64")
    finite(J.data, "the data of jacobian(u, p)")
    # A copy: a residual may reuse one matrix for all points.
    return sparse.csc_array((J.data.copy(), J.indices.copy(), J.indptr.copy()), shape=J.shape)


def _canonical(J: sparse.csc_array) -> bool:
    """True if the row indices increase in each column of J.

    SciPy's flag `has_canonical_format` may be wrong, so the indices themselves are
    compared.
    """
    rising = np.diff(J.indices) > 0
    starts = J.indptr[1:-1]
    # Between the last row of a column and the first row of the next, the index may fall.
    rising[starts[(starts > 0) & (starts < J.nnz)] - 1] = True
    return bool(rising.all())
