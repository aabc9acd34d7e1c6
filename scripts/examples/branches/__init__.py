"""Solution branches of Bratu's equation through their folds."""
