"""General eigenproblems K(p) φ = μ M(p) φ: neither K nor M needs a symmetry."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sparse

from .._dataclasses import Portable, short_repr
from .._validation import as_parameters, require_methods
from ..errors import InaccurateSolve, SingularMatrix
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_csc, owned
from ..factor.factorization import Factorizer
from ..factor.factorizers import factored, lu, require_factorizer
from ..matrices.affine import Constant
from ..protocols import Matrix
from ..typing import Array, SparseMatrix
from .biorthogonal import find_modes
from .general import GeneralEigenSolution, general_solution


@dataclass(frozen=True, eq=False)
class GeneralEigenProblem(Portable):
    """K(p) φ = μ M(p) φ: the `count` eigenvalues nearest to σ, with right and left vectors.

    One factorization, of K − σM, serves the search for right and left vectors and all
    derivatives (docs/math/spectra.md, eqs. 220–229).

    Parameters
    ----------
    K : Matrix, or (n, n) sparse matrix
        K(p), real or complex.
    M : Matrix, or (n, n) sparse matrix, optional
        M(p), real or complex, singular or not; the identity by default. Infinite
        eigenvalues of a singular M are not found.
    count : int
        Number of wanted eigenvalues. A number that cuts a complex pair of a real
        pencil, or a cluster, is refused (CutCluster names the numbers that do not).
    sigma : float or complex
        σ, the shift: the eigenvalues with the smallest |μ − σ| are wanted. σ must not be an
        eigenvalue. A complex σ has no pairs to cut.
    factorize : callable
        The factorizer of K − σM: `lu`, or another factorizer for general matrices.
    guard : int
        Number of eigenvalues beyond `count` that are computed as well; at least 2.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, or count or guard is out of range.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse, adjoint
    >>> K = adjoint.Affine(sparse.diags_array([1.0, 2.0, 3.0]), [sparse.eye_array(3)])
    >>> problem = adjoint.eigen.GeneralEigenProblem(K, count=1, sigma=0.5)
    >>> solution = problem.solve(np.array([0.1]))
    >>> solution.values.round(6), solution.vjp(np.ones(1)).round(6)
    (array([1.1+0.j]), array([1.]))
    """

    K: Matrix | SparseMatrix
    M: Matrix | SparseMatrix | None = None
    count: int = 6
    sigma: complex = 0.0
    factorize: Factorizer = lu
    guard: int = 2

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "GeneralEigenProblem"
        for name, given in (("K", self.K), ("M", self.M)):
            if given is not None and not sparse.issparse(given):
                expected = "a Matrix or a sparse matrix; a dense matrix: scipy.sparse.csc_array"
                require_methods(who, name, given, ("__call__", "vjp", "jvp"), expected)
        for name, number, least in (("count", self.count, 1), ("guard", self.guard, 0)):
            if isinstance(number, bool) or not isinstance(number, int | np.integer):
                raise TypeError(f"{who}: got {name}={number!r}, expected an integer")
            if number < least:
                raise ValueError(f"{who}: got {name}={number}, expected at least {least}")
        if isinstance(self.sigma, bool) or not isinstance(
            self.sigma, int | float | complex | np.number
        ):
            raise TypeError(f"{who}: got sigma={self.sigma!r}, expected a number")
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

    def solve(self, p: Array) -> GeneralEigenSolution:
        """Find the eigenpairs at p.

        Parameters
        ----------
        p : (m,) array
            Parameters.

        Returns
        -------
        GeneralEigenSolution
            Values, right and left vectors, and the derivatives of p ↦ (values, vectors).

        Raises
        ------
        CutCluster
            If `count` cuts a complex pair of a real pencil, or a cluster.
        IllConditionedEigenvalue
            If the eigenvalues are not determined to working precision, or if σ lies at an
            eigenvalue.
        DefectiveEigenvalue
            If eigenvectors are parallel to working precision.
        MissingEigenvalues
            If the search did not converge, or found fewer eigenvalues than wanted.
        SingularMatrix
            If K − σM is singular: σ is an eigenvalue.
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
                if M.shape != K.shape:
                    raise ValueError(f"got K {K.shape} and M {M.shape}, expected equal shapes")
                if self.count > K.shape[0]:
                    raise ValueError(
                        f"got count={self.count}, but the pencil has only {K.shape[0]} eigenvalues"
                    )
                real_sigma = np.imag(self.sigma) == 0.0
                sigma = float(np.real(self.sigma)) if real_sigma else complex(self.sigma)
                shifted = as_csc(K - sigma * M)
            real = real_sigma and K.dtype.kind == "f" and M.dtype.kind == "f"
            try:
                inverse = factored(self.factorize, shifted)
                modes = find_modes(M, inverse, sigma, self.count, self.guard, real)
            except (SingularMatrix, InaccurateSolve) as error:
                raise type(error)(
                    f"K − sigma M with sigma = {sigma:.10g}: {error} In an eigenproblem the usual "
                    "cause is that sigma is an eigenvalue (0 for a body that can move freely): "
                    "choose another sigma."
                ) from error
        return general_solution(self._K, M_of_p, (K, M), inverse, modes, p, sigma, counts)
