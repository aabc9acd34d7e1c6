"""Pardiso of Intel MKL: the calls of the library, and the factorizers made of them."""
