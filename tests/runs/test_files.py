"""Files are written whole or not at all, and one flipped bit is seen."""

import os
import resource
import signal

import numpy as np
import pytest

from cortex_sim.errors import RunError
from cortex_sim.runs.files import read_tensors, whole, write_tensors, write_text

ARRAYS = {
    "a": np.arange(7.0).reshape(1, 7),
    "turned": np.arange(6.0).reshape(2, 3).T,
    "number": np.array(3),
    "b": np.ones((2, 3), np.float32),
}


def test_tensors_come_back_with_their_shapes_and_metadata(tmp_path):
    path = tmp_path / "kept.safetensors"
    write_tensors(path, ARRAYS, {"step": 3, "told": {"über": [1, None]}})
    metadata, tensors = read_tensors(path)
    assert metadata == {"step": 3, "told": {"über": [1, None]}}
    assert tensors.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert tensors[name].dtype == array.dtype and tensors[name].shape == array.shape
        np.testing.assert_array_equal(tensors[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.safetensors"]


def test_any_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "kept.safetensors"
    write_tensors(path, ARRAYS, {"step": 3})
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            metadata, tensors = read_tensors(path, "checkpoint")
        except RunError as exception:
            assert str(path) in str(exception)
            continue
        # What is left are changes of blanks in the header, which mean nothing.
        assert metadata == {"step": 3} and tensors.keys() == ARRAYS.keys()
        assert all(np.array_equal(tensors[name], array) for name, array in ARRAYS.items())


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "kept.txt"
    write_text(path, "before")
    with pytest.raises(RuntimeError), whole(path) as part:
        part.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


@pytest.fixture
def full_disk():
    """No file may grow beyond 2 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, full_disk):
    for write in (
        lambda path: write_text(path, "x" * 10_000),
        lambda path: write_tensors(path, {"w": np.zeros(10_000)}, {}),
    ):
        with pytest.raises(RunError, match=r"kept: cannot be written \(.*\); make room") as refused:
            write(tmp_path / "kept")
        assert "\n" not in str(refused.value)
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match="none/kept: cannot be written .No such file"):
        write_text(tmp_path / "none" / "kept", "x")


def test_other_files_are_refused(tmp_path):
    with pytest.raises(RunError, match="state .*none: no such file"):
        read_tensors(tmp_path / "none", "state")
    (tmp_path / "text").write_text("no tensors", encoding="utf-8")
    with pytest.raises(RunError, match="state .*text: damaged"):
        read_tensors(tmp_path / "text", "state")


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "no/such/folder", "taken"])
def test_a_name_that_no_file_can_have_is_one_line(tmp_path, name):
    (tmp_path / "taken").mkdir()
    for write in (lambda path: write_text(path, "x"), lambda path: write_tensors(path, ARRAYS, {})):
        with pytest.raises(RunError, match=r"no file can have|create the folder|is a folder"):
            write(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_a_kill_leaves_no_file_of_another_name(tmp_path, monkeypatch):
    seen = []
    replaced = os.replace

    def replacing(part, path):
        seen.extend(sorted(p.name for p in tmp_path.iterdir()))
        replaced(part, path)

    monkeypatch.setattr(os, "replace", replacing)
    write_tensors(tmp_path / "kept.safetensors", ARRAYS, {})
    [part] = seen
    assert part.startswith("kept.safetensors.") and part.endswith(".part")
