"""The local error of a step, from the embedded formulas of the method."""

import math
from typing import NamedTuple

import numpy as np

from ..._numerics import rms
from ...typing import Array
from ..equations import System
from ..methods.tableau import Tableau
from ..stages.coupled_matrices import CoupledInverse
from ..stages.stage_matrices import Inverse, times


class LocalError(NamedTuple):
    """The estimated local error of the state in a step.

    size: error in units of the tolerances. filtered: B⁻¹ times the estimate, (n,), None
    for explicit methods. base: for coupled stages the state at which the estimate
    evaluated f, (n,).
    """

    size: float
    filtered: Array | None
    base: Array


def estimated_error(
    system: System,
    tableau: Tableau,
    t: float,
    h: float,
    u: Array,
    new: Array,
    K: Array,
    inverse: Inverse | None,
) -> LocalError:
    """The local error of a step from u to `new`; its size is nan if a stage is nan.

    For implicit methods the estimate is filtered by B⁻¹M: stiff components, which each
    step of an L-stable method damps, then contribute little to the error (Hairer &
    Wanner 1996, eq. IV.8.19). B = M − hγ ∂f/∂u.
    """
    w = 1.0 / (system.atol + system.rtol * np.maximum(np.abs(u), np.abs(new)))
    if isinstance(inverse, CoupledInverse):
        e = np.array(times(system.mass.matrix, h * system.combined(tableau.errors[0], K), "N"))
        return _filtered(system, inverse.single, t, h * tableau.gamma, u, e, w)
    sizes, filtered = [], None
    for weights in tableau.errors:
        e = h * system.combined(weights, K)
        if tableau.gamma != 0.0 and inverse is not None:
            e = filtered = inverse.solve(np.array(times(system.mass.matrix, e, "N")), "N")
        sizes.append(rms(e * w))
    if len(sizes) == 1:
        return LocalError(sizes[0], filtered, u)
    fifth, third = sizes  # Hairer, Nørsett & Wanner (1993), section II.10.
    return LocalError(
        fifth**2 / math.sqrt(fifth**2 + 0.01 * third**2) if fifth != 0.0 else 0.0, None, u
    )


def _filtered(
    system: System, inverse: Inverse, t: float, hg: float, u: Array, e: Array, w: Array
) -> LocalError:
    """The local error of coupled stages, B⁻¹ (e + hγ f(t, u)) with e = M Σ h e_i K_i: eq. 89.

    Eq. 89 is in docs/math/time.md. If the distance of u from a slow manifold is below
    the tolerance, f may be large, and B⁻¹ hγ f equals this distance for every h. A
    second filter damps this term: Hairer & Wanner (1996), eq. IV.8.20.
    """
    error = inverse.solve(e + hg * system.rate(t, u), "N")
    size = rms(error * w)
    if size > 1.0:
        f = system.rate(t, u + error)
        if np.isfinite(f).all():  # f may be nan as far from u as this.
            again = inverse.solve(e + hg * f, "N")
            return LocalError(rms(again * w), again, u + error)
    return LocalError(size, error, u)
