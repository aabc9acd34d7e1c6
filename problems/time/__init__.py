"""Initial value problems: ordinary differential equations, DAEs, PDEs in time."""
