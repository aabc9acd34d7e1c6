"""Times at which f may jump: one-sided times, breaks of the user, rates ∂f/∂t there."""
