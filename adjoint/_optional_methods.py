"""Checked calls of the optional methods of protocols: `hvp`, `contract`, and those of `Squares`."""

import numpy as np
import scipy.sparse as sparse

from ._validation import as_cotangent
from .protocols import (
    DesignMapWithHvp,
    FieldWithHvp,
    IntegrandWithHvp,
    MatrixWithContraction,
    MatrixWithContractionRate,
    MatrixWithHvp,
    ObjectiveWithHvp,
    ResidualWithHvp,
    Squares,
    StepWithHvp,
    VectorWithHvp,
)
from .typing import Array


def checked_residual_hvp(
    residual: object, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
) -> tuple[Array, Array]:
    """Return the results of `residual.hvp`, after a check that they have the shapes of u and p.

    Raise TypeError if `hvp` is missing.
    """
    if not isinstance(residual, ResidualWithHvp):
        raise _missing(
            residual,
            "(u, p, lam, u_dot, p_dot)",
            "(u, p) ↦ ((∂R/∂u)ᴴλ, (∂R/∂p)ᴴλ) along (u̇, ṗ)",
            WITH_HVP,
        )
    return _pair(residual, residual.hvp(u, p, lam, u_dot, p_dot), u, p)


def as_matrix_with_hvp(matrix: object) -> MatrixWithHvp:
    """Return the matrix; raise TypeError unless it has a method `hvp`."""
    if not isinstance(matrix, MatrixWithHvp):
        raise _missing(matrix, "(p, u, lam, p_dot)", "p ↦ (A(p)ᴴλ, vjp(p, u, λ)) along ṗ", "")
    return matrix


def as_vector_with_hvp(vector: object) -> VectorWithHvp:
    """Return the vector; raise TypeError unless it has a method `hvp`."""
    if not isinstance(vector, VectorWithHvp):
        raise _missing(vector, "(p, lam, p_dot)", "p ↦ vjp(p, λ) along ṗ", "")
    return vector


def checked_matrix_hvp(
    matrix: object, p: Array, u: Array, lam: Array, p_dot: Array
) -> tuple[Array, Array]:
    """Return the results of `matrix.hvp`, after a check that they have the shapes of u and p.

    Raise TypeError if `hvp` is missing.
    """
    return _pair(matrix, as_matrix_with_hvp(matrix).hvp(p, u, lam, p_dot), u, p)


def checked_contraction(matrix: object, p: Array, A_bar: sparse.csc_array) -> Array:
    """Return `matrix.contract(p, A_bar)`, after a check of its shape (m,).

    Raise TypeError if the matrix has no `contract`.
    """
    if not isinstance(matrix, MatrixWithContraction):
        raise TypeError(
            f"{type(matrix).__name__} has no method contract(p, A_bar), which the gradient of a "
            "log-determinant needs. Expected g, (m,), with Re(gᴴ ṗ) = Re Σ_ij conj(A_bar_ij) "
            "(∂A_ij/∂p ṗ), where A_bar.data is in the order of A(p).data. Affine, Elements, "
            "Entries, Combination and Part have the method"
        )
    g = matrix.contract(p, A_bar)
    return as_cotangent(g, p, f"the contraction of {type(matrix).__name__}")


def checked_contraction_rate(
    matrix: object, p: Array, A_bar: sparse.csc_array, p_dot: Array
) -> Array:
    """Return `matrix.contract_rate(p, A_bar, p_dot)`, after a check of its shape (m,).

    Raise TypeError if the matrix has no `contract_rate`.
    """
    if not isinstance(matrix, MatrixWithContractionRate):
        raise TypeError(
            f"{type(matrix).__name__} has no method contract_rate(p, A_bar, p_dot), which a "
            "Hessian–vector product of a log-determinant needs. Expected the derivative of p ↦ "
            "contract(p, A_bar) along p_dot: zeros if A is affine in p"
        )
    g = matrix.contract_rate(p, A_bar, p_dot)
    return as_cotangent(g, p, f"the contract_rate of {type(matrix).__name__}")


def checked_vector_hvp(vector: object, p: Array, lam: Array, p_dot: Array) -> Array:
    """Return the result of `vector.hvp`, after a check of its shape (m,).

    Raise TypeError if the vector has no `hvp`.
    """
    p_part = as_vector_with_hvp(vector).hvp(p, lam, p_dot)
    return as_cotangent(p_part, p, f"the hvp of {type(vector).__name__}")


def as_field_with_hvp(field: object) -> FieldWithHvp:
    """Return the field; raise TypeError unless it has a method `hvp`."""
    if not isinstance(field, FieldWithHvp):
        raise _missing(
            field,
            "(t, u, p, lam, u_dot, p_dot)",
            "(u, p) ↦ ((∂f/∂u)ᴴλ, (∂f/∂p)ᴴλ) along (u̇, ṗ)",
            "; or adjoint.derive.with_hvp(field), which takes complex steps of the first "
            "derivatives",
        )
    return field


def as_integrand_with_hvp(integrand: object) -> IntegrandWithHvp:
    """Return the integrand; raise TypeError unless it has a method `hvp`."""
    if not isinstance(integrand, IntegrandWithHvp):
        raise _missing(
            integrand,
            "(t, u, p, q_bar, u_dot, p_dot)",
            "(u, p) ↦ vjp(t, u, p, q̄) along (u̇, ṗ)",
            "; or adjoint.complex_step_integrand",
        )
    return integrand


def checked_field_hvp(
    field: object, t: float, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
) -> tuple[Array, Array]:
    """Return the results of `field.hvp`, after a check that they have the shapes of u and p."""
    return _two_parts(field, as_field_with_hvp(field).hvp(t, u, p, lam, u_dot, p_dot), u, p)


def checked_integrand_hvp(
    integrand: object,
    t: float,
    u: Array,
    p: Array,
    q_bar: Array,
    u_dot: Array,
    p_dot: Array,
) -> tuple[Array, Array]:
    """Return the results of `integrand.hvp`, after a check of their shapes, (n,) and (m,)."""
    rates = as_integrand_with_hvp(integrand).hvp(t, u, p, q_bar, u_dot, p_dot)
    return _two_parts(integrand, rates, u, p)


def _two_parts(
    thing: object, returned: tuple[Array, Array], u: Array, p: Array
) -> tuple[Array, Array]:
    """Return the two arrays of a `hvp`; raise TypeError or ValueError for other results."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise TypeError(
            f"the hvp of {type(thing).__name__} returned a {type(returned).__name__}, expected a "
            "pair (rate for u, rate for p)"
        )
    u_part, p_part = np.asarray(returned[0]), np.asarray(returned[1])
    if u_part.shape != u.shape or p_part.shape != p.shape:
        raise ValueError(
            f"the hvp of {type(thing).__name__} returned shapes {u_part.shape} and "
            f"{p_part.shape}, expected {u.shape} and {p.shape}; zeros if u or p has no influence"
        )
    return u_part, p_part


def checked_objective_hvp(
    objective: object, u: Array, p: Array, u_dot: Array, p_dot: Array
) -> tuple[Array, Array]:
    """Return the results of `objective.hvp`, after a check that they have the shapes of u and p.

    Raise TypeError if `hvp` is missing.
    """
    if not isinstance(objective, ObjectiveWithHvp):
        raise _missing(
            objective, "(u, p, u_dot, p_dot)", "(u, p) ↦ (ū, p̄), its gradients, along (u̇, ṗ)", ""
        )
    return _pair(objective, objective.hvp(u, p, u_dot, p_dot), u, p)


def checked_step_hvp(
    step: object, k: int, u: Array, p: Array, lam: Array, rates: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Return the results of `step.hvp` along rates = (u̇, ṗ).

    Raise TypeError if `hvp` is missing, or does not return a pair.
    """
    require_step_hvp(step)
    assert isinstance(step, StepWithHvp)
    pair = step.hvp(k, u, p, lam, *rates)
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise TypeError(
            f"the hvp of step {k} returned a {type(pair).__name__}, expected the rates of "
            "(u_bar, p_bar)"
        )
    return pair


def require_step_hvp(step: object) -> None:
    """Raise TypeError unless the step of a recurrence has the method `hvp`."""
    if not isinstance(step, StepWithHvp):
        raise _missing(
            step,
            "(k, u, p, lam, u_dot, p_dot)",
            "(u, p) ↦ vjp(k, u, p, λ) along (u̇, ṗ)",
            "; or adjoint.complex_step_step(f, n, m), which derives the step from a function",
        )


def checked_design_hvp(design: object, x: Array, p_bar: Array, x_dot: Array) -> Array:
    """Return the result of `design.hvp`, after a check of its shape (m_x,).

    Raise TypeError if the design map has no `hvp`.
    """
    if not isinstance(design, DesignMapWithHvp):
        raise _missing(
            design, "(x, p_bar, x_dot)", "x ↦ vjp(x, p̄) along ẋ: zeros for a linear map", ""
        )
    return as_cotangent(design.hvp(x, p_bar, x_dot), x, f"the hvp of {type(design).__name__}")


WITH_HVP = (
    "; or adjoint.derive.with_hvp(residual), which takes complex steps of the first derivatives"
)


def _missing(thing: object, arguments: str, meaning: str, otherwise: str) -> TypeError:
    return TypeError(
        f"{type(thing).__name__} has no method hvp{arguments}, which a Hessian–vector product "
        f"needs. Expected the derivative of {meaning}{otherwise}. Without hvp: "
        "adjoint.optimize.DifferencedHessian(f)"
    )


def _pair(thing: object, returned: tuple[Array, Array], u: Array, p: Array) -> tuple[Array, Array]:
    u_part, p_part = returned
    name = f"the hvp of {type(thing).__name__}"
    if np.shape(u_part) != u.shape:
        raise ValueError(
            f"{name} returned for u an array of shape {np.shape(u_part)}, expected {u.shape}"
        )
    return np.array(u_part), as_cotangent(p_part, p, f"{name} returned for p an array, which")


def as_squares(objective: object) -> Squares:
    """Return the objective as `Squares`; raise TypeError if it is not a sum of squares."""
    if not isinstance(objective, Squares):
        raise TypeError(
            f"{type(objective).__name__} is not a sum of squares: it has no residual(u, p), "
            "residual_jvp(u, p, u_dot, p_dot) and residual_vjp(u, p, w). Expected LeastSquares, "
            "or a Sum of such with weights ≥ 0"
        )
    return objective


def residual_of(squares: Squares, u: Array, p: Array) -> Array:
    """Return r(u, p), (k,), as float64; raise TypeError if r is complex or not a vector."""
    r = np.asarray(squares.residual(u, p))
    if r.dtype.kind not in "fiu" or r.ndim != 1:
        raise TypeError(
            f"{type(squares).__name__}: residual returned {r.dtype}, shape {r.shape}; expected a "
            "real vector (k,); stack the real and imaginary parts of complex numbers"
        )
    return r.astype(float)


def checked_residual_jvp(
    squares: Squares, u: Array, p: Array, rates: tuple[Array, Array], k: int
) -> Array:
    """Return the derivative of r along rates = (u̇, ṗ), (k,).

    Raise ValueError if the derivative does not have the shape (k,).
    """
    r_dot = np.asarray(squares.residual_jvp(u, p, *rates))
    if r_dot.shape != (k,):
        raise ValueError(
            f"{type(squares).__name__}: residual_jvp returned shape {r_dot.shape}, expected ({k},)"
        )
    return r_dot


def checked_residual_vjp(squares: Squares, u: Array, p: Array, w: Array) -> tuple[Array, Array]:
    """Return (ū, p̄) = ((∂r/∂u)ᴴ w, (∂r/∂p)ᴴ w).

    Raise ValueError unless ū and p̄ have the shapes of u and p.
    """
    u_bar, p_bar = squares.residual_vjp(u, p, w)
    name = f"{type(squares).__name__}: residual_vjp returned"
    if np.shape(u_bar) != u.shape:
        raise ValueError(f"{name} u_bar of shape {np.shape(u_bar)}, expected {u.shape}")
    return np.array(u_bar), as_cotangent(p_bar, p, f"{name} p_bar, which")
