"""The error of a package that is not installed, for modules that cannot be used without it."""

from ..factor.errors import BackendMissing

REMEDIES = {
    "nlopt": "NLopt is needed: pip install nlopt",
    "ipopt": "Ipopt is needed, with cyipopt: apt-get install coinor-libipopt-dev pkg-config, pip install cyipopt",
}


def missing(module: str, error: ImportError) -> BackendMissing:
    """The error for `import adjoint.interop.<module>`, an ImportError as well."""
    return BackendMissing(
        f"adjoint.interop.{module}: {REMEDIES[module]} ({error}). SciPy's optimizers are in adjoint.interop.scipy"
    )
