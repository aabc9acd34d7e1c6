"""Objectives from a plain function of the eigenvalues and eigenvectors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..._dataclasses import short_repr
from ..._numerics import read_only
from ..._validation import named, require_function
from ...derive.hvp import rate_along
from ...errors import NotComplexSafe
from ...typing import Array
from .packed import packed, require_modes, values_of, vectors_of

STEP = 2.0**-332
"""Complex step, about 1e-100: its square is far below rounding."""

LARGEST = 20_000
"""Largest number of entries of (values, vectors) that are differentiated one by one."""

DIFFERENCE = 2.0**-17
"""Step of the central difference that tests the complex steps, relative to the entries."""

AGREEMENT = 1e-4
"""Relative difference between complex steps and the central difference that is accepted."""


@dataclass(frozen=True, eq=False)
class SpectralFunction:
    """J = f(values, vectors), a plain function of eigenvalues (k,) and eigenvectors (n, k).

    Parameters
    ----------
    function : callable
        f: (values, vectors) ↦ a real number. The arrays are read-only. f should not
        depend on the signs (phases) of eigenvectors; at a multiple eigenvalue f must not
        depend on the basis of its space, else the gradient raises `RepeatedEigenvalue`.
    gradient : callable, optional
        (values, vectors) ↦ (values_bar, vectors_bar), of the same shapes, with
        dJ = Re(values_barᴴ dvalues) + Re Σ conj(vectors_bar) dvectors. Without
        `gradient` each entry is differentiated by a complex step: then f must accept
        complex arguments, the eigenpairs must be real, and there may be at most 20 000
        entries.

    Raises
    ------
    TypeError
        If an argument is not a function; from `gradients`, if `gradients` was not given
        and the eigenpairs are complex.
    ValueError
        From `gradients`, if there are too many entries, or if shapes differ.
    NotComplexSafe
        From `gradients`, if complex steps do not agree with differences.
    """

    function: Callable[[Array, Array], float]
    gradient: Callable[[Array, Array], tuple[Array, Array]] | None = None

    __repr__ = short_repr

    def __post_init__(self) -> None:
        expected = "a function (values, vectors) -> J"
        require_function("SpectralFunction", "function", self.function, expected)
        if self.gradient is not None:
            expected = "a function (values, vectors) -> (values_bar, vectors_bar)"
            require_function("SpectralFunction", "gradient", self.gradient, expected)

    def value(self, u: Array, p: Array) -> float:
        """Return J(u, p)."""
        require_modes("SpectralFunction", u, 1)
        found = np.asarray(self.function(read_only(values_of(u)), read_only(vectors_of(u))))
        if found.ndim != 0 or found.dtype.kind not in "fiu":
            raise TypeError(
                f"SpectralFunction: the function returned {named(found[()])}, expected a real "
                "number; of complex eigenvalues take .real, .imag or abs()"
            )
        return float(found)

    def gradients(self, u: Array, p: Array) -> tuple[Array, Array]:
        """Return (ū, 0)."""
        require_modes("SpectralFunction", u, 1)
        if self.gradient is None:
            return self._by_complex_steps(u), np.zeros_like(p)
        values, vectors = values_of(u), vectors_of(u)
        returned = self.gradient(read_only(values), read_only(vectors))
        if not (isinstance(returned, tuple) and len(returned) == 2):
            raise TypeError(
                f"SpectralFunction: gradient returned {named(returned)}, expected a pair "
                "(values_bar, vectors_bar)"
            )
        values_bar, vectors_bar = (np.asarray(bar) for bar in returned)
        if values_bar.shape != values.shape or vectors_bar.shape != vectors.shape:
            raise ValueError(
                f"SpectralFunction: gradient returned shapes {values_bar.shape} and "
                f"{vectors_bar.shape}, expected {values.shape} and {vectors.shape}"
            )
        u_bar = packed(values_bar, vectors_bar)
        return (u_bar if u.dtype.kind == "c" else u_bar.real.astype(float)), np.zeros_like(p)

    def hvp(self, u: Array, p: Array, u_dot: Array, p_dot: Array) -> tuple[Array, Array]:
        """Return the derivative of ū along u̇, by extrapolated differences, and zeros."""

        def as_reals(v: Array) -> Array:
            return np.concatenate([v.real.ravel(), v.imag.ravel()] if cplx else [v.ravel()])

        def gradient(x: Array) -> Array:
            v = x[: u.size] + 1j * x[u.size :] if cplx else x
            return as_reals(self.gradients(v.reshape(u.shape), p)[0])

        cplx, none = u.dtype.kind == "c", np.zeros(0)
        rate, _ = rate_along(gradient, as_reals(u), none, as_reals(u_dot), none)
        rate = rate[: u.size] + 1j * rate[u.size :] if cplx else rate
        return rate.reshape(u.shape), np.zeros_like(p)

    def _by_complex_steps(self, u: Array) -> Array:
        if u.dtype.kind == "c":
            raise TypeError(
                "SpectralFunction: the eigenpairs are complex, which complex steps cannot "
                "differentiate; expected gradient=(values, vectors) -> (values_bar, vectors_bar)"
            )
        if u.size > LARGEST:
            raise ValueError(
                f"SpectralFunction: {u.size} entries would take one evaluation each; expected at "
                f"most {LARGEST}, or gradient=(values, vectors) -> (values_bar, vectors_bar)"
            )
        z, u_bar = u.astype(complex), np.zeros_like(u)
        for i in range(u.size):
            z.flat[i] += 1j * STEP
            u_bar.flat[i] = self._continued(z).imag / STEP
            z.flat[i] = u.flat[i]
        self._require_agreement(u, u_bar)
        return u_bar

    def _continued(self, z: Array) -> complex:
        with np.errstate(all="ignore"):
            return complex(self.function(read_only(values_of(z)), read_only(vectors_of(z))))

    def _require_agreement(self, u: Array, u_bar: Array) -> None:
        """Raise NotComplexSafe unless ū agrees with a central difference along one direction."""
        rng = np.random.default_rng(0)
        sizes = packed(np.abs(values_of(u)), np.full_like(vectors_of(u), np.abs(u[1:]).max()))
        v = rng.uniform(0.5, 1.0, u.shape) * rng.choice([-1.0, 1.0], u.shape) * sizes
        slope = float((u_bar * v).sum())
        ahead, behind = (self.value(u + s * DIFFERENCE * v, u[0]) for s in (1.0, -1.0))
        difference = (ahead - behind) / (2.0 * DIFFERENCE)
        terms = float(np.abs(u_bar * v).max(initial=0.0))
        if not abs(difference - slope) <= AGREEMENT * max(abs(difference), abs(slope), terms):
            raise NotComplexSafe(
                f"SpectralFunction: along a random direction complex steps give the derivative "
                f"{slope:.6g}, differences give {difference:.6g}. The function loses imaginary "
                "parts: abs(), max() or conj() are usual causes. Give gradient=…, or use the "
                "replacements in adjoint.derive.safe"
            )
