"""States on disk: unchanged bits, named errors for damage and full disks, removed files."""

import errno
import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adjoint.checkpointing import Budget, Disk
from adjoint.checkpointing.disk import DiskStorage
from adjoint.errors import StorageFailed
from tests.checkpointing.test_policies import Counter

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "array", [np.zeros(0), np.array(1.5), np.arange(12.0).reshape(3, 4).T[::2] + 1j], ids=str
)
def test_arrays_of_all_shapes_come_back_from_disk_as_they_were(array, tmp_path):
    store = Disk(tmp_path).open(None, lambda kind, k: None)
    store.put(0, (array, np.arange(3)), None)
    store.finish(1)
    ((_, state, _),) = store.backward(lambda k, state: (state, None))
    np.testing.assert_array_equal(state[0], array)
    assert (state[0].dtype, state[0].shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(state[1], np.arange(3))


def test_full_disk_is_reported_with_the_path_the_step_and_the_remedy(tmp_path, monkeypatch):
    save, calls = np.save, []

    def full(file, array, allow_pickle):
        calls.append(1)
        if len(calls) == 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(file, array, allow_pickle=allow_pickle)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(
        StorageFailed, match=r"before step 6: .*No space left on device.*slots"
    ) as caught:
        Counter(Disk(tmp_path), 20, known=False)
    assert caught.value.steps == 6
    assert str(tmp_path) in str(caught.value)
    del caught
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def only_directory(path):
    (directory,) = path.iterdir()
    return directory


def test_directory_that_vanishes_is_reported(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    memory = Disk(inner)
    counter, open_store = Counter(memory, 20, known=True), memory.open(None, lambda kind, k: None)
    open_store.put(0, counter.state(0), None)
    for directory in inner.iterdir():
        shutil.rmtree(directory)
    with pytest.raises(StorageFailed, match=r"could not read .* before step 19"):
        counter.backward()
    with pytest.raises(StorageFailed, match=r"could not write .* before step 0"):
        open_store.put(1, counter.state(1), None)
    inner.rmdir()
    with pytest.raises(StorageFailed, match="could not make a directory"):
        Counter(memory, 20, known=True)


DAMAGES = {
    "cut short": lambda contents: contents[:-3],
    "emptied": lambda contents: b"",
    "one bit": lambda contents: contents[:-1] + bytes([contents[-1] ^ 1]),
    "another file": lambda contents: b"x" * len(contents),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_file_is_no_state(damage, tmp_path):
    counter = Counter(Disk(tmp_path, 3), 20, known=True)
    file = only_directory(tmp_path) / "0.npy"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(StorageFailed, match=r"could not read .* before step 0"):
        counter.backward()


@pytest.mark.parametrize(
    "make", [lambda path: Disk(path), lambda path: Disk(path, 3), lambda path: Budget(99, path)]
)
def test_files_are_removed_with_the_store_or_on_close(make, tmp_path):
    counter = Counter(make(tmp_path), 20, known=True)
    assert list(only_directory(tmp_path).iterdir())
    counter.backward()
    counter.store.close()
    assert list(tmp_path.iterdir()) == []
    counter = Counter(make(tmp_path), 20, known=False)
    del counter
    assert list(tmp_path.iterdir()) == []


PROCESS = """
import os, sys
import numpy as np
from adjoint.checkpointing import Disk
store = Disk(sys.argv[1]).open(None, lambda kind, k: None)
for k in range(3):
    store.put(k, (np.zeros(2),), None)
if os.fork() == 0:
    sys.exit()
os.wait()
assert len(os.listdir(os.path.join(sys.argv[1], os.listdir(sys.argv[1])[0]))) == 2
"""


def test_files_are_removed_at_exit_but_not_by_a_forked_child(tmp_path):
    subprocess.run([sys.executable, "-c", PROCESS, str(tmp_path)], check=True, cwd=ROOT, timeout=60)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3)), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(3) * 1j]
)
def test_states_come_back_from_files_as_they_were(tmp_path, array):
    storage = DiskStorage(tmp_path)
    storage.put(0, (array, np.ones(2)))
    back, _ = storage.get(0)
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.flags.f_contiguous) == (array.dtype, array.flags.f_contiguous)
