"""The history of a Newton iteration: ‖R‖, sizes of corrections, and step factors α."""

from dataclasses import dataclass, field

from ..factor.counts import count

SINGULAR = (0.4, 0.9)
"""Range of ‖Δu_{k+1}‖/‖Δu_k‖ near a solution with a singular Jacobian. The limit is 1/2 at
a fold and 2/3 at a cusp."""

SHOWN = 8
"""Number of last iterates in the table of an error message."""


@dataclass(eq=False)
class History:
    """‖R‖ of each iterate, and (‖Δu‖, α, kind) of each step u ← u + αΔu.

    The object remembers the iteration: Newton's method adds each iterate and each step.
    """

    _norms: list[float] = field(default_factory=list)
    _steps: list[tuple[float, float, str]] = field(default_factory=list)
    _comparable: int = 0
    """Index of the first step whose ‖Δu‖ is measured in the present scale."""

    def __repr__(self) -> str:
        return f"History({len(self._norms)} iterates, {self.steps} steps)"

    def add_iterate(self, norm: float) -> None:
        """Add ‖R‖ of an iterate."""
        self._norms.append(norm)

    def add_step(self, size: float, factor: float, kind: str) -> None:
        """Add the step to the next iterate, and count it in the statistics.

        size: ‖Δu‖; factor: α; kind: "Newton", "chord", "last", "polish",
        "pseudo-transient".
        """
        count(newton=1)
        self._steps.append((size, factor, kind))

    def rescale(self) -> None:
        """Record that ‖Δu‖ of later steps is measured in another scale than before."""
        self._comparable = self.steps

    @property
    def norms(self) -> tuple[float, ...]:
        """‖R‖ of the iterates so far."""
        return tuple(self._norms)

    @property
    def steps(self) -> int:
        """Number of steps so far."""
        return len(self._steps)

    @property
    def largest_correction(self) -> float:
        """The largest ‖Δu‖ of the steps in the present scale; 0 before the first step."""
        return max((size for size, _, _ in self._steps[self._comparable :]), default=0.0)

    @property
    def is_linear(self) -> bool:
        """True if the last four full Newton steps shrank as slowly as at a singular Jacobian."""
        low, high = SINGULAR
        last = self.ratios()[-3:]
        return len(last) == 3 and all(low < ratio < high for ratio in last)

    def ratios(self) -> list[float]:
        """Return the ratios ‖Δu_{k+1}‖ / ‖Δu_k‖ of consecutive full Newton steps.

        Only the unbroken series of full steps at the end of the history counts; The
        list is [] unless the last two steps are full Newton steps.
        """
        found: list[float] = []
        for (size, factor, kind), (later, later_factor, later_kind) in zip(
            self._steps, self._steps[1:], strict=False
        ):
            full = factor == later_factor == 1.0 and kind == later_kind == "Newton" and size > 0.0
            found = [*found, later / size] if full else []
        return found

    def table(self) -> str:
        """Return a table of the last iterates, for an error message."""
        lines = ["iterate         ‖R‖        ‖Δu‖   factor"]
        first = max(0, len(self._norms) - SHOWN)
        for k, norm in enumerate(self._norms[first:], start=first):
            step = ""
            if k < len(self._steps):
                size, factor, kind = self._steps[k]
                step = f"  {size:10.3e}  {factor:7.1e}  {kind}"
            lines.append(f"{k:7d}  {norm:10.3e}{step}")
        return "\n".join(lines)
