"""Recurrences u_k = Φ_k(u_{k−1}, p) and the exact derivatives of their states."""

from .linearization import RecurrenceLinearization
from .problem import RecurrenceProblem
from .solution import RecurrenceEvidence, RecurrenceSolution, Sensitivities

__all__ = [
    "RecurrenceEvidence",
    "RecurrenceLinearization",
    "RecurrenceProblem",
    "RecurrenceSolution",
    "Sensitivities",
]
