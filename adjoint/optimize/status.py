"""Status: why a run ended."""

from enum import Enum


class Status(Enum):
    """Why a run ended; the value of each member is a sentence.

    Attributes
    ----------
    success : bool
        True if the run converged: STATIONARY or UNCHANGING.
    """

    STATIONARY = "Converged: the optimality measure fell below its tolerance."
    UNCHANGING = "Converged: the largest design change of an iteration fell below its tolerance."
    STALLED = "Stopped: the objective has stalled, it no longer improves by the amount asked for."
    ITERATIONS = "Stopped: the budget of iterations is used up."
    FACTORIZATIONS = "Stopped: the budget of factorizations is used up."
    SECONDS = "Stopped: the budget of time is used up."
    STUCK = (
        "Stopped: no trial step decreases the objective; the objective is flat to rounding, has a "
        "kink, or its gradient is wrong."
    )
    FLAT = (
        "Stopped: the gradient is zero at the start, and the objective does not depend on the "
        "design there."
    )
    UNBOUNDED = (
        "Stopped: the objective falls without bound; a bound or a regularization is missing."
    )
    INFEASIBLE = "Stopped: the design no longer changes, and the constraints are still violated."
    INCONSISTENT = (
        "Stopped: the gradient vanishes, but differences of the objective do not: the gradient is "
        "wrong."
    )
    UNEVEN = (
        "Stopped: the gradient is small only relative to that of variables of other sizes; give "
        "each variable its unit, by inner=Weighted(1 / size**2)."
    )
    RISEN = (
        "Stopped: the design no longer changes, and is worse than an earlier design: the objective "
        "rose on the way."
    )
    SADDLE = (
        "Stopped: the gradient vanishes, but the objective falls nearby: a saddle point, or a "
        "maximum."
    )
    PLATEAU = (
        "Stopped: on a plateau: the gradient is small because the whole objective is small, and "
        "relative to the objective the slope is as steep as before; a structure may have fallen "
        "apart. Begin elsewhere, or with a smaller move limit."
    )
    FAILED = "Stopped: a solve failed, or a gradient was not finite, and the algorithm needs it."
    INTERRUPTED = "Stopped: interrupted from outside."

    @property
    def success(self) -> bool:
        """True if the run converged."""
        return self in (Status.STATIONARY, Status.UNCHANGING)
