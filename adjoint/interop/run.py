"""A run of another package's optimizer, and `Method`, the protocol of such an optimizer.

The optimizer sees variables z with x = length · R⁻ᵀ z, M = R Rᵀ, and derivatives with
respect to z. It never sees a direction M⁻¹∇f in place of a gradient: no function has such
gradients, and line searches and curvatures need the gradients of a function.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from ..bounds import Bounds
from ..errors import BackendMissing, NonFinite, SolveError
from ..factor.counts import Counts, collecting
from ..optimize.constraints.constraint import Constraint
from ..optimize.constraints.values import Excess, finite_rows, scaled, values_at
from ..optimize.inner_products import InnerProduct
from ..optimize.loop import shown_state
from ..optimize.result import Result
from ..optimize.scaling import scaling
from ..optimize.square_roots import Root
from ..optimize.state import State
from ..optimize.status import Status
from ..optimize.stopping import Progress, Stopping
from ..optimize.trial import first_point, gradient_of, tried
from ..optimize.verification.convergence import sized_slope, status_by_differences, status_by_values
from ..optimize.verification.gradient_check import GradientCheck, require_derivative
from ..optimize.verification.plateau import plateau_status, with_fading_doubts
from ..reduced import Function, Point
from ..typing import Array
from .multipliers import lagrangian
from .scaled_problem import Evaluated, InitialScales, RunEnded, ScaledVariables

REMEDIES = {
    "nlopt": "NLopt is needed: pip install nlopt",
    "ipopt": (
        "Ipopt is needed, with cyipopt: apt-get install coinor-libipopt-dev pkg-config, "
        "pip install cyipopt"
    ),
}
"""How to install the package of a module, by the name of the module."""

LATEST = 3
"""Number of evaluated points that are kept.

Optimizers request value, gradient and constraints one by one, and may report an iterate
after they have evaluated other points.
"""

PATIENCE = 1000
"""Number of requests without a new iterate after which a run is stuck.

Some packages would otherwise never end.
"""


class Method(Protocol):
    """An optimizer of another package: a frozen dataclass of its settings."""

    @property
    def bounds(self) -> Bounds:
        """Bounds on the design."""

    @property
    def inner(self) -> InnerProduct:
        """The inner product, Euclidean in the variables z; diagonal if there are bounds."""

    @property
    def constraints(self) -> Sequence[Constraint]:
        """The constraints c ≤ bound."""

    @property
    def equalities(self) -> Sequence[Constraint]:
        """The constraints c = bound."""

    def optimize(self, run: "Run") -> bool:
        """Run the optimizer from `run.start`; call `run.accept` with each iterate.

        Parameters
        ----------
        run : Run
            The scaled objective and constraints, as functions of z.

        Returns
        -------
        bool
            True if the package claims success.
        """


@dataclass(eq=False)
class Run:
    """A run of another package's optimizer: scaled functions of z, and the iterates.

    Optimizers call `value`, `gradient`, `hvp`, `constraint_values` and
    `constraint_jacobian` at any z, and `accept` at each iterate.

    The object remembers: counts, the work of the factorizations; evaluations, the number
    of evaluations of f; requests, the number of requests since the last iterate; latest,
    the last points; state and best, the last and the best state; accepted, z of the last
    iterate; progress, the history that the stopping rules need.
    """

    f: Function
    x: Array
    method: Method
    stop: Stopping
    check: bool
    callback: Sequence[Callable[[State], None]]
    counts: Counts = field(default_factory=Counts)
    evaluations: int = 0
    requests: int = 0
    started: float = field(default_factory=time.perf_counter)
    latest: deque[Evaluated] = field(default_factory=lambda: deque(maxlen=LATEST))
    state: State | None = None
    accepted: Array | None = None
    best: State | None = None
    gradient_check: GradientCheck | None = None
    progress: Progress | None = None

    @cached_property
    def initial(self) -> InitialScales:
        """The scales at the start: f and the constraints are evaluated once."""
        method, constraints = self.method, self._all_constraints
        point = first_point(self.f, self.x, method.bounds, type(method).__name__)
        parts = values_at(constraints, point)
        for part in parts:
            if not np.isfinite(part.values).all():
                raise NonFinite(
                    f"{type(method).__name__}: a constraint is not finite: {part.values[0]}"
                )
        found = scaling(self.f, constraints, point, parts, method.bounds, method.inner)
        self.evaluations += 1 + found.evaluations
        z = ScaledVariables(method.inner.root, found.length).to_z(self.x)
        self.latest.append(Evaluated(z, point, scaled(parts, found.scales) if parts else None))
        return InitialScales(found, float(point.value), method.inner.dual_norm(gradient_of(point)))

    @cached_property
    def root(self) -> Root:
        """The map between x and z; z has a size of about 1 at the start."""
        return ScaledVariables(self.method.inner.root, self.initial.scaling.length)

    @property
    def scale(self) -> float:
        """Factor on f: ‖df/dz‖ is then 1 at the start, or |f| is 1 if f is flat there."""
        return self.initial.scale

    @property
    def start(self) -> Array:
        """z at the start, (m,)."""
        return self.root.to_z(self.x)

    @property
    def z_bounds(self) -> tuple[Array, Array]:
        """The lower and the upper bounds of z, (m,) each."""
        bounds = self.method.bounds
        lower, upper = (
            np.array(np.broadcast_to(side, self.x.shape), dtype=float)
            for side in (bounds.lower, bounds.upper)
        )
        return (
            (lower, upper) if bounds.everywhere else (self.root.to_z(lower), self.root.to_z(upper))
        )

    def at(self, z: Array) -> Evaluated:
        """f and the constraints at z; raise RunEnded if the evaluation fails.

        The last LATEST points are not evaluated again.
        """
        self._count_request()
        for known in self.latest:
            if np.array_equal(known.z, z):
                return known
        found = self._evaluated_at(np.array(z, dtype=float))
        self.latest.append(found)
        return found

    def _count_request(self) -> None:
        """Count a request; raise RunEnded after too many requests without a new iterate."""
        self.requests += 1
        if self.requests > PATIENCE:
            raise RunEnded(Status.STUCK, None)

    def _evaluated_at(self, z: Array) -> Evaluated:
        """f and the constraints at a new z; raise RunEnded if the evaluation of f fails."""
        trial = tried(self.f, self.method.bounds.clip(self.root.to_x(z)))
        if (point := trial.point) is None:
            raise RunEnded(Status.FAILED, trial.failure)
        self.evaluations += 1
        return Evaluated(z, point, self._excess_at(point) if self.constraint_count else None)

    def _excess_at(self, point: Point) -> Excess:
        """The constraints at the point; raise RunEnded if they cannot be evaluated."""
        try:
            parts = values_at(self._all_constraints, point)
            found = scaled(parts, self.initial.scaling.scales)
            if not np.isfinite(found.values).all():
                raise NonFinite(
                    f"{type(self.method).__name__}: a constraint is not finite: {found.values}"
                )
        except SolveError as error:
            raise RunEnded(Status.FAILED, error) from error
        return found

    def value(self, z: Array) -> float:
        """scale · f(z)."""
        return self.scale * float(self.at(z).point.value)

    def gradient(self, z: Array) -> Array:
        """scale · df/dz, (m,)."""
        return self.guarded(lambda: self.scale * self.root.pull(gradient_of(self.at(z).point)))

    def hvp(self, z: Array, v: Array) -> Array:
        """scale · (d²f/dz²) v, (m,)."""
        x_dot = self.root.to_x(np.asarray(v, dtype=float))
        return self.guarded(lambda: self.scale * self.root.pull(self.at(z).point.hvp(x_dot)))

    def guarded(self, derivative: Callable[[], Array]) -> Array:
        """Compute a derivative; raise RunEnded if a solve fails or the result is not finite."""
        try:
            found = derivative()
            if not np.isfinite(found).all():
                raise NonFinite(f"{type(self.method).__name__}: a derivative is not finite")
        except SolveError as error:
            raise RunEnded(Status.FAILED, error) from error
        return found

    def constraint_values(self, z: Array) -> Array:
        """The scaled constraints, (k,): first inequalities, met if ≤ 0, then equalities."""
        return self._values_of(self.at(z))

    def constraint_jacobian(self, z: Array) -> Array:
        """The derivatives of the scaled constraints with respect to z, (k, m)."""
        found = self.at(z).excess
        if found is None:
            return np.zeros((0, np.size(z)))
        try:
            return np.stack([self.root.pull(row) for row in finite_rows(found.gradients)])
        except SolveError as error:
            raise RunEnded(Status.FAILED, error) from error

    @property
    def constraint_count(self) -> int:
        """k, the number of inequalities and equalities."""
        return len(self._all_constraints)

    @property
    def _all_constraints(self) -> tuple[Constraint, ...]:
        """First the inequalities, then the equalities."""
        return (*self.method.constraints, *self.method.equalities)

    def improves(self, z: Array) -> bool:
        """True if z is better than all iterates so far: less violation, or a lower value."""
        found = self.at(z)
        merit = max(self._violation(found), self.stop.feasibility), float(found.point.value)
        return self.best is None or merit < self._merit(self.best)

    def _violation(self, found: Evaluated) -> float:
        """The largest scaled violation of a constraint; 0 if all constraints are met."""
        values, k = self._values_of(found), len(self.method.constraints)
        return float(
            max(np.maximum(values[:k], 0.0).max(initial=0.0), np.abs(values[k:]).max(initial=0.0))
        )

    def _values_of(self, found: Evaluated) -> Array:
        """The scaled constraints at an evaluated point, (k,)."""
        return np.zeros(0) if found.excess is None else found.excess.values

    def accept(self, z: Array) -> None:
        """Report z as the next iterate; raise RunEnded if a stopping rule holds.

        If z equals the last iterate, no iterate is added: trust-region methods report the
        last iterate again after each rejected step, and a `change` of zero would look like
        convergence.
        """
        if self.accepted is not None and np.array_equal(self.accepted, z):
            self._count_request()
            return
        found = self.at(z)
        before = self.state
        try:
            state = self._state(found, before)
        except SolveError as error:
            if before is None:
                raise
            raise RunEnded(Status.FAILED, error) from error
        stop = self.stop
        work, seconds = self.counts.numeric, time.perf_counter() - self.started
        if before is None:
            if self.check:
                self.gradient_check = require_derivative(
                    self.f, state, self.method.bounds, self._all_constraints
                )
            inner, bounds = self.method.inner, self.method.bounds
            begun = stop.begun(
                state, inner.dual_norm(state.gradient), sized_slope(state, bounds, inner)
            )
            self.progress = replace(begun, factorizations=work, seconds=seconds)
        else:
            assert self.progress is not None
            self.progress = stop.followed(self.progress, state, np.inf, 0.0, work, seconds)
        self.state, self.accepted, self.requests = state, found.z, 0
        if self.best is None or self._merit(state) < self._merit(self.best):
            self.best = state
        for observe in self.callback:
            observe(shown_state(state))
        if status := self._status_at(state, self.progress):
            raise RunEnded(self._confirmed(status, state, self.best, self.progress), None)

    def _status_at(self, state: State, progress: Progress) -> Status | None:
        """The status if the run ends at this state, else None, as in `adjoint.minimize`."""
        status, method = self.stop.reason(state, progress), self.method
        if status is None or not (self.check and status.success):
            self.progress = with_fading_doubts(progress, state)
            return status
        self.progress, end = plateau_status(
            status, self.f, state, progress, self.x, self._all_constraints, method.bounds
        )
        return end or self.stop.unconverged(state, self.progress)

    def _confirmed(self, status: Status, state: State, best: State, progress: Progress) -> Status:
        """The status after checks of a success, by values of f and by differences."""
        bounds = self.method.bounds
        if status.success:
            status = status_by_values(status, state, best, progress, bounds, self.method.inner)
        if not (self.check and status.success):
            return status
        return status_by_differences(status, self.f, state, progress.first, bounds)

    def _merit(self, state: State) -> tuple[float, float]:
        """(violation, f): less is better; a violation within the tolerance counts as zero."""
        return max(state.violation, self.stop.feasibility), state.value

    def _state(self, found: Evaluated, before: State | None) -> State:
        """The state of an iterate; before: the state of the iterate before, None at the start."""
        method, point = self.method, found.point
        x, g = point.x, gradient_of(point)
        count = len(method.constraints)
        values, violation = self._values_of(found), self._violation(found)
        multipliers, slope = np.zeros(0), g
        if found.excess is not None:
            finite_rows(found.excess.gradients)
            sizes = self.initial.scaling.sizes
            multipliers, slope = lagrangian(
                g, found.excess, count, x, method.bounds, method.inner, sizes
            )
        # Stationarity is ‖P(x − t M⁻¹∇L) − x‖_M / t, not the dual norm of ∇L over free variables:
        # interior-point methods approach bounds but never reach them. With this t the step is at
        # most as long as the design, in any units of x and f. The step is clipped to bounds − x,
        # because the difference of two designs would lose a small step to rounding.
        t = self.scale * self.initial.scaling.length**2
        d, lower, upper = (
            method.inner.direction(slope),
            method.bounds.lower - x,
            method.bounds.upper - x,
        )
        return State(
            iteration=0 if before is None else before.iteration + 1,
            x=x,
            value=float(point.value),
            gradient=g,
            stationarity=max(
                method.inner.norm(np.clip(-t * d, lower, upper)) / t,
                self._complementarity(multipliers, values, violation),
            ),
            projected=method.inner.largest(np.abs(np.clip(-d, lower, upper))),
            change=np.inf if before is None else method.inner.largest(np.abs(x - before.x)),
            constraints=values,
            multipliers=multipliers,
            violation=violation,
            scales=self.initial.scaling.scales,
            scale=self.scale,
            evaluations=self.evaluations,
        )

    def _complementarity(self, multipliers: Array, values: Array, violation: float) -> float:
        """max(s · max_i |λ_i c_i|, violation) / (s · ℓ), in units of f per unit of x.

        s: `scale`, the factor on f; ℓ: length of the design at the start.
        """
        largest = max(self.scale * float(np.abs(multipliers * values).max(initial=0.0)), violation)
        return largest / (self.scale * self.initial.scaling.length)

    def result(self) -> Result:
        """Accept the start, then run the method.

        If the package ends the run, the status is STALLED or STUCK, not a success: only
        the stopping rules of this library count as success.
        """
        cause = None
        with collecting(self.counts):
            try:
                self.accept(self.start)
                status = Status.STALLED if self.method.optimize(self) else Status.STUCK
            except RunEnded as ended:
                status, cause = ended.status, ended.cause
            except KeyboardInterrupt:
                status = Status.INTERRUPTED
        if self.state is None or self.best is None or self.progress is None:
            raise KeyboardInterrupt  # Interrupted before the first state.
        spent = replace(
            self.progress,
            factorizations=self.counts.numeric,
            seconds=time.perf_counter() - self.started,
        )
        return Result(self.best, self.state, status, cause, spent, self.gradient_check)


def missing(module: str, error: ImportError) -> BackendMissing:
    """The error of `import adjoint.interop.<module>` if the package is not installed.

    BackendMissing is an ImportError, too.
    """
    return BackendMissing(
        f"adjoint.interop.{module}: {REMEDIES[module]} ({error}). SciPy's optimizers are in "
        "adjoint.interop.scipy"
    )
