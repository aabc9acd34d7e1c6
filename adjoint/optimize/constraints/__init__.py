"""Constraints: c ≤ bound or c = bound.

constraint           the protocol `Constraint`; `FunctionConstraint` for any function of the design
design_constraints   `LinearConstraint` and `DesignConstraint`, both with `volume`
state_constraints    `StateConstraint`, and `StateConstraints` for a vector such as local stresses
values               values and gradients of all constraints at a point, as algorithms see them
"""
