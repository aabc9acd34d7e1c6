"""Error estimates of J and its gradient: what inexact solves leave in the computed numbers."""

__all__: list[str] = []
