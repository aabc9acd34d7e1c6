"""Spectral objectives: gradients and Hessians, also at repeated eigenvalues; mode tracking."""

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint.eigen import (
    BoundFormulation,
    EigenProblem,
    Eigenvalue,
    EigenvalueSmoothMax,
    EigenvalueSmoothMin,
    EigenvalueSum,
    LogSumExp,
    ModeShape,
    ModeTracker,
    PNorm,
    Projector,
    SpectralFunction,
    mac,
)
from adjoint.errors import NonFinite, NotComplexSafe, RepeatedEigenvalue
from tests.eigen.pencils import pencil, square

RNG = np.random.default_rng(0)
TARGET = RNG.standard_normal((81, 2))
WEIGHT = sparse.diags_array(RNG.uniform(0.5, 1.5, 81))

SYMMETRIC = {
    "sum": EigenvalueSum(3),
    "smooth-min": EigenvalueSmoothMin(),
    "smooth-max": EigenvalueSmoothMax(PNorm(4.0)),
    "log-sum-exp": EigenvalueSmoothMin(LogSumExp(30.0)),
    "projector": Projector(TARGET, 3, WEIGHT),
    "values": SpectralFunction(lambda values, vectors: (values**2).sum()),
}
SINGLE = {
    "eigenvalue": Eigenvalue(1),
    "mode-shape": ModeShape(TARGET[:, 0], 1, WEIGHT),
    "vectors": SpectralFunction(lambda values, vectors: values[0] + (vectors[7] ** 4).sum()),
}


@pytest.mark.parametrize("name", [*SYMMETRIC, *SINGLE])
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_gradients_and_hessians_at_simple_eigenvalues(name, kind) -> None:
    J = (SYMMETRIC | SINGLE)[name]
    if kind == "complex" and isinstance(J, SpectralFunction):
        pytest.skip("complex eigenpairs need gradient=")
    K, M, p = pencil(9, 9, kind)
    f = adjoint.Reduced(EigenProblem(K, M, count=3), J)
    assert adjoint.check(f, p).ok
    assert adjoint.check_hvp(f, p).ok


@pytest.mark.parametrize("name", SYMMETRIC)
def test_gradients_and_hessians_at_double_eigenvalues(name) -> None:
    problem, p = square(9, 3)
    assert problem.solve(p).clusters == ((0,), (1, 2))
    J = SYMMETRIC[name]
    f = adjoint.Reduced(problem, J)
    assert adjoint.check(f, p).ok
    assert adjoint.check_hvp(f, p).ok


@pytest.mark.parametrize("name", SINGLE)
def test_functions_of_single_members_are_refused_at_double_eigenvalues(name) -> None:
    problem, p = square(9, 3)
    with pytest.raises(RepeatedEigenvalue):
        _ = adjoint.Reduced(problem, SINGLE[name])(p).gradient


def test_imaginary_parts_of_general_pencils() -> None:
    n = 40
    wind = sparse.diags_array([np.full(n - 1, -2.0), np.full(n - 1, 2.0)], offsets=[-1, 1])
    loss = sparse.diags_array(np.linspace(1.0, 3.0, n))
    K = adjoint.Affine(loss, [wind, sparse.eye_array(n)])
    problem = EigenProblem(K, count=2, factorize=adjoint.lu)
    for weight in (1.0, 1.0j):
        f = adjoint.Reduced(problem, Eigenvalue(0, weight))
        assert adjoint.check(f, np.array([1.0, 0.3])).ok


def test_smooth_extremes_bound_the_extremes() -> None:
    u = np.vstack([[1.0, 2.0, 2.5], np.zeros((4, 3))])
    p = np.zeros(1)
    for smoothing in (PNorm(20.0), LogSumExp(20.0)):
        assert 0.9 < EigenvalueSmoothMin(smoothing).value(u, p) <= 1.0
        assert 2.5 <= EigenvalueSmoothMax(smoothing).value(u, p) < 2.6
    u[0, 0] = -1.0
    with pytest.raises(NonFinite, match="LogSumExp"):
        EigenvalueSmoothMin().value(u, p)


def test_a_function_that_loses_imaginary_parts_is_named() -> None:
    J = SpectralFunction(lambda values, vectors: float(np.abs(values).sum()))
    problem, p = square(5, 2)
    with pytest.raises(NotComplexSafe, match="imaginary parts"):
        _ = adjoint.Reduced(problem, J)(p).gradient


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Eigenvalue(-1), ValueError),
        (lambda: Eigenvalue(0.5), TypeError),
        (lambda: Eigenvalue(0, "1"), TypeError),
        (lambda: EigenvalueSum(0), ValueError),
        (lambda: PNorm(1.0), ValueError),
        (lambda: LogSumExp(-1.0), ValueError),
        (lambda: EigenvalueSmoothMin(8.0), TypeError),
        (lambda: Projector(np.zeros(5)), ValueError),
        (lambda: Projector(np.array([np.nan])), ValueError),
        (lambda: ModeShape(np.ones((5, 2))), ValueError),
        (lambda: Projector(np.ones(5), weight=np.eye(5)), ValueError),
        (lambda: SpectralFunction(3.0), TypeError),
    ],
)
def test_bad_settings_are_named(make, error) -> None:
    with pytest.raises(error):
        make()


def test_too_few_computed_modes_are_named() -> None:
    problem, p = square(5, 2)
    with pytest.raises(ValueError, match="count=5"):
        adjoint.Reduced(problem, Eigenvalue(4))(p)
    with pytest.raises(ValueError, match="entries"):
        adjoint.Reduced(problem, ModeShape(np.ones(7)))(p)


# Mode tracking ------------------------------------------------------------------------------------


def test_modes_are_followed_through_a_crossing() -> None:
    # Two uncoupled chains: the eigenvalues of one rise with p and cross those of the other.
    chain = sparse.diags_array([-np.ones(7), np.full(8, 2.0), -np.ones(7)], offsets=[-1, 0, 1])
    zero = sparse.csc_array((8, 8))
    K = adjoint.Affine(
        sparse.block_diag([zero, chain], format="csc"),
        [sparse.block_diag([chain, zero], format="csc")],
    )
    problem = EigenProblem(K, count=4)
    tracker = ModeTracker(problem.solve(np.array([0.5])).vectors[:, :2])
    paths = []
    for stiffness in (0.7, 0.9, 1.0, 1.1, 1.3):
        modes = tracker(problem.solve(np.array([stiffness])))
        assert modes.mac.min() > 0.999
        assert modes.lost == ()
        paths.append(modes.values)
    lowest = 2.0 - 2.0 * np.cos(np.pi / 9.0)
    expected = np.array([0.7, 0.9, 1.0, 1.1, 1.3]) * lowest
    assert np.allclose(np.array(paths)[:, 0], expected, rtol=1e-10)


def test_a_lost_mode_is_reported() -> None:
    problem, p = square(5, 3)
    solution = problem.solve(p)
    strange = np.random.default_rng(1).standard_normal(25)
    modes = ModeTracker(np.stack([solution.vectors[:, 0], strange], axis=1))(solution)
    assert modes.lost == (1,)
    assert modes.order[0] == 0


def test_mac_of_equal_and_orthogonal_shapes() -> None:
    shapes = np.eye(3) + 0.0j
    assert np.allclose(mac(shapes, -2.0j * shapes), np.eye(3))
    with pytest.raises(ValueError, match="length zero"):
        mac(np.zeros((3, 1)), shapes)


# The bound formulation ----------------------------------------------------------------------------


class Squares:
    """Second moments of area x² of sections of area x."""

    def __call__(self, x):
        return x**2

    def vjp(self, x, p_bar):
        return 2.0 * x * p_bar

    def jvp(self, x, x_dot):
        return 2.0 * x * x_dot


def column(elements):
    """Buckling of a clamped column of length 1: (EI w'')'' = −μ w'', with I per element."""
    L = 1.0 / elements
    a, b = 6.0 * L, 4.0 * L * L
    Ke = np.array([[12, a, -12, a], [a, b, -a, b / 2], [-12, -a, 12, -a], [a, b / 2, -a, b]])
    Ge = np.array(
        [
            [36, a / 2, -36, a / 2],
            [a / 2, b, -a / 2, -b / 4],
            [-36, -a / 2, 36, -a / 2],
            [a / 2, -b / 4, -a / 2, b],
        ]
    )
    dofs = 2 * np.arange(elements)[:, None] + np.arange(4) - 2
    dofs[-1, 2:] = -1
    dofs[dofs < 0] = -1
    G = adjoint.Elements(dofs, Ge / (30.0 * L))(np.ones(elements))
    return EigenProblem(adjoint.Elements(dofs, Ke / L**3), G, count=4)


def test_strongest_clamped_column_is_bimodal() -> None:
    # Olhoff & Rasmussen (1977), Int. J. Solids Struct. 13, 605; Masur (1984): 52.3563 for
    # continuous areas, 4π² for a constant one. With 40 constant areas the optimum is lower.
    elements = 40
    problem = column(elements)
    uniform = problem.solve(np.ones(elements)).values[0]
    assert uniform == pytest.approx(4.0 * np.pi**2, rel=1e-6)
    bound = BoundFormulation(problem, Squares(), k=2, unit=uniform, close=0.3)
    volume = adjoint.optimize.LinearConstraint(np.full(elements, 1.0 / elements), 1.0)
    mma = adjoint.optimize.MMA(
        (*bound.constraints, bound.on_design(volume)),
        bound.bounds(adjoint.Bounds(0.1, 3.0), elements, 3.0),
        move=0.1,
    )
    start = 1.0 + 0.05 * np.sin(np.arange(elements))
    result = adjoint.minimize(bound, bound.start(start), mma, stop=adjoint.Stopping(iterations=80))
    first, second, third = problem.solve(result.x[:-1] ** 2).values[:3]
    assert 51.5 < first < 52.3563
    assert second == pytest.approx(first, rel=0.02)
    assert third > 1.5 * first


def test_bad_settings_of_the_bound_formulation_are_named() -> None:
    problem = column(6)
    with pytest.raises(ValueError, match="count=5"):
        BoundFormulation(problem, Squares(), k=5, unit=1.0)
    with pytest.raises(ValueError, match="unit"):
        BoundFormulation(problem, Squares(), k=2, unit=0.0)
    bound = BoundFormulation(problem, Squares(), k=2, unit=40.0)
    with pytest.raises(TypeError, match="constraint"):
        bound.on_design(3.0)
