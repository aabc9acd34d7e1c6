"""The memory of an algorithm: named arrays in a state, a whole inner state among them."""

from collections.abc import Mapping

import numpy as np

from ..reduced import Point
from ..typing import Array
from .state import State

PREFIX = "inner."
"""Prefix of the names under which the fields of an inner algorithm's state are stored."""


MEMORY = "inner.memory."
"""Prefix of the names under which the memory of an inner algorithm is stored."""


NUMBERS = (
    "iteration",
    "value",
    "stationarity",
    "projected",
    "step",
    "change",
    "violation",
    "scale",
    "evaluations",
    "stage",
    "left",
)
"""Fields of an inner state that are stored as arrays of shape ()."""


ARRAYS = ("gradient", "constraints", "multipliers", "scales", "rejected")
"""Fields of an inner state that are stored as vectors."""


Shape = tuple[int | str, ...]
"""A shape. An integer is a length; a word is any length, the same length wherever the word
stands."""


def require_memory(algorithm: object, state: State) -> None:
    """Raise ValueError unless `state.memory` has the entries that the algorithm needs.

    The algorithm's own method `require_memory(state)` decides. Without this method
    nothing is checked.
    """
    check = getattr(algorithm, "require_memory", None)
    if callable(check):
        check(state)


def require_entries(name: str, memory: Mapping[str, Array], shapes: Mapping[str, Shape]) -> None:
    """Raise ValueError unless the memory has arrays of these names and shapes.

    name: of the algorithm, for the message. Further arrays are ignored.
    """
    lengths: dict[str, int] = {}
    for key, expected in shapes.items():
        if key not in memory:
            raise ValueError(f"{name} expects {key!r} in its memory, which holds {sorted(memory)}")
        shape = np.shape(memory[key])
        fits = len(shape) == len(expected) and all(
            found == (lengths.setdefault(length, found) if isinstance(length, str) else length)
            for length, found in zip(expected, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"{name} expects {key!r} of shape {expected} in its memory, got shape {shape}"
            )


def require_packed(name: str, algorithm: object, state: State) -> None:
    """Raise ValueError unless the memory holds a packed state of the inner algorithm.

    name: of the outer one.
    """
    shapes: dict[str, Shape] = {PREFIX + field: () for field in NUMBERS}
    shapes |= {PREFIX + field: (field,) for field in ARRAYS}
    shapes[PREFIX + "gradient"] = (state.x.size,)
    require_entries(name, state.memory, shapes)
    require_memory(algorithm, unpacked(state.memory, state.x, None))


def packed(inner: State) -> dict[str, Array]:
    """The state of an inner algorithm as named arrays.

    The design x is left out, since the outer state has it, and so are `ending`, `failure`,
    `point` and `function`.
    """
    fields = {PREFIX + name: np.asarray(getattr(inner, name)) for name in (*NUMBERS, *ARRAYS)}
    return fields | {MEMORY + name: array for name, array in inner.memory.items()}


def unpacked(memory: Mapping[str, Array], x: Array, point: Point | None) -> State:
    """The inner state that was packed, at the design x."""
    numbers = {name: memory[PREFIX + name].item() for name in NUMBERS}
    gradient, constraints, multipliers, scales, rejected = (
        memory[PREFIX + name] for name in ARRAYS
    )
    own = {
        name.removeprefix(MEMORY): array
        for name, array in memory.items()
        if name.startswith(MEMORY)
    }
    return State(
        x=x,
        gradient=gradient,
        constraints=constraints,
        multipliers=multipliers,
        scales=scales,
        rejected=rejected,
        memory=own,
        point=point,
        **numbers,
    )
