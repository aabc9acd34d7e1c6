"""The selected inverse by the method that fits the factors."""

from ..krylov_solves import IterativeSolves
from .entries import SelectedEntries
from .factored import Factored
from .general import general_entries
from .hermitian import hermitian_entries


def selected_entries(f: Factored) -> SelectedEntries:
    """Return the entries of A⁻¹ on the pattern of A.

    Raises SolveError if A was not factored by a direct method, and the errors of the
    method that is used.
    """
    # Other factors are not asked: SuperLU exports L and U for its determinant, which took
    # 0.8 of the time of a factorization.
    if isinstance(f.factors, IterativeSolves):
        f.factors.log_abs_det()  # Raises SolveError.
    if f.symmetry == "hermitian":
        return hermitian_entries(f)
    return general_entries(f)
