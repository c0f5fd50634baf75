"""A run directory is held by one process; lines are added whole or not at all."""

import os

import pytest
from filelock import FileLock

from cortex_sim.errors import RunError
from cortex_sim.runs import directory
from cortex_sim.runs.log import append_line
from cortex_sim.runs.merging import merged


def test_held_by_one_and_freed_by_an_error(tmp_path):
    out = tmp_path / "deep" / "run"
    with pytest.raises(ZeroDivisionError), directory.held(out):
        with (
            pytest.raises(RunError, match="run: another process is training in it; wait for it"),
            directory.held(out, "another process is training in it"),
        ):
            pass
        raise ZeroDivisionError
    with FileLock(out / directory.LOCK, timeout=0):
        pass


def test_a_place_that_cannot_be_one_is_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with (
        pytest.raises(RunError, match="file/run: cannot be written .*another place"),
        directory.held(tmp_path / "file" / "run"),
    ):
        pass


def test_half_written_files_and_locks_are_nothing(tmp_path):
    for name in (directory.LOCK, "metrics.json.part"):
        (tmp_path / name).write_text("", encoding="utf-8")
    directory.require_new(tmp_path)
    (tmp_path / "notes").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match="already exists"):
        directory.require_new(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_metrics_are_named(text, tmp_path):
    assert directory.finished(tmp_path) is None
    (tmp_path / directory.METRICS).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics.json: damaged; remove it and resume"):
        directory.finished(tmp_path)


def test_a_line_on_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    append_line(path, "one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(RunError, match=r"metrics.jsonl: cannot be written \(No space left on device\)"):
            append_line(path, "two")
    append_line(path, "three")
    assert path.read_text(encoding="utf-8") == "one\nthree\n"


def test_settings_of_one_choice_do_not_go_to_another():
    base = {"optimiser": {"name": "Adam", "lr": 1, "inner": {"name": "a", "x": 1}}, "epochs": 3}
    assert merged(base, {"optimiser": {"lr": 2}})["optimiser"]["name"] == "Adam"
    assert merged(base, {"optimiser": {"name": "SGD"}}) == {"optimiser": {"name": "SGD"}, "epochs": 3}
    other = {"optimiser": {"inner": {"name": "b"}}}
    assert merged(base, other)["optimiser"]["inner"] == {"name": "b"}
    assert merged(base, other, ("optimiser",))["optimiser"]["inner"] == {"name": "b", "x": 1}
    assert base["optimiser"]["inner"] == {"name": "a", "x": 1}
