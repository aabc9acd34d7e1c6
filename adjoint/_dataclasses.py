"""Parts that the library's dataclasses share: short reprs, and pickles of public fields only."""

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeVar

import numpy as np
import scipy.sparse as sparse

T = TypeVar("T")

LONGEST = 60
"""Characters of a value that are shown; longer reprs are replaced by the name of the type."""


def short_repr(self: object) -> str:
    """Return `Name(field=value, …)` for a dataclass.

    Only public fields that differ from their defaults are shown.

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
    """Return a text of at most about 60 characters for a value."""
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


@dataclasses.dataclass(frozen=True)
class _Text:
    """An annotation that is shown as this text."""

    text: str

    def __repr__(self) -> str:
        return self.text


def short_signature(kind: type[T]) -> type[T]:
    """Class decorator: `help` shows annotations without the modules of their names."""
    signature = inspect.signature(kind)
    parameters = [
        parameter.replace(
            annotation=_Text(
                re.sub(r"(\w+\.)+", "", inspect.formatannotation(parameter.annotation))
            )
        )
        for parameter in signature.parameters.values()
    ]
    kind.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return kind


class Portable:
    """A dataclass whose pickles and deep copies contain its public fields only.

    Cached patterns, factors and analyses are left out: the copy computes them when it
    needs them. Fields with a leading underscore get their default values.
    """

    def __getstate__(self) -> dict[str, object]:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {
            field.name: getattr(self, field.name)
            for field in fields
            if not field.name.startswith("_")
        }

    def __setstate__(self, state: dict[str, object]) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.name in state:
                object.__setattr__(self, field.name, state[field.name])
            elif field.default_factory is not dataclasses.MISSING:
                object.__setattr__(self, field.name, field.default_factory())


class Local:
    """A value with factors or files of this process: pickling and deep copying raise TypeError."""

    portable = "the problem and the parameters, and solve there"
    """The end of the error message: the data to send to another process instead."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds factors or stored states of this process: it cannot be "
            f"pickled or deep-copied. Pickle {self.portable}; or pickle its arrays"
        )
