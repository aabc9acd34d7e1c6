"""Fingerprint of an algorithm: a digest of all settings that its frozen dataclass holds."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

import numpy as np
import scipy.sparse as sparse

DEEPEST = 12
"""Largest depth of objects within objects that is looked into; settings are less deep."""


DIGITS = 12
"""Number of hexadecimal digits of the digest that a fingerprint keeps."""


def fingerprint(algorithm: object) -> str:
    """The name of the algorithm's class, and the first digits of a digest of its settings.

    Settings are the public fields of dataclasses, to any depth: numbers, arrays, matrices,
    and functions by their names. Of any other object only the class counts, for the library
    does not know what such an object holds.
    """
    digest = hashlib.sha256()
    for piece in _pieces(algorithm, DEEPEST):
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return f"{type(algorithm).__name__} {digest.hexdigest()[:DIGITS]}"


def _pieces(value: object, depth: int) -> "list[bytes]":
    """The bytes that stand for a value in the digest, piece by piece."""
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if value is None or isinstance(
        value, bool | int | float | complex | str | bytes | Enum | np.generic
    ):
        return [name.encode(), repr(value).encode()]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiubc":
            return [name.encode(), str(value.dtype).encode()]
        return [str((value.dtype, value.shape)).encode(), np.ascontiguousarray(value).tobytes()]
    if sparse.issparse(value):
        matrix = sparse.csc_array(value)
        return [
            piece
            for part in (matrix.data, matrix.indices, matrix.indptr)
            for piece in _pieces(part, depth)
        ]
    parts = _parts(value) if depth else ()
    return [name.encode(), *(piece for part in parts for piece in _pieces(part, depth - 1))]


def _parts(value: object) -> "tuple[object, ...]":
    """The parts of a value in order: items, elements, public fields, or a function's name."""
    if isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, list | tuple):
        return tuple(value)
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(
            (each.name, getattr(value, each.name))
            for each in fields(value)
            if not each.name.startswith("_")
        )
    where = getattr(value, "__qualname__", None)  # A function, or a class.
    return () if where is None else (f"{getattr(value, '__module__', '')}.{where}",)
