"""Line searches: callables on a scalar function φ(α)."""
