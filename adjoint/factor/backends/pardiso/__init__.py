"""Pardiso of Intel's MKL: `factorizers` is the entry; no other module imports `factors` or `mkl`."""
