"""Marginal likelihoods of latent Gaussian models by Laplace's method, with exact gradients.

The modules: `model` has the latent Gaussian model. `likelihood` has the protocol of the
likelihood, `counts` what likelihoods of counts share; `poisson`, `binomial` and
`gaussian` have likelihoods. `curvature` assembles the Hessian matrix, `mode` finds the
mode, `verification` compares the derivatives of a likelihood with differences.
`approximation` has the function of the parameters, `points` its value and derivatives
at one point.
"""
