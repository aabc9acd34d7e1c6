"""The selected inverse by the method that fits the factors."""

from .entries import SelectedEntries
from .factored import Factored
from .general import general_entries
from .hermitian import hermitian_entries


def selected_entries(f: Factored) -> SelectedEntries:
    """Return the entries of A⁻¹ on the pattern of A.

    Raises TypeError if the factors do not belong to a direct factorization, and the errors of
    the method that is used.
    """
    if not hasattr(f.factors, "log_abs_det"):
        raise TypeError(
            f"{f.name} has no factors to read a selected inverse from; expected a direct "
            "factorizer, such as adjoint.cholesky, adjoint.ldl or adjoint.lu"
        )
    if f.symmetry == "hermitian":
        return hermitian_entries(f)
    return general_entries(f)
