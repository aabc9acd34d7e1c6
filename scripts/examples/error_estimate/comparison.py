"""Predicted and true errors of one model, for each tolerance."""

from dataclasses import dataclass

import numpy as np

import adjoint
from adjoint.typing import Array
from scripts.examples.error_estimate.models import Model


@dataclass(frozen=True)
class Row:
    """Predicted and true errors of one tolerance, relative to the exact gradient and value.

    corrected_gradient, corrected_value: the true errors that are left in the corrected numbers.
    """

    tolerance: float
    status: str
    predicted_gradient: float
    true_gradient: float
    corrected_gradient: float
    predicted_value: float
    true_value: float
    corrected_value: float
    solves: int


def compared(model: Model, tolerances: tuple[float, ...]) -> list[Row]:
    """Return the predicted and the true errors of each tolerance."""
    exact = model.f(model.direct)(model.x)
    size, value = float(np.linalg.norm(exact.gradient)), abs(exact.value)

    def wrong(g: Array) -> float:
        return float(np.linalg.norm(g - exact.gradient)) / size

    rows = []
    for tolerance in tolerances:
        point = model.f(model.iterative(tolerance))(model.x)
        g = point.gradient
        with adjoint.counting() as counts:
            found = point.accuracy()
        rows.append(
            Row(
                tolerance,
                found.status.name,
                found.gradient_error / size,
                wrong(g),
                wrong(found.corrected_gradient),
                found.value_error / value,
                abs(point.value - exact.value) / value,
                abs(found.corrected_value - exact.value) / value,
                counts.rhs,
            )
        )
    return rows
