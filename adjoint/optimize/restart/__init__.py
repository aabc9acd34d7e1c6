"""Restart files: where a run stands, written to one `.npz` file and read back without loss.

restart_file   what a file holds, `write_restart` and `read_restart`
archive        named arrays as the bytes of one file: checksum, limits on announced sizes
fingerprint    digest of an algorithm's settings
verification   is a file of this run? algorithm, settings, design, memory, objective, threads
"""
