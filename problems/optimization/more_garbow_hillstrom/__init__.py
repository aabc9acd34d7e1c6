"""The 35 problems of Moré, Garbow & Hillstrom for unconstrained optimization.

Each problem has its standard start. If the paper leaves m free, m is 99 for Gulf
research, 10 for Box, 20 for Brown and Dennis, 13 for Biggs and 20 for the linear
functions. If the paper leaves n free, n is 6 for Watson, 12 for extended Powell
singular, 8 for Chebyquad and 10 for the other problems.

Moré, Garbow & Hillstrom (1981), ACM Trans. Math. Softw. 7, 17, section 3.
"""

from . import any_dimension, equations, linear, more_variables, three_variables, two_variables
from .problem import Counted, Evaluation, SumOfSquares, Tally

PROBLEMS = (
    *two_variables.PROBLEMS,
    *three_variables.PROBLEMS,
    *more_variables.PROBLEMS,
    any_dimension.watson(6),
    any_dimension.extended_rosenbrock(10),
    any_dimension.extended_powell_singular(12),
    any_dimension.penalty_1(10),
    any_dimension.penalty_2(10),
    any_dimension.variably_dimensioned(10),
    any_dimension.trigonometric(10),
    any_dimension.brown_almost_linear(10),
    equations.discrete_boundary_value(10),
    equations.discrete_integral(10),
    equations.broyden_tridiagonal(10),
    equations.broyden_banded(10),
    linear.full_rank(10, 20),
    linear.rank_one(10, 20),
    linear.rank_one_with_zeros(10, 20),
    equations.chebyquad(8),
)
"""The problems in the order of the paper: number k is PROBLEMS[k − 1]."""

__all__ = ["PROBLEMS", "Counted", "Evaluation", "SumOfSquares", "Tally"]
