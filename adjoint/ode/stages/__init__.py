"""The equations of the stages of a step: matrices, Newton iteration, refinement."""
