"""Pickles and deep copies of problems, and their refusal by solutions."""

import dataclasses
from typing import NoReturn


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
    """What the message advises to send to another process."""

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds factors or stored states of this process: it cannot be "
            f"pickled or deep-copied. Pickle {self.portable}; or pickle its arrays"
        )
