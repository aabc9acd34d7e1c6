"""Running an algorithm: `minimize` ends by stopping rules, `descend` does not end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from .._validation import as_parameters, as_path, has, named, require_bool, require_methods
from ..errors import RestartError
from ..reduced import Function
from ..typing import Array
from .gradient_tolerance import GradientTolerance
from .loop import Observer, Run, shown_state
from .restart.archive import require_file
from .result import Result
from .state import Algorithm, State
from .stopping import Stopping


def minimize(
    f: Function,
    x: Array,
    algorithm: Algorithm,
    *,
    stop: Stopping | None = None,
    check: bool = True,
    gradient_tolerance: float | None = None,
    callback: Observer | Sequence[Observer] = (),
    restart: Path | str | None = None,
    resume: bool = False,
) -> Result:
    """min f(x): run the algorithm from x until a stopping rule holds.

    The algorithm makes one iteration after another. After each iteration `callback` is
    called, the restart file is written, and the rules in `stop` decide whether the run
    ends. The design found is `result.x`; `result.status` says in words why the run ended,
    and `result.success` is True only if the run converged. Look at the status first: a run
    that ended by a budget, on a plateau or with a wrong gradient also returns its best
    design.

    Parameters
    ----------
    f : callable
        The objective: x ↦ a point with `x`, `value` and `gradient`. A `Reduced` is such a
        function; `ScalarFunction(value, gradient)` makes one from plain functions. If f
        raises a `SolveError`, or returns nan, at a trial design, the step was too long: the
        algorithm shortens it.
    x : (m,) array
        The design at the start, within the bounds, in its own units.
    algorithm : Algorithm
        The method with its settings, bounds and constraints: `LBFGS()` for smooth problems
        with bounds at most; `NewtonCG()` if f has Hessian–vector products; `GaussNewton()`
        for sums of squares; `OptimalityCriteria(volume)`, `SiMPL(volume)` or `MMA((c,),
        bounds)` for topology optimization; `AugmentedLagrangian(LBFGS(), constraints)` for
        many constraints.
    stop : Stopping, optional
        Tolerances and budgets; `Stopping()` if it is None.
    check : bool
        If True (the default), gradients are compared with differences of values. Before the
        first step this costs up to four evaluations of f, one more if there are
        constraints, and about twenty before a gradient is called wrong. A run that would
        end as converged is checked once more, at a similar cost, and ends as INCONSISTENT,
        FLAT or SADDLE if the differences contradict convergence. It ends as UNEVEN or
        RISEN, see `Status`, without further evaluations.
    gradient_tolerance : float, optional
        η between 0 and 1, such as 0.1: f is a `Reduced` of a problem with an iterative
        solver, and an iteration may use a gradient whose error is η times the optimality
        measure (docs/math/optimization.md, eqs. 450–453). Solves then end at a tolerance
        of 1e-3, which tightens as the run converges, but not below the tolerance of the
        problem; `State.rtol` has the tolerance of each iteration. The first design, and
        each design that would end the run as converged, is solved to the tolerance of the
        problem itself, and so are the designs of the result. Exceptions are runs that end
        as INTERRUPTED or FAILED.
    callback : callable or sequence of callables
        Called with every `State`, for example a `Recorder` of a report.
    restart : path, optional
        A file to which every state is written, after the calls of `callback`.
    resume : bool
        If True and the restart file exists, go on from the state in the file: the run ends
        with the same bits as a run that was never interrupted. x must have the size of the
        design in the file.

    Returns
    -------
    Result
        The best and the last state, the status and the work spent. Ctrl-C ends a run with
        `Status.INTERRUPTED`; a failed solve that the algorithm cannot avoid, with
        `Status.FAILED`.

    Raises
    ------
    WrongGradient
        If `check` is True and the gradient of f, or of a constraint, differs from
        differences of values by more than 1e-3, relatively.
    RestartError
        If the restart file is damaged, is of another run, or cannot be written.
    SolveError
        If a solve fails at the start.
    TypeError, ValueError
        If an argument has the wrong type or an impossible value.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.optimize import LBFGS, ScalarFunction, minimize
    >>> f = ScalarFunction(lambda x: np.sum((x - 1.0) ** 4), lambda x: 4.0 * (x - 1.0) ** 3)
    >>> result = minimize(f, np.zeros(3), LBFGS())
    >>> print(result.success, np.round(result.x, 1))
    True [1. 1. 1.]
    """
    file = None if restart is None else as_path("minimize", "restart", restart)
    for name, flag in (("check", check), ("resume", resume)):
        require_bool("minimize", name, flag)
    start = as_parameters(x, "x")
    run = Run(f, algorithm, Stopping() if stop is None else stop, check, file, start, None)
    observers = tuple(callback) if isinstance(callback, Sequence) else (callback,)
    if not (isinstance(run.stop, Stopping) and all(map(callable, observers))):
        raise TypeError(
            f"minimize: got stop={stop!r}, callback={callback!r}, expected a Stopping and "
            "functions of a state"
        )
    if not has(algorithm, "start", "advance"):
        raise TypeError(
            f"minimize: got {named(algorithm)}, expected an algorithm such as "
            "adjoint.optimize.LBFGS(); adjoint.interop.minimize runs the optimizers of other "
            "packages"
        )
    if gradient_tolerance is not None:
        tuning = GradientTolerance.of(f, gradient_tolerance, algorithm, run.steepness)
        run = replace(run, tuning=tuning)
    if run.file is not None:
        _prepare(run.file)
    at, found = (run.resumed(x) if resume else None), None
    if at is None:
        at, found = run.begun(x, observers)
    return replace(run.finished(at, observers), gradient_check=found)


def descend(f: Function, x: Array, algorithm: Algorithm) -> Iterator[State]:
    """x₀, x₁, x₂, …: yield the states of the algorithm without end.

    The caller decides when to stop, to log and to plot. After a state with an `ending` the
    iterator yields this state again and again.

    Parameters
    ----------
    f : callable
        The objective, as in `minimize`.
    x : (m,) array
        The design at the start, within the bounds.
    algorithm : Algorithm
        The method with its settings.

    Returns
    -------
    iterator of State
        The states, the state at x first; their arrays are read-only.

    Raises
    ------
    TypeError
        If the algorithm has no methods `start` and `advance`.

    Examples
    --------
    >>> import numpy as np
    >>> from adjoint.optimize import LBFGS, ScalarFunction, descend
    >>> f = ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)
    >>> for state in descend(f, np.ones(2), LBFGS()):
    ...     if state.stationarity < 1e-8:
    ...         break
    >>> print(state.x)
    [0. 0.]
    """
    require_methods(
        "descend",
        "algorithm",
        algorithm,
        ("start", "advance"),
        "one such as adjoint.optimize.LBFGS()",
    )
    return _descended(f, x, algorithm)


def _descended(f: Function, x: Array, algorithm: Algorithm) -> Iterator[State]:
    state = algorithm.start(f, x)
    while True:
        yield shown_state(state)
        if state.ending is None:
            state = algorithm.advance(f, state)


def _prepare(file: Path) -> None:
    """Make the directory of a restart file; raise RestartError if this fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RestartError(
            f"{file}: cannot write a restart file there ({error.strerror or error})"
        ) from error
    require_file(file)
