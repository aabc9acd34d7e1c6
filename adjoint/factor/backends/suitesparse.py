"""Parts that the backends of scikit-sparse share: version, index types, errors, warnings."""

import copy
import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import numpy as np
import scipy.sparse as sparse

from ...errors import SolveError
from ...typing import Array

IndexType: TypeAlias = np.dtype[np.signedinteger]
"""int32 or int64: an analysis by scikit-sparse fixes the type of the indices."""

Solve: TypeAlias = Callable[[Array], Array]
"""Function b ↦ A⁻¹ b, or b ↦ A⁻ᵀ b, for b (n, k)."""


def unloadable(module: str, remedy: str) -> str:
    """The reason why `sksparse.<module>` cannot be imported, and the remedy; "" if it loads."""
    try:
        importlib.import_module(f"sksparse.{module}")
    except ImportError as error:
        return f"sksparse.{module} does not load ({error}). {remedy}"
    return ""


@cache
def version() -> str:
    """The version of scikit-sparse, whose modules have no `__version__`."""
    return importlib.metadata.version("scikit-sparse")


def since_0_5() -> bool:
    """True if scikit-sparse has the interface of 0.5 (CholeskyFactor, KLU, UMFPACK)."""
    major, minor = version().split(".")[:2]
    return (int(major), int(minor)) >= (0, 5)


def with_indices(A: sparse.csc_array, index: IndexType) -> sparse.csc_array:
    """Return A with indices of type `index`.

    The result is a new object, because scikit-sparse sets flags in its argument.
    """
    # csc_array((data, indices, indptr)) would convert int64 to int32 if the values fit.
    A = copy.copy(A)
    A.indices = A.indices.astype(index, copy=False)
    A.indptr = A.indptr.astype(index, copy=False)
    return A


@contextmanager
def translating(error_class: type[Exception], what: str) -> Iterator[None]:
    """In the `with` block, replace the package's error `error_class` by a SolveError."""
    try:
        yield
    except error_class as error:
        raise SolveError(
            f"{what} failed: {error}. Usual causes: too little memory for the factors (use an "
            "iterative solver), or factors of more than 2^31 entries (give A.indices and "
            "A.indptr the dtype int64)."
        ) from error


def unwarned(solve: Solve, category: type[Warning], rcond: float, n: int) -> Solve:
    """`solve` without the warnings of scikit-sparse 0.5 about small pivots.

    rcond: smallest pivot divided by the largest. n: number of unknowns. The warnings
    are not needed: the backward error shows whether a solution is good, and the probe
    shows whether A is singular. The warnings may also be wrong: badly scaled rows have
    small pivots, too. The filters of the module `warnings` are shared by all threads.
    Therefore they are changed only if rcond is so small that scikit-sparse would warn.
    """
    if rcond >= n * np.finfo(float).eps:
        return solve

    def silent(b: Array) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", category)
            return solve(b)

    return silent
