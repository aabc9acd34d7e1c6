"""The protocol of a likelihood log π(y | η, p), and checked calls of its methods."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from ..._numerics import read_only
from ..._validation import as_array, as_cotangent, is_number, named, require_methods, shown
from ...typing import Array


class Likelihood(Protocol):
    """log π(y | η, p) = Σ_i ℓ_i(η_i, p): the data are independent, given η.

    η, (k,), is the linear predictor: observation i depends on η_i only. The data y belong
    to the object. `Poisson`, `Binomial` and `Gaussian` are likelihoods.
    """

    def value(self, eta: Array, p: Array) -> float:
        """Return Σ_i ℓ_i(η_i, p), with all constants that belong to the likelihood."""

    def derivatives(self, eta: Array, p: Array) -> tuple[Array, Array, Array]:
        """Return ∂ℓ_i/∂η_i, ∂²ℓ_i/∂η_i² and ∂³ℓ_i/∂η_i³, (k,) each."""

    def vjp(self, eta: Array, p: Array, weights: tuple[Array, Array, Array]) -> Array:
        """Return the gradient of Σ_i (a_i ℓ_i + b_i ∂ℓ_i/∂η_i + c_i ∂²ℓ_i/∂η_i²), (m,).

        The gradient is with respect to p; weights = (a, b, c), (k,) each, and η are held
        fixed. It is zero if the likelihood does not depend on p.
        """


@runtime_checkable
class LikelihoodWithGuess(Protocol):
    """A `Likelihood` with a guess of η from the data alone, from which Newton's method starts."""

    def guess(self, p: Array) -> Array:
        """Return η, (k,), near the largest likelihood; finite for all data."""


def require_likelihood(who: str, name: str, value: object) -> None:
    """Raise TypeError unless the value is a likelihood."""
    require_methods(
        who,
        name,
        value,
        ("value", "derivatives", "vjp"),
        "a likelihood such as adjoint.determinant.Poisson(counts, exposure)",
    )


@dataclass(frozen=True, eq=False)
class CheckedLikelihood:
    """Calls of a user's likelihood at one p, with checks of the results.

    of: the likelihood; p: (m,); size: k, the number of observations.
    """

    of: Likelihood
    p: Array
    size: int

    @property
    def name(self) -> str:
        """The name of the class, for messages."""
        return type(self.of).__name__

    def value(self, eta: Array) -> float:
        """Return Σ ℓ_i, which may be nan or inf; raise TypeError unless it is a real number."""
        with np.errstate(all="ignore"):
            value = self.of.value(read_only(eta), self.p)
        if not is_number(value):
            raise TypeError(
                f"the value of {self.name} is {shown(value)}, expected a real number: the sum "
                "over all observations"
            )
        return float(value)

    def derivatives(self, eta: Array) -> tuple[Array, Array, Array]:
        """Return the three derivatives, (k,) each; entries may be nan or inf."""
        with np.errstate(all="ignore"):
            found = self.of.derivatives(read_only(eta), self.p)
        if not isinstance(found, tuple | list) or len(found) != 3:
            raise TypeError(
                f"{self.name}: derivatives returned {named(found)}, expected three arrays: the "
                "first, second and third derivative of each ℓ_i with respect to η_i"
            )
        first, second, third = (self._vector("derivatives", d) for d in found)
        return first, second, third

    def vjp(self, eta: Array, weights: tuple[Array, Array, Array]) -> Array:
        """Return the gradient with respect to p, (m,)."""
        a, b, c = (read_only(w) for w in weights)
        with np.errstate(all="ignore"):
            g = self.of.vjp(read_only(eta), self.p, (a, b, c))
        return as_cotangent(g, self.p, f"the vjp of {self.name}")

    def guess(self) -> Array | None:
        """Return the guess of η, (k,); None if the likelihood has none, or if it is not finite."""
        if not isinstance(self.of, LikelihoodWithGuess):
            return None
        with np.errstate(all="ignore"):
            eta = self._vector("guess", self.of.guess(self.p))
        return eta if np.isfinite(eta).all() else None

    def _vector(self, method: str, v: Array) -> Array:
        v = as_array(self.name, f"what {method} returned", v)
        if v.dtype.kind not in "fiu":
            raise TypeError(f"{self.name}: {method} returned {v.dtype}, expected real numbers")
        if v.shape != (self.size,):
            raise ValueError(
                f"{self.name}: {method} returned an array of shape {v.shape}, expected "
                f"({self.size},): one number for each observation"
            )
        return v.astype(float)


def require_predictor(who: str, eta: Array, k: int) -> None:
    """Raise ValueError unless η has one entry for each of the k data."""
    if np.shape(eta) != (k,):
        raise ValueError(
            f"{who}: got η of shape {np.shape(eta)} for {k} data, expected ({k},). Usual cause: "
            "an observation matrix B with another number of rows than there are data; without "
            "B each latent variable needs one"
        )
