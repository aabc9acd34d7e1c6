"""Eigenproblems K(p) φ = μ M(p) φ, with symmetric, Hermitian or general matrices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_parameters, is_integer, require_methods, shown
from ..errors import (
    InaccurateSolve,
    NotPositiveDefinite,
    NotSymmetric,
    SingularMatrix,
    SolveError,
)
from ..factor.backward_error import require_symmetric
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_csc, owned
from ..factor.factorization import Factorizer
from ..factor.factorizers import cholesky, factored, require_factorizer
from ..matrices.affine import Constant
from ..protocols import Matrix
from ..typing import Array, SparseMatrix
from .biorthogonal import find_modes as find_general_modes
from .general import general_solution
from .hermitian import HermitianEigenSolution, _Known
from .hermitian_modes import find_modes
from .pencils import Pencil
from .solution import EigenSolution


@dataclass(frozen=True, eq=False)
class EigenProblem(Portable):
    """K(p) φ = μ M(p) φ: the `count` eigenvalues nearest to σ, and their eigenvectors.

    One factorization, of K − σM, serves the search and all derivatives. The factorizer
    states what the pencil is (docs/math/spectra.md):

    - `cholesky`: K and M are symmetric or Hermitian, M ≥ 0, and σ is below all eigenvalues.
    - `ldl`: K and M are real and symmetric, M ≥ 0, σ anywhere; or complex symmetric.
    - `lu`: any pencil; left eigenvectors are computed as well.

    Eigenvalues of Hermitian pencils are real and ascend, and φᴴMφ = 1. Eigenvalues of
    general pencils are complex, in the order of |μ − σ|, with φᴴφ = 1 and ψᴴMφ = 1.

    Parameters
    ----------
    K : Matrix, or (n, n) sparse matrix
        K(p), real or complex.
    M : Matrix, or (n, n) sparse matrix, optional
        M(p), real or complex, singular or not; the identity by default. Infinite
        eigenvalues of a singular M are not found.
    count : int
        Number of wanted eigenvalues, k.
    sigma : float or complex
        σ, the shift, in units of μ. σ must not be an eigenvalue. Only general pencils take
        a complex σ.
    factorize : callable
        The factorizer of K − σM.
    guard : int
        Number of eigenvalues beyond `count` that are computed as well. Guards show
        clusters that `count` cuts, and make derivatives of eigenvectors cheaper. At
        least 2 are used.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or is out of range.

    Examples
    --------
    The lowest frequency of a chain of masses, and its derivative with respect to a
    spring constant:

    >>> import adjoint, numpy as np
    >>> springs = np.column_stack([np.arange(10), np.arange(1, 11)]) - 1
    >>> K = adjoint.Elements(springs, np.array([[1.0, -1.0], [-1.0, 1.0]]))
    >>> problem = adjoint.eigen.EigenProblem(K, count=2)
    >>> f = adjoint.Reduced(problem, adjoint.eigen.Eigenvalue(0))
    >>> point = f(np.ones(10))
    >>> round(point.value, 6), point.gradient[:2].round(6)
    (0.022338, array([0.004231, 0.004044]))
    """

    K: Matrix | SparseMatrix
    M: Matrix | SparseMatrix | None = None
    count: int = 6
    sigma: complex = 0.0
    factorize: Factorizer = cholesky
    guard: int = 2

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "EigenProblem"
        for name, given in (("K", self.K), ("M", self.M)):
            if not (sparse.issparse(given) or (name == "M" and given is None)):
                expected = "a Matrix or a sparse matrix; a dense matrix: scipy.sparse.csc_array"
                require_methods(who, name, given, ("__call__", "vjp", "jvp"), expected)
        for name, number, least in (("count", self.count, 1), ("guard", self.guard, 0)):
            if not is_integer(number):
                raise TypeError(f"{who}: got {name}={shown(number)}, expected an integer")
            if number < least:
                raise ValueError(f"{who}: got {name}={number}, expected at least {least}")
        sigma = np.asarray(self.sigma)
        if isinstance(self.sigma, bool) or sigma.ndim or sigma.dtype.kind not in "fciu":
            raise TypeError(f"{who}: got sigma={shown(self.sigma)}, expected a number")
        if not np.isfinite(self.sigma):
            raise ValueError(f"{who}: got sigma={self.sigma}, expected a finite number")
        require_factorizer(who, self.factorize)

    @cached_property
    def _K(self) -> Matrix:
        return Constant(self.K) if sparse.issparse(self.K) else self.K

    def _M(self, n: int) -> Matrix:
        if self.M is None:
            return Constant(sparse.eye_array(n, format="csc"))
        return Constant(self.M) if sparse.issparse(self.M) else self.M

    def solve(self, p: Array) -> EigenSolution:
        """Find the eigenpairs at p, by one factorization.

        Parameters
        ----------
        p : (m,) array
            Parameters.

        Returns
        -------
        EigenSolution
            Eigenvalues and eigenvectors, and the derivatives of p ↦ (values, vectors).

        Raises
        ------
        MissingEigenvalues
            If the search did not converge, or found fewer eigenvalues than wanted.
        CutCluster
            If the pencil is general, and `count` cuts a complex pair or a cluster.
        IllConditionedEigenvalue
            If the pencil is general and its eigenvalues are not determined to working
            precision, or if σ is an eigenvalue.
        DefectiveEigenvalue
            If eigenvectors of a general pencil are parallel to working precision.
        SingularMatrix
            If K − σM is singular: σ is an eigenvalue.
        NotPositiveDefinite
            If K − σM is indefinite with `cholesky`, or M with a Hermitian pencil.
        NotSymmetric
            If K − σM or M is not symmetric (Hermitian), but `factorize` states it.
        ValueError, TypeError, NonFinite
            If K(p), M(p) or p has the wrong shape or type, or contains nan or inf.
        """
        p = as_parameters(p)
        p.setflags(write=False)
        counts = Counts()
        with collecting(counts):
            with phase("assembly"):
                K = owned(as_csc(self._K(p), "K(p): "))
                M_of_p = self._M(K.shape[0])
                M = owned(as_csc(M_of_p(p), "M(p): "))
                self._require_shapes(K, M)
                real_sigma = np.imag(self.sigma) == 0.0
                sigma = float(np.real(self.sigma)) if real_sigma else complex(self.sigma)
                shifted = as_csc(K - sigma * M)
            try:
                inverse = factored(self.factorize, shifted)
                real = K.dtype.kind == "f" and M.dtype.kind == "f"
                stated = inverse.symmetry
                if real_sigma and (stated == "hermitian" or (stated == "symmetric" and real)):
                    _require_hermitian(M)
                    pencil = Pencil(K, M, inverse, float(np.real(sigma)))
                    modes = find_modes(pencil, self.count, max(self.guard, 2))
                    k = self.count
                    u = np.concatenate([modes.values[None, :k], modes.vectors[:, :k]])
                    u.setflags(write=False)
                    return HermitianEigenSolution(
                        u, p, self._K, M_of_p, pencil, counts, _Known(modes)
                    )
                general = find_general_modes(
                    M, inverse, sigma, self.count, self.guard, real and real_sigma
                )
            except (SingularMatrix, InaccurateSolve, NotPositiveDefinite) as error:
                raise self._explained(error) from error
        return general_solution(self._K, M_of_p, (K, M), inverse, general, p, sigma, counts)

    def _require_shapes(self, K: sparse.csc_array, M: sparse.csc_array) -> None:
        if M.shape != K.shape:
            raise ValueError(
                f"EigenProblem: got K {K.shape} and M {M.shape}, expected equal shapes"
            )
        if self.count > K.shape[0]:
            raise ValueError(
                f"EigenProblem: got count={self.count}, but the pencil has only {K.shape[0]} "
                "eigenvalues"
            )

    def _explained(self, error: SolveError) -> SolveError:
        """Return an error of the same class that says what its cause is in an eigenproblem."""
        if str(error).startswith("EigenProblem"):
            return error
        if isinstance(error, NotPositiveDefinite):
            hint = (
                "cholesky needs sigma below all eigenvalues. For a sigma between eigenvalues use "
                "factorize=adjoint.ldl"
            )
        else:
            hint = (
                "In an eigenproblem the usual cause is that sigma is an eigenvalue (0 for a body "
                "that can move freely): choose another sigma, such as a small negative number"
            )
        return type(error)(f"K − sigma M with sigma = {self.sigma:.10g}: {error} {hint}")


def _require_hermitian(M: sparse.csc_array) -> None:
    """Raise NotSymmetric unless M is Hermitian: the factors of K − σM do not show M if σ = 0."""
    try:
        require_symmetric(M, "hermitian", "M(p)")
    except NotSymmetric as error:
        raise NotSymmetric(
            "EigenProblem: M(p) is not symmetric (Hermitian), but cholesky and ldl state that K "
            "and M both are. Usual causes: an error in the assembly, or boundary conditions put "
            "into rows but not into columns. For a general pencil use factorize=adjoint.lu"
        ) from error
