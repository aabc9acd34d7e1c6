"""When to ask whether derivatives can be trusted: thoroughly at first, then at ever fewer points."""

from dataclasses import dataclass, field

import numpy as np

from .slices import Slice


@dataclass(frozen=True, eq=False)
class Examination:
    """Of one function's derivatives, at the points where they are asked for."""

    _passed: list[bool] = field(default_factory=list)
    _calls: list[int] = field(default_factory=lambda: [0])

    def first(self, point: Slice) -> None:
        """Let the first point where the function is finite show whether it can be trusted; see `Slice.examine`."""
        if point.x.size and not self._passed:
            value = point.value(point.x)  # What is wrong with the function itself is told first.
            point.examine()
            if np.isfinite(value).all():
                self._passed.append(True)

    def due(self) -> bool:
        """Whether to examine this point too: the first one, and the 2nd, 4th, 8th, … that it is asked for.

        A branch that loses imaginary parts may come at any later time. But derivatives of fields are asked for at
        each stage of each step, where the examination would cost as much as the derivatives of a small field do:
        by this rule a sweep of a million stages pays for twenty.
        """
        self._calls[0] += 1
        return self._calls[0] & (self._calls[0] - 1) == 0 or not self._passed
