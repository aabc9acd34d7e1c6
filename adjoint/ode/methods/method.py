"""A Runge–Kutta method: a tableau, and the accuracy of the solution of the stages."""

from dataclasses import dataclass

from ..._validation import require_settings
from .tableau import Tableau


@dataclass(frozen=True, eq=False)
class Method:
    """M(p) u' = f(t, u, p) by one Runge–Kutta method: a tableau and the accuracy of its stages.

    Parameters
    ----------
    tableau : Tableau
        The coefficients, of a method of this package or of your own.
    accuracy : float
        Relative error of stage values at which Newton's iteration for implicit stages
        stops, in [1e-15, 1e-2]. With the default, 1e-13, gradients agree with the
        computed trajectory in all digits except the last few. If you do not need such
        gradients, rtol/100 is enough.
    start : Tableau or None
        Tableau of the first step of a DAE, without explicit stage, for methods whose
        first stage is explicit; for example `adjoint.ode.ESDIRK4().start`. Default:
        None, for all other methods.

    Raises
    ------
    ValueError
        If accuracy is not in [1e-15, 1e-2].
    TypeError
        If accuracy is not a number.
    """

    tableau: Tableau
    accuracy: float = 1e-13
    start: Tableau | None = None

    def __post_init__(self) -> None:
        require_settings(self)
        if not 1e-15 <= self.accuracy <= 1e-2:
            raise ValueError(
                f"got accuracy={self.accuracy!r}, expected a relative error in [1e-15, 1e-2]"
            )

    def __repr__(self) -> str:
        return repr(self.tableau)
