"""sundials4py, SUNDIALS' own binding: CVODES with its continuous adjoint.

LU factorizations are dense or banded; the derivatives are written by hand.
"""

import numpy as np
from scipy.sparse import csc_array
from sundials4py import core, cvodes

from adjoint.typing import Array
from scripts.benchmarks.ode.cases import Case
from scripts.benchmarks.ode.peers.libraries import Prepared

MAX_STEPS = 100_000
BETWEEN = 200  # steps from one checkpoint to the next
DENSE = 50  # unknowns


def call(answer):  # type: ignore[no-untyped-def]
    """Return the results of a function without its flag; raise RuntimeError if it failed."""
    flag, *rest = answer if isinstance(answer, tuple) else (answer,)
    if flag < 0:
        raise RuntimeError(f"flag {flag}")
    return rest[0] if rest else None


def prepare(case: Case, rtol: float) -> Prepared:
    """Make a new session for each evaluation."""

    def value() -> float:
        return Session(case, rtol).value()

    def gradient() -> tuple[float, Array]:
        return Session(case, rtol).gradient()

    return Prepared(value, gradient, lambda u: case.physics(0.0, u, case.p))


class Linear:
    """A matrix and its LU factors, dense or banded, filled from J or −Jᵀ."""

    def __init__(self, case: Case, y, context) -> None:  # type: ignore[no-untyped-def]
        n = case.u0.size
        self.dense = n <= DENSE
        if self.dense:
            self.matrix = core.SUNDenseMatrix(n, n, context)
            self.solver = core.SUNLinSol_Dense(y, self.matrix, context)
            return
        J = case.physics.jacobian(0.0, case.u0, case.p)
        columns = np.repeat(np.arange(n), np.diff(J.indptr))
        width = int(np.abs(J.indices - columns).max())
        self.matrix = core.SUNBandMatrix(n, width, width, context)
        self.solver = core.SUNLinSol_Band(y, self.matrix, context)
        stride, stored = (
            core.SUNBandMatrix_LDim(self.matrix),
            core.SUNBandMatrix_StoredUpperBandwidth(self.matrix),
        )
        self.places = columns * stride + stored + J.indices - columns
        self.transposed = J.indices * stride + stored + columns - J.indices

    def fill(self, matrix, J: Array | csc_array, transposed: bool) -> None:  # type: ignore[no-untyped-def]
        """matrix := J, or −Jᵀ."""
        if self.dense:
            core.SUNDenseMatrix_Data(matrix)[:] = -J.T if transposed else J
        else:
            data = core.SUNBandMatrix_Data(matrix)
            data[self.transposed if transposed else self.places] = -J.data if transposed else J.data


class Session:
    """One forward and one backward integration."""

    def __init__(self, case: Case, rtol: float) -> None:
        self.case, self.rtol, self.atol = case, rtol, case.atol(rtol)
        self.context = call(core.SUNContext_Create(core.SUN_COMM_NULL))
        self.lmm = cvodes.CV_BDF if case.stiff else cvodes.CV_ADAMS
        self.u, self.integral = self.vector(case.u0), self.vector(np.zeros(1))
        self.view = cvodes.CVodeCreate(self.lmm, self.context)
        self.memory = memory = self.view.get()
        call(cvodes.CVodeInit(memory, self.rhs, 0.0, self.u))
        call(cvodes.CVodeSStolerances(memory, rtol, self.atol))
        call(cvodes.CVodeSetMaxNumSteps(memory, MAX_STEPS))
        self.linear = Linear(case, self.u, self.context)
        call(cvodes.CVodeSetLinearSolver(memory, self.linear.solver, self.linear.matrix))
        call(cvodes.CVodeSetJacFn(memory, self.jacobian))
        if not case.observed:
            call(cvodes.CVodeQuadInit(memory, self.quadrature, self.integral))
            call(cvodes.CVodeSetQuadErrCon(memory, 0))

    def vector(self, values: Array):  # type: ignore[no-untyped-def]
        """Return a copy of the values as a vector of SUNDIALS."""
        v = core.N_VNew_Serial(values.size, self.context)
        core.N_VGetArrayPointer(v)[:] = values
        return v

    def value(self) -> float:
        """J."""
        return self.forwards(
            lambda t: call(cvodes.CVode(self.memory, t, self.u, cvodes.CV_NORMAL))
        )[0]

    def forwards(self, advance) -> tuple[float, Array]:  # type: ignore[no-untyped-def]
        """Return J and its derivative with respect to the observed states."""
        states = []
        for t in self.case.times if self.case.observed else [self.case.tf]:
            if t > 0.0:
                advance(float(t))
            states.append(core.N_VGetArrayPointer(self.u).copy())
        if self.case.observed:
            return self.case.objective(np.stack(states))
        call(cvodes.CVodeGetQuad(self.memory, self.integral))
        return float(core.N_VGetArrayPointer(self.integral)[0]), np.zeros((1, self.case.u0.size))

    def gradient(self) -> tuple[float, Array]:
        """Integrate forwards with checkpoints, then backwards from observation to observation.

        λ jumps at each observation.
        """
        case, memory = self.case, self.memory
        call(cvodes.CVodeAdjInit(memory, BETWEEN, cvodes.CV_HERMITE))
        J, u_bar = self.forwards(lambda t: call(cvodes.CVodeF(memory, t, self.u, cvodes.CV_NORMAL)))
        times = case.times if case.observed else np.array([case.tf])
        lam, g = self.vector(np.zeros(case.u0.size)), self.vector(np.zeros(case.p.size))
        which = self.backward_problem(
            lam, g, float(times[-1]), float(np.abs(u_bar).max()) if case.observed else 1.0
        )
        total = np.zeros(case.p.size)
        for low, high, jump in zip(
            np.append(0.0, times)[-2::-1], times[::-1], u_bar[::-1], strict=True
        ):
            core.N_VGetArrayPointer(lam)[:] += jump
            core.N_VGetArrayPointer(g)[:] = 0.0
            if high > low:
                call(cvodes.CVodeReInitB(memory, which, float(high), lam))
                call(cvodes.CVodeQuadReInitB(memory, which, g))
                call(cvodes.CVodeB(memory, float(low), cvodes.CV_NORMAL))
                call(cvodes.CVodeGetB(memory, which, lam))
                call(cvodes.CVodeGetQuadB(memory, which, g))
            total += core.N_VGetArrayPointer(g)
        return J, total

    def backward_problem(self, lam, g, tf: float, size: float) -> int:  # type: ignore[no-untyped-def]
        """Make the adjoint equation; returns its index.

        Its absolute tolerance is that of u times `size`, the size of λ.
        """
        memory = self.memory
        which = call(cvodes.CVodeCreateB(memory, self.lmm))
        call(cvodes.CVodeInitB(memory, which, self.rhs_back, tf, lam))
        call(cvodes.CVodeSStolerancesB(memory, which, self.rtol, self.atol * size))
        call(cvodes.CVodeSetMaxNumStepsB(memory, which, MAX_STEPS))
        self.linear_back = Linear(self.case, lam, self.context)
        call(
            cvodes.CVodeSetLinearSolverB(
                memory, which, self.linear_back.solver, self.linear_back.matrix
            )
        )
        call(cvodes.CVodeSetJacFnB(memory, which, self.jacobian_back))
        call(cvodes.CVodeQuadInitB(memory, which, self.quadrature_back, g))
        call(cvodes.CVodeSetQuadErrConB(memory, which, 1))
        call(cvodes.CVodeQuadSStolerancesB(memory, which, self.rtol, self.atol * size))
        return which

    def rhs(self, t, u, out, _) -> int:  # type: ignore[no-untyped-def]
        """f."""
        core.N_VGetArrayPointer(out)[:] = self.case.physics(
            t, core.N_VGetArrayPointer(u), self.case.p
        )
        return 0

    def jacobian(self, t, u, fu, matrix, *_) -> int:  # type: ignore[no-untyped-def]
        """∂f/∂u."""
        self.linear.fill(
            matrix, self.case.physics.jacobian(t, core.N_VGetArrayPointer(u), self.case.p), False
        )
        return 0

    def quadrature(self, t, u, out, _) -> int:  # type: ignore[no-untyped-def]
        """c·u."""
        core.N_VGetArrayPointer(out)[0] = self.case.c @ core.N_VGetArrayPointer(u)
        return 0

    def rhs_back(self, t, u, lam, out, _) -> int:  # type: ignore[no-untyped-def]
        """−Jᵀλ − c."""
        J = self.case.physics.jacobian(t, core.N_VGetArrayPointer(u), self.case.p)
        core.N_VGetArrayPointer(out)[:] = -(J.T @ core.N_VGetArrayPointer(lam)) - self.case.c
        return 0

    def jacobian_back(self, t, u, lam, f, matrix, *_) -> int:  # type: ignore[no-untyped-def]
        """−Jᵀ."""
        self.linear.fill(
            matrix, self.case.physics.jacobian(t, core.N_VGetArrayPointer(u), self.case.p), True
        )
        return 0

    def quadrature_back(self, t, u, lam, out, _) -> int:  # type: ignore[no-untyped-def]
        """−(∂f/∂p)ᵀλ, whose backward integral is dJ/dp."""
        u, lam = core.N_VGetArrayPointer(u), core.N_VGetArrayPointer(lam)
        core.N_VGetArrayPointer(out)[:] = -self.case.physics.vjp(t, u, self.case.p, lam)
        return 0
