"""Too little memory, full disks, paths that are no files.

Folders that somebody else has filled: each told by name.
"""

import json
import os
import resource
import socket
import struct
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
import scipy.sparse as sparse

import adjoint
from adjoint import cli, factor, report
from adjoint.factor.backends import superlu
from adjoint.optimize import Stopping, read_restart
from adjoint.optimize.restart import archive

BOWL = adjoint.optimize.ScalarFunction(lambda x: float(x @ x), lambda x: 2.0 * x)


@contextmanager
def disk_of(size):
    """No file may grow beyond `size` bytes.

    What a full disk does, from the library's point of view.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def run(x=(3.0, 4.0), **settings):
    return adjoint.minimize(
        BOWL,
        np.array(x),
        adjoint.optimize.SteepestDescent(),
        stop=Stopping(iterations=3),
        **settings,
    )


def states(number=3):
    found = []
    run(callback=found.append)
    return found[:number]


# Memory.


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("Not enough memory to perform factorization."),
        MemoryError("malloc fails"),
    ],
)
@pytest.mark.parametrize("factorize", [factor.superlu, factor.superlu_cholesky, factor.superlu_ldl])
def test_superlu_without_memory_is_a_named_solve_error(monkeypatch, error, factorize):
    def splu(*_, **__):
        raise error

    monkeypatch.setattr(superlu, "splu", splu)
    factorize.forget()
    with pytest.raises(
        adjoint.errors.OutOfMemory, match=r"5x5 matrix: not enough memory.*Remedies"
    ):
        factorize(sparse.csc_array(4.0 * np.eye(5)))
    with pytest.raises(MemoryError):
        factorize(sparse.csc_array(4.0 * np.eye(5)))
    assert issubclass(adjoint.errors.OutOfMemory, adjoint.SolveError)


def test_a_singular_matrix_is_still_one():
    with pytest.raises(adjoint.errors.SingularMatrix):
        factor.superlu(sparse.csc_array(np.ones((3, 3))))


@pytest.mark.parametrize("refused", [range(1, 2), range(1, 1000)], ids=["one trial", "all of them"])
def test_a_run_that_meets_it_at_a_trial_goes_on_or_returns_its_best_state(refused, monkeypatch):
    calls, splu = [], superlu.splu

    def scarce(*arguments, **settings):
        calls.append(1)
        if len(calls) - 1 in refused:
            raise MemoryError
        return splu(*arguments, **settings)

    monkeypatch.setattr(superlu, "splu", scarce)
    A = adjoint.Affine(
        None, [sparse.csc_array(np.diag([1.0, 0.0])), sparse.csc_array(np.diag([0.0, 1.0]))]
    )
    problem = adjoint.LinearProblem(A, np.ones(2), factorize=factor.superlu)
    f = adjoint.Reduced(problem, adjoint.LeastSquares(np.array([0.5, 0.25])))
    result = adjoint.minimize(
        f, np.ones(2), adjoint.optimize.LBFGS(bounds=adjoint.Bounds(0.1, 9.0)), check=False
    )
    if len(refused) == 1:
        assert result.success
        np.testing.assert_allclose(result.x, [2.0, 4.0], rtol=1e-3)
    else:
        np.testing.assert_array_equal(result.x, np.ones(2))
        assert not result.success
        assert isinstance(result.cause, adjoint.errors.OutOfMemory)


# Full disks.


def test_a_full_disk_names_the_history_and_leaves_its_records(tmp_path):
    file = tmp_path / "history.jsonl"
    recorder = report.Recorder(file)
    recorder.header("bowl", environment={})
    first, second, _ = states()
    recorder(first)
    before = file.read_bytes()
    with disk_of(len(before) + 20), pytest.raises(OSError, match=r"history\.jsonl"):
        recorder(second)
    assert file.read_bytes() == before
    assert report.read_history(file).numbers.tolist() == [0]


def test_a_full_disk_leaves_the_history_that_is_gone_on_with(tmp_path):
    file = tmp_path / "history.jsonl"
    recorder = report.Recorder(file)
    recorder.header("bowl", environment={})
    for state in states():
        recorder(state)
    before = file.read_bytes()
    with disk_of(20), pytest.raises(OSError, match=r"history\.jsonl"):
        report.Recorder(file, resume=True)
    assert (file.read_bytes(), sorted(tmp_path.iterdir())) == (before, [file])


def test_a_full_disk_names_the_design_and_leaves_the_others(tmp_path):
    keeper = report.DesignKeeper(tmp_path, lambda state: np.random.default_rng(0).random((20, 20)))
    first, second, _ = states()
    keeper(first)
    with disk_of(50), pytest.raises(OSError, match=r"000001\.png"):
        keeper(second)
    assert [number for number, _ in report.read_designs(tmp_path)] == [0]
    assert [path.name for path in (tmp_path / "designs").iterdir()] == ["000000.png"]


def test_a_full_disk_leaves_the_old_report_whole(tmp_path):
    recorder = report.Recorder(tmp_path / "history.jsonl")
    recorder.header("bowl", environment={})
    for state in states():
        recorder(state)
    written = report.convergence_report([tmp_path], tmp_path / "out")
    before = [path.read_bytes() for path in written]
    with disk_of(4000), pytest.raises(OSError, match=r"report\.\w+"):
        report.convergence_report([tmp_path], tmp_path / "out")
    assert [path.read_bytes() for path in written] == before
    assert sorted((tmp_path / "out").iterdir()) == sorted(written)


def test_a_full_disk_leaves_the_old_restart_file_whole(tmp_path):
    file = tmp_path / "run.npz"
    run(restart=file)
    before = file.read_bytes()
    with disk_of(50), pytest.raises(adjoint.errors.RestartError, match=r"run\.npz: cannot write"):
        run(restart=file)
    assert (file.read_bytes(), sorted(tmp_path.iterdir())) == (before, [file])
    read_restart(file)


# Paths that are no files.


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/null")


def local_socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # Names of sockets are short.
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL = {
    "directory": (lambda path: path.mkdir(), "a directory"),
    "pipe": (pipe, "a named pipe"),
    "device": (device, "a device"),
    "socket": (local_socket, "a socket"),
}
DESIGN = np.ones((2, 3))
WRITERS = {
    "restart file": (lambda path: run(restart=path), "run"),
    "restart file, resumed": (lambda path: run(restart=path, resume=True), "run"),
    "restart file, aside": (lambda path: run(restart=path.with_name("run")), "run.part"),
    "archive, read": (archive.read_archive, "run"),
    "history": (report.Recorder, "history.jsonl"),
    "history, resumed": (lambda path: report.Recorder(path, resume=True), "history.jsonl"),
    "history, read": (report.read_history, "history.jsonl"),
    "design": (lambda path: report.write_design(path, DESIGN), "design.png"),
    "cells": (
        lambda path: report.write_vti(path, {"rho": DESIGN}, (1.0, 1.0), (0.0, 0.0)),
        "cells.vti",
    ),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("writer", WRITERS)
def test_a_path_that_is_no_regular_file_is_refused(tmp_path, kind, writer):
    make, words = SPECIAL[kind]
    write, name = WRITERS[writer]
    path = tmp_path / name
    make(path)
    mode = os.lstat(path).st_mode
    with pytest.raises(
        (adjoint.errors.RestartError, ValueError), match=f"{name}.*({words}|not a regular file)"
    ):
        write(path)
    assert os.lstat(path).st_mode == mode


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_report_is_not_written_over_what_is_no_file(tmp_path, kind):
    recorder = report.Recorder(tmp_path / "history.jsonl")
    recorder.header("bowl", environment={})
    recorder(states()[0])
    (tmp_path / "out").mkdir()
    SPECIAL[kind][0](tmp_path / "out" / "report.png")
    with pytest.raises(ValueError, match=rf"report\.png is {SPECIAL[kind][1]}"):
        report.convergence_report([tmp_path], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.png"]


# Hostile folders.


def bomb():
    """A PNG that says it has 60 000 x 60 000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
    )


def line(**record):
    return json.dumps(record).encode() + b"\n"


HEADER = line(kind="header", title="run")
HISTORIES = {
    "nothing": b"",
    "no JSON": b"\x00\xff\xfe" * 50,
    "a deep list": HEADER
    + b'{"kind": "iteration", "x": '
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}\n",
    "a deep header": b"[" * 100_000,
    "huge iteration": HEADER + line(kind="iteration", iteration=10**400),
    "large iteration": HEADER + line(kind="iteration", iteration=2**63),
    "huge value": HEADER + line(kind="iteration", iteration=1, objective=10**400),
    "infinite value": HEADER + b'{"kind": "iteration", "iteration": 1, "objective": 1e999}\n',
    "words for numbers": HEADER + line(kind="iteration", iteration=1, objective="\x1b[31mred"),
    "kind of a list": HEADER + b'{"kind": []}\n',
    "control characters": line(
        kind="header", title="\x1b]0;owned\x07\x1b[2J", algorithm="\x1b[31m"
    ),
    "formulas": line(kind="header", title=r"$\frac{$ $$ \undefined{", algorithm="$^$"),
    "half a character": b'{"kind": "header", "title": "\\ud800"}\n',
    "no iterations": HEADER,
    "a result of nothing": HEADER + line(kind="result", status="\x1b[2J"),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_hostile_history_gives_a_report_or_one_line(tmp_path, name, capsys):
    (tmp_path / "history.jsonl").write_bytes(HISTORIES[name])
    code = cli.main(["report", str(tmp_path), "--out", str(tmp_path / "out")])
    printed = "".join(capsys.readouterr())
    assert code in (0, 1)
    assert not set(printed) & {
        chr(code) for code in [*range(10), *range(11, 32), 127, *range(128, 160)]
    }
    assert len(printed) < 2000


PICTURES = {
    "a bomb": (lambda path: path.write_bytes(bomb()), "60000 x 60000 pixels"),
    "a torn one": (lambda path: path.write_bytes(report.design_png(DESIGN)[:40]), "not a picture"),
    "no picture": (lambda path: path.write_bytes(b"hello"), "not a picture"),
    "nothing": (lambda path: path.write_bytes(b""), "not a picture"),
    "a pipe": (pipe, "a named pipe"),
    "a directory": (lambda path: path.mkdir(), "a directory"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_hostile_picture_is_named_and_not_decoded(tmp_path, name, capsys):
    make, words = PICTURES[name]
    (tmp_path / "history.jsonl").write_bytes(
        HEADER + line(kind="iteration", iteration=0, objective=1.0)
    )
    (tmp_path / "designs").mkdir()
    make(tmp_path / "designs" / "000000.png")
    with pytest.raises(ValueError, match=rf"000000\.png.*{words}"):
        report.read_designs(tmp_path)
    assert cli.main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_names_of_folders_are_escaped(tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "\x1b[31mrun")]) == 1
    assert "\x1b" not in capsys.readouterr().err


# Unknowns far beyond the others.


@pytest.mark.parametrize(
    "make", [adjoint.matrices.Assembly, lambda dofs: adjoint.Elements(dofs, np.eye(2))]
)
def test_an_unknown_far_beyond_the_others_is_refused_at_once(make):
    with pytest.raises(ValueError, match=r"dofs up to 1000000000, but only 10 different"):
        make(np.array([[0, 1], [2, 3], [4, 5], [6, 7], [8, 10**9]]))
    make(np.array([[0, 1], [2, 1_000_000]]))  # Gaps are allowed: other matrices may fill them.
    with pytest.raises(ValueError, match="dofs up to"):
        adjoint.factor.rigid_body_modes(np.ones((2, 2)), np.array([[0, 1], [2, 10**9]]))


@pytest.mark.parametrize("resume", [False, True])
def test_names_that_no_file_can_have_are_refused_by_name(tmp_path, resume):
    with pytest.raises(adjoint.errors.RestartError, match=r"nnn: cannot write a restart file"):
        run(restart=tmp_path / ("n" * 300), resume=resume)
    with pytest.raises(ValueError, match=r"minimize: got restart=.* with a zero byte"):
        run(restart=tmp_path / "a\0b", resume=resume)
    with pytest.raises(ValueError, match=r"Recorder: got file=.* with a zero byte"):
        report.Recorder(tmp_path / "a\0b", resume=resume)
