"""Pardiso of Intel's MKL. The entry is `factorizers`; `factors` and `mkl` are private."""
