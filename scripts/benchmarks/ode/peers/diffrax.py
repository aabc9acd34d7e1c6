"""diffrax: Kvaerno's implicit method of order 5 with dense LU, or Tsit5; compiled by XLA."""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from problems.time.brusselator import Brusselator
from problems.time.kinetics import Robertson
from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.peers.libraries import Prepared

jax.config.update("jax_enable_x64", True)

MAX_STEPS = 4096  # memory and recomputation grow with this number


def reverse(case: Case, rtol: float) -> Prepared:
    """By RecursiveCheckpointAdjoint, the default: the discrete adjoint."""
    return prepared(case, rtol, diffrax.RecursiveCheckpointAdjoint(), jax.value_and_grad)


def forward(case: Case, rtol: float) -> Prepared:
    """By ForwardMode and jacfwd: tangents of all parameters at once."""

    def derivative(objective: Callable) -> Callable:  # type: ignore[type-arg]
        slope = jax.jacfwd(lambda p: (objective(p),) * 2, has_aux=True)
        return lambda p: slope(p)[::-1]

    return prepared(case, rtol, diffrax.ForwardMode(), derivative)


def prepared(
    case: Case, rtol: float, rule: diffrax.AbstractAdjoint, derivative: Callable
) -> Prepared:  # type: ignore[type-arg]
    """Compile value and derivative."""
    f, p = traced(case), jnp.asarray(case.p)
    n, integrals = case.u0.size, int(not case.observed)
    start, data = jnp.append(case.u0, np.zeros(integrals)), jnp.asarray(case.data)

    def augmented(t, u, p):  # type: ignore[no-untyped-def]
        return jnp.append(f(u[:n], p), jnp.asarray(case.c) @ u[:n]) if integrals else f(u, p)

    solver = diffrax.Kvaerno5() if case.stiff else diffrax.Tsit5()
    # Settings documented for stiff problems; with the defaults every second step is rejected.
    gains = {"pcoeff": 0.3, "icoeff": 0.4} if case.stiff else {}
    control = diffrax.PIDController(rtol=rtol, atol=case.atol(rtol), **gains)
    wanted = (
        diffrax.SaveAt(ts=jnp.asarray(case.times)) if case.observed else diffrax.SaveAt(t1=True)
    )

    def objective(p):  # type: ignore[no-untyped-def]
        path = diffrax.diffeqsolve(
            diffrax.ODETerm(augmented),
            solver,
            0.0,
            case.tf,
            None if case.observed else 1e-4,
            start,
            args=p,
            saveat=wanted,
            stepsize_controller=control,
            adjoint=rule,
            max_steps=MAX_STEPS,
        )
        return 0.5 * case.w * jnp.sum((path.ys - data) ** 2) if case.observed else path.ys[0, n]

    value, both = jax.jit(objective), jax.jit(derivative(objective))

    def gradient() -> tuple[float, np.ndarray]:
        J, slope = both(p)
        return float(J), np.asarray(slope)

    return Prepared(lambda: float(value(p)), gradient, lambda u: np.asarray(f(jnp.asarray(u), p)))


def traced(case: Case) -> Callable:  # type: ignore[type-arg]
    """f(u, p) in jax.numpy."""
    physics = case.physics
    if isinstance(physics, Brusselator):
        return brusselator(physics)

    def robertson(u, p):  # type: ignore[no-untyped-def]
        gained, third = p[0] * u[0] - p[1] * u[1] * u[2], p[2] * u[1] ** 2
        return jnp.stack([-gained, gained - third, third])

    def lotka_volterra(u, p):  # type: ignore[no-untyped-def]
        return jnp.stack([(p[0] - p[1] * u[1]) * u[0], (p[3] * u[0] - p[2]) * u[1]])

    return robertson if isinstance(physics, Robertson) else lotka_volterra


def brusselator(physics: Brusselator) -> Callable:  # type: ignore[type-arg]
    """f on the closed lattice: a cell at a side is its own neighbour, so that nothing passes."""
    (nx, ny), (dx, dy), A = physics.lattice.cells, physics.lattice.spacing, physics.conversion

    def f(u, p):  # type: ignore[no-untyped-def]
        W = u.reshape(nx, ny, 2)
        X, Y = (
            jnp.pad(W, ((1, 1), (0, 0), (0, 0)), "edge"),
            jnp.pad(W, ((0, 0), (1, 1), (0, 0)), "edge"),
        )
        spread = (X[2:] - 2.0 * W + X[:-2]) / dx**2 + (Y[:, 2:] - 2.0 * W + Y[:, :-2]) / dy**2
        first, second, b = W[..., 0], W[..., 1], p[2:].reshape(nx, ny)
        converted = first * (first * second - A)
        return (p[:2] * spread + jnp.stack([b + converted - first, -converted], axis=-1)).ravel()

    return f
