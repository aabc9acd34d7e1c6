"""Times at which f may jump: one-sided times, breaks given by the user, rates ∂f/∂t."""
