"""Recordings as NWB: read back, read by pynwb, appended, accepted by nwbinspector, or refused in one line."""

import os
import resource
import shutil
import stat
import sys
from datetime import UTC, datetime, timedelta

import h5py
import numpy as np
import nwb_files
import pytest
import xarray as xr
from pynwb import NWBHDF5IO, validate

import cortex_sim as cs
from cortex_sim.errors import DataError
from cortex_sim.neural.nwb import read_nwb
from cortex_sim.recording import make_recording
from cortex_sim.recording.guarded import Guarded
from cortex_sim.recording.nwb_out import write_nwb

PRESENTATIONS, BINS = 11, 4
SHAPES = {"retina": (5,), "V1": (2, 2, 3), "IT": (3,)}  # V1 is wider than there are presentations


@pytest.fixture
def rates():
    """Rates and credits at equilibrium, one value per presentation."""
    net = cs.Network("two areas")
    for name, shape in SHAPES.items():
        net.population(name, shape=shape)
    rng = np.random.default_rng(0)
    values = {
        variable: {name: rng.normal(size=(PRESENTATIONS, *shape)) for name, shape in SHAPES.items()}
        for variable in ("rate", "credit")
    }
    return make_recording(
        net,
        values,
        stimulus_id=[f"im{i % 4}" for i in range(PRESENTATIONS)],
        descriptors={"angle_deg": 30.0 * np.arange(PRESENTATIONS), "name": list("abcdefghijk")},
        attributes={
            "network": "two areas",
            "rule": '{"exact": "gait", "cut": {"a": [1, 2]}}',
            "seed": 3,
        },
    )


@pytest.fixture
def binned(rates):
    """The same in time bins of 25 ms, from 50 ms before onset."""
    rng = np.random.default_rng(1)
    ramp = xr.DataArray(rng.normal(size=BINS), dims="time_bin")
    start = 25.0 * np.arange(BINS) - 50
    made = rates.copy()
    for variable in ("rate", "credit"):
        made[variable] = (rates[variable] * ramp).assign_attrs(rates[variable].attrs)
    phase = ["settle", "settle", "learn", "learn"]
    return made.assign_coords(
        time_bin_start=("time_bin", start),
        time_bin_end=("time_bin", start + 25),
        phase=("time_bin", phase),
    )


@pytest.fixture
def lab_file(tmp_path):
    """An NWB file of a laboratory, with units and trials."""
    rng = np.random.default_rng(2)
    file = nwb_files.new()
    nwb_files.add_units(file, [np.sort(rng.uniform(0, 9, size=60)) for _ in range(3)])
    nwb_files.add_trials(file, np.arange(8.0), np.arange(8.0) + 0.5, stimulus_id=list("abcdabcd"))
    file.create_processing_module(name="behavior", description="nothing yet")
    return nwb_files.write(file, tmp_path / "lab.nwb")


def content(path):
    """Every data set and attribute of a file by its path."""
    found = {}

    def note(name, item):
        found[name, "attributes"] = {key: str(value) for key, value in item.attrs.items()}
        if isinstance(item, h5py.Dataset) and item.dtype != h5py.ref_dtype:
            found[name] = item[()].tobytes() if item.dtype.kind != "O" else str(item[()].tolist())

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return found


@pytest.mark.parametrize("kind", ["rates", "binned"])
def test_a_recording_is_read_back(tmp_path, kind, request):
    recording = request.getfixturevalue(kind)
    write_nwb(recording, tmp_path / "r.nwb")
    again = read_nwb(tmp_path / "r.nwb")
    assert set(again.coords) == set(recording.coords) and set(again.data_vars) == {"rate", "credit"}
    for name in recording.variables:
        assert again[name].dims == recording[name].transpose(*again[name].dims).dims
        np.testing.assert_array_equal(again[name], recording[name])
    assert again.rate.attrs == recording.rate.attrs
    kept = {"network": "two areas", "seed": "3", "rule.exact": "gait", "rule.cut.a": "[1, 2]"}
    assert again.attrs == kept


def test_pynwb_reads_series_trials_and_neuroids(tmp_path, binned):
    write_nwb(binned, tmp_path / "r.nwb", subject={"subject_id": "monkey3", "species": "Macaca mulatta"})
    with NWBHDF5IO(str(tmp_path / "r.nwb"), "r") as io:
        file = io.read()
        room = file.processing["simulation"]
        series = room["rate_IT"]
        expected = np.empty((PRESENTATIONS * BINS, 3))
        for p in range(PRESENTATIONS):
            for b in range(BINS):
                for unit in range(3):
                    expected[p * BINS + b, unit] = binned.rate.sel(time_bin=b).values[p, 17 + unit]
        np.testing.assert_array_equal(series.data[:], expected)
        assert series.unit == "a.u." and series.rate == 40.0 and series.starting_time == 0.0125
        trials = file.trials.to_dataframe()
        np.testing.assert_allclose(trials.start_time, 0.1 * np.arange(PRESENTATIONS))
        np.testing.assert_allclose(trials.stop_time, 0.1 * np.arange(1, PRESENTATIONS + 1))
        np.testing.assert_allclose(trials.stimulus_onset_time - trials.start_time, 0.05)
        assert trials.stimulus_id.tolist() == binned.stimulus_id.values.tolist()
        neuroids = room["neuroids"].to_dataframe()
        for coordinate in ("population", "neuroid_id", "channel", "row", "column"):
            assert neuroids[coordinate].tolist() == binned[coordinate].values.tolist()
        assert room["time_bins"].to_dataframe().phase.tolist() == ["settle", "settle", "learn", "learn"]
        assert (file.subject.subject_id, file.subject.species) == ("monkey3", "Macaca mulatta")


def test_a_wide_population_is_divided(tmp_path, rates):
    """A series has no more columns than samples; the table says where each neuroid is."""
    write_nwb(rates, tmp_path / "r.nwb")
    with NWBHDF5IO(str(tmp_path / "r.nwb"), "r") as io:
        room = io.read().processing["simulation"]
        assert room["rate_V1_part2of2"].data.shape == (11, 1)
        rows = room["neuroids"].to_dataframe()
        for neuroid, row in rows.iterrows():
            column = room[f"rate_{row.series}"].data[:, row.series_column]
            np.testing.assert_array_equal(column, rates.rate[:, neuroid])


def test_other_tools_find_time_without_bins(tmp_path, rates):
    write_nwb(rates, tmp_path / "r.nwb", presentation_ms=250)
    with NWBHDF5IO(str(tmp_path / "r.nwb"), "r") as io:
        file = io.read()
        assert file.processing["simulation"]["rate_IT"].rate == 4.0
        np.testing.assert_allclose(file.trials["stop_time"][:], 0.25 * np.arange(1, 12))


def test_unequal_bins_have_timestamps(tmp_path, binned):
    end = np.asarray([-25.0, 0.0, 50.0, 60.0])
    start = np.asarray([-50.0, -25.0, 0.0, 50.0])
    uneven = binned.assign_coords(time_bin_start=("time_bin", start), time_bin_end=("time_bin", end))
    write_nwb(uneven, tmp_path / "r.nwb")
    with NWBHDF5IO(str(tmp_path / "r.nwb"), "r") as io:
        stamps = io.read().processing["simulation"]["rate_IT"].timestamps[:]
    within = np.asarray([12.5, 37.5, 75.0, 105.0])
    np.testing.assert_allclose(stamps, np.concatenate([110.0 * p + within for p in range(11)]) / 1000)
    np.testing.assert_array_equal(read_nwb(tmp_path / "r.nwb").time_bin_end, end)


def test_late_bins_keep_the_onset_within_the_presentation(tmp_path, binned):
    start = 70.0 + 20 * np.arange(4)
    late = binned.assign_coords(time_bin_start=("time_bin", start), time_bin_end=("time_bin", start + 20))
    write_nwb(late, tmp_path / "r.nwb")
    with NWBHDF5IO(str(tmp_path / "r.nwb"), "r") as io:
        file = io.read()
        np.testing.assert_allclose(file.trials["stimulus_onset_time"][:], 0.15 * np.arange(11))
        np.testing.assert_allclose(
            file.processing["simulation"]["rate_IT"].timestamps[:4], [0.08, 0.1, 0.12, 0.14]
        )


def test_names_that_the_format_does_not_allow(tmp_path, rates):
    population = np.where(rates.population == "IT", "a:b", np.where(rates.population == "V1", "a_b", "c"))
    named = rates.assign_coords(population=("neuroid", population), checkpoint="step 7")
    write_nwb(named, tmp_path / "r.nwb")
    again = read_nwb(tmp_path / "r.nwb")
    np.testing.assert_array_equal(again.rate, rates.rate)
    assert again.population.values.tolist() == population.tolist() and again.attrs["checkpoint"] == "step 7"


def test_neural_data_keep_units_and_animal(tmp_path, rates):
    counted = rates.drop_vars("credit").assign_coords(animal=("neuroid", ["m1"] * rates.sizes["neuroid"]))
    counted["rate"] = abs(counted.rate).assign_attrs(units="spikes/s", long_name="response")
    counted.attrs = {}
    write_nwb(counted, tmp_path / "r.nwb", module="neural")
    with NWBHDF5IO(str(tmp_path / "r.nwb"), "r") as io:
        file = io.read()
        assert file.processing["neural"]["rate_IT"].unit == "spikes/s"
        assert file.subject.subject_id == "m1" and file.subject.species is None
    assert read_nwb(tmp_path / "r.nwb", "neural").rate.attrs["units"] == "spikes/s"


def test_values_are_written_block_by_block(tmp_path, binned, monkeypatch):
    write_nwb(binned, tmp_path / "whole.nwb")
    monkeypatch.setattr("cortex_sim.recording.timeline._BLOCK_BYTES", 3 * 8 * BINS * binned.sizes["neuroid"])
    write_nwb(binned, tmp_path / "blocks.nwb")
    assert read_nwb(tmp_path / "blocks.nwb").identical(read_nwb(tmp_path / "whole.nwb"))


def test_a_recording_opened_lazily_can_be_written(tmp_path, rates):
    cs.recording.save(rates, tmp_path / "r.nc")
    with cs.recording.open_lazily(tmp_path / "r.nc") as opened:
        write_nwb(opened, tmp_path / "r.nwb")
    np.testing.assert_array_equal(read_nwb(tmp_path / "r.nwb").rate, rates.rate)


def inspected(path):
    from nwbinspector import Importance, inspect_nwbfile

    messages = list(inspect_nwbfile(nwbfile_path=str(path)))
    serious = [m for m in messages if m.importance != Importance.BEST_PRACTICE_SUGGESTION]
    return [m.message for m in serious], {m.check_function_name for m in messages if m not in serious}


@pytest.mark.parametrize(
    "kind",
    ["binned", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rates", "one presentation"))],
)
def test_nwbinspector_finds_nothing_serious(tmp_path, rates, binned, kind):
    """Neither critical findings nor violations; the one suggestion is the name of our own module."""
    made = {
        "rates": rates,
        "binned": binned,
        "one presentation": rates.isel(presentation=[0]).drop_vars("credit"),
    }[kind]
    write_nwb(made, tmp_path / "r.nwb", experimenter="Curie, Marie", institution="Sorbonne")
    serious, suggestions = inspected(tmp_path / "r.nwb")
    assert serious == []
    assert suggestions <= {"check_processing_module_name", "check_single_row"}
    assert not validate(path=str(tmp_path / "r.nwb"))


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


def test_appended_presentations_are_not_mistaken_for_measured_ones(tmp_path, rates):
    file = nwb_files.new()
    nwb_files.add_units(file, [np.arange(0.1, 6, 0.3)])
    nwb_files.add_intervals(file, "images", np.arange(5.0), np.arange(5.0) + 0.5, stimulus_id=list("abcab"))
    path = nwb_files.write(file, tmp_path / "lab.nwb")
    write_nwb(rates, path, append=True)
    assert read_nwb(path).attrs["intervals"] == "images"


def test_links_to_other_files_are_kept(lab_file, rates):
    with h5py.File(lab_file, "a") as file:
        file["acquisition/raw"] = h5py.ExternalLink("absent.nwb", "/acquisition/raw")
    write_nwb(rates, lab_file, append=True)
    with h5py.File(lab_file, "r") as file:
        link = file.get("acquisition/raw", getlink=True)
        assert (link.filename, link.path) == ("absent.nwb", "/acquisition/raw")


def refused(recording, path, **settings):
    """The line of the error; nothing new is left beside the file, which is unchanged."""
    before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
    with pytest.raises(DataError) as raised:
        write_nwb(recording, path, **settings)
    assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before
    assert "\n" not in str(raised.value)
    return str(raised.value)


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


def intervals_of(path):
    with h5py.File(path, "r") as file:
        return list(file["intervals"])


def test_names_that_become_one_are_kept_apart(tmp_path, rates):
    count = np.arange(rates.sizes["neuroid"])
    named = rates.assign_coords(
        {name: ("neuroid", count + i) for i, name in enumerate(("a/b", "a:b", "a_b"))}
    )
    write_nwb(named, tmp_path / "r.nwb")
    found = read_nwb(tmp_path / "r.nwb")
    assert {int(found[name].values[0]) for name in ("a_b", "a_b_", "a_b__")} == {0, 1, 2}


def test_an_interruption_leaves_the_original(lab_file, rates, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    before = lab_file.read_bytes()
    monkeypatch.setattr("cortex_sim.recording.nwb_out.fill", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_nwb(rates, lab_file, append=True)
    assert lab_file.read_bytes() == before and [p.name for p in lab_file.parent.iterdir()] == ["lab.nwb"]


@pytest.mark.parametrize(
    "settings, wrong",
    [
        ({"start": "yesterday"}, "start must be a datetime"),
        ({"start": datetime.now(UTC) + timedelta(days=2)}, "start must not be in the future"),
        ({"subject": {"colour": "red"}}, "a subject has no colour; it has age"),
        ({"subject": {"sex": 3}}, "subject: "),
        ({"experimenter": 3}, "incorrect type for 'experimenter'"),
        ({"module": "a/b"}, "as the name of the processing module"),
        ({"module": "a:b"}, "the name of a processing module has no ':'"),
        ({"presentation_ms": 0}, "presentation_ms must be a positive number"),
    ],
)
def test_settings_that_mean_nothing(tmp_path, rates, settings, wrong):
    assert wrong in refused(rates, tmp_path / "r.nwb", **settings)


def test_recordings_that_are_none(tmp_path, rates, binned):
    path = tmp_path / "r.nwb"
    assert "needs an xarray Dataset with a variable rate. Got ndarray" in refused(rates.rate.values, path)
    assert "needs an xarray Dataset with a variable rate. Got credit" in refused(
        rates.drop_vars("rate"), path
    )
    assert "rate must have dims" in refused(rates.rename(neuroid="unit"), path)
    assert "it is empty, without any presentation" in refused(rates.isel(presentation=slice(0)), path)
    assert "no coordinate time_bin_end" in refused(binned.drop_vars("time_bin_end"), path)
    assert "time bins must be finite" in refused(binned.isel(time_bin=slice(None, None, -1)), path)
    assert "so leave it out" in refused(binned, path, presentation_ms=100)
    two = rates.assign_coords(animal=("neuroid", ["m1", "m2"] * (rates.sizes["neuroid"] // 2)))
    assert "has the animals m1, m2; select one" in refused(two, path)


def test_without_pynwb(tmp_path, rates, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynwb", None)
    assert "pip install 'cortex-sim[nwb]'" in refused(rates, tmp_path / "r.nwb")


def test_a_copy_is_not_mistaken_for_the_original(lab_file, rates, tmp_path):
    """Two files with one identifier are two files: appending to one leaves the other."""
    copy = tmp_path / "copy.nwb"
    shutil.copyfile(lab_file, copy)
    write_nwb(rates, copy, append=True)
    assert "simulation_presentations" not in str(content(lab_file))
