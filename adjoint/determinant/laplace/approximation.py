"""−log ∫ π(y | u, p) π(u | p) du by Laplace's method, as a function of the parameters."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sparse

from ..._dataclasses import Portable, short_repr
from ..._numerics import read_only
from ..._validation import (
    as_array,
    as_parameters,
    first_nonfinite,
    require_integer,
    require_kind,
    require_methods,
    require_positive,
)
from ...design.maps import Identity
from ...errors import NonFinite, NotPositiveDefinite, SingularMatrix, SolveError
from ...factor.counts import Counts, collecting, phase
from ...factor.csc import as_csc, owned
from ...factor.factorization import Factorization, Factorizer
from ...factor.factorizers import cholesky, factored, require_factorizer
from ...protocols import DesignMap, Vector
from ...typing import Array
from .curvature import CurvatureMemory
from .likelihood import CheckedLikelihood
from .mode import Conditional, find_mode
from .model import LatentGaussianModel
from .points import LaplacePoint
from .verification import require_derivatives

SHIFT = 1e-9
"""Relative shift of the diagonal with which a singular precision matrix becomes positive
definite, but an indefinite one does not."""

REMEDY = (
    "A random walk or an intrinsic autoregression (Q·1 = 0) is an improper prior: its "
    "determinant is zero, and the marginal likelihood does not exist. Remedies: a small precision "
    "added to the diagonal, Q + εI with ε about 1e-6 of the diagonal (a much smaller ε is lost "
    "in rounding errors); or a constraint: fix one unknown, or put the level into the mean"
)
"""Cause and remedies of a singular precision matrix."""


@dataclass(frozen=True, eq=False)
class LaplaceApproximation(Portable):
    """f(x) = −log ∫ π(y | u, p) π(u | p) du by Laplace's method, p = φ(x), with its gradient.

    With the mode û(p) of the latent field and H = Q − Bᵀ diag(∂²ℓ/∂η²) B there,

        f = −log π(y | û, p) + ½ (û − m)ᵀ Q (û − m) + ½ log det H − ½ log det Q

    (docs/math/determinants.md, eqs. 430–437). The constants (2π)^(n/2) of the prior and of
    Laplace's method cancel; those of the likelihood are included, so that f is the negative
    log of a density of y. For Gaussian data f is exact.

    The gradient is exact for this f: by the selected inverses of H and Q, and one solve
    with H for the dependence of û on p. One factorization of Q, and one of H for each
    Newton step, serve everything. `check` and `minimize` take f; for `NewtonCG` use
    `adjoint.optimize.DifferencedHessian(f)`.

    Parameters
    ----------
    model : LatentGaussianModel
        The latent field, its observation and the likelihood.
    factorize : callable
        A Cholesky factorizer; the default is `cholesky`.
    design : DesignMap
        φ; the default is p = x.
    start : (n,) array, optional
        û from which Newton's method starts, in units of u. The default is the guess of the
        likelihood, or the mean. It matters only if the likelihood is not log-concave: f
        then belongs to the mode that is found.
    tolerance : float
        Largest error of the mode that is accepted: the root mean square error of û in
        posterior standard deviations, and the mean relative error of ∂²ℓ/∂η² (eq. 433).
        The iteration continues to rounding errors in any case.
    max_iterations : int
        Largest number of Newton steps, each with one factorization.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type or is out of range.

    References
    ----------
    Tierney & Kadane (1986), Accurate approximations for posterior moments and marginal
    densities, J. Am. Stat. Assoc. 81, 82. Rue, Martino & Chopin (2009), Approximate
    Bayesian inference for latent Gaussian models, J. R. Stat. Soc. B 71, 319, section 3.
    Kristensen, Nielsen, Berg, Skaug & Bell (2016), TMB: automatic differentiation and
    Laplace approximation, J. Stat. Softw. 70(5), section 2.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse, adjoint
    >>> from adjoint.determinant import LaplaceApproximation, LatentGaussianModel, Poisson
    >>> Q = adjoint.Affine(None, [sparse.eye_array(3)])  # Independent, of the precision p.
    >>> f = LaplaceApproximation(LatentGaussianModel(Q, Poisson([0, 2, 5])))
    >>> point = f(np.array([1.0]))
    >>> round(point.value, 4), point.gradient.round(4)
    (6.4595, array([0.1368]))
    """

    model: LatentGaussianModel
    factorize: Factorizer = cholesky
    design: DesignMap = field(default_factory=Identity)
    start: Array | None = None
    tolerance: float = 1e-7
    max_iterations: int = 100
    _memory: CurvatureMemory = field(default_factory=CurvatureMemory, init=False)

    __repr__ = short_repr

    def __post_init__(self) -> None:
        who = "LaplaceApproximation"
        require_kind(
            who,
            "model",
            self.model,
            LatentGaussianModel,
            "adjoint.determinant.LatentGaussianModel(Q, likelihood)",
        )
        require_factorizer(who, self.factorize)
        require_methods(who, "design", self.design, ("__call__", "vjp"), "a design map")
        require_positive(who, "tolerance", self.tolerance)
        require_integer(who, "max_iterations", self.max_iterations, 1)
        if self.start is not None:
            start = as_parameters(self.start, "start")
            if start.dtype.kind == "c":
                raise TypeError(f"{who}: got a complex start, expected real numbers")
            object.__setattr__(self, "start", start)

    def __call__(self, x: Array) -> LaplacePoint:
        """Find the mode at φ(x), and return f at x.

        Parameters
        ----------
        x : (m_x,) array
            Design, real.

        Returns
        -------
        LaplacePoint
            f at x, its gradient when asked for, the mode and its standard deviations.

        Raises
        ------
        SingularMatrix
            If Q is singular, such as that of a random walk: the prior is improper.
        NotPositiveDefinite
            If Q is indefinite, or H at the mode: the likelihood is not log-concave.
        NewtonDiverged, NewtonStalled
            If the mode is not found. `history` holds the Newton decrements.
        NonFinite
            If x, p, Q, the mean, the offset or f contains nan or inf.
        WrongGradient
            If the derivatives of the likelihood disagree with differences at the mode.
        SolveError
            If a factorization or a solve fails otherwise.
        TypeError, ValueError
            If a part of the model returns another type or shape.
        """
        x = as_parameters(x, "x")
        if x.dtype.kind == "c":
            raise TypeError("LaplaceApproximation: got complex x, expected real numbers")
        x.setflags(write=False)
        counts = Counts()
        with collecting(counts):
            with phase("design"):
                p = read_only(as_parameters(self.design(x), "the design map's p"))
            with phase("assembly"):
                Q = owned(as_csc(self.model.Q(p), "LaplaceApproximation: Q: "))
                system = self._system(Q, p)
            precision = self._precision(Q)
            prior = precision.logdet()
            mode = find_mode(system, self._start(Q.shape[0]), self.tolerance, self.max_iterations)
            value = mode.state.G + 0.5 * (mode.hessian.logdet() - prior)
            if not np.isfinite(value):
                raise NonFinite(f"LaplaceApproximation: the value is {value} at the mode")
            require_derivatives(system.likelihood, mode.state.eta, mode.state.derivatives)
        return LaplacePoint(x, p, self.design, value, self.model, system, mode, precision, counts)

    def _system(self, Q: sparse.csc_array, p: Array) -> Conditional:
        """Return G at p; raise TypeError or ValueError for parts of other shapes."""
        n, B = Q.shape[0], self.model.B
        if Q.dtype.kind == "c" or p.dtype.kind == "c":
            raise TypeError("LaplaceApproximation: got complex Q or p, expected real numbers")
        if B is None:
            B = sparse.eye_array(n, format="csr")
        if B.shape[1] != n:
            raise ValueError(
                f"LaplaceApproximation: got B of shape {B.shape} and Q of shape {Q.shape}, "
                f"expected B with {n} columns"
            )
        k = B.shape[0]
        return Conditional(
            Q,
            _evaluated("mean", self.model.mean, p, n),
            _evaluated("offset", self.model.offset, p, k),
            B,
            CheckedLikelihood(self.model.likelihood, p, k),
            self._memory.of(Q, B),
            self.factorize,
        )

    def _start(self, n: int) -> Array | None:
        if self.start is not None and self.start.shape != (n,):
            raise ValueError(
                f"LaplaceApproximation: got start of shape {self.start.shape}, expected ({n},)"
            )
        return self.start

    def _precision(self, Q: sparse.csc_array) -> Factorization:
        """Factor Q; raise SingularMatrix if it is singular, with the remedy."""
        try:
            f = factored(self.factorize, Q)
            if not isinstance(f, Factorization) or f.symmetry != "hermitian":
                raise TypeError(
                    f"LaplaceApproximation: factorize={self.factorize!r} does not state that Q "
                    "is positive definite; expected a Cholesky factorizer: adjoint.cholesky"
                )
            f.examine()
        except SingularMatrix as error:
            raise SingularMatrix(
                f"LaplaceApproximation: the precision matrix Q is singular. {REMEDY}"
            ) from error
        except NotPositiveDefinite as error:
            if self._is_semidefinite(Q):
                raise SingularMatrix(
                    f"LaplaceApproximation: the precision matrix Q is singular: Q + "
                    f"{SHIFT:.0e} diag(Q) is positive definite, Q is not. {REMEDY}"
                ) from error
            raise NotPositiveDefinite(
                "LaplaceApproximation: the precision matrix Q is not positive definite, but has "
                "a negative eigenvalue; a Gaussian field needs Q > 0. Usual causes: a negative "
                "parameter (use a design map with exp), a wrong sign in Q"
            ) from error
        return f

    def _is_semidefinite(self, Q: sparse.csc_array) -> bool:
        """True if Q + SHIFT · diag(Q) is positive definite."""
        diagonal = Q.diagonal()
        if not (diagonal > 0.0).all():
            return False
        try:
            factored(self.factorize, sparse.csc_array(Q + sparse.diags_array(SHIFT * diagonal)))
        except SolveError:
            return False
        return True


def _evaluated(name: str, vector: Vector | Array | None, p: Array, size: int) -> Array:
    """Return the mean or the offset at p, (size,), real and finite."""
    if vector is None:
        return np.zeros(size)
    assert callable(vector)  # The model wraps arrays.
    v = as_array("LaplaceApproximation", name, vector(p))
    if v.dtype.kind not in "fiu":
        raise TypeError(f"LaplaceApproximation: got {name} of dtype {v.dtype}, expected reals")
    if v.shape != (size,):
        raise ValueError(f"LaplaceApproximation: {name} has shape {v.shape}, expected ({size},)")
    if bad := first_nonfinite(v):
        raise NonFinite(f"LaplaceApproximation: {name}[{bad[0]}] is {bad[1]} at p")
    return v.astype(float)
