"""Initial value problems: ODEs, DAEs, and PDEs in time."""
