"""A state inside of another one's memory: of an algorithm that works for an algorithm."""

from collections.abc import Mapping

import numpy as np

from ..arrays import Array
from ..reduced import Point
from .state import State

PREFIX, MEMORY = "inner.", "inner.memory."
NUMBERS = (
    *("iteration", "value", "stationarity", "projected", "step", "change", "violation", "scale", "evaluations"),
    *("stage", "left"),
)
ARRAYS = ("gradient", "constraints", "multipliers", "scales", "rejected")


def packed(inner: State) -> dict[str, Array]:
    """The state by name: all but its design, which is the outer one's, its ending and its point."""
    fields = {PREFIX + name: np.asarray(getattr(inner, name)) for name in (*NUMBERS, *ARRAYS)}
    return fields | {MEMORY + name: array for name, array in inner.memory.items()}


def unpacked(memory: Mapping[str, Array], x: Array, point: Point | None) -> State:
    """The state that was packed, at the design x."""
    numbers = {name: memory[PREFIX + name].item() for name in NUMBERS}
    gradient, constraints, multipliers, scales, rejected = (memory[PREFIX + name] for name in ARRAYS)
    own = {name.removeprefix(MEMORY): array for name, array in memory.items() if name.startswith(MEMORY)}
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
