"""What can be wrong with a residual function, or with what was said about it."""


class SparsityError(ValueError):
    """∂R/∂u or ∂R/∂p has entries outside of its pattern: by colours they would end up in wrong places."""


class NotComplexSafe(ValueError):
    """A residual function loses imaginary parts on the way: its complex step is not its derivative."""
