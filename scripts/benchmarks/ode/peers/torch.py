"""torchdiffeq: dopri5, with back-propagation through the steps or the continuous adjoint."""

import numpy as np
import torch
from torchdiffeq import odeint, odeint_adjoint

from scripts.benchmarks.ode.cases import Case, Unsuited
from scripts.benchmarks.ode.peers.libraries import Prepared


class Field(torch.nn.Module):  # type: ignore[misc]
    """Lotka–Volterra with the rates as a parameter of the module."""

    def __init__(self, p: np.ndarray) -> None:
        super().__init__()
        self.p = torch.nn.Parameter(torch.tensor(p))

    def forward(self, t: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
        """f, (2,)."""
        return torch.stack(
            [(self.p[0] - self.p[1] * u[1]) * u[0], (self.p[3] * u[0] - self.p[2]) * u[1]]
        )


def backprop(case: Case, rtol: float) -> Prepared:
    """odeint: every operation of every step is recorded."""
    return prepared(case, rtol, odeint)


def continuous(case: Case, rtol: float) -> Prepared:
    """odeint_adjoint: the adjoint equation, with the state recomputed backwards."""
    return prepared(case, rtol, odeint_adjoint)


def prepared(case: Case, rtol: float, solve) -> Prepared:  # type: ignore[no-untyped-def]
    """Make value and gradient by `solve`, which is odeint or odeint_adjoint."""
    if case.name != "Lotka-Volterra":
        raise Unsuited("explicit methods only, of which a stiff problem takes millions of steps")
    f, u0, data = Field(case.p), torch.tensor(case.u0), torch.tensor(case.data)
    times = torch.tensor(case.times)

    def objective() -> torch.Tensor:
        path = solve(f, u0, times, rtol=rtol, atol=case.atol(rtol), method="dopri5")
        return 0.5 * case.w * ((path - data) ** 2).sum()

    def value() -> float:
        with torch.no_grad():
            return float(objective())

    def gradient() -> tuple[float, np.ndarray]:
        f.p.grad = None
        J = objective()
        J.backward()
        return J.item(), f.p.grad.numpy().copy()

    return Prepared(
        value, gradient, lambda u: f(torch.tensor(0.0), torch.tensor(u)).detach().numpy()
    )
