"""Verification of a run by differences of f, before its first step and after its last.

sampling         values of f next to a design, along a random direction
gradient_check   before the run: is the gradient the derivative of f? WrongGradient
convergence      after the run: INCONSISTENT, FLAT, SADDLE, UNEVEN or RISEN, not converged
plateau          after the run: PLATEAU if f has collapsed together with its gradient
"""
