"""One file per solver package; each makes `Direct` factorizers from it."""
