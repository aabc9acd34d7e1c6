"""Running an optimizer of another package, as one of ours."""

from collections.abc import Callable, Sequence

from .._validation import as_parameters, has, named, require_bool
from ..optimize.run import Result
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
    """Run another package's optimizer from x: as `adjoint.minimize`, without restart files.

    The package sees f divided by its first slope, x by its length at the start, and constraints by `State.scales`.
    Its own tolerances are off: `stop` ends the run, and only our measures call it a success; where it ends by itself
    before, the status is STALLED or STUCK. A failed solve ends it with FAILED, for other packages cannot go around one.
    Raises what f raises at the start, WrongGradient, and ValueError for bounds with an inner product that is not
    diagonal: in its variables a box is no box. TypeError for an algorithm of ours, which `adjoint.minimize` runs.
    """
    _require_method(method)
    require_bool("adjoint.interop.minimization", "check", check)
    if not (method.bounds.everywhere or method.inner.diagonal):
        raise ValueError(
            f"{type(method).__name__}: got bounds with {type(method.inner).__name__}, whose M is not diagonal: in its "
            "variables a box is no box. Expected Euclidean() or Weighted(...)"
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
            f"minimize: got stop={stop!r}, callback={callback!r}, expected a Stopping and functions of a state"
        )
    return Run(f, x, method, rules, check, observers).result()


def _require_method(method: Method) -> None:
    """Raise TypeError for what is no method of another package, or was given bounds or constraints that are none."""
    if has(method, "start", "advance"):
        raise TypeError(
            f"adjoint.interop.minimize: got {type(method).__name__}, an algorithm of this library: use adjoint.minimize"
        )
    if not has(method, "optimize"):
        raise TypeError(
            f"adjoint.interop.minimize: got {named(method)}, expected a method such as adjoint.interop.scipy.LBFGSB()"
        )
    name = type(method).__name__
    require_geometry(name, method.bounds, method.inner)
    for constraints in (method.constraints, method.equalities):
        require_constraints(name, constraints, ())
