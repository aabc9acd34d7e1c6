"""Is a residual's Jacobian its derivative, is its vjp the transpose of its jvp? For physics written by hand."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sparse

from .._repr import short_repr
from .._validation import as_array, require_integer, require_methods
from ..derive.differentiation.finite_differences import FLOOR, sizes
from ..derive.user_function import Function
from ..protocols import Residual
from ..typing import Array
from .differences import Worst, finite, parameter_error, read_only, state_error, transpose_error
from .gradient import SECOND_ORDER, STEPS, TOLERANCE, TRANSPOSED, order

FIRST_STEP = 1e-2
"""The largest step of the Taylor remainder, relative to u."""


CONVINCING = 1e-9
"""An error of the Jacobian against extrapolated differences that no kink and no wrong entry would leave."""


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

    __repr__ = short_repr

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
    """Compare a residual's derivatives with differences of R at (u, p), along random directions.

    residual: anything with the methods of `adjoint.protocols.Residual`; u: (n,), p: (m,), real, where R is smooth. If ∂R/∂u is
    wrong, its worst row is looked into, and the entry named. Of up to 64 unknowns, or parameters, each is looked at by
    itself: next to a stiff term a weak one would not be seen. About 30 evaluations of R, and ten for each of these.
    Raises ValueError, TypeError for shapes and dtypes that do not fit (and for writing into u or p), NonFinite for nan.
    """
    expected = "a residual, see adjoint.protocols.Residual; a plain function: adjoint.complex_step_residual(function, n=…, m=…)"
    methods = ("residual", "jacobian", "vjp", "jvp")
    require_methods("check_residual", "residual", residual, methods, expected)
    require_integer("check_residual", "seed", seed, 0)
    u, p = as_array("check_residual", "u", u), as_array("check_residual", "p", p)
    R = Function(residual.residual, u.size, p.size, "check_residual")
    u, p = R.point(u, p)
    rng = np.random.default_rng(seed)
    v, w = _direction(u, rng), _direction(p, rng)
    near = np.sign(v) * np.minimum(
        np.abs(v), sizes(u, 0.0)
    )  # Steps of this size need be small for R.
    base = finite(R(u, p), "residual(u, p)")
    J = _jacobian(residual, u, p)
    canonical = _canonical(J)  # Now: SciPy sorts in passing.
    steps, noise = (
        FIRST_STEP * 0.5 ** np.arange(STEPS),
        1e3 * np.finfo(float).eps * float(np.linalg.norm(base)),
    )
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
        state_error(R, J, u, p, v),
        parameter_error(residual, R, J, u, p, w),
        transpose_error(residual, u, p, w, rng),
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
    J = residual.jacobian(read_only(u), read_only(p))
    if not isinstance(J, sparse.csc_array):
        raise TypeError(f"jacobian returned a {type(J).__name__}, expected scipy.sparse.csc_array")
    if J.shape != (u.size, u.size):
        raise ValueError(f"jacobian returned shape {J.shape}, expected {(u.size, u.size)}")
    if J.dtype != np.float64:
        raise TypeError(f"jacobian returned dtype {J.dtype}, expected float64")
    finite(J.data, "the data of jacobian(u, p)")
    # A copy: a residual may fill one matrix anew for each point.
    return sparse.csc_array((J.data.copy(), J.indices.copy(), J.indptr.copy()), shape=J.shape)


def _canonical(J: sparse.csc_array) -> bool:
    """Whether rows increase in each column; looked up, for SciPy believes a flag that may be wrong."""
    rising = np.diff(J.indices) > 0
    starts = J.indptr[1:-1]
    rising[starts[(starts > 0) & (starts < J.nnz)] - 1] = True  # From one column to the next.
    return bool(rising.all())
