"""The time line of a protocol: every setting has its row, every phase its place, every block its box."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DataError
from cortex_sim.viz.timeline_rows import rows_of
from cortex_sim.viz.timelines import _edges

IMAGES = {"retina": np.zeros((7, 5))}


def protocol(**settings):
    return cs.Protocol(
        cs.Phase("settle", 100, drive=IMAGES),
        cs.Phase("learn", 300, drive={"retina": 0.5, "V1": cs.Noise(0.1)}, plasticity=["retina->V1"]),
        **settings,
    )


def rows(protocol):
    return {row.label: row.said for row in rows_of(protocol)}


def test_every_setting_has_a_row():
    every = cs.Phase(
        "every",
        10,
        drive={"retina": cs.TimeSeries(np.ones((3, 5)), bin_ms=2), "V2": np.ones((4, 1, 2, 2))},
        nudge={"IT": cs.Nudge([0, 1], 0.5), "V1": np.ones(3)},
        plasticity={"V1->IT": 0.25},
        spontaneous={"V4": 2.0},
        silence=["V1/3"],
        cut=["IT->V1"],
        scale={"V1->IT": 0.5},
        delay_ms={"IT->V1": 5},
        noise={"IT->V1": 0.1},
        silence_error=["IT->V4"],
        modulator=0.5,
    )
    assert {label: said[0] for label, said in rows(cs.Protocol(every)).items()} == {
        "drive retina": "time series, 3 bins of 2 ms",
        "drive V2": "4 images",
        "nudge IT": "2 labels, β = 0.5",
        "nudge V1": "one target, β = 1",
        "plasticity V1->IT": "η = 0.25/s",
        "spontaneous V4": "sd 2",
        "silence V1/3": "",
        "silence error of IT->V4": "",
        "cut IT->V1": "",
        "scale V1->IT": "× 0.5",
        "delay IT->V1": "5 ms",
        "noise on IT->V1": "sd 0.1",
        "modulator": "0.5",
    }


def test_rows_say_in_which_phase():
    found = rows(protocol(eta_per_s={"retina->V1": 0.4}, lesion=["IT->V1", "V1/2"], interval_ms=50))
    assert found["drive retina"] == {0: "7 images", 1: "0.5"}
    assert found["drive V1"] == {1: "noise, sd 0.1"}
    assert found["plasticity retina->V1"] == {1: "η = 0.4/s"}
    assert found["cut IT->V1"] == {0: "lesion", 1: "", 2: ""}
    assert set(found) == {"drive retina", "drive V1", "plasticity retina->V1", "cut IT->V1", "silence V1/2"}


def test_windows_opened_by_true_are_one_row():
    everything = cs.Protocol(cs.Phase("learn", 10, plasticity=True), eta_per_s={"a->b": 1.0})
    assert rows(everything) == {"plasticity, all windows": {0: "η by projection"}}


def test_phases_are_to_scale_unless_they_would_vanish():
    assert _edges([100.0, 300.0]) == ([0.0, 0.25, 1.0], False)
    edges, widened = _edges([1.0, 999.0])
    assert widened and 0.05 < edges[1] < 0.15


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_trials_and_probes_are_a_strip():
    probe = cs.Protocol(cs.Phase("learn", 20, drive={"retina": 1.0}), trials=3)
    figure = protocol(repeat=2, probe=probe, order="shuffled", lesion=["IT->V1"]).draw()
    strip, trial, probed = figure.axes
    assert texts(strip) == ["probe", "block 1", "probe", "block 2", "probe"]
    order = "2 blocks of one trial per image, shuffled in each; a probe of 3 trials before and after each"
    assert " ".join(strip.get_title("left").split()) == order
    assert trial.get_title("left") == "one trial, 400 ms, ● recorded at its end"
    assert [label.get_text() for label in trial.get_xticklabels()] == ["0", "100", "400 ms"]
    assert texts(trial)[:2] == ["settle", "learn ●"]
    assert [label.get_text() for label in probed.get_yticklabels()] == ["drive retina", "cut IT->V1"]


def test_many_blocks_are_abridged():
    strip = protocol(repeat=30).draw().axes[0]
    assert texts(strip) == [*(f"block {i}" for i in range(1, 6)), "…", "block 30"]


def test_saved_whole_or_not_at_all(tmp_path):
    protocol().draw(tmp_path / "line.png")
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"the suffix must be one of \.png, \.svg, \.pdf"):
        protocol().draw(tmp_path / "line.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["line.png"]
