"""Initial value problems M u' = f(t, u, p), u(t₀) = u₀(p)."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .._pickling import Portable
from .._repr import short_repr
from .._validation import as_array, as_parameters, require_settings
from ..checkpointing.policies import Budget, Memory
from ..checkpointing.store import Store, SweepEvent
from ..factor.counts import settle
from ..factor.csc import SparseMatrix
from ..factor.factorization import Factorization
from ..factor.factorizers import lu, require_factorizer
from ..factor.krylov import Krylov
from ..matrices.vectors import ConstantVector
from ..protocols import Field, Integrand, Matrix, Vector
from ..typing import Array
from .arguments import landings_of, require_on_grid, validated_grid, validated_times
from .dense_output import Observer
from .discontinuities.breaks import Breaks, as_breaks
from .discontinuities.knots import after
from .discontinuities.restart import Restarts
from .equations import System, as_mass, mass_at
from .initial_values import NullSpace, begun, constant_nulls, null_space
from .integrator import March
from .methods.method import ESDIRK4, Method
from .stages.stage_matrices import Algebra
from .stages.stages import explicit_stage
from .step_control.controller import StepControl
from .step_control.integral_errors import IntegralControl
from .steps import Course, StepRecord
from .sweeps import Sweeps
from .trajectory import Trajectory


@dataclass(frozen=True, eq=False)
class ODEProblem(Portable):
    """M u' = f(t, u, p), u(t₀) = u₀(p), from t₀ to t_f: the trajectory gives every derivative of what was computed.

    field: f with its derivatives, a class of your own or `complex_step_field(f, n, m)`. u0: (n,), or a Vector u₀(p).
    t: (t₀, t_f). observe: times (K,), ascending; None for (t_f,). method: `Tsit5()`, `DOP853()`, `TRBDF2()`,
    `ESDIRK4()`, `ESDIRK5()`, `Radau5()`, `Radau9()`; `BackwardEuler()`, `CrankNicolson()`, `Theta(θ)` on a grid. rtol,
    atol (a number or (n,)): the local error of a step, relative and absolute. mass: M, (n, n), or a Matrix M(p), None
    for the identity; a singular one makes a DAE, of index 1. integrand: ℓ, for ∫ℓ(t, u, p) dt by the method's own
    quadrature. breaks: times at which f or ℓ may jump or kink, (B,), or a Vector of p for switching times that depend
    on parameters. Steps end there, and each sees f on its own side; derivatives with respect to p include the motion of
    the breaks. grid: (N + 1,) times from t₀ to t_f, breaks included; steps are taken on it without error control.
    dense: observe by dense output, not by steps that end there. consistent: the algebraic unknowns of u₀ are a guess,
    to be solved for.
    factorize: for matrices of more than 64 unknowns. memory: what is kept for derivatives. control: how steps are
    chosen, `StepControl(max_steps=…)`. callback: told what happens, as it happens. integral_atol: a number or (q,): the local
    error of an integral is kept below integral_atol + rtol ∫|ℓ| dt, unless `StepControl(integrals=False)`.
    Raises TypeError or ValueError for arguments of the wrong kind, shape or range.
    """

    field: Field
    u0: Array | Vector
    t: tuple[float, float]
    observe: Array | None = None
    method: Method = dataclasses.field(default_factory=ESDIRK4)
    rtol: float = 1e-6
    atol: float | Array = 1e-9
    mass: SparseMatrix | Array | Matrix | None = None
    integrand: Integrand | None = None
    grid: Array | None = None
    dense: bool = False
    consistent: bool = False
    factorize: Callable[[SparseMatrix], Factorization] = lu
    memory: Memory = dataclasses.field(default_factory=Budget)
    control: StepControl = dataclasses.field(default_factory=StepControl)
    breaks: Array | Vector | None = None
    callback: Callable[[SweepEvent], None] | None = None
    integral_atol: float | Array = 0.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        require_settings(self)
        for given, names in ((self.field, _FIELD), (self.integrand, _INTEGRAND)):
            if given is None and names is _INTEGRAND:
                continue
            missing = [name for name in names if not callable(getattr(given, name, None))]
            if missing or isinstance(given, type):
                what = "field" if names is _FIELD else "integrand"
                raise TypeError(
                    f"ODEProblem: got {what}={given!r}, expected an object with {', '.join(names)}. From a plain "
                    f"function: adjoint.complex_step_{what}(…)"
                )
        for name, value, expected, fits in (
            (
                "method",
                self.method,
                "one such as adjoint.ode.ESDIRK4()",
                isinstance(self.method, Method),
            ),
            (
                "control",
                self.control,
                "adjoint.ode.StepControl(…)",
                isinstance(self.control, StepControl),
            ),
            (
                "memory",
                self.memory,
                "adjoint.checkpointing.Budget(bytes) or another",
                _is_memory(self.memory),
            ),
            (
                "callback",
                self.callback,
                "a function of an event",
                self.callback is None or callable(self.callback),
            ),
        ):
            if not fits:
                raise TypeError(f"ODEProblem: got {name}={value!r}, expected {expected}")
        require_factorizer("ODEProblem", self.factorize)
        self._validate_numbers()

    def _validate_numbers(self) -> None:
        if not isinstance(self.rtol, int | float) or not 0.0 < self.rtol < 1.0:
            raise ValueError(f"ODEProblem: got rtol={self.rtol!r}, expected a number in (0, 1)")
        atol = as_array("ODEProblem", "atol", self.atol)
        if (
            atol.dtype.kind not in "fiu"
            or atol.ndim > 1
            or not np.all((atol >= 0.0) & (atol < np.inf))
        ):
            raise ValueError(
                f"ODEProblem: got atol={self.atol!r}, expected a number or a vector (n,), ≥ 0"
            )
        limits = as_array("ODEProblem", "integral_atol", self.integral_atol)
        if (
            limits.dtype.kind not in "fiu"
            or limits.ndim > 1
            or not np.all((limits >= 0.0) & (limits < np.inf))
        ):
            raise ValueError(
                f"ODEProblem: got integral_atol={self.integral_atol!r}, expected a number or a vector (q,), ≥ 0"
            )
        if self.grid is None and not self.method.tableau.errors:
            raise ValueError(
                f"ODEProblem: {self.method} has no error estimate, expected a grid: grid=np.linspace(…)"
            )
        _ = self.times, self._steps_given, self.initial
        vector = self._breaks
        if isinstance(vector, ConstantVector) and self._steps_given is not None:
            require_on_grid(Breaks.at(vector, np.zeros(0), self.t).landings, self._steps_given)
        as_mass(self.mass)

    @cached_property
    def times(self) -> Array:
        """The observation times, (K,)."""
        return validated_times(self.t, self.observe)

    @cached_property
    def _steps_given(self) -> Array | None:
        return (
            None if self.grid is None else validated_grid(self.t, self.grid, self.times, self.dense)
        )

    @cached_property
    def _breaks(self) -> Vector | None:
        return as_breaks(self.breaks)

    @cached_property
    def initial(self) -> Vector:
        """u₀(p)."""
        u0 = self.u0
        if isinstance(u0, np.ndarray | list | tuple):
            value = as_array("ODEProblem", "u0", u0)
            if value.ndim != 1 or value.size == 0:
                raise ValueError(f"ODEProblem: u0 has shape {value.shape}, expected a vector (n,)")
            return ConstantVector(value)
        missing = [
            name for name in ("__call__", "vjp", "jvp") if not callable(getattr(u0, name, None))
        ]
        if missing or isinstance(u0, type):
            raise TypeError(
                f"ODEProblem: got u0={u0!r}, expected an array (n,), or a Vector u0(p) with __call__, vjp and jvp, "
                "such as adjoint.matrices.AffineVector(…)"
            )
        return u0

    def solve(self, p: Array) -> Trajectory:
        """The trajectory at p (m,), ready for derivatives.

        Raises StepTooSmall, TooManySteps, StageFailure, NonFiniteField, each with the time reached; InconsistentStart,
        MemoryTooSmall, StorageFailed; ValueError and TypeError for what the field or u₀(p) return.
        """
        return self._solved(as_parameters(p), None)

    def replayed(
        self, p: Array, trajectory: Trajectory, landings: list[float] | None
    ) -> Trajectory:
        """The trajectory at another p on the steps of one computed before; see `Trajectory.replay`."""
        if landings is not None:
            moved = replace(trajectory.sweeps, course=trajectory.sweeps.course.moved(landings))
            trajectory = replace(trajectory, sweeps=moved)
        return self._solved(as_parameters(p), trajectory)

    def _solved(self, p: Array, like: Trajectory | None) -> Trajectory:
        p.setflags(write=False)  # The user's functions see it.
        times = self.times if like is None else like.times
        start = self.t[0] if like is None else like.sweeps.course.landings[0]
        given = np.asarray(
            self.initial(p)
        )  # Once: it may be the end of another problem, that of which may be, too.
        system, nulls = self.system(p, given, like is not None)
        tableau, first = self.method.tableau, None
        if nulls is not None:
            tableau, first = (
                tableau.algebraic,
                self.method.start.algebraic if self.method.start else None,
            )
        landings = self.t if like is None else like.sweeps.course.landings
        breaks = Breaks.at(self._breaks, p, (float(landings[0]), float(landings[-1])))
        u0 = np.array(given, dtype=system.dtype)
        u0.setflags(write=False)
        if nulls is not None and tableau.gamma == 0.0:
            raise ValueError(
                f"ODEProblem: the mass matrix is singular, a DAE, for which {tableau.name} is explicit; expected an "
                "implicit method, such as adjoint.ode.ESDIRK4()"
            )
        end = float(self.t[1] if like is None else like.sweeps.course.landings[-1])
        largest = max(abs(float(start)), abs(end))
        opened = self._opened(like, breaks, largest)
        beginning = begun(
            system, float(start), opened, u0, nulls, self.consistent, tableau.continues
        )
        observer = Observer(system, times, self.dense, end)
        observer.begin(float(start), beginning.u)
        notify, course = _notifier(self.callback), Course()
        store: Store[StepRecord] = self.memory.open(
            self._known_steps(like),
            lambda kind, k: notify(kind, k, course.t[k] if k < course.steps else float("nan")),
        )
        first = first if tableau.continues else None
        u, k = beginning.u, beginning.k
        if tableau.coupled:
            slope = (
                k if nulls is not None else explicit_stage(system, system.mass_inverse, opened, u)
            )
            k = np.tile(slope, (tableau.stages, 1)).astype(system.dtype)
        restarts = Restarts(system, nulls)
        march = March(
            system,
            tableau,
            first,
            restarts,
            self.control,
            store.put,
            observer,
            notify,
            u,
            k,
            opened,
            largest,
            course,
        )
        if self.integrand is not None and self.control.integrals:
            march.integrals = IntegralControl(
                system, np.asarray(self.integral_atol, dtype=float), float(start)
            )
        try:
            self._taken(march, like, breaks)
        finally:
            settle()
        sweeps = Sweeps(system, beginning, restarts, course, observer.places, store, notify)
        with sweeps.dated():
            store.finish(course.steps)
        u = np.stack(observer.u) if observer.u else np.zeros((0, system.n), dtype=system.dtype)
        integrals = np.zeros(0) if observer.integrals is None else observer.integrals
        return Trajectory(self, p, times, u, integrals, u0, breaks, sweeps)

    def _opened(self, like: Trajectory | None, breaks: Breaks, largest: float) -> float:
        """t₀⁺, where f is seen first."""
        if like is not None:
            return like.sweeps.course.first[0]
        if self._steps_given is not None:
            return after(
                float(self.t[0]), float(self._steps_given[1] - self._steps_given[0]), largest
            )
        landings = landings_of(self.t, self.times, self.dense, breaks.landings)
        return after(landings[0], landings[1] - landings[0], largest)

    def _known_steps(self, like: Trajectory | None) -> int | None:
        """The number of steps, where it is known beforehand."""
        if like is not None:
            return like.sweeps.course.steps
        return None if self._steps_given is None else self._steps_given.size - 1

    def _taken(self, march: March, like: Trajectory | None, breaks: Breaks) -> None:
        """Take all steps: those of `like`, those of the grid, or those that the error control chooses."""
        with np.errstate(all="ignore"):  # What overflows is refused, by name.
            if like is not None:
                march.repeated(like.sweeps.course)
            elif self._steps_given is not None:
                require_on_grid(breaks.landings, self._steps_given)
                march.fixed(
                    self._steps_given, landings_of(self.t, self.times, self.dense, breaks.landings)
                )
            else:
                landings = landings_of(self.t, self.times, self.dense, breaks.landings)
                march.adaptive(landings, self.control.first_step)

    def system(self, p: Array, u0: Array, replay: bool) -> tuple[System, NullSpace | None]:
        """The equations at p for states as u₀(p), and the null spaces of M.

        replay: whether a complex p is a perturbation of a real one.
        """
        if u0.dtype.kind not in "fciu" or u0.ndim != 1 or u0.size == 0:
            raise ValueError(
                f"ODEProblem: u0 has shape {u0.shape}, dtype {u0.dtype}; expected a vector (n,)"
            )
        if not np.isfinite(u0).all():
            bad = int(np.flatnonzero(~np.isfinite(u0))[0])
            raise ValueError(f"ODEProblem: u0[{bad}] is {u0[bad]}, expected finite numbers")
        n, mass = u0.size, as_mass(self.mass)
        if np.ndim(self.atol) == 1 and np.shape(self.atol) != (n,):
            raise ValueError(
                f"ODEProblem: got atol of shape {np.shape(self.atol)}, expected a number or ({n},)"
            )
        at = mass_at(mass, p, n)
        nulls = null_space(at.matrix)
        if nulls is not None and not constant_nulls(nulls, at.jvp, p):
            raise ValueError(
                "ODEProblem: M(p) is singular, and which equations and unknowns are algebraic depends on p. Expected "
                "the same null spaces for all p, such as rows and columns of zeros."
            )
        complex_state = u0.dtype.kind == "c" or p.dtype.kind == "c"
        dtype = np.dtype(np.complex128 if complex_state else np.float64)
        algebra = Algebra(
            n, at.matrix, self.factorize, isinstance(self.factorize, Krylov), complex_state
        )
        atol = np.maximum(np.asarray(self.atol, dtype=float), np.finfo(float).tiny)
        perturbed = replay and p.dtype.kind == "c"
        return (
            System(
                self.field,
                self.integrand,
                p,
                n,
                dtype,
                at,
                algebra,
                self.rtol,
                atol,
                self.method.accuracy,
                perturbed,
                replay or self.grid is not None,
            ),
            nulls,
        )


_FIELD = ("__call__", "jacobian", "vjp", "jvp")


_INTEGRAND = ("__call__", "vjp", "jvp")


def _is_memory(memory: object) -> bool:
    return callable(getattr(memory, "open", None)) and not isinstance(memory, type)


def _notifier(callback: Callable[[SweepEvent], None] | None) -> Callable[[str, int, float], None]:
    if callback is None:
        return lambda kind, step, t: None
    return lambda kind, step, t: callback(SweepEvent(kind, step, t))
