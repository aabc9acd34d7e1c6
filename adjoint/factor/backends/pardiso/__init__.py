"""Pardiso of Intel's MKL. Import `factorizers`; the modules `factors` and `mkl` are private."""
