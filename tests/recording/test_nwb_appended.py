"""Appending to NWB: what the file says is kept, whatever happens, and nothing is overwritten."""

import os
import resource
import shutil
import stat

import h5py
import numpy as np
import pytest
import xarray as xr
from nwb_written import content, inspected, intervals_of, refused
from pynwb import validate

from cortex_sim.neural.nwb import read_nwb
from cortex_sim.recording.guarded import Guarded
from cortex_sim.recording.nwb_out import write_nwb


def test_nwbinspector_accepts_what_was_appended(lab_file, binned):
    before = inspected(lab_file)
    write_nwb(binned, lab_file, append=True)
    serious, suggestions = inspected(lab_file)
    assert serious == before[0] and suggestions <= before[1] | {"check_processing_module_name"}


def test_appending_adds_and_changes_nothing(lab_file, rates, binned):
    before, spikes = content(lab_file), read_nwb(lab_file)
    write_nwb(rates, lab_file, append=True)
    write_nwb(binned, lab_file, append=True, module="in_time")
    after = content(lab_file)
    assert {name: after.get(name) for name in before} == before
    added = {name for name in after if name not in before and isinstance(name, str)}
    roots = ("processing/simulation", "processing/in_time", "intervals/simulation_", "intervals/in_time_")
    assert added and all(name.startswith((*roots, "specifications")) for name in added)
    assert read_nwb(lab_file).identical(spikes)  # measured data come first
    np.testing.assert_array_equal(read_nwb(lab_file, "simulation").rate, rates.rate)
    np.testing.assert_array_equal(read_nwb(lab_file, "in_time").credit, binned.credit)
    assert not validate(path=str(lab_file))


def test_links_to_other_files_are_kept(lab_file, rates):
    with h5py.File(lab_file, "a") as file:
        file["acquisition/raw"] = h5py.ExternalLink("absent.nwb", "/acquisition/raw")
    write_nwb(rates, lab_file, append=True)
    with h5py.File(lab_file, "r") as file:
        link = file.get("acquisition/raw", getlink=True)
        assert (link.filename, link.path) == ("absent.nwb", "/acquisition/raw")


def test_an_existing_file_is_not_overwritten(lab_file, rates):
    assert "already exists; append=True adds to it" in refused(rates, lab_file)


def test_appending_needs_a_file(tmp_path, rates):
    assert "no such file to append to" in refused(rates, tmp_path / "r.nwb", append=True)


def test_appending_twice_needs_another_name(lab_file, rates):
    write_nwb(rates, lab_file, append=True)
    assert "already has 'simulation'; give another name" in refused(rates, lab_file, append=True)
    assert "already has 'behavior'" in refused(rates, lab_file, append=True, module="behavior")


def test_appending_keeps_what_the_file_says(lab_file, rates):
    message = refused(rates, lab_file, append=True, identifier="x", institution="y")
    assert "keeps the file's own identifier, institution" in message


@pytest.mark.parametrize("damage", ["text", "truncated", "other hdf5"])
def test_appending_to_a_broken_file(lab_file, rates, damage):
    if damage == "text":
        lab_file.write_bytes(b"not hdf5")
    elif damage == "truncated":
        lab_file.write_bytes(lab_file.read_bytes()[:50_000])
    else:
        lab_file.unlink()
        with h5py.File(lab_file, "w") as file:
            file["x"] = np.zeros(3)
    assert "cannot be read" in refused(rates, lab_file, append=True)


@pytest.fixture
def full_disk():
    """No file of this process may grow beyond 300 kB, as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("append", [False, True])
def test_a_full_disk_leaves_the_original(lab_file, rates, full_disk, append):
    large = xr.concat([rates] * 200, "presentation")
    path = lab_file if append else lab_file.with_name("new.nwb")
    full_disk()
    assert "cannot be written" in refused(large, path, append=append)


def test_what_a_full_disk_does_not_take_is_not_gathered_in_memory(lab_file, full_disk, monkeypatch):
    kept = []
    close = Guarded.close

    def noting(self):
        kept.append(sum(len(content) for _, content in self._unwritten))
        close(self)

    monkeypatch.setattr(Guarded, "close", noting)
    monkeypatch.setattr("cortex_sim.recording.timeline._BLOCK_BYTES", 2**16)
    values = np.random.default_rng(0).normal(size=(2000, 1000))  # 16 MB
    large = xr.Dataset(
        {"rate": (("presentation", "neuroid"), values)},
        {"stimulus_id": ("presentation", np.arange(2000).astype(str))},
    )
    full_disk()
    refused(large, lab_file.with_name("new.nwb"))
    assert 0 < max(kept) < 4e6


def test_appending_keeps_permissions_and_follows_links(lab_file, rates):
    os.chmod(lab_file, 0o640)
    link = lab_file.with_name("link.nwb")
    link.symlink_to(lab_file)
    write_nwb(rates, link, append=True)
    assert link.is_symlink() and "simulation_presentations" in intervals_of(lab_file)
    assert stat.S_IMODE(lab_file.stat().st_mode) == 0o640


def test_an_interruption_leaves_the_original(lab_file, rates, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = lab_file.read_bytes()
    monkeypatch.setattr("cortex_sim.recording.nwb_out.fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_nwb(rates, lab_file, append=True)
    assert lab_file.read_bytes() == before and [p.name for p in lab_file.parent.iterdir()] == ["lab.nwb"]


def test_a_copy_is_not_mistaken_for_the_original(lab_file, rates, tmp_path):
    """Two files with one identifier are two files: appending to one leaves the other."""
    copy = tmp_path / "copy.nwb"
    shutil.copyfile(lab_file, copy)
    write_nwb(rates, copy, append=True)
    assert "simulation_presentations" not in str(content(lab_file))
