"""The equations of the stages of a step: matrices, Newton iteration, refinement.

`stages` solves the stages of a step one after another, `coupled_stages` all at once
(Radau; for few unknowns with a separate Newton loop). Both modules use the Newton
iteration of `simplified_newton`. `stage_matrices` and `coupled_matrices` factor M − hγ
∂f/∂u, `reused_factors` keeps the factors, `refinement` solves with factors of a nearby
matrix.
"""
