"""The tolerance of iterative solves, as loose as the gradient of an iteration allows.

See docs/math/optimization.md, eqs. 450–453. A solve to the relative tolerance τ leaves an
error of about ρ τ in the gradient. The number ρ, the roughness, is measured: the gradient
at one design is computed with two tolerances. The gradient may have an error that is a
given part of the optimality measure, so that τ falls as the run converges.

Amir, Aage & Lazarov (2014), Struct. Multidiscip. Optim. 49, 815: iterations for the
equations of a topology optimization that end by a measure of the optimization.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from .._validation import require_number
from ..reduced import Function, Point
from ..typing import Array
from .algorithms.continuation import Continuation
from .algorithms.mma.mma import MMA
from .algorithms.optimality_criteria import OptimalityCriteria
from .revaluation import revalued
from .state import Algorithm, State
from .stopping import Progress

LOOSEST = 1e-3
"""Largest relative tolerance of solves. On a cantilever of 16 × 8 × 8 elements, 60 iterations
of optimality criteria end 0.4 % from the compliance of exact solves with 1e-2, and 0.02 % with
1e-3, which takes 12 % more iterations of CG."""


DECADE = 0.1
"""Ratio of two successive tolerances. A change of the tolerance costs an evaluation."""


LONGEST = 20
"""Largest number of iterations between two measurements of the roughness. The roughness
changes most at the beginning, when a structure forms."""


WITHOUT_COMPARISON = (OptimalityCriteria, MMA)
"""Algorithms that do not compare values of f with each other to accept a design."""


REFUSED = 3
"""Number of refused trials of an iteration after which solves are made tighter: errors of f may
have refused them."""


TRUSTED = 0.5
"""Error of a loose gradient, as a part of the optimality measure, above which the memory of a
run by loose solves is forgotten: the poles of MMA may have closed at a wrong design."""


@runtime_checkable
class TunableFunction(Protocol):
    """A function f whose iterative solves can be loosened, such as a `Reduced`."""

    @property
    def rtol(self) -> float:
        """The tightest relative tolerance of the solves."""

    def __call__(self, x: Array) -> Point:
        """f at x."""

    def solved_to(self, rtol: float) -> Function:
        """The same function, by solves to the relative tolerance rtol."""


Norm = Callable[[State], float]
"""The dual norm of the gradient of a state."""


@dataclass(frozen=True, eq=False)
class GradientTolerance:
    """Chooses the relative tolerance τ of solves for each iteration of a run.

    f: the objective, with the user's tolerances. tolerance: η, the error of a gradient that
    is allowed, as a part of the optimality measure. norm: the dual norm of a gradient.

    A state has its τ in `State.rtol`; τ = 0 stands for the user's tolerances.
    """

    f: TunableFunction
    tolerance: float
    algorithm: Algorithm
    norm: Norm

    @classmethod
    def of(
        cls, f: Function, tolerance: float, algorithm: Algorithm, norm: Norm
    ) -> "GradientTolerance":
        """The choice of tolerances for a run.

        Raise TypeError if the solves of f have no tolerance, or if the tolerance is no number,
        ValueError unless it is between 0 and 1.
        """
        require_number("minimize", "gradient_tolerance", tolerance)
        if not 0.0 < tolerance < 1.0:
            raise ValueError(
                f"minimize: got gradient_tolerance={tolerance}, expected a number between 0 and 1, "
                "such as 0.1: the error of the gradient as a part of the optimality measure"
            )
        if isinstance(algorithm, Continuation):
            raise TypeError(
                "minimize: got gradient_tolerance and a Continuation, which makes the objective of "
                "each stage itself; expected an algorithm of one stage. Run the stages one after "
                "the other, each by minimize(..., gradient_tolerance=...)"
            )
        if not isinstance(f, TunableFunction):
            raise TypeError(
                f"minimize: got gradient_tolerance and f={type(f).__name__}, whose solves have no "
                "tolerance that can be chosen; expected a Reduced of a problem with an iterative "
                "solver (factorize=adjoint.cg(...) or adjoint.gmres(...)). Leave out "
                "gradient_tolerance for other functions"
            )
        f.solved_to(LOOSEST)  # Raises TypeError for direct factorizers.
        return cls(f, float(tolerance), algorithm, norm)

    def at(self, rtol: float) -> Function:
        """f by solves to the relative tolerance rtol; f itself for 0."""
        return self.f.solved_to(rtol) if rtol > 0.0 else self.f

    def tighter(self, rtol: float) -> float:
        """The next tolerance below rtol; 0 if it is the user's."""
        following = DECADE * rtol
        return following if following > self.f.rtol * (1.0 + DECADE) else 0.0

    @property
    def loosest(self) -> float:
        """The first tolerance; 0 if the user's own is not tighter."""
        return LOOSEST if self.f.rtol < LOOSEST else 0.0

    def revalued(self, state: State, rtol: float) -> State:
        """The state at the same design, by solves to the relative tolerance rtol.

        The change of a step by other solves says nothing about convergence: `change` is inf,
        but for optimality criteria, whose change is that of the next step.
        """
        after = revalued(self.algorithm, self.at(rtol), state)
        change = after.change if isinstance(self.algorithm, OptimalityCriteria) else np.inf
        return replace(after, rtol=rtol, change=change, ending=None, failure=None, function=None)

    def misled(self, loose: State, exact: State) -> bool:
        """True if the loose gradient at a design was wrong by much more than was measured."""
        error = self.norm(replace(loose, gradient=loose.gradient - exact.gradient))
        return not error <= max(TRUSTED, self.tolerance) * self._size(exact)

    def anew(self, state: State) -> State:
        """The first state of a run from the same design, by solves to the user's tolerances."""
        at = self.algorithm.start(self.f, state.x)
        evaluations = state.evaluations + at.evaluations
        return replace(at, iteration=state.iteration, evaluations=evaluations)

    def begun(self, state: State, progress: Progress) -> tuple[State, Progress]:
        """The state at the start with its first tolerance, and the first roughness.

        state: the state by the user's tolerances.
        """
        progress = replace(progress, tuned=state.iteration)
        if self.loosest == 0.0:
            return state, progress
        loose = self.revalued(state, self.loosest)
        progress = self._measured(loose, state, progress)
        return self.tightened(loose, progress)

    def followed(self, state: State, progress: Progress) -> tuple[State, Progress]:
        """The state with the tolerance of the next iteration, and the progress.

        The roughness is measured again after some iterations: after 1, 2, 4, …, at most
        LONGEST. Solves are also tightened after an iteration that refused trials.
        """
        age = state.iteration - progress.tuned
        if age >= min(max(1, progress.tuned), LONGEST):
            finer = self.revalued(state, self.tighter(state.rtol))
            progress = self._measured(state, finer, progress)
            state = replace(state, evaluations=finer.evaluations)
        if np.isfinite(state.rejected).sum() >= REFUSED:
            state = self.revalued(state, self.tighter(state.rtol))
        return self.tightened(state, progress)

    def tightened(self, state: State, progress: Progress) -> tuple[State, Progress]:
        """The state with a tolerance that is tight enough, and the progress.

        If the tolerance changes, the roughness is measured by the change of the gradient.
        """
        while state.rtol > 0.0 and not self._enough(state, progress):
            after = self.revalued(state, self.tighter(state.rtol))
            progress = self._measured(state, after, progress)
            state = after
        return state, progress

    def _enough(self, state: State, progress: Progress) -> bool:
        """True if the errors of ∇f and of f are small enough.

        ρ τ ≤ η min(‖g‖, s), and, for an algorithm that compares values, ρ_f τ ≤ η |Δf|.
        """
        if not progress.roughness * state.rtol <= self.tolerance * self._size(state):
            return False
        if isinstance(self.algorithm, WITHOUT_COMPARISON):
            return True
        return progress.value_roughness * state.rtol <= self.tolerance * progress.gain

    def _size(self, state: State) -> float:
        """min(‖g‖, s), with the optimality measure s in the units of ‖g‖."""
        steepness = self.norm(state)
        # The optimality measure of OC is relative to the gradient.
        unit = steepness if isinstance(self.algorithm, OptimalityCriteria) else 1.0
        return min(steepness, state.stationarity * unit)

    @staticmethod
    def advanced(before: State, after: State, progress: Progress) -> Progress:
        """The progress with the gain of the next iteration, |Δf| (s / s_before)², at most |Δf|.

        Both states are by solves of one tolerance. The distance of f to its minimum falls
        with the square of the optimality measure s.
        """
        ratio = after.stationarity / before.stationarity if before.stationarity > 0.0 else 1.0
        return replace(progress, gain=abs(after.value - before.value) * min(1.0, ratio) ** 2)

    def _measured(self, loose: State, tight: State, progress: Progress) -> Progress:
        """The progress with ρ = ‖g(τ) − g(τ')‖ / τ and ρ_f = |f(τ) − f(τ')| / τ.

        The two states have the same design; τ' < τ.
        """
        error = self.norm(replace(loose, gradient=loose.gradient - tight.gradient))
        return replace(
            progress,
            roughness=error / loose.rtol,
            value_roughness=abs(loose.value - tight.value) / loose.rtol,
            tuned=loose.iteration,
        )
