"""Topology optimization of a beam: 30 000 design variables, one volume constraint."""
