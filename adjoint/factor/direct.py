"""Direct factorizers: one analysis per sparsity pattern, one factorization per matrix."""

import importlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from ..errors import (
    BackendMissing,
    InaccurateSolve,
    NotPositiveDefinite,
    OutOfMemory,
    SingularMatrix,
    SolveError,
    out_of_memory,
)
from ..typing import Array, SparseMatrix
from .backward_error import ACCEPT, REFINE, Accuracy, Symmetry, require_symmetric
from .counts import Counts, collecting, count, phase
from .csc import as_csc, require_full_structure
from .diagnosis import diagnose
from .factorization import Factorization, doubt_of
from .protocols import Analysis, Factors

MAX_ANALYSES = 4
"""Maximum number of patterns whose symbolic analysis a factorizer keeps: enough for a few
models used in turn."""

MAX_REFACTORED = 200_000
"""Maximum number of unknowns of a matrix that is factored a second time, by SuperLU with
pivoting, because its first factors are doubtful. At this size the second factorization may
take a minute."""

HOPELESS_GROWTH = 1e14
"""Growth of pivots, max |pivot| / max |a_ij|, above which no digits are left."""


@dataclass(frozen=True, eq=False)
class Direct:
    """A direct factorizer: `Direct(...)(A)` factors A.

    A `Direct` has a memory: it keeps the symbolic analyses of the last 4 sparsity
    patterns. A further matrix with one of these patterns needs a numerical
    factorization only. `forget` drops the analyses. Pickles do not contain them.

    Parameters
    ----------
    label : str
        Kind and backend, for messages: "Cholesky by CHOLMOD".
    symmetry : {"none", "symmetric", "hermitian"}
        The symmetry of A that the backend assumes. `Factorization` verifies it.
    analyse : callable
        A ↦ `Analysis`, the symbolic analysis of the pattern of A by the backend.
    missing : callable
        () ↦ the reason why the backend cannot be used, or "" if it can be used.
    """

    label: str
    symmetry: Symmetry
    analyse: Callable[[sparse.csc_array], Analysis]
    missing: Callable[[], str]
    _memory: "list[_AnalysedPattern]" = field(default_factory=list, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __repr__(self) -> str:
        return f"Direct({self.label})"

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Factor A.

        Parameters
        ----------
        A : (n, n) sparse matrix or array
            The matrix, float64 or complex128.

        Returns
        -------
        Factorization
            The factors of A.

        Raises
        ------
        SingularMatrix
            If A is singular.
        NotPositiveDefinite
            If a Cholesky factorization is asked for and A is not positive definite.
        NotSymmetric
            If A does not have the symmetry that the backend assumes.
        InaccurateSolve
            If A is regular, but the pivoting of the backend is too weak for A.
        OutOfMemory
            If the factors do not fit into memory.
        BackendMissing
            If the backend is not installed.
        ForkedProcess
            If the backend does not work in this process, which is a fork.
        NonFinite
            If A contains nan or inf.
        TypeError, ValueError
            If A is not a square matrix of floating-point numbers.
        """
        return self.factored(A, explain=True)

    def factored(self, A: SparseMatrix | Array, explain: bool) -> Factorization:
        """Factor A; look for the cause of a failure only if `explain` is true.

        Parameters
        ----------
        A : (n, n) sparse matrix or array
            The matrix, float64 or complex128.
        explain : bool
            True: if the backend refuses A, a second factorization of A finds the cause,
            and the error names it. False: the error of the backend is raised.

        Returns
        -------
        Factorization
            The factors of A.

        Raises
        ------
        SolveError, TypeError, ValueError
            Under the conditions of `Direct.__call__`.
        """
        if reason := self.missing():
            raise BackendMissing(f"{self.label}: {reason}")
        A = as_csc(A)
        name = f"{self.label} of a {A.shape[0]}x{A.shape[1]} matrix"
        counts = Counts()
        with collecting(counts):
            with phase("analysis"):
                analysis = self._analysed(A, name)
            with phase("factor"):
                count(numeric=1)
                factors = self._factors(analysis, A, name, explain)
        accuracy = Accuracy(REFINE, ACCEPT, rows=True, probe=True)
        return Factorization(A, factors, self.symmetry, accuracy, name, counts)

    def _analysed(self, A: sparse.csc_array, name: str) -> Analysis:
        """Return the symbolic analysis of A.

        Raises OutOfMemory, whose message names the factorization, if the analysis does
        not fit into memory.
        """
        try:
            return self.analysis_of(A)
        except OutOfMemory:  # A MemoryError that has its message already.
            raise
        except MemoryError as error:
            raise out_of_memory(name, error) from error

    def _factors(
        self, analysis: Analysis, A: sparse.csc_array, name: str, explain: bool
    ) -> Factors:
        """Return the factors of A.

        Raises the errors of the backend; if `explain` is true, their messages name the
        cause.
        """
        try:
            return analysis.factor(A, name)
        except OutOfMemory:  # A MemoryError that has its message already.
            raise
        except MemoryError as error:
            raise out_of_memory(name, error) from error
        except (NotPositiveDefinite, SingularMatrix) as error:
            if isinstance(error, NotPositiveDefinite):
                # For an asymmetric matrix all backends raise NotSymmetric, which says more
                # about the matrix than NotPositiveDefinite.
                require_symmetric(A, self.symmetry, name)
            _raise_explained(A, name, error, explain)
            raise

    def analysis_of(self, A: sparse.csc_array) -> Analysis:
        """Return the symbolic analysis of the pattern of A, from memory or computed now.

        Parameters
        ----------
        A : (n, n) csc_array
            Matrix in canonical format.

        Returns
        -------
        Analysis
            The analysis, which factors any matrix with this pattern.

        Raises
        ------
        SingularMatrix
            If a row or a column of A has no entry.
        """
        with self._lock:
            for position, known in enumerate(self._memory):
                if known.matches(A):
                    # The pattern used last stands first, so that the oldest one is dropped.
                    self._memory.insert(0, self._memory.pop(position))
                    return known.analysis
        require_full_structure(A)
        count(symbolic=1)
        new = _AnalysedPattern(A.indptr.copy(), A.indices.copy(), A.dtype, self.analyse(A))
        with self._lock:
            self._memory.insert(0, new)
            del self._memory[MAX_ANALYSES:]
        return new.analysis

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle without analyses. A factorizer of this package, such as `lu`, is pickled by name.

        If it is pickled by name, the copy in another process is the factorizer of that
        process, with the analyses made there.
        """
        return _by_name(self) or (Direct, (self.label, self.symmetry, self.analyse, self.missing))

    def forget(self) -> None:
        """Drop the symbolic analyses, which may take tens of megabytes for 10⁶ unknowns."""
        with self._lock:
            self._memory.clear()


@dataclass(frozen=True, eq=False)
class Fastest:
    """A factorizer that uses the first of its candidates that is installed.

    `lu`, `cholesky` and `ldl` are such factorizers.

    Parameters
    ----------
    label : str
        Kind of factorization, for messages: "LU".
    candidates : tuple of Direct
        Factorizers, the fastest one first. The last candidate (SuperLU) must always be
        installed. The last candidate chooses each pivot during the factorization, and
        factors the matrices that the other candidates refuse.
    """

    label: str
    candidates: tuple[Direct, ...]

    def __repr__(self) -> str:
        return f"Fastest({self.label})"

    @property
    def choice(self) -> Direct:
        """The first candidate that is installed."""
        return next(direct for direct in self.candidates if not direct.missing())

    def __call__(self, A: SparseMatrix | Array) -> Factorization:
        """Factor A by `choice`, or by the last candidate if `choice` fails.

        Up to 200 000 unknowns the last candidate factors A again in two cases:

        - `choice` finds A singular. A may still be regular: pivots that are fixed in
          advance may cancel, for instance in networks with entries ±1.
        - Pivots were replaced, or have grown too much, and a solve with a random
          right-hand side fails.

        Parameters
        ----------
        A : (n, n) sparse matrix or array
            The matrix, float64 or complex128.

        Returns
        -------
        Factorization
            The factors of A.

        Raises
        ------
        SolveError, TypeError, ValueError
            Under the conditions of `Direct.__call__`.
        """
        direct, careful = self.choice, self.candidates[-1]
        try:
            factorization = direct.factored(A, explain=direct is careful)
            doubt = doubt_of(factorization.factors)
            if direct is careful or np.shape(A)[0] > MAX_REFACTORED or doubt == 0.0:
                return factorization
            if doubt <= HOPELESS_GROWTH:
                factorization.examine()  # Raises for inaccurate factors.
                return factorization
        except (SingularMatrix, InaccurateSolve):
            if direct is careful or np.shape(A)[0] > MAX_REFACTORED:
                raise
        except NotPositiveDefinite as error:
            name = f"{direct.label} of a {np.shape(A)[0]}x{np.shape(A)[1]} matrix"
            _raise_explained(as_csc(A), name, error, direct is not careful)
            raise
        return careful(A)  # The factors of `choice` are useless.

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle factorizers of this package by name, others by label and candidates."""
        return _by_name(self) or (Fastest, (self.label, self.candidates))

    def forget(self) -> None:
        """Drop the symbolic analyses of all candidates."""
        for direct in self.candidates:
            direct.forget()


@dataclass(frozen=True, eq=False)
class _AnalysedPattern:
    """A sparsity pattern and its analysis.

    The pattern is a copy, because the user may modify A later.
    """

    indptr: Array
    indices: Array
    dtype: np.dtype[np.generic]
    analysis: Analysis

    def matches(self, A: sparse.csc_array) -> bool:
        """True if A has this pattern and dtype."""
        return (
            self.dtype == A.dtype
            and self.indices.size == A.indices.size
            and np.array_equal(self.indptr, A.indptr)
            and np.array_equal(self.indices, A.indices)
        )


def _by_name(factorizer: object) -> tuple[Callable[..., object], tuple[object, ...]] | None:
    """Return (function, arguments) such that function(*arguments) is `factorizer`.

    Return None for a factorizer that is not exported by this package.

    The result is returned by `__reduce__`, so that pickle stores the name only.
    """
    names = [name for name, value in vars(sys.modules[__package__]).items() if value is factorizer]
    return (_named, (names[0],)) if names else None


def _named(name: str) -> object:
    """Return the factorizer of this package with the given name, such as "lu"."""
    return getattr(importlib.import_module(__package__), name)


def _raise_explained(A: sparse.csc_array, name: str, error: SolveError, explain: bool) -> None:
    """Raise the error that `diagnose` returns.

    If `explain` is false, or if `diagnose` returns `error` itself, return without
    raising: the caller raises `error`.
    """
    explained = diagnose(A, name, error) if explain else error
    try:
        if explained is not error:
            raise explained from error
    finally:
        # Otherwise this frame and the error would keep each other, and the factors,
        # alive until the next garbage collection.
        del explained
