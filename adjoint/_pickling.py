"""Values that leave their process, and values that must not: pickles and deep copies of dataclasses."""

import dataclasses
from typing import NoReturn


class Portable:
    """A dataclass whose pickles and deep copies hold its public fields alone.

    What it remembers besides (patterns, factors, analyses) is made again where it is needed, so that problems go to
    other processes, and stay small on the way. Fields with a leading underscore begin anew.
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
    """A value that lives in one process: it holds factors, or files. Pickles and deep copies are refused by name."""

    portable = "the problem and the parameters, and solve there"
    """What to send to another process instead."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds factors or stored states of this process: it has no pickle and no deep copy. "
            f"Pickle {self.portable}; or its arrays alone"
        )
