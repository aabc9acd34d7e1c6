"""Short reprs, without fields at their defaults, whole arrays and function addresses."""

import dataclasses
import types
from collections.abc import Iterator, Mapping

import numpy as np
import scipy.sparse as sparse

LONGEST = 60
"""Characters of a value that are shown; longer reprs are replaced by the name of the type."""


def short_repr(self: object) -> str:
    """`Name(field=value, …)` of a dataclass: its public fields that differ from their defaults.

    Arrays are shown by shape, functions by name. Use: `__repr__ = short_repr` in the
    class.
    """
    return f"{type(self).__name__}({', '.join(_fields(self))})"


def _fields(value: object) -> Iterator[str]:
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
        if field.repr and not field.name.startswith("_"):
            held = getattr(value, field.name)
            if not _is_default(held, field):
                yield f"{field.name}={short(held)}"


def _is_default(held: object, field: "dataclasses.Field[object]") -> bool:
    if field.default is not dataclasses.MISSING:
        return held is field.default or (
            isinstance(held, int | float | str) and held == field.default
        )
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return type(held) is type(made) and repr(held) == repr(made)
    return False


def short(value: object) -> str:
    """A value in at most some 60 characters."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"array({value.shape}, {value.dtype})"
    if isinstance(value, sparse.sparray | sparse.spmatrix):
        return f"{type(value).__name__}({value.shape}, nnz={value.nnz})"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType | type):
        return value.__qualname__.replace("<locals>.", "")
    if isinstance(value, list | tuple) and len(value) > 3:
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(short, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, Mapping):
        return f"{type(value).__name__} of {len(value)}"
    words = " ".join(repr(value).split())
    return f"{type(value).__name__}(…)" if len(words) > LONGEST or " at 0x" in words else words
