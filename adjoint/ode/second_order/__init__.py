"""Second derivatives of trajectories: tangents of the frozen steps, and adjoints of both."""
