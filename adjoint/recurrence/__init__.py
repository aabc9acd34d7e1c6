"""Recurrences u_k = Φ_k(u_{k−1}, p): reverse and tangent sweeps through them, at bounded memory."""

from .chain import Step
from .errors import MemoryTooSmall, StorageFailed
from .events import Event
from .memory import Budget, Checkpoints, Disk, Everything, Memory, States
from .problem import RecurrenceProblem
from .schedule import minimal_advances
from .solution import RecurrenceEvidence, RecurrenceSolution, Sensitivities
from .storage import Usage

__all__ = [
    "Budget",
    "Checkpoints",
    "Disk",
    "Event",
    "Everything",
    "Memory",
    "MemoryTooSmall",
    "RecurrenceEvidence",
    "RecurrenceProblem",
    "RecurrenceSolution",
    "Sensitivities",
    "States",
    "Step",
    "StorageFailed",
    "Usage",
    "minimal_advances",
]
