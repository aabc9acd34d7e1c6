"""Constants of all checks: steps, rounding of f, and the limits of errors."""

import numpy as np

STEPS = 6
"""Number of steps h₀, h₀/2, …: enough for an order and for about 10 digits."""

TOLERANCE = 1e-5
"""Relative error of a derivative above which the derivative is wrong."""

SHORT = 0.1
"""Shortfall of a measured order that is accepted: 1.9 counts as 2, 2.9 counts as 3."""

SECOND_ORDER = 1.9
"""Measured order of a remainder from which on the remainder is of second order."""

CONVINCING = 1e-6
"""Relative error of a slope that is accepted whatever the order is.

No kink of f leaves so small an error.
"""

CONVINCING_JACOBIAN = 1e-9
"""Relative error of J v that is accepted whatever the order is.

No kink and no wrong entry leaves so small an error.
"""

TRANSPOSED = 1e-8
"""Dot-product error up to which a vjp is the transpose of its jvp.

The number is far above rounding and far below the effect of a mistake.
"""

NOISE = 1e3 * float(np.finfo(float).eps)
"""Rounding error of f that is assumed, relative to |f|."""

RESOLVED = 10.0
"""Safety factor on the error estimate of a difference."""

TINY = float(np.finfo(float).tiny)
"""Smallest denominator of a relative error, so that 0/0 is 0."""
