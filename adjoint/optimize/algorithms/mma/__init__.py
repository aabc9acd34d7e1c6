"""The method of moving asymptotes.

mma, gcmma             the two algorithms: a step, and which trials are accepted
constrained_problem    f and the constraints (the volume, …) at a design; the next state
approximation          convex separable approximations with moving asymptotes
subproblem             the minimum of an approximation, by its dual
opposite_constraints   equalities stated as two opposite inequalities
"""
