"""The selected inverse by the method that fits the factors."""

from .entries import SelectedEntries
from .factored import Factored
from .general import general_entries
from .hermitian import hermitian_entries


def selected_entries(f: Factored) -> SelectedEntries:
    """Return the entries of A⁻¹ on the pattern of A.

    Raises SolveError if A was not factored by a direct method, and the errors of the
    method that is used.
    """
    f.factors.log_abs_det()  # Raises SolveError for iterative solvers.
    if f.symmetry == "hermitian":
        return hermitian_entries(f)
    return general_entries(f)
