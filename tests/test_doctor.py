"""`python -m adjoint doctor`: what it finds, and what it advises."""

import dataclasses
import math
import runpy
import sys

import numpy as np
import pytest

from adjoint import cli, doctor
from adjoint.errors import SingularMatrix

WHEEL = {
    "user_api": "blas",
    "internal_api": "openblas",
    "version": "0.3.30",
    "architecture": "Haswell",
    "num_threads": 2,
    "filepath": "/project/.venv/lib/python3.11/site-packages/scipy.libs/libscipy_openblas-6c.so",
}
DEBIAN = WHEEL | {
    "version": "0.3.21",
    "num_threads": 1,
    "filepath": "/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblasp-r0.3.21.so",
}
INTEL = WHEEL | {
    "internal_api": "mkl",
    "version": "2026.2-Product",
    "filepath": "/project/.venv/lib/libmkl_rt.so.3",
}
GOMP = {
    "user_api": "openmp",
    "internal_api": "openmp",
    "filepath": "/usr/lib/x86_64-linux-gnu/libgomp.so.1",
}
REFERENCE = "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0"
HANDS_OVER = "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3"

OPENBLAS = doctor.Blas("OpenBLAS 0.3.21", "Haswell", 2, DEBIAN["filepath"])
SUPERLU = doctor.Solver("SuperLU", "scipy 1.17.1", OPENBLAS, 0.5, "")
CHOLMOD = doctor.Solver("CHOLMOD", "scikit-sparse 0.4.16", OPENBLAS, 0.1, "")


def cholmod_on(**changes: object) -> doctor.Solver:
    return dataclasses.replace(CHOLMOD, blas=dataclasses.replace(OPENBLAS, **changes))


def test_command_finds_a_solver_and_gives_a_verdict(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "GRID", 30)
    assert cli.main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "SuperLU" in printed
    assert "Verdict: " in printed
    assert max(len(line) for line in printed.splitlines()) <= 100


def test_module_runs_the_command_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["adjoint", "--help"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_module("adjoint", run_name="__main__")
    assert exit.value.code == 0
    assert "doctor" in capsys.readouterr().out


def test_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as exit:
        cli.main(["cure"])
    assert exit.value.code == 2
    assert "doctor" in capsys.readouterr().err


def test_exit_code_tells_that_nothing_works(monkeypatch, capsys):
    broken = dataclasses.replace(SUPERLU, seconds=math.nan, fault="No module named 'scipy'")
    monkeypatch.setattr(doctor, "solvers", lambda points: [broken])
    assert cli.main(["doctor"]) == 1
    assert "nothing here solves" in capsys.readouterr().out


def test_laplacian_is_that_of_the_five_point_stencil():
    smallest = np.linalg.eigvalsh(doctor.laplacian(6).toarray())[0]
    assert smallest == pytest.approx(8 * np.sin(np.pi / 14) ** 2, rel=1e-12)


@pytest.mark.parametrize(
    ("pools", "libraries", "superlu", "cholmod"),
    [
        ([WHEEL, DEBIAN, GOMP], [HANDS_OVER], "OpenBLAS 0.3.30", "OpenBLAS 0.3.21"),
        ([DEBIAN, WHEEL, INTEL], [HANDS_OVER], "OpenBLAS 0.3.30", "OpenBLAS 0.3.21"),
        ([WHEEL], [REFERENCE], "OpenBLAS 0.3.30", "reference BLAS"),
        ([DEBIAN], [], "OpenBLAS 0.3.21", "OpenBLAS 0.3.21"),
    ],
    ids=["debian", "debian with MKL", "reference", "one for all"],
)
def test_each_solver_is_given_the_blas_it_calls(pools, libraries, superlu, cholmod):
    found = doctor.blas_in_memory(pools, libraries)
    assert doctor.blas_of("SuperLU", found).name == superlu
    assert doctor.blas_of("CHOLMOD", found).name == cholmod
    assert doctor.blas_of("UMFPACK", found).name == cholmod
    assert doctor.blas_of("KLU", found) is None  # It works entry by entry.


def test_pardiso_calls_mkl():
    assert (
        str(doctor.blas_of("Pardiso", doctor.blas_in_memory([WHEEL, INTEL], [])))
        == "MKL 2026.2 (2 threads)"
    )
    assert doctor.blas_of("Pardiso", doctor.blas_in_memory([WHEEL], [])) is None


def test_nothing_to_mend_on_a_machine_in_order():
    verdict = doctor.verdict([SUPERLU, CHOLMOD], avx2=True)
    assert verdict == "good. Cholesky runs on CHOLMOD with OpenBLAS 0.3.21 (Haswell, 2 threads)."


def test_pardiso_is_as_good_where_cholmod_is_missing():
    missing = dataclasses.replace(CHOLMOD, fault="No module named 'sksparse'")
    mkl = doctor.Blas("MKL 2026.2", "", 2, INTEL["filepath"])
    tried = [SUPERLU, missing, doctor.Solver("Pardiso", "pypardiso 0.4.7", mkl, 0.1, "")]
    assert (
        doctor.verdict(tried, avx2=True)
        == "good. Cholesky runs on Pardiso with MKL 2026.2 (2 threads)."
    )


@pytest.mark.parametrize(
    ("cholmod", "cause", "remedy"),
    [
        (
            dataclasses.replace(CHOLMOD, fault="No module named 'sksparse'"),
            "on SuperLU",
            "./scripts/setup.sh",
        ),
        (
            cholmod_on(name="reference BLAS", kernels=""),
            "reference BLAS",
            "apt-get install libopenblas0-pthread",
        ),
        (cholmod_on(kernels="Prescott"), "AVX2", "export OPENBLAS_CORETYPE=Haswell"),
        (
            dataclasses.replace(CHOLMOD, seconds=1.5),
            "BLAS threads",
            "export OPENBLAS_NUM_THREADS=1",
        ),
    ],
    ids=["no CHOLMOD", "reference BLAS", "old kernels", "contended"],
)
def test_what_is_slow_is_said_with_its_remedy(cholmod, cause, remedy):
    tried = [SUPERLU, cholmod]
    verdict = doctor.verdict(tried, avx2=True)
    assert cause in verdict
    assert remedy in verdict


def test_old_kernels_are_right_for_an_old_processor():
    assert doctor.findings([SUPERLU, cholmod_on(kernels="Prescott")], avx2=False) == []


def test_no_word_on_a_blas_that_cannot_be_seen():
    assert doctor.findings([SUPERLU, dataclasses.replace(CHOLMOD, blas=None)], avx2=True) == []


def test_solver_that_is_missing_is_not_tried():
    def never(A, b):
        raise AssertionError

    seconds, fault = doctor.attempt(
        doctor.Candidate("pyamg", lambda: "pip install pyamg", never), 5
    )
    assert math.isnan(seconds)
    assert fault == "pip install pyamg"


def test_multigrid_is_tried_where_it_is_installed():
    pytest.importorskip("pyamg")
    seconds, fault = doctor.attempt(doctor.CANDIDATES["AMG"], 5)
    assert seconds > 0
    assert fault == ""


def test_distribution_that_is_not_installed_is_named_as_such():
    assert doctor.installed("no-such-distribution") == "no-such-distribution (not installed)"


def test_solver_that_fails_is_not_called_working():
    def fail(A, b):
        raise SingularMatrix("met a pivot that is exactly zero")

    seconds, fault = doctor.attempt(doctor.Candidate("scipy", lambda: "", fail), 5)
    assert math.isnan(seconds)
    assert fault == "met a pivot that is exactly zero"


def test_missing_solvers_are_listed_with_their_reason(capsys):
    missing = dataclasses.replace(
        CHOLMOD, blas=None, seconds=math.nan, fault="No module named 'sksparse'."
    )
    printed = cli.diagnosis(["here"], [SUPERLU, missing], "good.")
    assert "CHOLMOD: No module named 'sksparse'." in printed
    assert "0.500" in printed


def test_suitesparse_is_unknown_where_none_is_loaded():
    assert doctor.suitesparse_version(["/usr/lib/libm.so.6"]) == ""
