"""Algorithms: frozen dataclasses of settings with `start` and `advance`.

Gradients only: `steepest_descent`, `bfgs` and `lbfgs` (both on `quasi_newton`). Hessian products:
`newton_cg`, on `trust_region` and `trust_region_cg`. Sums of squares: `gauss_newton`, with
`levenberg_marquardt` for few variables. Densities and a volume: `optimality_criteria`, `simpl`.
General constraints: `mma` (MMA and GCMMA), `augmented_lagrangian`, which minimizes
`augmented_function` by another algorithm. `continuation` runs algorithms in stages.
"""
