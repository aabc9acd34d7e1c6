"""The stage equations of a step, their matrices, and how they are solved."""
