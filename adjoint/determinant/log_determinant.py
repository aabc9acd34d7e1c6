"""log |det A(φ(x))| as a function of x, with exact derivatives."""

from dataclasses import dataclass, field

from .._dataclasses import short_repr
from .._numerics import read_only
from .._validation import as_parameters, require_kind, require_methods
from ..design.maps import Identity
from ..factor.counts import Counts, collecting, phase
from ..factor.csc import as_csc, owned
from ..factor.factorization import Factorization, Factorizer
from ..factor.factorizers import cholesky, factored, require_factorizer
from ..matrices.affine import Constant
from ..protocols import DesignMap, Matrix
from ..steady.dirichlet import Dirichlet
from ..steady.log_determinant import MatrixLogDeterminant
from ..typing import Array, SparseMatrix
from .hutchinson import Hutchinson
from .points import LogDeterminantPoint


@dataclass(frozen=True, eq=False)
class LogDeterminant:
    """f(x) = log |det A(φ(x))|: one factorization gives the value and the whole gradient.

    The gradient comes from the entries of A⁻¹ on the pattern of A, which a selected
    inverse computes from the factors in about the time of a factorization, whatever the
    number of parameters (docs/math/determinants.md, eqs. 250–256). `check`, `check_hvp`
    and `minimize` take f.

    Parameters
    ----------
    A : Matrix, or (n, n) sparse matrix
        A(p), with the method `contract`: `Affine`, `Elements`, `Entries`,
        `Combination`, `Part`, or a class with this method.
    factorize : callable
        The factorizer, which states what A is: `cholesky` (Hermitian positive
        definite), `ldl` (symmetric) or `lu` (regular).
    design : DesignMap
        φ; the default is p = x.
    dirichlet : Dirichlet, optional
        Fixed unknowns: the determinant is that of the block of A for the others.
    second_derivatives : Hutchinson, optional
        Estimate Hessian-vector products by random vectors. The default computes them
        exactly, by 2n right-hand sides, up to 5000 unknowns.

    Raises
    ------
    TypeError
        If an argument has the wrong type, or lacks a method.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse, adjoint
    >>> from adjoint.determinant import LogDeterminant
    >>> A = adjoint.Affine(None, [sparse.eye_array(2), sparse.diags_array([1.0, 2.0])])
    >>> point = LogDeterminant(A)(np.array([1.0, 1.0]))  # A = diag(2, 3)
    >>> round(point.value, 4), point.gradient.round(4)
    (1.7918, array([0.8333, 1.1667]))
    """

    A: Matrix | SparseMatrix
    factorize: Factorizer = cholesky
    design: DesignMap = field(default_factory=Identity)
    dirichlet: Dirichlet | None = None
    second_derivatives: Hutchinson | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        if callable(self.A):
            require_methods("LogDeterminant", "A", self.A, ("__call__", "vjp"), "a Matrix")
        else:
            object.__setattr__(self, "A", Constant(self.A))
        require_factorizer("LogDeterminant", self.factorize)
        require_methods(
            "LogDeterminant", "design", self.design, ("__call__", "vjp"), "a design map"
        )
        require_kind(
            "LogDeterminant", "dirichlet", self.dirichlet, Dirichlet | None, "adjoint.Dirichlet(…)"
        )
        require_kind(
            "LogDeterminant",
            "second_derivatives",
            self.second_derivatives,
            Hutchinson | None,
            "adjoint.determinant.Hutchinson(samples=64, seed=0), or None for exact products",
        )

    def __call__(self, x: Array) -> LogDeterminantPoint:
        """Factor A(φ(x)) and return f at x.

        Parameters
        ----------
        x : (m_x,) array
            Design.

        Returns
        -------
        LogDeterminantPoint
            log |det A|, and its derivatives when asked for.

        Raises
        ------
        SingularMatrix, NotPositiveDefinite, NotSymmetric, InaccurateSolve
            Under the conditions of `factorize` and `Factorization.solve`.
        NonFinite
            If x, p or A(p) contains nan or inf.
        TypeError
            If `factorize` does not return the factors of a direct factorization.
        """
        x = as_parameters(x, "x")
        x.setflags(write=False)
        counts = Counts()
        with collecting(counts):
            with phase("design"):
                p = read_only(as_parameters(self.design(x), "the design map's p"))
            with phase("assembly"):
                A = owned(as_csc(self.A(p), "LogDeterminant: "))
                free = None if self.dirichlet is None else self.dirichlet.free(A.shape[0])
                block = A if free is None else as_csc(A[:, free][free])
            f = factored(self.factorize, block)
        if not (isinstance(f, Factorization) and hasattr(f.factors, "log_abs_det")):
            raise TypeError(
                f"LogDeterminant: factorize={self.factorize!r} returned no factors with a "
                "determinant; expected a direct factorizer, such as adjoint.cholesky"
            )
        determinant = MatrixLogDeterminant(self.A, p, A, f, free, counts)
        return LogDeterminantPoint(
            x, p, self.design, determinant, self.second_derivatives, determinant.value
        )
