"""The method of moving asymptotes.

mma, gcmma              the two algorithms: a step, and which trials are accepted
constrained_problem     f and the constraints at a design, scaled; their states
approximation           convex separable approximations with moving asymptotes
subproblem              the minimum of an approximation, by its dual
opposite_constraints    equalities stated as two opposite inequalities
"""
