"""The course of a Newton iteration: ‖R‖, the size of each correction, and how much of it was taken."""

from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import (
    NewtonDiverged,
    NewtonStalled,
    NonFiniteResidual,
    SingularJacobian,
    WrongJacobian,
)
from ..factor.counts import count

Failure = TypeVar(
    "Failure", NewtonDiverged, NewtonStalled, SingularJacobian, WrongJacobian, NonFiniteResidual
)


@dataclass(frozen=True, eq=False)
class History:
    """One entry an iterate: ‖R‖; one a step: ‖Δu‖, the factor α of u ← u + αΔu, and what it followed."""

    _norms: list[float] = field(default_factory=list)
    _steps: list[tuple[float, float, str]] = field(default_factory=list)
    _measured: list[int] = field(default_factory=lambda: [0])

    def iterate(self, norm: float) -> None:
        """Note ‖R‖ at an iterate."""
        self._norms.append(norm)

    def step(self, size: float, factor: float, kind: str) -> None:
        """Note, and count, a step to the iterate that will be noted next: ‖Δu‖, α; kind: "Newton", "chord", …"""
        count(newton=1)
        self._steps.append((size, factor, kind))

    def remeasure(self) -> None:
        """From here on steps are measured in other units: those before are not compared with."""
        self._measured.append(self.steps)

    @property
    def norms(self) -> tuple[float, ...]:
        """‖R‖ at the iterates so far."""
        return tuple(self._norms)

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self._steps)

    @property
    def longest(self) -> float:
        """The largest ‖Δu‖ so far, 0 if there was none."""
        return max((size for size, _, _ in self._steps[self._measured[-1] :]), default=0.0)

    @property
    def linear(self) -> bool:
        """Whether the last four full Newton steps shrank as they do where the Jacobian is singular."""
        low, high = SINGULAR
        last = self.ratios()[-3:]
        return len(last) == 3 and all(low < ratio < high for ratio in last)

    def ratios(self) -> list[float]:
        """‖Δu_{k+1}‖ / ‖Δu_k‖ of full Newton steps that follow each other, up to the last; [] after any other."""
        found: list[float] = []
        for (size, factor, kind), (later, later_factor, later_kind) in zip(
            self._steps, self._steps[1:], strict=False
        ):
            full = factor == later_factor == 1.0 and kind == later_kind == "Newton" and size > 0.0
            found = [*found, later / size] if full else []
        return found

    def table(self) -> str:
        """The end of the history, for a message."""
        lines = ["iterate         ‖R‖        ‖Δu‖   factor"]
        first = max(0, len(self._norms) - SHOWN)
        for k, norm in enumerate(self._norms[first:], start=first):
            size, factor, kind = (
                self._steps[k] if k < len(self._steps) else (float("nan"), float("nan"), "")
            )
            followed = f"  {size:10.3e}  {factor:7.1e}  {kind}" if kind else ""
            lines.append(f"{k:7d}  {norm:10.3e}{followed}")
        return "\n".join(lines)


def failure(kind: type[Failure], message: str, history: History) -> Failure:
    """The error, with the end of the history in its message and all of it as an attribute."""
    error = kind(f"{message}\n{history.table()}" if history.norms else message)
    error.history = history.norms
    return error


SINGULAR = (0.4, 0.9)
"""‖Δu_{k+1}‖/‖Δu_k‖ near a solution with a singular Jacobian: 1/2 at a fold, 2/3 at a cusp."""


SHOWN = 8
"""Iterates at the end of the history that a message shows."""
