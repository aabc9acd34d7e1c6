"""Recurrences u_k = Φ_k(u_{k−1}, p): reverse and tangent sweeps through them, at bounded memory."""

from ..checkpointing.events import Event
from ..checkpointing.policies import Budget, Checkpoints, Disk, Everything, Memory, States
from ..checkpointing.schedules import minimal_advances
from ..checkpointing.store import Usage
from ..errors import MemoryTooSmall, StorageFailed
from ..protocols import Step
from .problem import RecurrenceProblem
from .solution import RecurrenceEvidence, RecurrenceSolution, Sensitivities

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
