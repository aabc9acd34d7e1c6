"""What a run was made with: versions, threads, machine; for the header of its history."""

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

from ..factor.evidence import Evidence
from ..optimize.restart import threads

PACKAGES = ("sparse-adjoint", "numpy", "scipy", "scikit-sparse", "pypardiso", "pyamg")


def environment(evidence: Evidence | None = None) -> dict[str, str]:
    """Name and value of what a result may depend on in its last digits, or in its seconds.

    evidence: of a solve, which knows its solver and its threads; None: of no particular one.
    """
    entries = {} if evidence is None else {"solver": evidence.backend}
    entries["python"] = platform.python_version()
    for package in PACKAGES:
        try:
            entries[package] = version(package)
        except PackageNotFoundError:
            continue
    pools = threads() if evidence is None else evidence.threads
    entries["threads"] = ", ".join(f"{library} {number}" for library, number in pools.items())
    entries["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return entries


def peak_memory() -> float:
    """The largest resident size of this process so far, MB."""
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes / (1024.0**2 if sys.platform == "darwin" else 1024.0)
