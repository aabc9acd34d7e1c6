"""One module for each solver package. Each module makes `Direct` factorizers."""
