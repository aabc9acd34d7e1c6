"""Steps Φ_k(u, p) of recurrences from plain functions; derivatives by complex steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .._dataclasses import short
from .._validation import require_function
from ..typing import Array, SparseMatrix
from .field import DerivedField, derived_field
from .function_of_time import FunctionOfTime
from .user_function import STEP, UserFunction

StepFunction: TypeAlias = Callable[[int, Array, Array], Array]
"""Φ(k, u, p), (n,), for a step number k = 1 … N, a state u (n,) and parameters p (m,)."""

_MAKER = "complex_step_step"


@dataclass(frozen=True, eq=False)
class _WithStepNumber:
    """The user's function as a function of a time t = k, for `FunctionOfTime`."""

    step: StepFunction

    def __call__(self, t: float, u: Array, p: Array) -> Array:
        """Return Φ_k(u, p), (n,), for k = t."""
        return self.step(int(t), u, p)


@dataclass(frozen=True, eq=False)
class DerivedStep:
    """Φ_k(u, p) from a function, with its derivatives by complex steps.

    `complex_step_step` returns such steps. The class has all methods of
    `adjoint.protocols.Step`, and `hvp`. Methods raise the errors of `DerivedField`; all
    except ``__call__`` take real arguments only.

    Parameters
    ----------
    step : callable
        Φ(k, u, p) ↦ (n,) array.
    derivatives : DerivedField
        ∂Φ/∂u and ∂Φ/∂p, dense or sparse.
    """

    step: StepFunction
    derivatives: DerivedField

    def __repr__(self) -> str:
        f = self.derivatives.function
        return f"{_MAKER}({short(self.step)}, n={f.n}, m={f.m})"

    def __call__(self, k: int, u: Array, p: Array) -> Array:
        """Φ_k(u, p), (n,); u (n,) and p (m,) are real or complex."""
        return self.derivatives(float(k), u, p)

    def vjp(self, k: int, u: Array, p: Array, lam: Array) -> tuple[Array, Array]:
        """((∂Φ_k/∂u)ᵀ λ, (∂Φ_k/∂p)ᵀ λ), (n,) and (m,), by both Jacobians; lam: (n,)."""
        f = self.derivatives
        lam = f.function.user.vector(lam, "lam", f.function.n)
        return np.asarray(f.jacobian(float(k), u, p).T.dot(lam)), f.vjp(float(k), u, p, lam)

    def jvp(self, k: int, u: Array, p: Array, u_dot: Array, p_dot: Array) -> Array:
        """(∂Φ_k/∂u) u̇ + (∂Φ_k/∂p) ṗ, (n,), by two evaluations; u_dot: (n,), p_dot: (m,)."""
        f = self.derivatives
        return f.state_jvp(float(k), u, p, u_dot) + f.jvp(float(k), u, p, p_dot)

    def hvp(
        self, k: int, u: Array, p: Array, lam: Array, u_dot: Array, p_dot: Array
    ) -> tuple[Array, Array]:
        """The derivative of `vjp(k, u, p, lam)` along (u̇, ṗ), (n,) and (m,): twelve digits.

        See `DerivedField.hvp`.
        """
        return self.derivatives.hvp(float(k), u, p, lam, u_dot, p_dot)


def complex_step_step(
    step: StepFunction,
    n: int,
    m: int,
    *,
    u_pattern: SparseMatrix | None = None,
    p_pattern: SparseMatrix | None = None,
) -> DerivedStep:
    """∂Φ_k/∂u and ∂Φ_k/∂p of a plain NumPy function by Im Φ_k(x + ihv)/h, exact to rounding.

    Parameters
    ----------
    step : callable
        Φ(k, u, p) ↦ (n,) array, for a step number k = 1 … N (an int), and for u (n,) and p
        (m,), real or complex. The function must be continuous in the complex plane near
        the real line, see `complex_step_residual`. Equal arguments must give equal bits:
        draw random numbers beforehand, and look them up by k.
    n : int
        Number of unknowns u.
    m : int
        Number of parameters p.
    u_pattern, p_pattern : (n, n) and (n, m) sparse matrices, optional
        Sparsity patterns of ∂Φ/∂u and ∂Φ/∂p, valid for all steps, see `complex_step_field`.

    Returns
    -------
    DerivedStep
        The step for `adjoint.RecurrenceProblem`.

    Raises
    ------
    TypeError
        If `step` is not callable, or if a pattern is not a SciPy sparse matrix.
    ValueError
        Unless n ≥ 1 and m ≥ 0 are integers, and if a pattern has the wrong shape.

    Notes
    -----
    A gradient costs n + m evaluations of Φ per step for up to 40 unknowns, and one
    evaluation per colour of the patterns for more. A hand-written step with `vjp` and `jvp`
    is faster.

    Examples
    --------
    Growth u_k = u_{k−1} + p u_{k−1} (1 − u_{k−1}):

    >>> import numpy as np
    >>> import adjoint
    >>> growth = adjoint.complex_step_step(lambda k, u, p: u + p * u * (1.0 - u), n=1, m=1)
    >>> problem = adjoint.RecurrenceProblem(growth, np.array([0.1]), steps=2)
    >>> f = adjoint.Reduced(problem, adjoint.LinearFunctional(np.ones((1, 1))))
    >>> point = f(np.array([0.5]))
    >>> point.gradient.round(4), point.hessian().round(4)
    (array([0.2378]), array([[0.1152]]))
    """
    require_function(_MAKER, "step", step, "a function of (k, u, p)")
    function = FunctionOfTime(UserFunction(_WithStepNumber(step), n, STEP, _MAKER), n, m)
    return DerivedStep(step, derived_field(function, u_pattern, p_pattern))
