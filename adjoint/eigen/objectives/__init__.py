"""Objectives of eigenvalues and eigenvectors, for `Reduced(EigenProblem(…), objective)`."""
