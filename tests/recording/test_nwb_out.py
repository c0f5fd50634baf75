"""Recordings as NWB: read back, read by pynwb, appended, accepted by nwbinspector, or refused in one line."""

import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import nwb_files
import pytest
from nwb_written import BINS, PRESENTATIONS, inspected, refused
from pynwb import NWBHDF5IO, validate

import cortex_sim as cs
from cortex_sim.neural.nwb import read_nwb
from cortex_sim.recording.nwb_out import write_nwb


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


def test_appended_presentations_are_not_mistaken_for_measured_ones(tmp_path, rates):
    file = nwb_files.new()
    nwb_files.add_units(file, [np.arange(0.1, 6, 0.3)])
    nwb_files.add_intervals(file, "images", np.arange(5.0), np.arange(5.0) + 0.5, stimulus_id=list("abcab"))
    path = nwb_files.write(file, tmp_path / "lab.nwb")
    write_nwb(rates, path, append=True)
    assert read_nwb(path).attrs["intervals"] == "images"


def test_names_that_become_one_are_kept_apart(tmp_path, rates):
    count = np.arange(rates.sizes["neuroid"])
    named = rates.assign_coords(
        {name: ("neuroid", count + i) for i, name in enumerate(("a/b", "a:b", "a_b"))}
    )
    write_nwb(named, tmp_path / "r.nwb")
    found = read_nwb(tmp_path / "r.nwb")
    assert {int(found[name].values[0]) for name in ("a_b", "a_b_", "a_b__")} == {0, 1, 2}


@pytest.mark.parametrize(
    "settings, wrong",
    [
        ({"start": "yesterday"}, "start must be a datetime"),
        ({"start": datetime.now(UTC) + timedelta(days=2)}, "start must not be in the future"),
        ({"subject": {"colour": "red"}}, "a subject has no field colour; give some of age"),
        ({"subject": {"sex": 3}}, "subject: "),
        ({"experimenter": 3}, "incorrect type for 'experimenter'"),
        ({"module": "a/b"}, "as the name of the processing module"),
        ({"module": "a:b"}, "the name of a processing module must not contain ':'"),
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
