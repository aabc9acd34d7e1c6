"""Laplace's approximation at one x: value, gradient, mode and standard deviations."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

import numpy as np
import scipy.sparse as sparse

from ..._dataclasses import Local, short_repr
from ..._numerics import dot
from ..._optional_methods import checked_contraction
from ..._validation import as_cotangent, as_parameters, first_nonfinite
from ...errors import NonFinite
from ...factor.counts import Counts, collecting, phase
from ...factor.csc import columns_of
from ...factor.evidence import Evidence
from ...factor.factorization import Factorization
from ...protocols import DesignMap, Vector
from ...typing import Array, SparseMatrix
from .mode import Conditional, Mode
from .model import LatentGaussianModel, observation_matrix
from .prediction import Prediction, predicted


@dataclass(frozen=True, eq=False)
class LaplaceEvidence:
    """How the mode, the determinants and the gradient were computed.

    Attributes
    ----------
    decrements : tuple of float
        The Newton decrements at the iterates, in posterior standard deviations.
    mode_error : float
        The larger of the root mean square error of the mode in posterior standard
        deviations, and the mean relative error of ∂²ℓ/∂η² that follows.
    hessian_error, precision_error : float
        Largest errors of the verified columns of H⁻¹ and Q⁻¹, relative to
        (z_ii z_jj)^½.
    factorization : Evidence
        The evidence of the last factorization of H; its `counts` hold all work of the point.
    """

    decrements: tuple[float, ...]
    mode_error: float
    hessian_error: float
    precision_error: float
    factorization: Evidence

    __repr__ = short_repr


@dataclass(frozen=True, eq=False, repr=False)
class LaplacePoint(Local):
    """Laplace's approximation at one x; the gradient is computed at its first use.

    Attributes
    ----------
    x : (m_x,) array
        The design.
    p : (m,) array
        The parameters, φ(x).
    design : DesignMap
        φ.
    value : float
        f(x), the negative log of the marginal likelihood.
    model : LatentGaussianModel
        The model.
    """

    portable = "x, and evaluate there"

    x: Array
    p: Array
    design: DesignMap
    value: float
    model: LatentGaussianModel
    _system: Conditional
    _mode: Mode
    _precision: Factorization
    _counts: Counts

    def __repr__(self) -> str:
        return f"LaplacePoint(value={self.value!r}, x: {self.x.shape}, u: {self.mode.shape})"

    @property
    def mode(self) -> Array:
        """The mode û of π(u | y, p), (n,), in units of u."""
        return _locked(self._mode.state.u)

    @property
    def predictor(self) -> Array:
        """The linear predictor of each observation at the mode, η̂ = B û + o, (k,)."""
        return _locked(self._mode.state.eta)

    @cached_property
    def standard_deviations(self) -> Array:
        """The marginal standard deviations of u, (n,), the square roots of diag H⁻¹.

        They belong to the Gaussian approximation of π(u | y, p) at the mode, for these
        parameters. Raises SolveError if the selected inverse fails its verification.
        """
        with collecting(self._counts):
            return _locked(np.sqrt(self._mode.hessian.selected.diagonal))

    @cached_property
    def predictor_standard_deviations(self) -> Array:
        """The standard deviations of the predictors B u + o, (k,)."""
        return _locked(np.sqrt(np.maximum(self._predictor_variances, 0.0)))

    @cached_property
    def gradient(self) -> Array:
        """df/dx, (m_x,) (docs/math/determinants.md, eqs. 436 and 437).

        Two selected inverses, and one solve with H. No factorization.

        Raises TypeError if Q has no method `contract`, SolveError if a selected inverse
        fails its verification, NonFinite if the gradient contains nan or inf.
        """
        with collecting(self._counts), phase("gradient"):
            p_bar = self._p_bar()
        with phase("design"):
            g = self.design.vjp(self.x, p_bar)
        g = as_cotangent(g, self.x, f"the vjp of the design map {type(self.design).__name__}")
        if bad := first_nonfinite(g):
            raise NonFinite(f"the gradient of LaplaceApproximation is {bad[1]} at {bad[0]}")
        return _locked(g)

    def jvp(self, x_dot: Array) -> float:
        """Return the derivative along ẋ.

        Parameters
        ----------
        x_dot : (m_x,) array
            Direction.

        Returns
        -------
        float
            df/dx ẋ.

        Raises
        ------
        ValueError
            If x_dot has another shape than x.
        """
        x_dot = as_parameters(x_dot, "x_dot")
        if x_dot.shape != self.x.shape:
            raise ValueError(f"jvp: got x_dot of shape {x_dot.shape}, expected {self.x.shape}")
        return dot(self.gradient, x_dot)

    def hvp(self, v: Array) -> NoReturn:
        """Raise TypeError: second derivatives are not provided.

        They contain fourth derivatives of the likelihood and whole columns of H⁻¹. The
        message says how to get differences of gradients instead.

        Parameters
        ----------
        v : (m_x,) array
            Direction.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError(
            "LaplaceApproximation has no Hessian–vector products: they take fourth derivatives of "
            "the likelihood, and entries of H⁻¹ off its pattern. Expected "
            "adjoint.optimize.DifferencedHessian(f), which takes differences of exact gradients"
        )

    def predict(self, B: SparseMatrix) -> Prediction:
        """Return the linear predictors B u for another matrix B, with standard deviations.

        An offset is not added. Each row costs a right-hand side with the factors of H.

        Parameters
        ----------
        B : (k, n) sparse matrix
            Rows of weights of the latent variables, such as an interpolation.

        Returns
        -------
        Prediction
            Means and standard deviations, (k,) each.

        Raises
        ------
        TypeError, ValueError, NonFinite
            If B is not a real matrix with n columns.
        SolveError
            If a solve fails.
        """
        rows = observation_matrix("predict", B)
        if rows.shape[1] != self.mode.size:
            raise ValueError(
                f"predict: got B of shape {rows.shape}, expected (k, {self.mode.size})"
            )
        with collecting(self._counts):
            return predicted(self._mode.hessian, self.mode, rows)

    @property
    def evidence(self) -> LaplaceEvidence:
        """How accurate the mode and the inverses are, and the work so far.

        Computes the selected inverses, as the gradient does.
        """
        hessian = self._mode.hessian
        with collecting(self._counts):
            errors = hessian.selected.error, self._precision.selected.error
        return LaplaceEvidence(
            self._mode.decrements,
            self._mode.error,
            *errors,
            replace(hessian.evidence, counts=self._counts.copy()),
        )

    @cached_property
    def _predictor_variances(self) -> Array:
        """diag(B H⁻¹ Bᵀ), (k,)."""
        with collecting(self._counts):
            Z = self._mode.hessian.selected.inverse
            return self._system.curvature.observed_diagonal(Z)

    def _p_bar(self) -> Array:
        """df/dp, (m,)."""
        state, system, p = self._mode.state, self._system, self.p
        hessian, B, d = self._mode.hessian, system.B, state.d
        first, second, third = state.derivatives
        s = self._predictor_variances
        c = -0.5 * s * third  # ½ ∂ log det H / ∂η
        v = hessian.solve(np.asarray(B.T @ c))
        Bv = np.asarray(B @ v)
        # Q̄ on the pattern of Q, in its symmetric form.
        Q = system.Q
        i, j = Q.indices, columns_of(Q)
        q_bar = 0.5 * (
            system.curvature.on_precision(hessian.selected.inverse)
            - self._precision.selected.inverse.data
            + d[i] * d[j]
            - v[i] * d[j]
            - d[i] * v[j]
        )
        Q_bar = sparse.csc_array((q_bar, Q.indices, Q.indptr), shape=Q.shape)
        Q_bar.has_canonical_format = True
        g = checked_contraction(self.model.Q, p, Q_bar)
        g = g + system.likelihood.vjp(state.eta, (-np.ones(s.size), Bv, -0.5 * s))
        g = g + _pulled(self.model.mean, p, np.asarray(Q @ (v - d)), "mean")
        return g + _pulled(self.model.offset, p, c - first + second * Bv, "offset")


def _pulled(vector: Vector | Array | None, p: Array, cotangent: Array, name: str) -> Array:
    """Return the gradient with respect to p through the mean or the offset, (m,)."""
    if vector is None:
        return np.zeros_like(p)
    assert callable(vector)
    return as_cotangent(vector.vjp(p, cotangent), p, f"the vjp of the {name}")


def _locked(v: Array) -> Array:
    v.setflags(write=False)
    return v
