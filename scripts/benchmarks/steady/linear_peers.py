"""The compliance and its gradient as users of other libraries write them; each is optional.

A maker takes a body and returns x ↦ (compliance, gradient). It raises ImportError if
its library is not installed.
"""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

from adjoint.typing import Array
from problems.steady.elasticity import Elastic

Evaluation = Callable[[Array], tuple[float, Array]]

MINIMUM = 1e-9


def modulus(x: Array) -> Array:
    """SIMP with penalty 3."""
    return MINIMUM + (1.0 - MINIMUM) * x**3


def scipy_spsolve(body: Elastic) -> Evaluation:
    """The 88-line code in SciPy: triplets, spsolve, self-adjoint gradient."""
    dofs, Ke = body.K.dofs, body.K.Ke
    k = dofs.shape[1]
    rows, columns = np.repeat(dofs, k, axis=1).ravel(), np.tile(dofs, (1, k)).ravel()
    kept = (rows >= 0) & (columns >= 0)
    rows, columns = rows[kept], columns[kept]

    def evaluate(x: Array) -> tuple[float, Array]:
        values = np.outer(modulus(x), Ke.ravel()).ravel()[kept]
        K = sparse.coo_array((values, (rows, columns)), shape=(body.K.n, body.K.n)).tocsc()
        u = spsolve(K, body.load)
        local = np.append(u, 0.0)[dofs]
        energy = np.einsum("ei,ij,ej->e", local, Ke, local)
        return float(body.load @ u), -3.0 * (1.0 - MINIMUM) * x**2 * energy

    return evaluate


def jax_spsolve(body: Elastic) -> Evaluation:
    """jax.value_and_grad of JAX's experimental sparse spsolve, double precision, compiled."""
    import jax
    import jax.numpy as jnp
    from jax.experimental.sparse.linalg import spsolve as jax_solve

    jax.config.update("jax_enable_x64", True)
    scatter, pattern = body.K.scatter
    entries = scatter.tocoo()
    # Arguments, not constants: the compiler would spend minutes folding constants of this size.
    numbers = (entries.row, entries.col, entries.data, pattern.indices, pattern.indptr, body.load)
    arrays = tuple(jnp.asarray(v) for v in numbers)

    def compliance(x, slots, elements, values, indices, indptr, load):  # type: ignore[no-untyped-def]
        s = MINIMUM + (1.0 - MINIMUM) * x**3
        data = jnp.zeros(pattern.nnz).at[slots].add(values * s[elements])
        # K is symmetric: its csc arrays are its csr arrays.
        return load @ jax_solve(data, indices, indptr, load)

    both = jax.jit(jax.value_and_grad(compliance))

    def evaluate(x: Array) -> tuple[float, Array]:
        value, gradient = both(x, *arrays)
        return float(value), np.asarray(gradient)

    return evaluate


def pymoto_cholmod(body: Elastic) -> Evaluation:
    """pyMOTO's network of modules, with its CHOLMOD solver.

    pyMOTO's wrapper of the solver recognizes linearly dependent right-hand sides.
    """
    import pymoto

    nelx, nely = body.grid.cells
    domain = pymoto.VoxelDomain(nelx, nely)
    # pyMOTO numbers rows first, upwards; the bodies here number columns first, downwards.
    node = np.arange((nelx + 1) * (nely + 1)).reshape(nely + 1, nelx + 1)[::-1].T.ravel()
    element = np.arange(nelx * nely).reshape(nely, nelx)[::-1].T.ravel()
    unknown = (2 * node[:, None] + np.arange(2)).ravel()
    force = np.zeros(unknown.size)
    force[unknown[body.free]] = body.load
    fixed = np.setdiff1d(unknown, unknown[body.free])
    x = pymoto.Signal("x", np.zeros(element.size))
    with pymoto.Network() as network:
        s = pymoto.MathExpression(f"{MINIMUM} + {1.0 - MINIMUM} * inp0^3")(x)
        K = pymoto.AssembleStiffness(domain, bc=fixed, plane="stress")(s)
        solver = pymoto.solvers.SolverSparseCholeskyScikit()
        u = pymoto.LinSolve(symmetric=True, positive_definite=True, solver=solver)(
            K, pymoto.Signal("f", force)
        )
        c = pymoto.EinSum("i,i->")(u, pymoto.Signal("g", force))

    def evaluate(densities: Array) -> tuple[float, Array]:
        state = np.empty_like(densities)
        state[element] = densities
        x.state = state
        network.response()
        network.reset()
        c.sensitivity = 1.0
        network.sensitivity()
        return float(c.state), np.asarray(x.sensitivity)[element]

    return evaluate


PEERS: dict[str, Callable[[Elastic], Evaluation]] = {
    "pyMOTO (CHOLMOD)": pymoto_cholmod,
    "JAX spsolve": jax_spsolve,
    "SciPy spsolve": scipy_spsolve,
}
