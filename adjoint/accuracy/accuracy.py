"""The result of an error estimate: the errors of J and of its gradient, and a status."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .._dataclasses import short_repr
from .._validation import as_array
from ..typing import Array


class AccuracyStatus(Enum):
    """How far an error estimate can be trusted; the value of each member is a sentence."""

    ACCEPTED = "Accepted: two corrections agree, and the solver reproduces a known solution."
    ROUNDING = (
        "Rounding: the error is as small as rounding allows; its order of magnitude is known."
    )
    REFUSED = "Refused: the error is not known."


@dataclass(frozen=True, eq=False)
class Accuracy:
    """What inexact solves leave in J and its gradient.

    See docs/math/accuracy.md. The estimates hold for norms: the error of a single component
    of the gradient may be much smaller or larger than its part in the estimate.

    Attributes
    ----------
    status : AccuracyStatus
        How far `gradient_error` can be trusted.
    reason : str
        A sentence that says why, for a refused estimate also with the remedy.
    gradient_error : float
        Estimate of ‖δg‖₂, the error of the gradient, in the units of the gradient; with a
        direction v, of |δg·v|. nan if refused.
    value_status : AccuracyStatus
        How far `value_error` can be trusted.
    value_error : float
        Estimate of the error of J, in the units of J. nan if refused.
    corrected_value : float
        J without this error; nan if refused.
    corrected_gradient : (m_x,) array
        The gradient without this error; nan if refused. At status ROUNDING it is as
        inaccurate as the gradient itself.
    parts : dict of str to float
        Norms of the parts of the gradient's error: "state", what the error of u alone leaves;
        "adjoint state", what the error of λ leaves, including the part of it that follows
        from the error of u; "rounding", the rounding error of sums. For a trajectory:
        "time_step", what the length of the steps leaves; "solver", what the solver of the
        stages leaves; "rounding".
    contraction : float
        Ratio of the second correction of the gradient to the first correction. For a
        trajectory: ratio of the changes by quarter steps and by half steps.
    probe : float
        Relative error of the solver for right-hand sides of known solutions; nan for a
        trajectory.
    indicators : (n,) array
        Dual-weighted residuals |λ_i r_i|, summed over load cases: the unknowns whose equations
        contribute most to the error of J, in the units of J; (0,) for a trajectory.
    """

    status: AccuracyStatus
    reason: str
    gradient_error: float
    value_status: AccuracyStatus
    value_error: float
    corrected_value: float
    corrected_gradient: Array
    parts: Mapping[str, float]
    contraction: float
    probe: float
    indicators: Array

    __repr__ = short_repr

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {part:.1e}" for name, part in self.parts.items())
        return (
            f"error of the gradient {self.gradient_error:.1e} ({parts}), "
            f"error of the value {self.value_error:.1e} ({self.value_status.name.lower()})\n"
            f"{self.reason}"
        )

    def element_indicators(self, dofs: Array) -> Array:
        """Distribute the indicators of the unknowns over elements, for plots.

        Parameters
        ----------
        dofs : (n_e, k) array of int
            Numbers of the k unknowns of each element; −1 for an unknown that is left out.

        Returns
        -------
        (n_e,) array
            An unknown gives equal parts of its indicator to all elements that contain it,
            so that the sum over the elements is the sum over their unknowns.

        Raises
        ------
        TypeError
            If dofs is not an array (n_e, k) of integers.
        ValueError
            If a number is not −1 and not the number of an unknown.
        """
        dofs = as_array("element_indicators", "dofs", dofs)
        if dofs.dtype.kind not in "iu" or dofs.ndim != 2:
            raise TypeError(
                f"element_indicators: got dofs of dtype {dofs.dtype}, shape {dofs.shape}; expected "
                "integers (n_e, k)"
            )
        n = self.indicators.size
        if dofs.size and not (dofs.min() >= -1 and dofs.max() < n):
            raise ValueError(
                f"element_indicators: got dofs from {dofs.min()} to {dofs.max()}, expected -1, or "
                f"numbers of {n} unknowns"
            )
        used = dofs >= 0
        owners = np.bincount(dofs[used], minlength=n)
        share = self.indicators / np.maximum(owners, 1)
        return np.asarray(np.where(used, share[dofs], 0.0).sum(axis=1))
