"""The suites of `scripts.shootout`: problems, algorithms, and what counts as solved."""
