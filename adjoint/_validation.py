"""Validation of arguments, with errors that name the class and the argument.

`who` is the class or function that was called, `name` the name of the argument, and
`value` the value that the caller gave.
"""

import dataclasses
import os
import types
from collections.abc import Callable, Iterable
from numbers import Real
from operator import index
from pathlib import Path
from typing import get_args

import numpy as np

from ._numerics import finite_sum
from .errors import NonFinite
from .typing import Array


def named(value: object) -> str:
    """Return the type of a value, for messages: "a list", "None", "the class Foo itself"."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    name = "array" if isinstance(value, np.ndarray) else type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def shown(value: object) -> str:
    """Return a text for a value: the repr of a short string or number, otherwise the type."""
    text = repr(value) if isinstance(value, str | bytes | int | float | complex | None) else ""
    return text if 0 < len(text) <= 60 else named(value)


def has(value: object, *methods: str) -> bool:
    """True if the value is an object (not a class) with all of these methods."""
    return not isinstance(value, type) and not missing_methods(value, methods)


def missing_methods(value: object, methods: Iterable[str]) -> list[str]:
    """Return the names of the methods that the value lacks, in the given order."""
    return [method for method in methods if not callable(getattr(value, method, None))]


def require_methods(
    who: str, name: str, value: object, methods: tuple[str, ...], expected: str
) -> None:
    """Raise TypeError unless the value is an object with these methods.

    Also raise TypeError for a class: `Homotopy` for `Homotopy(...)` is a common slip.
    """
    if isinstance(value, type):
        raise TypeError(
            f"{who}: got {name}={named(value)}, expected an instance: {value.__name__}(…); "
            f"{expected}"
        )
    missing = missing_methods(value, methods)
    if missing:
        lacks = "cannot be called" if missing[0] == "__call__" else f"has no method {missing[0]}"
        raise TypeError(f"{who}: got {name}={named(value)}, which {lacks}; expected {expected}")


def require_kind(
    who: str, name: str, value: object, kind: type | types.UnionType, expected: str
) -> None:
    """Raise TypeError unless isinstance(value, kind)."""
    if not isinstance(value, kind):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected {expected}")


def require_function(who: str, name: str, value: object, expected: str) -> None:
    """Raise TypeError unless the value is callable."""
    if not callable(value):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected {expected}")


def is_number(value: object) -> bool:
    """True for a real number of Python, NumPy or JAX, nan and inf included; False for a bool."""
    if isinstance(value, Real):
        return not isinstance(value, bool)
    # A zero-dimensional array of NumPy or JAX.
    return (
        hasattr(value, "__array__")
        and np.ndim(value) == 0
        and np.asarray(value).dtype.kind in "fiu"
    )


def is_integer(value: object) -> bool:
    """True for an integer of Python or NumPy; False for a bool."""
    if isinstance(value, bool | np.bool_):
        return False
    try:
        index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def require_number(who: str, name: str, value: object) -> None:
    """Raise TypeError unless the value is a real number, ValueError if it is nan."""
    if not is_number(value):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected a real number")
    if value != value:
        raise ValueError(f"{who}: got {name}=nan, expected a number")


def require_positive(who: str, name: str, value: object) -> None:
    """Raise TypeError unless the value is a real number, ValueError unless 0 < value < inf."""
    require_number(who, name, value)
    if not 0.0 < value < np.inf:  # type: ignore[operator]
        raise ValueError(f"{who}: got {name}={value}, expected a positive and finite number")


def require_integer(who: str, name: str, value: object, least: int) -> None:
    """Raise TypeError unless the value is an integer, ValueError unless value ≥ least."""
    if not is_integer(value):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected an integer")
    if index(value) < least:  # type: ignore[arg-type]
        raise ValueError(f"{who}: got {name}={shown(value)}, expected an integer ≥ {least}")


def require_bool(who: str, name: str, value: object) -> None:
    """Raise TypeError unless the value is True or False.

    Other values are refused, because in an `if` the string "no" would count as true.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected True or False")


def as_array(who: str, name: str, value: object) -> Array:
    """Return the value as an array of numbers.

    Raise TypeError for strings, objects and ragged lists.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise TypeError(f"{who}: {name} cannot be converted to an array ({error})") from error
    if array.dtype.kind not in "fciub":
        raise TypeError(
            f"{who}: got {name} of dtype {array.dtype} ({named(value)}), expected float64 or "
            "complex128: real numbers, or complex numbers"
        )
    return array


def as_reals(who: str, name: str, value: object, ndim: int, expected: str) -> Array:
    """Return the value as a float64 array of `ndim` dimensions.

    Raise TypeError unless all entries are real numbers, ValueError if the number of
    dimensions differs, if the array is empty, or if an entry is nan or inf.
    """
    array = as_array(who, name, value)
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{who}: got {name} of dtype {array.dtype}, expected real numbers, {expected}"
        )
    if array.ndim != ndim or array.size == 0:
        raise ValueError(f"{who}: got {name} of shape {array.shape}, expected {expected}")
    if bad := first_nonfinite(array):
        raise ValueError(f"{who}: {name} holds {bad[1]}, expected {expected}, all of them finite")
    return array.astype(np.float64)


def as_path(who: str, name: str, value: object) -> Path:
    """Return the value as a Path.

    Raise TypeError unless the value is a str or a path, ValueError if the path contains a
    zero byte.
    """
    if not isinstance(value, str | os.PathLike) or isinstance(value, bytes):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected a path")
    if "\0" in os.fsdecode(value):
        raise ValueError(
            f"{who}: got {name}={os.fsdecode(value)!r} with a zero byte, expected the path of a "
            "file"
        )
    return Path(value)


def _require_real(who: str, name: str, value: object) -> None:
    """Raise TypeError unless the value is a real number; nan and inf are accepted."""
    if not is_number(value):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected a real number")


def _require_any_integer(who: str, name: str, value: object) -> None:
    """Raise TypeError unless the value is an integer; all ranges are accepted."""
    if not is_integer(value):
        raise TypeError(f"{who}: got {name}={shown(value)}, expected an integer")


REQUIREMENTS: dict[type, Callable[[str, str, object], None]] = {
    float: _require_real,
    int: _require_any_integer,
    bool: require_bool,
}
"""The check of a field, by the type of its annotation."""


def require_settings(settings: object) -> None:
    """Raise TypeError unless fields annotated float, int or bool have values of that type.

    settings: a dataclass. Fields annotated `float | None`, `int | None` or `bool |
    None` may be None. Ranges and nan are checked by the class itself. After this call
    the class may compare these fields with numbers, because no such field holds a
    string or an array.
    """
    who = type(settings).__name__
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value, kind = getattr(settings, field.name), field.type
        if isinstance(kind, types.UnionType):
            if value is None and type(None) in get_args(kind):
                continue
            kinds = [member for member in get_args(kind) if member is not type(None)]
            kind = kinds[0] if len(kinds) == 1 else None
        if isinstance(kind, type) and kind in REQUIREMENTS:
            REQUIREMENTS[kind](who, field.name, value)


def as_parameters(p: Array, name: str = "p") -> Array:
    """Return a copy of p as a float64 or complex128 vector, (m,).

    A copy is needed, because derivatives that are computed later use p. Raise TypeError
    unless p holds numbers, ValueError unless p is a vector, NonFinite if an entry is
    nan or inf.
    """
    try:
        p = np.asarray(p)
    except (ValueError, TypeError) as error:
        raise TypeError(
            f"{name} cannot be converted to an array ({error}), expected a vector of numbers"
        ) from error
    if p.dtype.kind not in "fciu":
        raise TypeError(f"got {name} of dtype {p.dtype}, expected float64 or complex128")
    if p.ndim != 1:
        raise ValueError(f"got {name} of shape {p.shape}, expected a vector (m,): np.ravel({name})")
    p = p.astype(np.complex128 if p.dtype.kind == "c" else np.float64)
    if not finite_sum(p) and (bad := first_nonfinite(p)):
        raise NonFinite(f"{name}[{bad[0]}] is {bad[1]} ({bad[2]} such), expected finite numbers")
    return p


def require_length(p: Array, m: int, what: str) -> None:
    """Raise ValueError unless p has m entries."""
    if p.shape != (m,):
        raise ValueError(f"{what}: got parameters of shape {p.shape}, expected ({m},)")


def as_cotangent(g: Array, p: Array, what: str) -> Array:
    """Return a copy of a gradient g of a user's class, with the shape and dtype of p.

    what: the source of g, for messages. If p is real, the imaginary part is dropped,
    since dJ = Re(gᴴ dp). A copy is needed, because a user's object may return the same
    array each time. Raise ValueError if the shapes of g and p differ (NumPy would
    broadcast g), TypeError unless g holds numbers.
    """
    g = np.asarray(g)
    if g.shape != p.shape:
        raise ValueError(
            f"{what} has shape {g.shape}, expected {p.shape}; return np.zeros_like(p) if J does "
            "not depend on p"
        )
    if g.dtype.kind not in "fciu":
        raise TypeError(f"{what} has dtype {g.dtype}, expected float64 or complex128")
    return (g if p.dtype.kind == "c" else g.real).astype(p.dtype)


def cotangent(derivative: Array, p: Array) -> Array:
    """Return the gradient g with dJ = Re(gᴴ dp) from a derivative d with dJ = Re(Σ d_i dp_i).

    g = Re(d) if p is real, and g = conj(d) if p is complex. d is the argument
    `derivative`.
    """
    return derivative.conj() if p.dtype.kind == "c" else np.ascontiguousarray(derivative.real)


def first_nonfinite(values: Array) -> tuple[int | tuple[int, ...], np.generic, int] | None:
    """Return (index, entry, count) of the first nan or inf; None if all entries are finite.

    index: an integer for a vector, a tuple for an array of more dimensions; count: the
    number of entries that are nan or inf.
    """
    finite = np.isfinite(values)
    if finite.all():
        return None
    first = np.unravel_index(int(np.argmin(finite)), finite.shape)
    position = tuple(int(i) for i in first)
    return (
        position[0] if len(position) == 1 else position,
        values[first],
        int(finite.size - np.count_nonzero(finite)),
    )
