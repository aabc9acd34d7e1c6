"""Restart: a run resumed at any iteration, or after any kill, ends with the same bytes."""

import errno
import io
import os
import signal
import stat
import threading
import warnings
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from adjoint.errors import RestartError, ResumedElsewhere
from adjoint.optimize import (
    Bounds,
    State,
    SteepestDescent,
    Stopping,
    descend,
    minimize,
    read_restart,
    write_restart,
)
from adjoint.optimize.restart import archive
from adjoint.optimize.restart.fingerprint import fingerprint
from tests.fixtures.optimizers import CATALOGUE, N, Smooth

ITERATIONS = 12
STOP = Stopping(iterations=ITERATIONS, stationarity=1e-12)


def content(state: State) -> dict:
    """Everything in a state, as bytes."""
    found = {}
    for each in fields(State):
        value = getattr(state, each.name)
        if each.name == "memory":
            found |= {f"memory.{key}": (a.dtype, a.shape, a.tobytes()) for key, a in value.items()}
        elif each.name not in {"point", "function", "failure"}:
            found[each.name] = value.tobytes() if isinstance(value, np.ndarray) else value
    return found


def same(a: State, b: State) -> bool:
    return content(a) == content(b)


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("interruption", [1, 2, 5, 9])
def test_a_resumed_run_ends_with_the_same_bytes(name, interruption, tmp_path):
    case, file = CATALOGUE[name], tmp_path / "run.npz"
    whole = minimize(case.f(), case.start, case.algorithm, stop=STOP)
    minimize(
        case.f(),
        case.start,
        case.algorithm,
        stop=replace(STOP, iterations=interruption),
        restart=file,
    )
    resumed = minimize(case.f(), case.start, case.algorithm, stop=STOP, restart=file, resume=True)
    assert resumed.status is whole.status
    assert same(resumed.state, whole.state)
    assert same(resumed.best, whole.best)


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_state_comes_back_from_its_file_without_loss(name, tmp_path):
    case, file = CATALOGUE[name], tmp_path / "run.npz"
    result = minimize(case.f(), case.start, case.algorithm, stop=STOP, restart=file)
    assert same(read_restart(file).state, result.state)
    assert same(read_restart(file).best, result.best)


def test_the_first_run_with_resume_begins(tmp_path):
    file = tmp_path / "deep" / "run.npz"
    result = minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, resume=True
    )
    assert result.iterations == ITERATIONS
    assert file.exists()


def test_observers_see_every_iteration_once_over_an_interruption(tmp_path):
    seen, file = [], tmp_path / "run.npz"

    def each(state):
        seen.append(state.iteration)
        if len(seen) == 4:
            raise KeyboardInterrupt

    first = minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, callback=each
    )
    assert first.iterations == 3
    minimize(
        Smooth(N),
        np.zeros(N),
        SteepestDescent(),
        stop=STOP,
        restart=file,
        callback=each,
        resume=True,
    )
    # The file is written after the calls: the interrupted iteration is done, and seen, again.
    assert seen == [0, 1, 2, 3, *range(3, ITERATIONS + 1)]


def test_resumption_goes_on_counting_work_and_time(tmp_path):
    file = tmp_path / "run.npz"
    first = minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=replace(STOP, iterations=3), restart=file
    )
    later = minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, resume=True
    )
    assert later.progress.seconds > first.progress.seconds
    assert later.state.evaluations > first.state.evaluations


# Kills


def killed(file: Path, case, seconds: float) -> None:
    """A run in a child process, killed after so many seconds."""
    child = os.fork()
    if child == 0:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                minimize(case.f(), case.start, case.algorithm, stop=STOP, restart=file, resume=True)
        finally:
            os._exit(0)
    timer = threading.Timer(seconds, os.kill, (child, signal.SIGKILL))
    timer.start()
    # Left to be reaped until the timer is done: its number could belong to nobody then, or to
    # another process.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    timer.cancel()
    timer.join()
    os.waitpid(child, 0)


@pytest.mark.parametrize("name", CATALOGUE)
def test_runs_killed_at_random_moments_end_with_the_same_bytes(name, tmp_path):
    """Each run is killed again and again until it has ended: no kill costs more than the iteration
    it struck.
    """
    case, file = CATALOGUE[name], tmp_path / "run.npz"
    whole = minimize(case.f(), case.start, case.algorithm, stop=STOP)
    rng = np.random.default_rng(len(name))
    before = -1
    for _ in range(12):
        killed(file, case, float(rng.uniform(0.0, 0.02)))
        if file.exists():
            at = read_restart(file).state.iteration
            assert at >= before
            before = at
    resumed = minimize(case.f(), case.start, case.algorithm, stop=STOP, restart=file, resume=True)
    assert same(resumed.state, whole.state)
    assert same(resumed.best, whole.best)


# Failures of the disk


def fails(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


STEPS = [(Path, "open"), (os, "fsync"), (Path, "replace"), (archive, "_sync")]


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=lambda step: getattr(step, "__name__", step))
@pytest.mark.parametrize("later", [1, 4])
def test_a_write_that_fails_at_any_step_leaves_a_file_to_go_on_from(
    owner, step, later, tmp_path, monkeypatch
):
    file, calls = tmp_path / "run.npz", [0]
    whole = minimize(Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP)
    minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=replace(STOP, iterations=2), restart=file
    )
    real = getattr(owner, step)

    def sometimes(*arguments, **named):
        calls[0] += 1
        return fails() if calls[0] == later else real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, sometimes)
        with pytest.raises(RestartError, match="No space left"):
            minimize(
                Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, resume=True
            )
    resumed = minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, resume=True
    )
    assert same(resumed.state, whole.state)


def test_a_file_is_on_disk_before_it_is_renamed_and_its_name_after(tmp_path, monkeypatch):
    """A renamed file whose bytes are not on disk yet is empty after a power failure.

    The old one is lost.
    """
    file, events = tmp_path / "run.npz", []
    sync, rename = os.fsync, os.replace

    def synced(descriptor):
        found = os.fstat(descriptor)
        events.append(("directory", 0) if stat.S_ISDIR(found.st_mode) else ("file", found.st_size))
        sync(descriptor)

    def renamed(source, target, **named):
        events.append(("rename", os.stat(source).st_size))
        rename(source, target, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "replace", renamed)
        minimize(
            Smooth(N),
            np.zeros(N),
            SteepestDescent(),
            stop=replace(STOP, iterations=2),
            restart=file,
        )
    size = file.stat().st_size
    assert [name for name, _ in events] == ["file", "rename", "directory"] * 3
    assert events[-3:] == [("file", size), ("rename", size), ("directory", 0)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "require_file", lambda path: None)  # A device is refused before.
    part = tmp_path / "run.npz.part"
    part.symlink_to("/dev/full")
    with pytest.raises(RestartError, match="No space left"):
        minimize(Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=tmp_path / "run.npz")


# Damaged and hostile files


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    file = tmp_path_factory.mktemp("good") / "run.npz"
    minimize(Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file)
    return file.read_bytes()


def refused(data: bytes, tmp_path: Path) -> str:
    file = tmp_path / "run.npz"
    file.write_bytes(data)
    with pytest.raises(RestartError) as refusal:
        minimize(Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, resume=True)
    assert file.read_bytes() == data
    return str(refusal.value)


@pytest.mark.parametrize("seed", range(100))
def test_any_flipped_bit_is_refused(good, seed, tmp_path):
    rng = np.random.default_rng(seed)
    data = bytearray(good)
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    assert "checksum" in refused(bytes(data), tmp_path)


@pytest.mark.parametrize("part", [0.0, 0.001, *np.linspace(0.02, 0.98, 27), 0.9999])
def test_a_torn_file_is_refused(good, part, tmp_path):
    refused(good[: int(part * len(good))], tmp_path)


@pytest.mark.parametrize("seed", range(30))
def test_bytes_put_in_taken_out_or_exchanged_are_refused(good, seed, tmp_path):
    rng = np.random.default_rng(seed)
    place, length = int(rng.integers(len(good))), int(rng.integers(1, 64))
    junk = rng.bytes(length)
    changed = (
        good[:place] + junk + good[place:],
        good[:place] + good[place + length :],
        good + junk,
        junk + good,
    )
    refused(changed[seed % 4], tmp_path)


class Bomb:
    """Unpickling it would be noticed."""

    def __reduce__(self):
        return os.mkdir, ("code-was-run",)


def sealed(data: bytes) -> bytes:
    """The archive with the checksum a forger would give it."""
    data = data[: -archive.DIGEST]
    return data + archive._digest(data)


def forged(good: bytes, edit) -> bytes:
    """A file with other entries and a right checksum; edit: of name ↦ bytes of its `.npy`."""
    with zipfile.ZipFile(io.BytesIO(good)) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    edit(entries)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
        new.comment = b"0" * archive.DIGEST
    return sealed(buffer.getvalue())


def npy(array, **options) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), **options)
    return buffer.getvalue()


def setting(name, data):
    return lambda entries: entries.update({name: data})


def header(text: str) -> bytes:
    """A `.npy` of that header, without data."""
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


FORGERIES = {
    "nothing": lambda entries: entries.clear(),
    "pickle": setting("state.x.npy", npy(np.array([Bomb()]), allow_pickle=True)),
    "pickled memory": setting("state.memory.a.npy", npy(np.array([Bomb()]), allow_pickle=True)),
    "huge": setting(
        "state.x.npy",
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
    ),
    "negative": setting(
        "state.x.npy", header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }")
    ),
    "expression": setting("state.x.npy", header("__import__('os').mkdir('code-was-run')")),
    "overflowing": setting(
        "state.x.npy",
        header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (1{'0' * 40},), }}"),
    ),
    "structured": setting("state.x.npy", npy(np.zeros(N, dtype=[("a", "f8")]))),
    "text": setting("state.x.npy", npy(np.array(["a"] * N))),
    "no npy": setting("state.x.npy", b"hello"),
    "unknown": setting("state.secret.npy", npy(np.zeros(3))),
    "unknown run": setting("other.npy", npy(np.zeros(3))),
    "no array": setting("state.x.txt", b"hello"),
    "path": setting("../../evil.npy", npy(np.zeros(3))),
    "nan design": setting("state.x.npy", npy(np.full(N, np.nan))),
    "matrix design": setting("state.x.npy", npy(np.zeros((N, 1)))),
    "integer design": setting("state.x.npy", npy(np.zeros(N, dtype=int))),
    "other size": setting("state.x.npy", npy(np.zeros(N + 1))),
    "empty design": lambda entries: [
        entries.update({f"{s}.{a}.npy": npy(np.zeros(0))})
        for s in ("state", "best")
        for a in ("x", "gradient")
    ],
    "nan value": setting("state.numbers.npy", npy(np.full(7, np.nan))),
    "short numbers": setting("state.numbers.npy", npy(np.zeros(3))),
    "negative iteration": setting("state.integers.npy", npy(np.array([-1, 1, 0]))),
    "fractional iteration": setting("state.integers.npy", npy(np.array([0.5, 1.0, 0.0]))),
    "unknown ending": setting("state.ending.npy", npy(np.frombuffer(b"TRIUMPH", dtype=np.uint8))),
    "no unicode": setting("state.ending.npy", npy(np.frombuffer(b"\xff\xfe", dtype=np.uint8))),
    "no json": setting("run.npy", npy(np.frombuffer(b"{", dtype=np.uint8))),
    "json list": setting("run.npy", npy(np.frombuffer(b"[]", dtype=np.uint8))),
    "deep json": setting("run.npy", npy(np.frombuffer(b"[" * 100_000, dtype=np.uint8))),
    "another version": setting(
        "run.npy",
        npy(np.frombuffer(b'{"version": 2, "fingerprint": "", "threads": {}}', dtype=np.uint8)),
    ),
    "odd threads": setting(
        "run.npy",
        npy(np.frombuffer(b'{"version": 3, "fingerprint": "", "threads": 3}', dtype=np.uint8)),
    ),
    "odd fingerprint": setting(
        "run.npy",
        npy(np.frombuffer(b'{"version": 3, "fingerprint": 5, "threads": {}}', dtype=np.uint8)),
    ),
    "progress": setting("progress.npy", npy(np.zeros(2))),
    "nan progress": setting("progress.npy", npy(np.full(7, np.nan))),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_is_refused_and_runs_nothing(good, forgery, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(forged(good, FORGERIES[forgery]), tmp_path)
    assert not Path("code-was-run").exists()


@pytest.mark.parametrize(
    "name", ["x", "gradient", "numbers", "integers", "ending", "constraints", "rejected"]
)
def test_a_missing_entry_is_refused(good, name, tmp_path):
    refused(forged(good, lambda entries: entries.pop(f"state.{name}.npy")), tmp_path)


def test_a_compressed_bomb_is_refused(good, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("state.x.npy", npy(np.zeros(2_000_000)))
        bomb.comment = b"0" * archive.DIGEST
    assert "compressed" in refused(sealed(buffer.getvalue()), tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"\x80\x04N.", b"x = 1\n", bytes(10_000), b"0" * archive.DIGEST]
)
def test_other_files_are_refused(data, tmp_path):
    refused(data, tmp_path)


def test_a_directory_in_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "run.npz").mkdir()
    with pytest.raises(RestartError, match="directory"):
        minimize(
            Smooth(N), np.zeros(N), SteepestDescent(), restart=tmp_path / "run.npz", resume=True
        )


@pytest.mark.parametrize(
    "data", [None, npy(np.zeros(N + 3)), npy(np.zeros((N, 2)))], ids=["missing", "long", "wide"]
)
def test_memory_that_is_not_the_algorithms_is_refused(data, tmp_path):
    case, file = CATALOGUE["optimality criteria"], tmp_path / "run.npz"
    minimize(case.f(), case.start, case.algorithm, stop=replace(STOP, iterations=2), restart=file)

    def edit(entries):
        entries.pop("state.memory.proposal.npy")
        if data is not None:
            entries["state.memory.proposal.npy"] = data

    file.write_bytes(forged(file.read_bytes(), edit))
    with pytest.raises(RestartError, match="not written by this algorithm"):
        minimize(case.f(), case.start, case.algorithm, stop=STOP, restart=file, resume=True)


@pytest.mark.parametrize("change", ["missing", "another shape"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_array_that_an_algorithm_reads_is_verified_before_f_is_asked(name, change, tmp_path):
    """Each array of the memory, of inner algorithms too, is taken out, or gets one more axis."""
    case, file = CATALOGUE[name], tmp_path / "run.npz"
    minimize(case.f(), case.start, case.algorithm, stop=replace(STOP, iterations=2), restart=file)
    whole, memory = file.read_bytes(), read_restart(file).state.memory
    assert memory
    for key, array in memory.items():

        def edit(entries, entry=f"state.memory.{key}.npy", array=array):
            del entries[entry]
            if change != "missing":
                entries[entry] = npy(array[None])

        file.write_bytes(forged(whole, edit))
        f = case.f()
        known = len(getattr(f, "evaluations", ()))
        with pytest.raises(
            RestartError, match=f"not written by this algorithm: .*{key.split('.')[-1]}"
        ):
            minimize(f, case.start, case.algorithm, stop=STOP, restart=file, resume=True)
        assert len(getattr(f, "evaluations", ())) == known


# Files of other runs


def test_another_algorithm_other_settings_and_another_design_are_refused(tmp_path):
    file = tmp_path / "run.npz"
    minimize(Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file)
    for algorithm, n in (
        (SteepestDescent(bounds=Bounds(0.0, 1.0)), N),
        (SteepestDescent(first_step=0.1), N),
        (SteepestDescent(), N + 1),
    ):
        with pytest.raises(RestartError, match="of another run"):
            minimize(Smooth(n), np.zeros(n), algorithm, stop=STOP, restart=file, resume=True)


def test_other_numbers_of_threads_are_reported(tmp_path):
    file = tmp_path / "run.npz"
    minimize(
        Smooth(N), np.zeros(N), SteepestDescent(), stop=replace(STOP, iterations=2), restart=file
    )
    saved = read_restart(file)
    assert saved.threads
    write_restart(file, replace(saved, threads={name: n + 1 for name, n in saved.threads.items()}))
    with pytest.warns(ResumedElsewhere, match="threads have changed"):
        minimize(Smooth(N), np.zeros(N), SteepestDescent(), stop=STOP, restart=file, resume=True)


def test_resume_wants_a_path():
    with pytest.raises(ValueError, match="expected the path"):
        minimize(Smooth(N), np.zeros(N), SteepestDescent(), resume=True)


def test_fingerprints_tell_settings_apart():
    names = [fingerprint(case.algorithm) for case in CATALOGUE.values()]
    assert len(set(names)) == len(names)
    assert fingerprint(SteepestDescent()) == fingerprint(SteepestDescent())


@pytest.mark.parametrize("name", CATALOGUE)
def test_advance_depends_on_nothing_but_f_and_the_state(name):
    case = CATALOGUE[name]
    states = descend(case.f(), case.start, case.algorithm)
    for _ in range(5):
        state = next(states)
        bare = replace(
            state, point=None, memory={key: array.copy() for key, array in state.memory.items()}
        )
        if state.ending is None:
            assert same(
                case.algorithm.advance(case.f(), bare), case.algorithm.advance(case.f(), state)
            )
