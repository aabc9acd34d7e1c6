"""Functions of dense matrices, each with its value, vjp and jvp, for objectives and design maps."""

__all__: list[str] = []
