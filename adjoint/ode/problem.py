"""Initial value problems M u' = f(t, u, p), u(t₀) = u₀(p)."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._dataclasses import Portable, short_repr, short_signature
from .._validation import (
    as_array,
    as_parameters,
    first_nonfinite,
    has,
    missing_methods,
    require_settings,
)
from ..checkpointing.policies import Budget, Memory
from ..checkpointing.store import Store, SweepEvent
from ..factor.counts import settle
from ..factor.factorization import Factorizer
from ..factor.factorizers import lu, require_factorizer
from ..factor.krylov import Krylov
from ..matrices.vectors import ConstantVector
from ..protocols import Field, Integrand, Matrix, Vector
from ..typing import Array, SparseMatrix
from .arguments import require_on_grid, stop_times_of, validated_grid, validated_times
from .dense_output import Observer
from .discontinuities.breaks import Breaks, as_breaks
from .discontinuities.one_sided_times import after
from .equations import System, as_mass, mass_at
from .initial_values.initial_values import InitialValues, initial_values_at
from .initial_values.null_spaces import NullSpace, constant_nulls, null_space
from .initial_values.reinitialization import Reinitialization
from .integrator import Integrator
from .methods.esdirk import ESDIRK4
from .methods.method import Method
from .methods.tableau import Tableau
from .stages.stage_matrices import Algebra
from .stages.stages import explicit_stage
from .step_control.controller import StepControl
from .step_control.integral_errors import IntegralControl
from .steps.accepted_steps import AcceptedSteps
from .steps.records import StepRecord
from .steps.repeated_steps import RepeatedSteps
from .sweeps import Notify, Sweeps
from .trajectory import Trajectory

_FIELD_METHODS = ("__call__", "jacobian", "vjp", "jvp")
"""The methods that a field must have."""


_INTEGRAND_METHODS = ("__call__", "vjp", "jvp")
"""The methods that an integrand must have."""


@short_signature
@dataclass(frozen=True, eq=False)
class ODEProblem(Portable):
    """M(p) u' = f(t, u, p), u(t₀) = u₀(p) on [t₀, t_f], to be solved and differentiated.

    `solve(p)` integrates with step size control, or on a given grid, and returns a
    `Trajectory`. The trajectory has the exact derivatives of the computed numbers: the
    derivatives of the discrete steps. Time and state have the units of your f; absolute
    tolerances have the units of the state.

    Parameters
    ----------
    field : Field
        f with its derivatives: a class of your own, `complex_step_field(f, n, m)` or
        `jax_field(f, n, m)`.
    u0 : (n,) array or Vector
        The initial state, in units of the state, or a Vector u₀(p).
    t : (float, float)
        (t₀, t_f) with t₀ < t_f, in units of time.
    observe : (K,) array, optional
        Times in [t₀, t_f] at which u is returned, ascending strictly, in units of time.
        Default: t_f only.
    method : Method
        For nonstiff problems `Tsit5()` or `DOP853()`. For stiff problems `TRBDF2()`,
        `ESDIRK4()` (the default), `ESDIRK5()`, `Radau5()` or `Radau9()`. On a given grid
        also `BackwardEuler()`, `CrankNicolson()` or `Theta(θ)`.
    rtol : float
        Relative tolerance of the local error of a step, in (0, 1). Default: 1e-6.
    atol : float or (n,) array
        Absolute tolerance of the local error, in units of the state. Default: 1e-9. Error
        control ignores a component that is smaller than its atol.
    mass : (n, n) matrix or Matrix, optional
        M, or a Matrix M(p). Default: the identity. A singular M makes a
        differential-algebraic equation (DAE); its index must be 1.
    integrand : Integrand, optional
        ℓ(t, u, p) with q entries: the integrals ∫ℓ dt are computed by the quadrature of
        the method.
    grid : (N + 1,) array, optional
        Times t₀ < … < t_f, which include all observation times and breaks. Each step goes
        from one time of the grid to the next, without error control.
    dense : bool
        True: u at the observation times is interpolated (dense output). False, the
        default: steps end at the observation times.
    consistent : bool
        True: the algebraic unknowns of u₀ are first guesses, and consistent values are
        computed. False, the default: u₀ must be consistent.
    factorize : callable
        Factorizer for matrices of more than 64 unknowns. Default: `adjoint.lu`.
    memory : Memory
        Policy of `adjoint.checkpointing`: which states are kept for derivatives. Default:
        `Budget()`.
    control : StepControl
        Settings of the step size control.
    breaks : (B,) array or Vector, optional
        Times at which f or ℓ may jump or have a kink, or a Vector of p for switching
        times that depend on parameters. Steps end at the breaks: the step before a break
        evaluates f just before the break, the next step just after. Derivatives with
        respect to p include the motion of the breaks.
    callback : callable, optional
        Called with a `SweepEvent` after each step, rejection and stored state.
    integral_atol : float or (q,) array
        Absolute tolerance of the integrals, in units of ℓ times time: the local error is
        kept below integral_atol + rtol ∫|ℓ| dt, unless `StepControl(integrals=False)`.
        Default: 0.

    Attributes
    ----------
    times : (K,) array
        The observation times.
    initial : Vector
        u₀(p); a constant Vector if u0 is an array.

    Raises
    ------
    TypeError
        If an argument has the wrong type or lacks a method.
    ValueError
        If an argument is out of range, or if shapes or times are inconsistent.

    Examples
    --------
    u' = −p u, u(0) = 1: u(1) = e⁻ᵖ, and du(1)/dp = −e⁻ᵖ:

    >>> import adjoint, numpy as np
    >>> field = adjoint.complex_step_field(lambda t, u, p: -p * u, 1, 1)
    >>> problem = adjoint.ODEProblem(field, np.ones(1), (0.0, 1.0), rtol=1e-8)
    >>> trajectory = problem.solve(np.array([2.0]))
    >>> gradient = trajectory.vjp(np.ones((1, 1)))
    >>> bool(abs(gradient[0] + np.exp(-2.0)) < 1e-7)
    True
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
    factorize: Factorizer = lu
    memory: Memory = dataclasses.field(default_factory=Budget)
    control: StepControl = dataclasses.field(default_factory=StepControl)
    breaks: Array | Vector | None = None
    callback: Callable[[SweepEvent], None] | None = None
    integral_atol: float | Array = 0.0

    __repr__ = short_repr

    # Validation

    def __post_init__(self) -> None:
        require_settings(self)
        for what, given, names in (
            ("field", self.field, _FIELD_METHODS),
            ("integrand", self.integrand, _INTEGRAND_METHODS),
        ):
            if given is None and what == "integrand":
                continue  # An integrand is optional.
            if missing_methods(given, names) or isinstance(given, type):
                raise TypeError(
                    f"ODEProblem: got {what}={given!r}, expected an object with "
                    f"{', '.join(names)}. From a plain function: adjoint.complex_step_{what}(…)"
                )
        callback = self.callback
        for name, value, fits, expected in (
            (
                "method",
                self.method,
                isinstance(self.method, Method),
                "a method such as adjoint.ode.ESDIRK4()",
            ),
            (
                "control",
                self.control,
                isinstance(self.control, StepControl),
                "adjoint.ode.StepControl(…)",
            ),
            (
                "memory",
                self.memory,
                has(self.memory, "open"),
                "a policy such as adjoint.checkpointing.Budget(bytes)",
            ),
            (
                "callback",
                callback,
                callback is None or callable(callback),
                "a function of a SweepEvent, or None",
            ),
        ):
            if not fits:
                raise TypeError(f"ODEProblem: got {name}={value!r}, expected {expected}")
        require_factorizer("ODEProblem", self.factorize)
        self._validate_numbers()

    def _validate_numbers(self) -> None:
        """Raise TypeError or ValueError if tolerances, times, u0, breaks or mass are wrong."""
        if not isinstance(self.rtol, int | float) or not 0.0 < self.rtol < 1.0:
            raise ValueError(f"ODEProblem: got rtol={self.rtol!r}, expected a number in (0, 1)")
        for name, given, size in (
            ("atol", self.atol, "n"),
            ("integral_atol", self.integral_atol, "q"),
        ):
            atol = as_array("ODEProblem", name, given)
            if (
                atol.dtype.kind not in "fiu"
                or atol.ndim > 1
                or not np.all((atol >= 0.0) & (atol < np.inf))
            ):
                raise ValueError(
                    f"ODEProblem: got {name}={given!r}, expected a number or a vector ({size},), "
                    "≥ 0"
                )
        if self.grid is None and not self.method.tableau.errors:
            raise ValueError(
                f"ODEProblem: {self.method} has no error estimate, expected a grid: "
                "grid=np.linspace(…)"
            )
        _ = self.times, self._given_grid, self.initial  # These properties validate t, u0, ….
        breaks = self._breaks
        if isinstance(breaks, ConstantVector) and self._given_grid is not None:
            require_on_grid(Breaks.at(breaks, np.zeros(0), self.t).stop_times, self._given_grid)
        as_mass(self.mass)

    @cached_property
    def times(self) -> Array:
        """The observation times, (K,)."""
        return validated_times(self.t, self.observe)

    @cached_property
    def initial(self) -> Vector:
        """u₀(p)."""
        u0 = self.u0
        if isinstance(u0, np.ndarray | list | tuple):
            value = as_array("ODEProblem", "u0", u0)
            if value.ndim != 1 or value.size == 0:
                raise ValueError(f"ODEProblem: u0 has shape {value.shape}, expected a vector (n,)")
            return ConstantVector(value)
        if missing_methods(u0, ("__call__", "vjp", "jvp")) or isinstance(u0, type):
            raise TypeError(
                f"ODEProblem: got u0={u0!r}, expected an array (n,), or a Vector u0(p) with "
                "__call__, vjp and jvp, such as adjoint.matrices.AffineVector(…)"
            )
        return u0

    @cached_property
    def _given_grid(self) -> Array | None:
        """The given grid, (N + 1,); None if step sizes are controlled."""
        return (
            None if self.grid is None else validated_grid(self.t, self.grid, self.times, self.dense)
        )

    @cached_property
    def _breaks(self) -> Vector | None:
        """The times of the breaks as a Vector of p; None without breaks."""
        return as_breaks(self.breaks)

    # Integration

    def solve(self, p: Array) -> Trajectory:
        """The trajectory at p, ready for derivatives.

        Parameters
        ----------
        p : (m,) array
            The parameters, real or complex.

        Returns
        -------
        Trajectory
            u at the observation times, integrals, and derivatives.

        Raises
        ------
        StepTooSmall
            If the error control asks for steps that are below rounding.
        TooManySteps
            If t_f is not reached in `control.max_steps` steps.
        StageFailure
            If the stages of a step cannot be solved.
        NonFiniteField
            If f, ℓ or the solution is nan or inf. This error and the errors above name the
            time that was reached.
        InconsistentStart
            If u₀ does not satisfy the algebraic equations of a DAE, or if no consistent
            values are found.
        MemoryTooSmall
            If the states do not fit into `memory`.
        StorageFailed
            If the states cannot be written to disk.
        TypeError, ValueError
            If p, f, u₀(p) or breaks(p) have the wrong type or shape.
        """
        return self._solved(as_parameters(p), self.times, None)

    def replayed(self, p: Array, times: Array, accepted: AcceptedSteps) -> Trajectory:
        """The trajectory at another p, by the accepted steps of an earlier integration.

        See `Trajectory.replay`.

        Parameters
        ----------
        p : (m,) array
            The parameters.
        times : (K,) array
            The observation times.
        accepted : AcceptedSteps
            The steps to take.

        Returns
        -------
        Trajectory
            The trajectory at p.
        """
        return self._solved(as_parameters(p), times, accepted)

    def on_grid(self, p: Array, times: Array, grid: Array, accuracy: float) -> Trajectory:
        """The trajectory at p, by the steps of a grid, without error control.

        Parameters
        ----------
        p : (m,) array
            The parameters.
        times : (K,) array
            The observation times.
        grid : (N + 1,) array
            The times between the steps, from t₀ to t_f; observation times and breaks are
            among them.
        accuracy : float
            Relative error of stage values, see `Method`.

        Returns
        -------
        Trajectory
            The trajectory; its problem has this grid, and no callback.
        """
        problem = dataclasses.replace(
            self,
            t=(float(grid[0]), float(grid[-1])),
            observe=times,
            grid=grid,
            method=dataclasses.replace(self.method, accuracy=accuracy),
            callback=None,
        )
        return problem.solve(p)

    def _solved(self, p: Array, times: Array, frozen: AcceptedSteps | None) -> Trajectory:
        """The trajectory at p; frozen: the steps to take, None if the integrator chooses them."""
        p.setflags(write=False)  # The user's functions receive p itself.
        # u₀(p) is evaluated once only: it may be the result of another integration.
        given = np.asarray(self.initial(p))
        system, nulls = self._system(p, given, frozen is not None)
        tableau, first_tableau = self._tableaux(nulls)
        start, end = (
            (float(self.t[0]), float(self.t[1]))
            if frozen is None
            else (float(frozen.stop_times[0]), float(frozen.stop_times[-1]))
        )
        breaks = Breaks.at(self._breaks, p, (start, end))
        u0 = np.array(given, dtype=system.dtype)
        u0.setflags(write=False)
        if nulls is not None and tableau.gamma == 0.0:
            raise ValueError(
                f"ODEProblem: the mass matrix is singular, a DAE, for which {tableau.name} is "
                "explicit; expected an implicit method, such as adjoint.ode.ESDIRK4()"
            )
        largest = max(abs(start), abs(end))
        t_plus = self._first_time(frozen, breaks, largest)
        initial_values = initial_values_at(
            system, start, t_plus, u0, nulls, self.consistent, tableau.continues
        )
        observer = Observer(system, times, self.dense, end)
        observer.begin(start, initial_values.u)
        notify, accepted = _notifier(self.callback), AcceptedSteps()
        store: Store[StepRecord] = self.memory.open(
            self._number_of_steps(frozen),
            lambda kind, k: notify(kind, k, accepted.t[k] if k < accepted.count else float("nan")),
        )
        reinitialization = Reinitialization(system, nulls)
        integrator = Integrator(
            system=system,
            tableau=tableau,
            first_tableau=first_tableau if tableau.continues else None,
            reinitialization=reinitialization,
            control=self.control,
            keep=store.put,
            visit=observer,
            notify=notify,
            u=initial_values.u,
            k=_first_stages(system, tableau, initial_values, t_plus),
            first_time=t_plus,
            largest=largest,
            accepted=accepted,
        )
        if self.integrand is not None and self.control.integrals:
            integrator.integrals = IntegralControl(
                system, np.asarray(self.integral_atol, dtype=float), start
            )
        try:
            self._integrate(integrator, frozen, breaks)
        finally:
            settle()
        steps = RepeatedSteps(system, reinitialization, accepted)
        sweeps = Sweeps(system, initial_values, steps, observer.places, store, notify)
        with sweeps.time_of_errors():
            store.finish(accepted.count)
        u = np.stack(observer.u) if observer.u else np.zeros((0, system.n), dtype=system.dtype)
        integrals = np.zeros(0) if observer.integrals is None else observer.integrals
        return Trajectory(self, p, times, u, integrals, u0, breaks, sweeps)

    def _tableaux(self, nulls: NullSpace | None) -> tuple[Tableau, Tableau | None]:
        """(tableau of the steps, tableau of the first step of a DAE or None)."""
        tableau, start = self.method.tableau, self.method.start
        if nulls is None:
            return tableau, None
        return tableau.algebraic, start.algebraic if start else None

    def _first_time(self, frozen: AcceptedSteps | None, breaks: Breaks, largest: float) -> float:
        """t₀⁺, just after t₀: the time of the first evaluation of f, because f may jump at t₀."""
        if frozen is not None:
            return frozen.first[0]
        if self._given_grid is not None:
            return after(
                float(self.t[0]), float(self._given_grid[1] - self._given_grid[0]), largest
            )
        stop_times = stop_times_of(self.t, self.times, self.dense, breaks.stop_times)
        return after(stop_times[0], stop_times[1] - stop_times[0], largest)

    def _number_of_steps(self, frozen: AcceptedSteps | None) -> int | None:
        """The number of steps if known before the integration, otherwise None."""
        if frozen is not None:
            return frozen.count
        return None if self._given_grid is None else self._given_grid.size - 1

    def _integrate(
        self, integrator: Integrator, frozen: AcceptedSteps | None, breaks: Breaks
    ) -> None:
        """Take all steps: frozen steps, the steps of the grid, or steps under error control."""
        with np.errstate(all="ignore"):  # Results that are not finite raise an error.
            if frozen is not None:
                integrator.repeat(frozen)
            elif self._given_grid is not None:
                require_on_grid(breaks.stop_times, self._given_grid)
                integrator.on_grid(
                    self._given_grid,
                    stop_times_of(self.t, self.times, self.dense, breaks.stop_times),
                )
            else:
                stop_times = stop_times_of(self.t, self.times, self.dense, breaks.stop_times)
                integrator.adaptive(stop_times, self.control.first_step)

    def _system(self, p: Array, u0: Array, replay: bool) -> tuple[System, NullSpace | None]:
        """The equations at p, with n and dtype from u0, and the null spaces of M.

        replay: True if the steps are frozen. A complex p then means a complex step: the
        integration at the real part of p, with a small imaginary perturbation.
        """
        if u0.dtype.kind not in "fciu" or u0.ndim != 1 or u0.size == 0:
            raise ValueError(
                f"ODEProblem: u0 has shape {u0.shape}, dtype {u0.dtype}; expected a vector (n,)"
            )
        bad = first_nonfinite(u0)
        if bad is not None:
            raise ValueError(f"ODEProblem: u0[{bad[0]}] is {bad[1]}, expected finite numbers")
        n, mass = u0.size, as_mass(self.mass)
        if np.ndim(self.atol) == 1 and np.shape(self.atol) != (n,):
            raise ValueError(
                f"ODEProblem: got atol of shape {np.shape(self.atol)}, expected a number or ({n},)"
            )
        mass_at_p = mass_at(mass, p, n)
        nulls = null_space(mass_at_p.matrix)
        if nulls is not None and not constant_nulls(nulls, mass_at_p.jvp, p):
            raise ValueError(
                "ODEProblem: M(p) is singular, and which equations and unknowns are algebraic "
                "depends on p. Expected the same null spaces for all p, such as rows and columns "
                "of zeros."
            )
        complex_state = u0.dtype.kind == "c" or p.dtype.kind == "c"
        dtype = np.dtype(np.complex128 if complex_state else np.float64)
        algebra = Algebra(
            n,
            mass_at_p.matrix,
            self.factorize,
            iterative=isinstance(self.factorize, Krylov),
            is_complex=complex_state,
        )
        atol = np.maximum(np.asarray(self.atol, dtype=float), np.finfo(float).tiny)
        system = System(
            field=self.field,
            integrand=self.integrand,
            p=p,
            n=n,
            dtype=dtype,
            mass=mass_at_p,
            algebra=algebra,
            rtol=self.rtol,
            atol=atol,
            accuracy=self.method.accuracy,
            perturbed=replay and p.dtype.kind == "c",
            steps_given=replay or self.grid is not None,
        )
        return system, nulls


def _first_stages(
    system: System, tableau: Tableau, initial_values: InitialValues, t_plus: float
) -> Array:
    """K₁ of the first step, (n,); for coupled stages the first guess of all stages, (s, n).

    The guess of each coupled stage is u'(t₀), or zero for a DAE.
    """
    if not tableau.coupled:
        return initial_values.k
    slope = (
        initial_values.k
        if initial_values.nulls is not None
        else explicit_stage(system, system.mass_inverse, t_plus, initial_values.u)
    )
    return np.tile(slope, (tableau.stages, 1)).astype(system.dtype)


def _notifier(callback: Callable[[SweepEvent], None] | None) -> Notify:
    """Return a function (kind, step, t) that calls the user's callback with a `SweepEvent`."""
    if callback is None:
        return lambda kind, step, t: None
    return lambda kind, step, t: callback(SweepEvent(kind, step, t))
