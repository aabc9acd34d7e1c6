"""Checks of an algorithm's settings: a wrong setting raises an error before the first solve."""

from collections.abc import Sequence

import numpy as np

from .._validation import has, named
from ..bounds import Bounds
from .inner_products import Euclidean


def require_function(name: str, role: str, function: object) -> None:
    """Raise TypeError unless the argument is a function.

    name: the class that gets the argument; role: the name of the argument.
    """
    if not callable(function):
        raise TypeError(f"{name}: got {named(function)} as {role}, expected a function of x")


def require_geometry(name: str, bounds: object, inner: object) -> None:
    """Raise TypeError unless `bounds` are Bounds and `inner` is an inner product.

    name: name of the algorithm, for the message.
    """
    if not isinstance(bounds, Bounds):
        raise TypeError(
            f"{name}: got {named(bounds)} as bounds, expected a Bounds of numbers or arrays (m,), "
            "such as Bounds(0.0, 1.0)"
        )
    if not has(inner, "direction", "pairing", "dual_norm"):
        raise TypeError(
            f"{name}: got {named(inner)} as the inner product, expected one, such as "
            "Weighted(weights) or Euclidean()"
        )


def require_manifold(name: str, manifold: object, bounds: Bounds, inner: object) -> None:
    """Raise unless `manifold` is None, or a manifold without bounds and with its own metric.

    Raise TypeError for a wrong type, ValueError for bounds or an inner product beside it.
    name: name of the algorithm, for the message.
    """
    if manifold is None:
        return
    if not has(manifold, "require", "tangent", "gradient", "retract", "transport", "hessian"):
        raise TypeError(
            f"{name}: got {named(manifold)} as the manifold, expected one, such as "
            "adjoint.optimize.manifolds.Sphere(n), or None"
        )
    if not bounds.everywhere:
        raise ValueError(
            f"{name}: got bounds and a manifold, expected one of both: a retraction does not keep "
            "bounds. A penalty in f, or a change of variables, can replace the bounds"
        )
    if not isinstance(inner, Euclidean):
        raise ValueError(
            f"{name}: got the inner product {type(inner).__name__} and a manifold, expected one of "
            "both: a manifold has a metric"
        )


def require_no_manifold(name: str, algorithm: object) -> None:
    """Raise ValueError if an inner algorithm has a manifold."""
    if getattr(algorithm, "manifold", None) is not None:
        raise ValueError(
            f"{name}: got {algorithm!r} as the inner algorithm, expected one without a manifold: "
            "constraints and stages are not combined with manifolds. A penalty in f can replace "
            "a constraint"
        )


def require_kind(name: str, what: str, value: object, kind: type) -> None:
    """Raise TypeError unless the setting `what` is an instance of the class `kind`."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: got {named(value)} as {what}, expected {kind.__name__}(…)")


def require_objective(name: str, objective: object) -> None:
    """Raise TypeError unless the argument is an objective J(u, p), with value and gradients."""
    if not has(objective, "value", "gradients"):
        raise TypeError(
            f"{name}: got {named(objective)}, expected an objective, with value(u, p) and "
            "gradients(u, p); for a function of x: FunctionConstraint(ScalarFunction(value, "
            "gradient), bound)"
        )


def require_constraints(name: str, constraints: object, vectors: tuple[type, ...]) -> None:
    """Raise unless `constraints` is a sequence of constraints with finite bounds.

    Raise TypeError for a wrong type, ValueError for a bound that is not a finite number.
    name: name of the algorithm, for the message. vectors: classes of constraints that need no
    scalar bound.
    """
    if not isinstance(constraints, Sequence):
        raise TypeError(
            f"{name}: got {named(constraints)} as constraints, expected a tuple of them, "
            "such as (c,)"
        )
    for c in constraints:
        if isinstance(c, vectors):
            continue
        if not has(c, "at"):
            raise TypeError(
                f"{name}: got {named(c)} among the constraints, expected a LinearConstraint, a "
                "StateConstraint, a FunctionConstraint(ScalarFunction(value, gradient), bound), …"
            )
        _bound(name, c)


def require_design_constraint(name: str, constraint: object) -> None:
    """Raise unless `constraint` is a constraint on the design alone with a positive bound.

    Raise TypeError for a wrong type, ValueError for a bound that is not positive. name:
    name of the algorithm, for the message.
    """
    if not has(constraint, "value", "gradient"):
        raise TypeError(
            f"{name}: got {named(constraint)} as the constraint, expected one on the design, such "
            "as LinearConstraint.volume(filter, volumes, fraction)"
        )
    if not _bound(name, constraint) > 0.0:
        raise ValueError(
            f"{name}: got a bound of {_bound(name, constraint)}, expected a positive number"
        )


def _bound(name: str, constraint: object) -> float:
    bound = getattr(constraint, "bound", None)
    number = np.asarray(bound)
    if number.ndim or number.dtype.kind not in "fiu" or not np.isfinite(number):
        raise ValueError(
            f"{name}: got {bound!r} as the bound of a constraint, expected a finite number"
        )
    return float(number)
