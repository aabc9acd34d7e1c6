"""The mode of π(u | y, p): damped Newton's method for G(u) = −log π(y | u) + ½ dᵀQd, d = u − m.

Each step factors H = Q + BᵀWB. The criterion is the Newton decrement λ = (rᵀH⁻¹r)^½ with
r = −∇G: the length of the Newton step in posterior standard deviations, which does not
depend on units. Near the mode, steps with the last factors bring λ down to rounding; one
more factorization, at the mode itself, serves the determinant and the adjoint solve.

Nocedal & Wright (2006), Numerical Optimization, section 3.5; Boyd & Vandenberghe (2004),
Convex Optimization, section 9.5 (the decrement).
"""

from dataclasses import dataclass

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

CLOSE = 0.05
"""λ/√n below which steps use the last factors: each then reduces λ by about this factor."""

FINEST = 1e-12
"""λ/√n below which the mode is exact to rounding."""

HALF = 0.5
"""Ratio of decrements above which steps with the last factors no longer converge."""

ARMIJO = 1e-4
"""Share of the predicted decrease of G that a step must achieve."""

SHORTEST = 1e-12
"""Smallest factor of a Newton step."""

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
class Mode:
    """The mode.

    state: G there. hessian: the factors of H at the mode. decrements: λ at the iterates.
    """

    state: State
    hessian: Factorization
    decrements: tuple[float, ...]


def find_mode(
    system: Conditional, start: Array | None, tolerance: float, max_iterations: int
) -> Mode:
    """Minimize G until λ ≤ tolerance √n.

    start: (n,), or None for the guess of the likelihood, or the mean.

    Raises NewtonDiverged after max_iterations factorizations, NewtonStalled if no step
    reduces G, NonFinite if G is not finite at the start, NotPositiveDefinite if H at the
    mode is not positive definite.
    """
    factored = _Factored(system)
    state, scale = _first(system, factored, start), float(np.sqrt(system.m.size))
    decrements: list[float] = []
    for _ in range(max_iterations):
        factors, exact = factored.near(state.w)
        step, decrement = _step(factors, state)
        decrements.append(decrement)
        count(newton=1)
        if exact and decrement <= CLOSE * scale:
            final, decrement = _polished(system, factors, state, step, decrement, scale)
            if decrement <= tolerance * scale:
                if decrement < decrements[-1]:
                    decrements.append(decrement)
                return Mode(final, factored.at_mode(final.w), tuple(decrements))
            state = final
            if len(decrements) > 1 and not decrement <= HALF * min(decrements[:-1]):
                raise _failure(
                    NewtonStalled,
                    f"the mode is known to {decrement / scale:.1e} posterior standard deviations "
                    f"only, asked is {tolerance:.0e}; further steps do not improve it. Usual "
                    "causes: rounding errors of data with a huge precision, derivatives of the "
                    "likelihood that are not exact. Remedy: a larger tolerance",
                    decrements,
                )
            step, decrement = _step(factors, state)
        if not exact and decrement <= tolerance * scale:
            return Mode(state, factored.at_mode(state.w), tuple(decrements))
        state = _searched(system, state, step, decrement, decrements)
    raise _failure(
        NewtonDiverged,
        f"the mode was not found in {max_iterations} iterations: the last Newton step has "
        f"{decrements[-1] / scale:.1e} posterior standard deviations, asked is {tolerance:.0e}. "
        "Usual causes: a prior that is nearly improper together with data without information, "
        "wrong derivatives of the likelihood. Remedies: start=… near the mode, a larger "
        "max_iterations",
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
                f"second derivatives ∂²ℓ/∂η² are positive. {error} The point is no maximum of "
                "π(u | y, p): the likelihood is not log-concave. Remedies: another start, a "
                "stronger prior, a log-concave likelihood"
            ) from error


def _step(factors: Factorization, state: State) -> tuple[Array, float]:
    """Return the Newton step H⁻¹r, (n,), and the decrement λ."""
    step = factors.solve(state.r)
    return step, float(np.sqrt(abs(dot(state.r, step))))


def _polished(
    system: Conditional,
    factors: Factorization,
    state: State,
    step: Array,
    decrement: float,
    scale: float,
) -> tuple[State, float]:
    """Repeat steps with the last factors while they reduce λ; return the best (state, λ)."""
    while decrement > FINEST * scale:
        trial = system.at(state.u + step)
        if not trial.finite:
            break
        new_step, new = _step(factors, trial)
        if not new <= HALF * decrement:
            break
        state, step, decrement = trial, new_step, new
    return state, decrement


def _searched(
    system: Conditional, state: State, step: Array, decrement: float, decrements: list[float]
) -> State:
    """Return the first state along the step that reduces G enough.

    Where rounding errors hide the decrease of G, the slope decides.
    """
    factor, slope = 1.0, -(decrement**2)
    while factor >= SHORTEST:
        trial = system.at(state.u + factor * step)
        if trial.finite:
            change = trial.G - state.G
            if change <= ARMIJO * factor * slope:
                return trial
            flat = abs(dot(trial.r, step)) <= HALF * abs(slope)
            if flat and change <= NOISE * (state.size + trial.size):
                return trial
            parabola = -0.5 * slope * factor**2 / (change - factor * slope)
            factor = min(max(parabola, 0.1 * factor), 0.5 * factor)
        else:
            factor *= 0.1
    raise _failure(
        NewtonStalled,
        "no step along the Newton direction reduces −log π(y | u) + ½ dᵀQd. Usual causes: "
        "derivatives of the likelihood that are not those of its value, a value that is not "
        "smooth or not deterministic",
        decrements,
    )


def _failure(
    kind: type[NewtonDiverged] | type[NewtonStalled], message: str, decrements: list[float]
) -> NewtonDiverged | NewtonStalled:
    """Return the error, with the decrements as its `history`."""
    shown = ", ".join(f"{value:.1e}" for value in decrements[-6:])
    error = kind(f"LaplaceApproximation: {message}. Newton decrements: {shown}.")
    error.history = tuple(decrements)
    return error
