"""Problems of optimization: published tests, inverse problems, optimal control."""
