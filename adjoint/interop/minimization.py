"""`minimize` for the optimizers of other packages: its arguments are checked here."""

from collections.abc import Callable, Sequence

from .._validation import as_parameters, has, named, require_bool
from ..optimize.result import Result
from ..optimize.settings import require_constraints, require_geometry
from ..optimize.state import State
from ..optimize.stopping import Stopping
from ..reduced import Function
from ..typing import Array
from .run import Method, Run


def minimize(
    f: Function,
    x: Array,
    method: Method,
    *,
    stop: Stopping | None = None,
    check: bool = True,
    callback: Callable[[State], None] | Sequence[Callable[[State], None]] = (),
) -> Result:
    """min f(x) by an optimizer of another package, as `adjoint.minimize` but without restarts.

    The package sees f divided by its first slope, x divided by its length at the start, and
    constraints divided by `State.scales`. The tolerances of the package are off: `stop`
    ends the run, and only the measures of this library count as success. If the package
    ends by itself before, the status is STALLED or STUCK. A failed solve ends the run as
    FAILED, for other packages cannot shorten the step.

    Parameters
    ----------
    f : callable
        The objective: x ↦ a point with x, value and gradient, as in `adjoint.minimize`.
    x : (m,) array
        The design at the start, within the bounds, in its own units.
    method : Method
        For example `adjoint.interop.scipy.LBFGSB()`.
    stop : Stopping, optional
        Tolerances and budgets; `Stopping()` if it is None.
    check : bool
        If True, gradients are compared with differences of values, as in
        `adjoint.minimize`.
    callback : callable or sequence of callables
        Called with every accepted `State`.

    Returns
    -------
    Result
        The best and the last state, the status and the work spent.

    Raises
    ------
    WrongGradient
        If `check` is True and a gradient differs from differences of values.
    SolveError
        If f fails at the start.
    TypeError
        If an argument has the wrong type, or if the method is an algorithm of this library.
    ValueError
        If there are bounds and an inner product that is not diagonal: in the variables of
        the package such bounds are not bounds on single variables.
    """
    _require_method(method)
    require_bool("adjoint.interop.minimize", "check", check)
    if not (method.bounds.everywhere or method.inner.diagonal):
        raise ValueError(
            f"{type(method).__name__}: got bounds with {type(method.inner).__name__}, whose M is "
            "not diagonal: in its variables bounds on x are not bounds on single variables. "
            "Expected Euclidean() or Weighted(...)"
        )
    x = as_parameters(x, "x")
    if x.dtype.kind == "c":
        raise TypeError(f"{type(method).__name__}: got x of dtype {x.dtype}, expected real numbers")
    method.bounds.require(x, type(method).__name__)
    observers, rules = (
        tuple(callback) if isinstance(callback, Sequence) else (callback,),
        Stopping() if stop is None else stop,
    )
    if not (isinstance(rules, Stopping) and all(map(callable, observers))):
        raise TypeError(
            f"minimize: got stop={stop!r}, callback={callback!r}, expected a Stopping and "
            "functions of a state"
        )
    return Run(f, x, method, rules, check, observers).result()


def _require_method(method: Method) -> None:
    """Raise TypeError unless it is a method with sound bounds and constraints."""
    if has(method, "start", "advance"):
        raise TypeError(
            f"adjoint.interop.minimize: got {type(method).__name__}, an algorithm of this library: "
            "use adjoint.minimize"
        )
    if not has(method, "optimize"):
        raise TypeError(
            f"adjoint.interop.minimize: got {named(method)}, expected a method such as "
            "adjoint.interop.scipy.LBFGSB()"
        )
    name = type(method).__name__
    require_geometry(name, method.bounds, method.inner)
    for constraints in (method.constraints, method.equalities):
        require_constraints(name, constraints, ())
