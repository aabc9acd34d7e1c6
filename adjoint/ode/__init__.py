"""Initial value problems M(p) u' = f(t, u, p), with exact derivatives of the computed steps.

An `ODEProblem` is integrated with step size control, or on a given grid; a singular M makes
a differential-algebraic equation. `ODEProblem.solve(p)` returns a `Trajectory`, with
gradients by a reverse sweep (`vjp`) and tangents (`jvp`) of the very steps that were taken.

Inside: `problem` and `trajectory` are the public face. `integrator` takes the steps, by the
tableaux of `methods`, the Newton iterations of `stages` and the step sizes of
`step_control`. `sweeps` goes through the frozen `steps` again, backwards by the reverse and
forwards by the tangent of one step (`step_derivatives`); `second_order` has
Hessian–vector products. `adjoint_states` computes λ(t).
"""

from .evidence import ODEEvidence
from .integrands import LinearIntegrand, SquaredIntegrand
from .methods.esdirk import ESDIRK4, ESDIRK5, TRBDF2
from .methods.explicit import DOP853, Tsit5
from .methods.interpolants import continuous, hermite
from .methods.method import Method
from .methods.radau import Radau5, Radau9
from .methods.tableau import Tableau
from .methods.theta import BackwardEuler, CrankNicolson, Theta
from .outputs import Outputs
from .problem import ODEProblem
from .second_order.linearization import TrajectoryLinearization
from .sensitivities import Sensitivities
from .step_control.controller import StepControl
from .trajectory import Trajectory

__all__ = [
    # The problem
    "ODEProblem",
    "StepControl",
    "Outputs",
    "LinearIntegrand",
    "SquaredIntegrand",
    # Methods
    "Tsit5",
    "DOP853",
    "TRBDF2",
    "ESDIRK4",
    "ESDIRK5",
    "Radau5",
    "Radau9",
    "BackwardEuler",
    "CrankNicolson",
    "Theta",
    # The solution
    "Trajectory",
    "TrajectoryLinearization",
    "Sensitivities",
    "ODEEvidence",
    # A method of your own
    "Method",
    "Tableau",
    "continuous",
    "hermite",
]
