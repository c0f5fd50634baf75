"""What makes two runs the same: settings that decide, with their values; data and code by their content."""

import os
from dataclasses import fields, replace

import numpy as np
import pytest

from cortex_sim.recording.fingerprint import fingerprint
from cortex_sim.runs import identity
from cortex_sim.training import sweeping
from cortex_sim.training.settings import Settings

FIRST = {  # what Settings began with
    "model", "data", "rule", "credit", "seed", "epochs", "batch_size", "optimiser", "schedule", "precision",
    "standardise", "hold_out", "model_settings", "rule_settings", "feedback", "regulariser", "objective",
    "checkpoint_every", "device", "threads",
}  # fmt: skip


def same(a, b):
    return fingerprint(sweeping.configuration_of(a)) == fingerprint(sweeping.configuration_of(b))


def test_a_setting_that_came_later_counts_once_it_is_not_what_runs_did_before():
    before = identity.settings_of({"rate": 1, "threads": 2}, ["threads"], {})
    assert before == {"rate": 1}
    assert (
        identity.settings_of({"rate": 1, "later": "off", "threads": 1}, ["threads"], {"later": "off"})
        == before
    )
    assert identity.settings_of({"rate": 1, "later": "on"}, [], {"later": "off"})["later"] == "on"


def test_a_new_setting_must_say_what_runs_did_before_it():
    """Kept results stay what they are only if the setting stands in ADDED."""
    assert {f.name for f in fields(Settings)} == FIRST | set(sweeping.ADDED)


def test_settings_that_decide_count_and_others_do_not():
    base = Settings()
    assert same(base, replace(base, threads=2))
    for other in ({"seed": 1}, {"epochs": 11}, {"hold_out": 9}, {"optimiser": {"name": "Adam", "lr": 1e-2}}):
        assert not same(base, replace(base, **other))


def test_data_count_by_content_wherever_they_lie(tmp_path):
    a, b = tmp_path / "a" / "set.npz", tmp_path / "b" / "set.npz"
    for path in (a, b):
        path.parent.mkdir()
        np.savez(path, x=np.zeros(3))
    base = Settings(data=str(a))
    os.utime(b, (1, 1))
    assert same(base, replace(base, data=str(b)))
    np.savez(b, x=np.ones(3))  # as long as before
    assert not same(base, replace(base, data=str(b)))


def test_a_folder_counts_by_its_files(tmp_path):
    (tmp_path / "set" / "cat").mkdir(parents=True)
    picture = tmp_path / "set" / "cat" / "0.png"
    picture.write_bytes(b"1")
    before = identity.content(tmp_path / "set")
    assert identity.content(tmp_path / "set") == before
    picture.write_bytes(b"22")
    assert identity.content(tmp_path / "set") != before


def test_code_of_ones_own_counts_by_content(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("def small(): ...\n", "utf-8")
    base = Settings(model=f"{file}:small")
    before = sweeping.configuration_of(base)
    assert str(tmp_path) not in str(before) and before["model"]["function"] == "small"
    file.write_text("def small(): pass\n", "utf-8")
    assert sweeping.configuration_of(base) != before


@pytest.mark.parametrize("name", ["mnist", "digits"])
def test_a_named_set_counts_by_its_file_where_it_has_one(name, tmp_path, monkeypatch):
    monkeypatch.setenv("CORTEX_SIM_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(b"some")
    some = sweeping.configuration_of(Settings(data=name))["data"]
    (tmp_path / "mnist.npz").write_bytes(b"more")
    more = sweeping.configuration_of(Settings(data=name))["data"]
    assert (some == more == "digits") if name == "digits" else some["sha256"] != more["sha256"]
