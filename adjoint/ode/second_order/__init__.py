"""Second derivatives of trajectories: tangents of frozen steps, and adjoints of both."""
