"""The gradient of a nonlinear model as users of other libraries write it; each is optional.

J = ½ mean u², with R(u, p) = 0 on k × k cells and a parameter per cell. Every maker
takes a `Model` and returns a `Run`. SciPy, OpenMDAO and ours call the same hand-written
derivatives; JAX has the residual in jax.numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import newton_krylov
from scipy.sparse.linalg import LinearOperator, splu

import adjoint
from adjoint.typing import Array
from problems.steady.bratu import Bratu, plain_bratu
from problems.steady.conduction import Conduction, plain_conduction
from scripts.benchmarks.timing import clocked

Run = Callable[[Array], tuple[float, Array, Array]]
"""p ↦ (seconds of J and dJ/dp, the cells for which it was computed, dJ/dp there)."""

RTOL = 1e-10  # of R relative to its start, or of the last step relative to u, by method
ATOL = 1e-8  # of R, for optimistix: above the rounding of R on the finest grid
BRATU = (4.0, 6.0)  # λ of a cell; with one λ for all cells the fold is at 6.808
CONDUCTIVITY = (0.5, 1.5)  # m²/s
DIFFERENCE = 1e-3  # step of a parameter
PROBED = 5  # parameters with differences; the seconds of the others are extrapolated

factor = partial(splu, permc_spec="MMD_AT_PLUS_A")  # half the fill of the default ordering here


@dataclass(frozen=True, eq=False)
class Model:
    """R(u, p) = 0 on k × k cells in three forms.

    physics: with derivatives by hand. plain: a function for NumPy. traced: imports JAX,
    and makes a function for jax.numpy. u0, p: (k²,).
    """

    k: int
    physics: adjoint.protocols.Residual
    plain: Callable[[Array, Array], Array]
    traced: Callable[[], Callable]  # type: ignore[type-arg]
    u0: Array
    p: Array


def bratu_model(k: int) -> Model:
    """The Bratu problem on k × k points, on the lower branch."""
    p = np.random.default_rng(0).uniform(*BRATU, k * k)
    return Model(k, Bratu((k, k)), plain_bratu(k, k), partial(_traced_bratu, k), np.zeros(k * k), p)


def conduction_model(k: int) -> Model:
    """Nonlinear advection and diffusion in k × k cells."""
    physics = Conduction((k, k))
    p = np.random.default_rng(0).uniform(*CONDUCTIVITY, k * k)
    u0 = np.full(k * k, np.mean(physics.ends))
    return Model(k, physics, plain_conduction(physics), partial(_traced_conduction, physics), u0, p)


def _traced_bratu(k: int) -> Callable:  # type: ignore[type-arg]
    import jax.numpy as jnp

    def residual(u, p):  # type: ignore[no-untyped-def]
        U = jnp.pad(u.reshape(k, k), 1)
        sums = (U[2:, 1:-1] + U[:-2, 1:-1] + U[1:-1, 2:] + U[1:-1, :-2]).ravel()
        return (k + 1) ** 2 * (4.0 * u - sums) - p * jnp.exp(u)

    return residual


def _traced_conduction(physics: Conduction) -> Callable:  # type: ignore[type-arg]
    import jax.numpy as jnp

    (nx, ny), upright = physics.cells, (physics.cells[0] + 1) * physics.cells[1]
    across = [jnp.asarray(part[:upright].reshape(nx + 1, ny)) for part in physics.geometry]
    along = [jnp.asarray(part[upright:].reshape(nx, ny - 1)) for part in physics.geometry]
    left, right = (jnp.full((1, ny), end) for end in physics.ends)

    def leaving(K, L, rise, geometry):  # type: ignore[no-untyped-def]
        conductance, low, high = geometry
        flux = 0.5 * (K + L) * conductance
        return (low - flux) * rise, (high + flux) * rise

    def residual(u, p):  # type: ignore[no-untyped-def]
        U, P = jnp.concatenate([left, u.reshape(nx, ny), right]), p.reshape(nx, ny)
        K = jnp.concatenate([P[:1], P, P[-1:]]) * (1.0 + physics.growth * U**2)
        first, second = leaving(K[:-1], K[1:], jnp.diff(U, axis=0), across)
        R = first[1:] + second[:-1] - physics.source * physics.spacing[0] * physics.spacing[1]
        first, second = leaving(K[1:-1, :-1], K[1:-1, 1:], jnp.diff(U[1:-1], axis=1), along)
        return (R + jnp.pad(first, ((0, 0), (0, 1))) + jnp.pad(second, ((0, 0), (1, 0)))).ravel()

    return residual


def whole(evaluate: Callable[[Array], tuple[float, Array]]) -> Run:
    """Make the run of p ↦ (J, dJ/dp)."""

    def run(p: Array) -> tuple[float, Array, Array]:
        seconds, (_, gradient) = clocked(lambda: evaluate(p))
        return seconds, np.arange(p.size), gradient

    return run


def scipy_splu(model: Model) -> Run:
    """Newton's method with SciPy's SuperLU, and the adjoint method, both by hand."""
    physics = model.physics

    def evaluate(p: Array) -> tuple[float, Array]:
        u, r = model.u0, physics.residual(model.u0, p)
        target = RTOL * np.linalg.norm(r)
        while np.linalg.norm(r) > target:
            u = u - factor(physics.jacobian(u, p)).solve(r)
            r = physics.residual(u, p)
        lam = factor(physics.jacobian(u, p)).solve(u / u.size, "T")
        return 0.5 * float(np.mean(u**2)), -physics.vjp(u, p, lam)

    return whole(evaluate)


def openmdao_direct(model: Model) -> Run:
    """OpenMDAO: ImplicitComponent, sparse partials, NewtonSolver, DirectSolver, reverse mode."""
    import openmdao.api as om

    physics, stencil = model.physics, model.physics.jacobian(model.u0, model.p)
    columns = np.repeat(np.arange(model.p.size), np.diff(stencil.indptr))
    # Two cells of one colour have no common neighbour.
    colour = np.add.outer(np.arange(model.k), 2 * np.arange(model.k)).ravel() % 5

    class Equation(om.ImplicitComponent):  # type: ignore[misc]
        def setup(self) -> None:
            self.add_input("p", val=model.p)
            self.add_output("u", val=model.u0)
            self.declare_partials("u", ["u", "p"], rows=stencil.indices, cols=columns)
            self.nonlinear_solver = om.NewtonSolver(
                solve_subsystems=False, rtol=RTOL, atol=0.0, maxiter=50, iprint=-1
            )
            self.linear_solver = om.DirectSolver(assemble_jac=True)

        def apply_nonlinear(self, inputs, outputs, residuals):  # type: ignore[no-untyped-def]
            residuals["u"] = physics.residual(outputs["u"], inputs["p"])

        def linearize(self, inputs, outputs, partials):  # type: ignore[no-untyped-def]
            u, p = outputs["u"], inputs["p"]
            partials["u", "u"] = physics.jacobian(u, p).data
            rates = [physics.jvp(u, p, (colour == c).astype(float)) for c in range(5)]
            partials["u", "p"] = np.stack(rates)[colour[columns], stencil.indices]

    class MeanSquare(om.ExplicitComponent):  # type: ignore[misc]
        def setup(self) -> None:
            self.add_input("u", val=model.u0)
            self.add_output("J")
            self.declare_partials("J", "u")

        def compute(self, inputs, outputs):  # type: ignore[no-untyped-def]
            outputs["J"] = 0.5 * np.mean(inputs["u"] ** 2)

        def compute_partials(self, inputs, partials):  # type: ignore[no-untyped-def]
            partials["J", "u"] = inputs["u"] / inputs["u"].size

    network = om.Problem(reports=False)
    network.model.add_subsystem("equation", Equation(), promotes=["*"])
    network.model.add_subsystem("objective", MeanSquare(), promotes=["*"])
    network.setup(mode="rev", check=False)

    def evaluate(p: Array) -> tuple[float, Array]:
        network.set_val("p", p)
        network.set_val("u", model.u0)
        network.run_model()
        return float(network.get_val("J")[0]), network.compute_totals(
            "J", "p", return_format="array"
        )[0].copy()

    return whole(evaluate)


def optimistix_dense(model: Model) -> Run:
    """optimistix's Newton method and implicit derivative as they are: LU of dense Jacobians."""
    import lineax

    return _optimistix(model, lineax.AutoLinearSolver(well_posed=True))


def optimistix_bicgstab(model: Model) -> Run:
    """As `optimistix_dense`, with lineax's BiCGStab, matrix-free, faster than its GMRES here."""
    import lineax

    return _optimistix(model, lineax.BiCGStab(rtol=1e-9, atol=1e-12))


def _optimistix(model: Model, linear) -> Run:  # type: ignore[no-untyped-def]
    import jax
    import jax.numpy as jnp
    import optimistix

    jax.config.update("jax_enable_x64", True)
    residual, method = model.traced(), optimistix.Newton(rtol=RTOL, atol=ATOL, linear_solver=linear)
    rule = optimistix.ImplicitAdjoint(linear)

    def objective(p, u0):  # type: ignore[no-untyped-def]
        return 0.5 * jnp.mean(
            optimistix.root_find(residual, method, u0, args=p, adjoint=rule, max_steps=50).value
            ** 2
        )

    both = jax.jit(jax.value_and_grad(objective))

    return whole(lambda p: tuple(np.asarray(part) for part in both(p, model.u0)))


def scipy_differences(model: Model) -> Run:
    """SciPy's newton_krylov, and differences of J: one solution per parameter.

    Most seconds are extrapolated from PROBED parameters. Two advantages are granted: LU
    factors of the hand-written ∂R/∂u at u0, computed once, precondition; differences
    start from u(p).
    """
    cells = np.linspace(0, model.p.size, PROBED, endpoint=False).astype(int) + model.k // 2
    tolerance = RTOL * np.abs(model.plain(model.u0, model.p)).max()

    def solve(p: Array, u: Array, M: LinearOperator) -> Array:
        return newton_krylov(lambda v: model.plain(v, p), u, f_tol=tolerance, inner_M=M)

    def solved(p: Array) -> tuple[Array, LinearOperator]:
        M = LinearOperator(
            (p.size, p.size), matvec=factor(model.physics.jacobian(model.u0, p)).solve
        )
        return solve(p, model.u0, M), M

    def slope(p: Array, u: Array, M: LinearOperator, cell: int) -> float:
        moved = p + DIFFERENCE * (np.arange(p.size) == cell)
        return 0.5 * float(np.mean(solve(moved, u, M) ** 2) - np.mean(u**2)) / DIFFERENCE

    def run(p: Array) -> tuple[float, Array, Array]:
        seconds, (u, M) = clocked(lambda: solved(p))
        of_cells, slopes = clocked(lambda: [slope(p, u, M, cell) for cell in cells])
        return seconds + of_cells * p.size / cells.size, cells, np.array(slopes)

    return run


MODELS = {"Bratu": bratu_model, "nonlinear diffusion": conduction_model}

PEERS: dict[str, tuple[Callable[[Model], Run], int]] = {
    "SciPy splu, adjoint by hand": (scipy_splu, 400_000),
    "OpenMDAO": (openmdao_direct, 400_000),
    "optimistix, BiCGStab": (optimistix_bicgstab, 100_000),
    "optimistix, dense": (optimistix_dense, 10_000),
    "SciPy newton_krylov, differences": (scipy_differences, 400_000),
}
"""Maker, and the largest number of unknowns that is measured: beyond it a run takes minutes,
or too much memory.
"""
