"""Line searches: functions of a scalar function φ(α) = f(x + α d)."""
