"""All optimizers on three suites of problems."""
