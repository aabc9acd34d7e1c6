"""Linearized buckling: published loads, dense pencils, both adjoints, one factorization, errors."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sparse

import adjoint
from adjoint.eigen import (
    BoundFormulation,
    Eigenvalue,
    EigenvalueSmoothMin,
    EigenvalueSum,
    LinearBuckling,
    ModeShape,
    ModeTracker,
    Projector,
    StressStiffness,
)
from adjoint.errors import (
    CutCluster,
    MissingEigenvalues,
    NonFinite,
    NoPositiveLoadFactor,
    NotPositiveDefinite,
    NotSymmetric,
    RepeatedEigenvalue,
)
from problems.steady.buckling import (
    TwoModuli,
    beam_matrices,
    column,
    compressed_column,
    plane_buckling,
    portal_frame,
    stress_stiffness,
)

DESIGN = TwoModuli()


def plane(nelx=7, nely=3, count=3):
    """A compressed column of rectangles that are not squares, and densities."""
    body = compressed_column(nelx, nely, 4.0)
    x = np.random.default_rng(nelx).uniform(0.4, 0.9, nelx * nely)
    return plane_buckling(body, count), x


def loaded(problem, factor):
    """The problem with another load."""
    linear = problem.prebuckling
    return replace(problem, prebuckling=replace(linear, b=factor * linear.b))


def two_planes(elements, count=4, **settings):
    """A pinned column that bends in two planes; parameters: the stiffness of each plane.

    All load factors are double where both planes are equally stiff.
    """
    m, h = elements, 1.0 / elements
    Ke, S, Ge = beam_matrices(h, 1e4, 1.0)
    bending = Ke.copy()
    bending[np.ix_([0, 3], [0, 3])] = 0.0
    # Unknowns of a node: u, then (w, θ) of both planes.
    node = 5 * np.arange(m + 1)
    ends = np.stack([node[:-1], node[1:]], axis=1)
    dofs = (ends[:, :, None] + np.arange(5)).reshape(m, 10)
    planes = [np.array([0, 1, 2, 5, 6, 7]), np.array([0, 3, 4, 5, 8, 9])]
    fixed = np.array([0, 1, 3, 5 * m + 1, 5 * m + 3])
    free = np.setdiff1d(np.arange(5 * (m + 1)), fixed)
    number = np.full(5 * (m + 1), -1)
    number[free] = np.arange(free.size)
    dofs = number[dofs]
    other = np.zeros((10, 10))
    other[np.ix_(planes[1], planes[1])] = bending
    second = adjoint.Part(adjoint.Elements(dofs, other), slice(m, 2 * m))
    whole = np.zeros((10, 10))
    whole[np.ix_(planes[0], planes[0])] = Ke
    first = adjoint.Part(adjoint.Elements(dofs, whole), slice(0, m))
    S10, G10 = np.zeros((1, 10)), np.zeros((1, 10, 10))
    S10[:, planes[0]] = S
    for unknowns in planes:
        G10[np.ix_([0], unknowns, unknowns)] += Ge
    K = adjoint.Combination([(1.0, first), (1.0, second)])
    load = np.zeros(free.size)
    load[number[5 * m]] = -1.0
    linear = adjoint.LinearProblem(K, load, factorize=adjoint.cholesky)
    G = StressStiffness(dofs, S10, G10, slice(0, m))
    return LinearBuckling(linear, G, count, **settings), np.ones(2 * m)


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ends", "times"), [("pinned", 1.0), ("clamped", 4.0), ("free", 0.25)])
def test_columns_have_eulers_loads_to_fourth_order(ends, times) -> None:
    exact = times * np.pi**2  # P = times π² EI / L²
    errors = [column(n, ends).solve(np.ones(n)).values[0] / exact - 1.0 for n in (8, 16)]
    assert 0.0 < errors[1] < errors[0] < 1e-3
    assert abs(np.log2(errors[0] / errors[1]) - 4.0) < 0.05


def test_frames_have_the_published_loads() -> None:
    # Roots x of tan(x) = −x/6 and x tan(x) = 6: loads x² EI/L² (Timoshenko & Gere).
    for clamped, x in ((True, 2.7164590), (False, 1.3495525)):
        value = portal_frame(16, clamped).solve(np.ones(48)).values[0]
        assert abs(value / x**2 - 1.0) <= 1e-5


def test_plane_columns_converge_to_eulers_load() -> None:
    length = 20.0
    euler = np.pi**2 / (12.0 * 4.0 * length**2)  # E = 1, I = 1/12, a free end.
    loads = []
    for n in (1, 2, 4):
        problem = plane_buckling(compressed_column(20 * n, 2 * n, length), 1)
        loads.append(problem.solve(DESIGN(np.ones(40 * n * n))).values[0])
    rates = (loads[0] - loads[1]) / (loads[1] - loads[2])
    assert 3.5 < rates < 4.5  # Second order in h.
    limit = loads[2] - (loads[1] - loads[2]) / 3.0
    # Shear and the clamped end change Euler's load by about (height/length)².
    assert abs(limit / euler - 1.0) < 1.0 / length**2 * 3.0


@pytest.mark.parametrize("size", [(7, 3), (40, 12)])  # Dense matrices, Lanczos' method.
def test_load_factors_are_those_of_the_dense_pencil(size) -> None:
    problem, x = plane(*size)
    p = DESIGN(x)
    solution = problem.solve(p)
    K = problem.prebuckling.A(p).toarray()
    u = np.linalg.solve(K, problem.prebuckling.b)
    G = problem.G(u, p).toarray()
    theta = scipy.linalg.eigh(-G, K, eigvals_only=True)
    assert np.allclose(solution.values, 1.0 / theta[::-1][:3], rtol=1e-9)
    phi = solution.vectors
    assert np.allclose(phi.T @ -G @ phi, np.eye(3), atol=1e-9)
    assert np.allclose(K @ phi, -G @ phi * solution.values, atol=1e-9 * np.abs(K @ phi).max())
    opposite = replace(problem, reversed_load=True).solve(p)
    assert np.allclose(opposite.values, -1.0 / theta[:3], rtol=1e-9)
    assert np.allclose(opposite.values, loaded(problem, -1.0).solve(p).values, rtol=1e-9)
    assert solution.residuals.max() <= 1e-12


def test_stress_stiffness_of_a_uniform_stress_is_a_laplacian() -> None:
    """G = σ ∫ ∂_x N ∂_x N for σ_xx = σ: zero for rigid translations, σ |Ω| for w = x."""
    body = compressed_column(6, 4, 3.0)
    nodes = body.grid.nodes
    _, Ge = stress_stiffness(body.grid)
    G = adjoint.matrices.Assembly(body.grid.dofs(2)).matrix(
        np.repeat(Ge[::3].sum(axis=0)[None], 24, axis=0)
    )
    w = np.zeros(2 * len(nodes))
    w[1::2] = nodes[:, 0]
    assert abs(w @ (G @ w) - 3.0) <= 1e-13 * 100
    w[1::2] = nodes[:, 1]
    assert np.abs(G @ w).max() <= 1e-13


# Derivatives --------------------------------------------------------------------------------------

OBJECTIVES = {
    "first factor": Eigenvalue(0),
    "third factor": Eigenvalue(2),
    "sum": EigenvalueSum(3),
    "smooth minimum": EigenvalueSmoothMin(),
    "mode shape": ModeShape(np.cos(np.arange(48.0) * 0.3), 1),
    "space of two modes": Projector(np.cos(np.arange(48.0) * 0.3), 2),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_and_hessian_products_pass_the_taylor_test(name) -> None:
    problem, x = plane(6, 3)
    objective = OBJECTIVES[name]
    if name in ("mode shape", "space of two modes"):
        n = problem.prebuckling.b.size
        objective = replace(objective, target=np.cos(np.arange(float(n)) * 0.3))
    f = adjoint.Reduced(problem, objective, DESIGN)
    report = adjoint.check(f, x)
    assert report.ok, report.table()
    assert report.dot_product_error <= 1e-10
    second = adjoint.check_hvp(f, x)
    assert second.ok, second.table()


@pytest.mark.parametrize("size", [(7, 3), (40, 12)])
def test_tangent_and_cotangent_are_transposes(size) -> None:
    problem, x = plane(*size)
    solution = problem.solve(DESIGN(x))
    rng = np.random.default_rng(1)
    v = rng.standard_normal(solution.p.size)
    w = rng.standard_normal(solution.u.shape)
    forward, back = solution.jvp(v), solution.vjp(w)
    size = np.linalg.norm(forward) * np.linalg.norm(w)
    assert abs(np.vdot(forward, w) - np.vdot(v, back)) <= 1e-10 * size


def test_one_factorization_serves_the_solve_the_search_and_all_derivatives() -> None:
    problem, x = plane(40, 12)
    f = adjoint.Reduced(problem, ModeShape(np.ones(problem.prebuckling.b.size), 1), DESIGN)
    with adjoint.counting() as counts:
        point = f(x)
        _ = point.gradient
        _ = point.hvp(np.ones(x.size))
        _ = point.solution.directional(np.ones(2 * x.size))
    assert counts.numeric == 1
    assert counts.symbolic <= 1  # Zero if an earlier matrix had the same pattern.
    f = adjoint.Reduced(problem, Eigenvalue(0), DESIGN)
    point = f(x)
    with adjoint.counting() as counts:
        _ = point.gradient
    assert (counts.numeric, counts.solves, counts.rhs) == (0, 1, 1)  # The adjoint of u.


def test_derivative_through_the_displacements_matters() -> None:
    """In an inclined two-bar column the force in the bars depends on both stiffnesses."""
    problem, x = plane(7, 3)
    p = DESIGN(x)
    solution = problem.solve(p)
    phi, u = solution.vectors[:, :1], solution.prebuckling.u
    mu = solution.values[0]
    fixed_u = problem.prebuckling.A.vjp(p, phi, phi) + mu * problem.G.vjp(u, p, phi, phi)[1]
    gradient = solution.vjp(np.array([1.0, 0.0, 0.0]))
    assert np.linalg.norm(gradient - fixed_u) > 0.1 * np.linalg.norm(gradient)


def test_dirichlet_data_gives_the_same_as_numbers_of_free_unknowns() -> None:
    problem, x = plane(6, 3)
    p = DESIGN(x)
    body = compressed_column(6, 3, 4.0)
    grid, n = body.grid, 2 * len(body.grid.nodes)
    m = len(x)
    K = adjoint.Part(adjoint.Elements(grid.dofs(2), body.K.Ke), slice(0, m))
    load = np.zeros(n)
    load[body.free] = body.load
    fixed = np.setdiff1d(np.arange(n), body.free)
    dirichlet = adjoint.Dirichlet(fixed, np.zeros(fixed.size))
    linear = adjoint.LinearProblem(K, load, adjoint.cholesky, dirichlet)
    whole = LinearBuckling(linear, replace(problem.G, dofs=grid.dofs(2)), 3)
    reference, solution = problem.solve(p), whole.solve(p)
    assert np.allclose(solution.values, reference.values, rtol=1e-10)
    assert np.abs(solution.vectors[fixed]).max() == 0.0
    target = np.zeros(n)
    target[body.free] = np.cos(np.arange(float(body.free.size)))
    gradients = [
        adjoint.Reduced(each, ModeShape(t, 1), DESIGN)(x).gradient
        for each, t in ((whole, target), (problem, target[body.free]))
    ]
    assert np.allclose(*gradients, rtol=1e-8, atol=1e-10 * np.abs(gradients[0]).max())
    f = adjoint.Reduced(whole, ModeShape(target, 1), DESIGN)
    assert adjoint.check(f, x).ok
    assert adjoint.check_hvp(f, x).ok


def test_load_by_given_displacements() -> None:
    """A column that is shortened: the force depends on the stiffness, through Dirichlet data."""
    problem, x = plane(6, 3)
    body = compressed_column(6, 3, 4.0)
    grid, n = body.grid, 2 * len(body.grid.nodes)
    K = adjoint.Part(adjoint.Elements(grid.dofs(2), body.K.Ke), slice(0, x.size))
    left = (2 * grid.boundary(0, 0)[:, None] + np.arange(2)).ravel()
    right = 2 * grid.boundary(0, 1)
    values = np.append(np.zeros(left.size), np.full(right.size, -0.1))
    dirichlet = adjoint.Dirichlet(np.append(left, right), values)
    linear = adjoint.LinearProblem(K, np.zeros(n), adjoint.cholesky, dirichlet)
    f = adjoint.Reduced(
        LinearBuckling(linear, replace(problem.G, dofs=grid.dofs(2)), 2), Eigenvalue(0), DESIGN
    )
    assert adjoint.check(f, x).ok
    assert adjoint.check_hvp(f, x).ok


@pytest.mark.parametrize("load", [1e-12, 1e12])
@pytest.mark.parametrize("modulus", [1e-12, 1e12])
def test_units_do_not_matter(load, modulus) -> None:
    problem, x = plane(7, 3)
    p = DESIGN(x)
    reference = problem.solve(p)
    body = compressed_column(7, 3, 4.0)
    K = adjoint.Part(adjoint.Elements(body.K.dofs, modulus * body.K.Ke), slice(0, x.size))
    linear = adjoint.LinearProblem(K, load * body.load, adjoint.cholesky)
    problem = LinearBuckling(linear, replace(problem.G, S=modulus * problem.G.S), 3)
    solution = problem.solve(p)
    assert np.allclose(solution.values * load / modulus, reference.values, rtol=1e-9)
    w = np.random.default_rng(3).standard_normal(reference.values.size)
    g = solution.vjp(w) * load / modulus
    assert np.allclose(g, reference.vjp(w), rtol=1e-7, atol=1e-9 * np.abs(g).max())
    target = np.cos(np.arange(float(body.load.size)))
    assert adjoint.check(adjoint.Reduced(problem, ModeShape(target, 0), DESIGN), x).ok


# Multiple load factors ----------------------------------------------------------------------------


@pytest.mark.parametrize("elements", [6, 60])
def test_double_load_factors_follow_the_rules_of_eigenproblems(elements) -> None:
    problem, p = two_planes(elements)
    solution = problem.solve(p)
    assert solution.clusters == ((0, 1), (2, 3))
    assert np.allclose(solution.values[:2], np.pi**2, rtol=1e-3)
    with pytest.raises(RepeatedEigenvalue):
        _ = adjoint.Reduced(problem, Eigenvalue(0))(p).gradient
    for objective in (EigenvalueSum(2), EigenvalueSmoothMin()):
        f = adjoint.Reduced(problem, objective)
        assert adjoint.check(f, p).ok
        assert adjoint.check_hvp(f, p).ok


def test_double_load_factors_have_one_sided_derivatives() -> None:
    problem, p = two_planes(6)
    rng = np.random.default_rng(2)
    direction = rng.standard_normal(p.size)
    rates = problem.solve(p).directional(direction)
    h = 1e-5
    ahead = problem.solve(p + h * direction).values
    assert np.allclose((ahead - problem.solve(p).values) / h, rates, rtol=1e-3, atol=1e-3)
    assert (np.diff(rates[:2]) > 0.0).all()


def test_a_count_that_cuts_a_double_factor_is_refused_when_a_derivative_needs_it() -> None:
    problem, p = two_planes(6, count=3)
    _ = adjoint.Reduced(problem, EigenvalueSum(2))(p).gradient
    with pytest.raises(CutCluster):
        _ = adjoint.Reduced(problem, EigenvalueSum(3))(p).gradient


def test_bound_formulation_and_mode_tracker_take_buckling_problems() -> None:
    problem, p = two_planes(6)
    volume = adjoint.optimize.LinearConstraint(np.ones(p.size), p.size)
    start = np.append(np.full(6, 1.2), np.full(6, 0.8))
    unit = problem.solve(start).values[0]
    bound = BoundFormulation(problem, adjoint.design.Identity(), 2, unit)
    mma = adjoint.optimize.MMA(
        (*bound.constraints, bound.on_design(volume)),
        bound.bounds(adjoint.Bounds(0.2, 3.0), p.size),
    )
    tracker = ModeTracker(problem.solve(start).vectors[:, :2])
    agreement = []
    result = adjoint.minimize(
        bound,
        bound.start(start),
        mma,
        stop=adjoint.Stopping(iterations=40, change=1e-4),
        callback=lambda state: agreement.append(tracker(problem.solve(state.x[:-1])).mac.min()),
    )
    found = problem.solve(result.x[:-1])
    assert found.values[0] > 1.2 * unit
    assert found.values[1] < found.values[0] * 1.02  # Both planes buckle at the same load.
    assert min(agreement) > 0.5


@dataclass(frozen=True)
class Areas:
    """p = (a, a²): the stiffnesses along and across of beams with areas a."""

    def __call__(self, x):
        return np.concatenate([x, x**2])

    def vjp(self, x, p_bar):
        along, across = np.split(p_bar, 2)
        return along + 2.0 * x * across

    def jvp(self, x, x_dot):
        return np.concatenate([x_dot, 2.0 * x * x_dot])


def clamped_column(elements):
    """A clamped column whose parameters are the stiffnesses along and across of its beams."""
    m, h = elements, 1.0 / elements
    Ke, S, Ge = beam_matrices(h, 1e4, 1.0)
    axial = S.T @ S * (h / 1e4)
    number = np.full((m + 1, 3), -1)
    number[1:-1] = np.arange(3 * (m - 1)).reshape(-1, 3)
    number[-1, 0] = 3 * (m - 1)
    dofs = np.hstack([number[:-1], number[1:]])
    along = adjoint.Part(adjoint.Elements(dofs, axial), slice(0, m))
    across = adjoint.Part(adjoint.Elements(dofs, Ke - axial), slice(m, 2 * m))
    load = np.zeros(3 * m - 2)
    load[-1] = -1.0
    linear = adjoint.LinearProblem(
        adjoint.Combination([(1.0, along), (1.0, across)]), load, factorize=adjoint.cholesky
    )
    return LinearBuckling(linear, StressStiffness(dofs, S, Ge, slice(0, m)), 3)


def test_the_strongest_clamped_column_is_the_published_one() -> None:
    # Olhoff & Rasmussen (1977), Int. J. Solids Struct. 13, 605: a double load, 52.3563.
    m = 120
    problem = clamped_column(m)
    bound = BoundFormulation(problem, Areas(), 2, 40.0)
    volume = adjoint.optimize.LinearConstraint(np.full(m, 1.0 / m), 1.0)
    limits = (*bound.constraints, bound.on_design(volume))
    mma = adjoint.optimize.MMA(limits, bound.bounds(adjoint.Bounds(0.02, 3.0), m), move=0.1)
    stop = adjoint.Stopping(iterations=60, change=1e-4)
    result = adjoint.minimize(bound, bound.start(np.ones(m)), mma, stop=stop)
    values = problem.solve(Areas()(result.x[:-1])).values
    assert values[1] / values[0] - 1.0 < 1e-4
    assert 0.0 < 1.0 - values[0] / 52.3563 < 2e-3  # Beams of constant area are a bit weaker.


# Errors -------------------------------------------------------------------------------------------


def test_a_load_without_buckling_is_named() -> None:
    problem = column(40)
    with pytest.raises(NoPositiveLoadFactor, match="reversed_load=True"):
        loaded(problem, -1.0).solve(np.ones(40))
    with pytest.raises(NoPositiveLoadFactor, match="load that is zero"):
        loaded(problem, 0.0).solve(np.ones(40))
    with pytest.raises(NoPositiveLoadFactor):
        loaded(column(200), -1.0).solve(np.ones(200))  # Lanczos' method.
    with pytest.raises(MissingEigenvalues, match="load factors were found, but count=9"):
        replace(column(4), count=9).solve(np.ones(4))


def test_problems_go_through_pickles() -> None:
    problem, x = plane(6, 3)
    again = pickle.loads(pickle.dumps(problem))
    p = DESIGN(x)
    assert np.array_equal(again.solve(p).values, problem.solve(p).values)
    with pytest.raises(TypeError):
        pickle.dumps(problem.solve(p))


def test_a_structure_that_is_not_stable_without_load_is_named() -> None:
    problem = column(8)
    with pytest.raises(NotPositiveDefinite, match="LinearBuckling"):
        problem.solve(-np.ones(8))


def test_other_factorizers_are_refused() -> None:
    problem = column(8)
    for factorize in (adjoint.lu, adjoint.ldl):
        other = replace(problem, prebuckling=replace(problem.prebuckling, factorize=factorize))
        with pytest.raises(TypeError, match=r"adjoint\.cholesky"):
            other.solve(np.ones(8))


def test_conjugate_gradients_serve_as_a_factorizer_if_they_are_accurate() -> None:
    problem, x = plane(12, 4)
    p = DESIGN(x)
    reference = problem.solve(p).values

    def by_cg(rtol):
        factorize = adjoint.cg(adjoint.factor.jacobi(), rtol=rtol, adjoint_rtol=rtol)
        linear = replace(problem.prebuckling, factorize=factorize)
        return replace(problem, prebuckling=linear)

    assert np.allclose(by_cg(1e-12).solve(p).values, reference, rtol=1e-9)
    with pytest.raises((MissingEigenvalues, NotSymmetric)):
        by_cg(1e-3).solve(p)


@dataclass(frozen=True)
class Wrong:
    """A geometric stiffness with a fault."""

    G: StressStiffness
    fault: str

    def __call__(self, u, p):
        G = self.G(u, p)
        if self.fault == "skew":
            return sparse.csc_array(sparse.triu(G))
        if self.fault == "complex":
            return G.astype(complex)
        if self.fault == "small":
            return sparse.csc_array(G[:3, :3])
        if self.fault == "nan":
            return G * np.nan
        return G

    def vjp(self, u, p, phi, psi):
        u_bar, p_bar = self.G.vjp(u, p, phi, psi)
        return (u_bar[:2] if self.fault == "u_bar" else u_bar), p_bar

    def jvp(self, u, p, phi, u_dot, p_dot):
        rate = self.G.jvp(u, p, phi, u_dot, p_dot)
        return rate[:, :1] if self.fault == "rate" else rate


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("skew", NotSymmetric, "geometric stiffness"),
        ("complex", TypeError, "complex G"),
        ("small", ValueError, r"got G of shape \(3, 3\)"),
        ("nan", NonFinite, r"G\(u, p\)"),
    ],
)
def test_faults_of_the_geometric_stiffness_are_named(fault, error, words) -> None:
    problem = column(8)
    with pytest.raises(error, match=words):
        replace(problem, G=Wrong(problem.G, fault)).solve(np.ones(8))


def test_faults_of_its_derivatives_are_named() -> None:
    problem = column(8)
    solution = replace(problem, G=Wrong(problem.G, "u_bar")).solve(np.ones(8))
    with pytest.raises(ValueError, match="geometric stiffness, u_bar"):
        solution.vjp(np.ones(2))
    solution = replace(problem, G=Wrong(problem.G, "rate")).solve(np.ones(8))
    with pytest.raises(ValueError, match="jvp of the geometric stiffness"):
        solution.jvp(np.ones(8))
    f = adjoint.Reduced(replace(problem, G=Wrong(problem.G, "none")), Eigenvalue(0))
    with pytest.raises(TypeError, match="has no method hvp"):
        f(np.ones(8)).hvp(np.ones(8))


def test_bad_arguments_are_named() -> None:
    problem = column(8)
    for given, error in (
        ({"prebuckling": problem.G}, TypeError),
        ({"G": sparse.eye_array(24)}, TypeError),
        ({"count": 0}, ValueError),
        ({"count": 1.5}, TypeError),
        ({"guard": -1}, ValueError),
        ({"reversed_load": 1.0}, TypeError),
    ):
        with pytest.raises(error, match="LinearBuckling"):
            replace(problem, **given)
    two = replace(problem.prebuckling, b=np.ones((24, 2)))
    with pytest.raises(ValueError, match="2 load cases"):
        replace(problem, prebuckling=two).solve(np.ones(8))
    with pytest.raises(ValueError, match="24 free unknowns"):
        replace(problem, count=100).solve(np.ones(8))
    with pytest.raises(TypeError, match="complex p"):
        problem.solve(np.ones(8) + 0j)
    with pytest.raises(TypeError, match="LinearBuckling"):
        adjoint.Reduced(problem, Eigenvalue(0))(np.ones(8)).accuracy()


def test_bad_stress_stiffnesses_are_named() -> None:
    G = column(8).G
    for given, error in (
        ({"dofs": np.ones((8, 6))}, TypeError),
        ({"S": np.ones((8, 1, 5))}, ValueError),
        ({"Ge": np.ones((8, 2, 6, 6))}, ValueError),
        ({"Ge": np.triu(np.ones((1, 6, 6)))}, ValueError),
        ({"S": np.full((8, 1, 6), np.nan)}, NonFinite),
        ({"S": np.ones((8, 1, 6)) * 1j}, ValueError),
        ({"chosen": np.arange(3)}, ValueError),
    ):
        with pytest.raises(error):
            replace(G, **given)
    with pytest.raises(ValueError, match="got 5 parameters"):
        G(np.ones(G.n), np.ones(5))
