"""Scores over time of a simulation in time against spikes in NWB, each bin equal to sums by hand."""

import csv
import json

import numpy as np
import nwb_files
import pytest
from PIL import Image

import cortex_sim as cs
from cortex_sim.cli import main

STIMULI, REPEATS, UNITS, WIDTH, BINS = 18, 7, 5, 20.0, 5
NAMES = [str(i) for i in range(STIMULI)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A network on brian2 that sees each picture for 100 ms, in bins of 20 ms."""
    rng = np.random.default_rng(0)
    net = cs.Network("two_areas")
    retina = net.population("retina", 6)
    v1 = net.population("V1", 8, activation="leaky_relu", tau_ms=60)
    v2 = net.population("V2", 7, activation="leaky_relu", tau_ms=60)
    net.bottom_up(retina, v1, cs.Dense(init="orthogonal"))
    net.bottom_up(v1, v2, cs.Dense(init="orthogonal"))
    shown = cs.Phase("see", BINS * WIDTH, drive={"retina": rng.normal(size=(STIMULI, 6))})
    protocol = cs.Protocol(shown, trials=STIMULI, record=cs.Record(["rate"], every_ms=WIDTH))
    out = tmp_path_factory.mktemp("simulated") / "simulation.nc"
    cs.brian2.run(cs.Experiment(net, {"intact": protocol}), out=out, progress=False).close()
    return out


@pytest.fixture(scope="module")
def rates(simulated):
    """Of V1, as (stimulus, neuroid, bin)."""
    recording = cs.recording.load(simulated)
    part = recording.isel(neuroid=(recording.population == "V1").values)
    order = np.argsort(part.stimulus_id.values.astype(int))
    return part.rate.transpose("presentation", "neuroid", "time_bin").values[order]


@pytest.fixture(scope="module")
def recorded(rates, tmp_path_factory):
    """Poisson spikes of units that mix rates of V1, as NWB; and each as (unit, trial, ms)."""
    rng = np.random.default_rng(1)
    tuning = np.einsum("snb,nu->sub", rates, rng.normal(size=(rates.shape[1], UNITS)))
    expected = np.clip(4.0 + 2.0 * tuning / tuning[..., -1].std(), 0, None)  # spikes in each bin
    shown = rng.permutation(np.repeat(np.arange(STIMULI), REPEATS))
    onset = 0.5 + 0.3 * np.arange(len(shown))
    spikes = []
    for unit in range(UNITS):
        for trial, which in enumerate(shown):
            for b in range(BINS):
                count = rng.poisson(expected[which, unit, b])
                spikes += [(unit, trial, b * WIDTH + WIDTH * t) for t in rng.uniform(0.001, 0.999, count)]
    file = nwb_files.new()
    nwb_files.add_units(
        file,
        [
            np.sort([onset[trial] + ms / 1000 for u, trial, ms in spikes if u == unit])
            for unit in range(UNITS)
        ],
    )
    nwb_files.add_trials(file, onset, onset + 0.1, stimulus=[NAMES[i] for i in shown])
    return nwb_files.write(file, tmp_path_factory.mktemp("recorded") / "day1.nwb"), spikes, shown


def by_hand(values, counts):
    """Pearson correlation of the upper triangles of 1 - r between stimuli."""
    at = np.triu_indices(STIMULI, 1)
    return np.corrcoef(np.corrcoef(values)[at], np.corrcoef(counts)[at])[0, 1]


def counted(spikes, shown):
    """Mean spikes/s, as (stimulus, unit, bin), one spike after the other."""
    found = np.zeros((STIMULI, UNITS, BINS))
    for unit, trial, ms in spikes:
        found[shown[trial], unit, int(ms // WIDTH)] += 1000 / WIDTH / REPEATS
    return found


def words(simulated, path, *more):
    how = [
        "--over-time",
        "--bin-ms",
        "20",
        "--window-ms",
        "0",
        "100",
        "--metric",
        "rsa",
        "--resamples",
        "100",
    ]
    chosen = ["--comparator", "pearson", "--population", "V1", "--population", "V2"]
    return ["compare", str(simulated), f"{path}:trials", *how, *chosen, *more]


def test_a_simulation_against_spikes_in_nwb(simulated, rates, recorded, tmp_path, capsys):
    path, spikes, shown = recorded
    assert main([*words(simulated, path, "--no-controls"), "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = [row for row in found["scores"] if row["population"] == "V1"]
    assert [(row["time_bin_start"], row["time_bin_end"]) for row in rows] == [
        (WIDTH * b, WIDTH * (b + 1)) for b in range(BINS)
    ]
    counts = counted(spikes, shown)
    for b, row in enumerate(rows):
        assert row["raw"] == pytest.approx(by_hand(rates[..., b], counts[..., b]), abs=1e-9)
        assert (row["units"], row["stimuli"], row["repeats"]) == (UNITS, STIMULI, REPEATS)
    raw, reliability = ([row[key] for row in rows] for key in ("raw", "reliability"))
    assert raw[-1] > 0.5 > raw[0] + 0.1 and reliability[-1] > reliability[0]  # the response grows
    table = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text("utf-8").splitlines()))
    assert [float(row["raw"]) for row in table if row["population"] == "V1"] == raw
    with Image.open(tmp_path / "out" / "over-time-trials-rsa.png") as figure:
        assert figure.size[0] > 500


def test_bins_that_the_simulation_does_not_have_are_refused(simulated, recorded, capsys):
    path, _, _ = recorded
    given = words(simulated, path, "--no-controls")
    given[given.index("20")] = "25"
    assert main(given) == 2
    said = capsys.readouterr().err
    assert "no time bin in common" in said and "--model-window-ms" in said and said.count("\n") == 1


def test_the_same_through_python(simulated, rates, recorded):
    path, spikes, shown = recorded
    v4 = cs.neural.load(f"{path}:trials", bin_ms=WIDTH, window_ms=(0, 100))
    np.testing.assert_allclose(
        cs.compare.to_responses(v4, time_ms=(40, 60))
        .take([list(cs.compare.to_responses(v4, time_ms=50).stimuli).index(name) for name in NAMES])
        .values,
        counted(spikes, shown)[..., 2],
    )
    found = cs.report.compare(
        {"simulation": simulated}, v4, metrics=["rsa"], populations=["V1"], over_time=True,
        window_ms=(40, 100), controls=False, resamples=100,
    )  # fmt: skip
    assert [row["time_bin_start"] for row in found.rows] == [40, 60, 80]
