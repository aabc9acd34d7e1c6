"""The mode of π(u | y, p): damped Newton's method for G(u) = −log π(y | u) + ½ dᵀQd, d = u − m.

Each step factors H = Q + BᵀWB. The error of an iterate is measured by its Newton step, in
units of the posterior: by the Newton decrement λ = (rᵀH⁻¹r)^½ with r = −∇G, and by the
relative change of W along the step (docs/math/determinants.md, eqs. 432 and 433). Near the
mode, steps with the last factors bring the error down to rounding; one more factorization,
at the mode itself, serves the determinant and the adjoint solve.

Nocedal & Wright (2006), Numerical Optimization, section 3.5; Boyd & Vandenberghe (2004),
Convex Optimization, section 9.5 (the decrement).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy.sparse as sparse

from ..._numerics import dot
from ..._validation import first_nonfinite
from ...errors import NewtonDiverged, NewtonStalled, NonFinite, NotPositiveDefinite
from ...factor.counts import count
from ...factor.factorization import Factorization, Factorizer
from ...factor.factorizers import factored
from ...typing import Array
from .curvature import Curvature
from .likelihood import CheckedLikelihood

Failure = TypeVar("Failure", NewtonDiverged, NewtonStalled)

CLOSE = 0.05
"""Error below which steps use the last factors: each then reduces the error by about this
factor."""

HALF = 0.5
"""Ratio of errors above which steps with the last factors no longer converge."""

FINE = 1e-4
"""Error below which an iteration that no longer converges has reached rounding errors."""

ARMIJO = 1e-4
"""Share of the predicted decrease of G that a step must achieve."""

SHORTEST = 1e-12
"""Smallest factor of a Newton step."""

LONGEST = 1e9
"""Largest factor. On the flank of exp Newton's step has the length 1, however far the mode."""

STEEP = 0.3
"""Ratio of the slopes of G after and before a full step, above which a longer one is tried."""

NOISE = 1e-11
"""Rounding error of G, relative to the sum of the sizes of its terms."""


@dataclass(frozen=True, eq=False)
class Conditional:
    """G(u) at given p, with its parts.

    Q: (n, n); m: (n,); o: (k,); B: (k, n); curvature: the pattern of H.
    """

    Q: sparse.csc_array
    m: Array
    o: Array
    B: sparse.csr_array
    likelihood: CheckedLikelihood
    curvature: Curvature
    factorize: Factorizer

    def at(self, u: Array) -> "State":
        """Return G and its derivatives at u."""
        with np.errstate(all="ignore"):
            d = u - self.m
            eta = np.asarray(self.B @ u) + self.o
            Qd = np.asarray(self.Q @ d)
            prior = 0.5 * dot(d, Qd)
            value = self.likelihood.value(eta)
            derivatives = self.likelihood.derivatives(eta)
            r = np.asarray(self.B.T @ derivatives[0]) - Qd
        return State(u, d, eta, prior - value, abs(prior) + abs(value), derivatives, r)


@dataclass(frozen=True, eq=False)
class State:
    """G at u.

    u: (n,); d: u − m; eta: B u + o, (k,); G: without the constants of the prior; size: the
    sum of the sizes of the terms of G; derivatives: of ℓ with respect to η; r: −∇G, (n,).
    """

    u: Array
    d: Array
    eta: Array
    G: float
    size: float
    derivatives: tuple[Array, Array, Array]
    r: Array

    @property
    def w(self) -> Array:
        """W = −∂²ℓ/∂η², (k,)."""
        return -self.derivatives[1]

    @property
    def finite(self) -> bool:
        """True if G, r and W are finite."""
        return bool(np.isfinite(self.G) and np.isfinite(self.r).all() and np.isfinite(self.w).all())


@dataclass(frozen=True, eq=False)
class NewtonStep:
    """A Newton step at a state, with a system of factors.

    du: H⁻¹r, (n,). decrement: λ. error: the larger of λ/√n, the root mean square of the
    step in posterior standard deviations, and the mean relative change of W.
    """

    du: Array
    decrement: float
    error: float


@dataclass(frozen=True, eq=False)
class Mode:
    """The mode.

    state: G there. hessian: the factors of H at the mode. decrements: λ at the iterates.
    error: see `NewtonStep`.
    """

    state: State
    hessian: Factorization
    decrements: tuple[float, ...]
    error: float


def find_mode(
    system: Conditional, start: Array | None, tolerance: float, max_iterations: int
) -> Mode:
    """Minimize G until the error of the mode is at most `tolerance`.

    start: (n,), or None for the guess of the likelihood, or the mean.

    Raises NewtonDiverged after max_iterations factorizations, NewtonStalled if no step
    reduces G, NonFinite if G is not finite at the start, NotPositiveDefinite if H at the
    mode is not positive definite.
    """
    factored = _Factored(system)
    state = _first(system, factored, start)
    decrements: list[float] = []
    best = np.inf
    for _ in range(max_iterations):
        factors, exact = factored.near(state.w)
        step = _step(system, factors.solve, state)
        decrements.append(step.decrement)
        count(newton=1)
        if exact and step.error <= CLOSE:
            state, step = _polished(system, factors, state, step)
            decrements.append(step.decrement)
        del factors  # Two large factors of H need not be in memory at once.
        if step.error <= tolerance:
            hessian = factored.at_mode(state.w)  # Raises NotPositiveDefinite.
            return Mode(state, hessian, tuple(decrements), step.error)
        if step.error <= FINE and not step.error <= HALF * best:
            raise _imprecise(step.error, tolerance, decrements)
        best = min(best, step.error)
        state = _searched(system, state, step, tolerance, decrements)
    raise _failure(
        NewtonDiverged,
        f"the mode was not found in {max_iterations} iterations: the last Newton step has "
        f"{step.error:.1e} posterior standard deviations, asked is {tolerance:.0e}. "
        "Usual causes: a prior that is nearly improper together with data without information, "
        "a prior mean or an offset far from the data, wrong derivatives of the likelihood. "
        "Remedies: start=… near the mode, a larger max_iterations",
        decrements,
    )


def _first(system: Conditional, factored: "_Factored", start: Array | None) -> State:
    """Return the given start, or the better one of the mean and the guess of the likelihood.

    The guess η₀ gives u by a step of Newton's method for ℓ expanded at η₀.

    Raises NonFinite if G is not finite there.
    """
    states = [system.at(system.m if start is None else start)]
    guess = system.likelihood.guess() if start is None else None
    if guess is not None:
        with np.errstate(all="ignore"):
            first, second, _ = system.likelihood.derivatives(guess)
            w = np.maximum(-second, 0.0)
            working = first + w * (guess - system.o - np.asarray(system.B @ system.m))
            right = np.asarray(system.B.T @ working)
        if np.isfinite(w).all() and np.isfinite(right).all():
            states.append(system.at(system.m + factored(w).solve(right)))
    finite = [state for state in states if state.finite]
    if not finite:
        where = "the mean m(p)" if start is None else "start"
        bad = first_nonfinite(states[0].derivatives[0])
        entry = "" if bad is None else f", ∂ℓ/∂η is {bad[1]} for observation {bad[0]}"
        raise NonFinite(
            f"LaplaceApproximation: at {where}, −log π(y | u) + ½ dᵀQd is {states[0].G}{entry}. "
            "Usual causes: a mean or offset far from the data, where exp overflows; a mean, an "
            "offset or a likelihood that is nan. Remedy: start=…, (n,), near the mode; or a "
            "method guess(p) of the likelihood"
        )
    return min(finite, key=lambda state: state.G)


@dataclass(eq=False)
class _Factored:
    """Factors of Q + BᵀWB, with a memory of the last W: Gaussian data have one W only."""

    system: Conditional
    last: tuple[Array, Factorization] | None = None

    def __call__(self, w: Array) -> Factorization:
        """Factor Q + BᵀWB; raise NotPositiveDefinite if it is not positive definite."""
        if self.last is not None and np.array_equal(self.last[0], w):
            return self.last[1]
        system, self.last = self.system, None  # The old factors are dropped first.
        factors = factored(system.factorize, system.curvature.hessian(system.Q, w))
        self.last = w, factors
        return factors

    def near(self, w: Array) -> tuple[Factorization, bool]:
        """Factor H at an iterate; return (factors, True), or those without negative W, and False.

        Without negative W the matrix is positive definite, and the step still reduces G.
        """
        if not (w < 0.0).any():
            return self(w), True
        try:
            return self(w), True
        except NotPositiveDefinite:
            return self(np.maximum(w, 0.0)), False

    def at_mode(self, w: Array) -> Factorization:
        """Factor H at the mode; raise NotPositiveDefinite with the cause if it is indefinite."""
        try:
            return self(w)
        except NotPositiveDefinite as error:
            raise NotPositiveDefinite(
                "LaplaceApproximation: H = Q − Bᵀ diag(∂²ℓ/∂η²) B is not positive definite at "
                f"the point where the gradient vanishes; {int((w < 0.0).sum())} of {w.size} "
                "second derivatives ∂²ℓ/∂η² are positive. The point is no maximum of "
                "π(u | y, p): the likelihood is not log-concave. Remedies: another start, a "
                "stronger prior, a log-concave likelihood"
            ) from error


def _step(system: Conditional, solve: Callable[[Array], Array], state: State) -> NewtonStep:
    """Return the Newton step at a state; solve(r) = H⁻¹r."""
    du = solve(state.r)
    decrement = float(np.sqrt(abs(dot(state.r, du))))
    _, second, third = state.derivatives
    with np.errstate(all="ignore"):
        change = np.abs(third * np.asarray(system.B @ du))
        share = change / (np.abs(second) + change)
    change_of_w = float(np.where(change > 0.0, share, 0.0).mean())
    return NewtonStep(du, decrement, max(decrement / float(np.sqrt(du.size)), change_of_w))


def _polished(
    system: Conditional, factors: Factorization, state: State, step: NewtonStep
) -> tuple[State, NewtonStep]:
    """Repeat steps with the last factors while they halve the error; return the best state."""
    while step.error > 0.0:
        trial = system.at(state.u + step.du)
        if not trial.finite:
            break
        new = _step(system, factors.unverified, trial)  # Verified by its convergence.
        if not new.error <= HALF * step.error:
            break
        state, step = trial, new
    return state, step


def _searched(
    system: Conditional, state: State, step: NewtonStep, tolerance: float, decrements: list[float]
) -> State:
    """Return the first state along the step that reduces G enough.

    Where rounding errors hide the decrease of G, the slope decides.
    """
    factor, slope = 1.0, -(step.decrement**2)
    while factor >= SHORTEST:
        trial = system.at(state.u + factor * step.du)
        if trial.finite:
            change = trial.G - state.G
            if change <= ARMIJO * factor * slope:
                return trial if factor < 1.0 else _lengthened(system, state, step, trial)
            flat = abs(dot(trial.r, step.du)) <= HALF * abs(slope)
            if flat and change <= NOISE * (state.size + trial.size):
                return trial
            parabola = -0.5 * slope * factor**2 / (change - factor * slope)
            factor = min(max(parabola, 0.1 * factor), 0.5 * factor)
        else:
            factor *= 0.1
    if step.error <= FINE:
        raise _imprecise(step.error, tolerance, decrements)
    raise _failure(
        NewtonStalled,
        "no step along the Newton direction reduces −log π(y | u) + ½ dᵀQd. Usual causes: "
        "derivatives of the likelihood that are not those of its value, a value that is not "
        "smooth or not deterministic",
        decrements,
    )


def _lengthened(system: Conditional, state: State, step: NewtonStep, trial: State) -> State:
    """Double the step, beyond a full one, while G falls steeply; return the best state."""
    factor = 1.0
    while factor < LONGEST and dot(trial.r, step.du) >= STEEP * step.decrement**2:
        longer = system.at(state.u + 2.0 * factor * step.du)
        if not (longer.finite and longer.G < trial.G):
            break
        trial, factor = longer, 2.0 * factor
    return trial


def _imprecise(error: float, tolerance: float, decrements: list[float]) -> NewtonStalled:
    """Return the error for a mode that rounding errors hide."""
    return _failure(
        NewtonStalled,
        f"the mode is known to {error:.1e} posterior standard deviations only, asked is "
        f"{tolerance:.0e}; further steps do not improve it. Usual causes: rounding errors of a "
        "nearly singular precision matrix or of data with a huge precision, derivatives of the "
        "likelihood that are not exact. Remedy: a larger tolerance, if that is accurate enough",
        decrements,
    )


def _failure(kind: type[Failure], message: str, decrements: list[float]) -> Failure:
    """Return the error, with the decrements as its `history`."""
    shown = ", ".join(f"{value:.1e}" for value in decrements[-6:])
    error = kind(f"LaplaceApproximation: {message}. Newton decrements: {shown}.")
    error.history = tuple(decrements)
    return error
