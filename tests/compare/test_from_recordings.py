"""From recordings, simulated and neural, to responses and RDMs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import xarray as xr

import cortex_sim as cs
from cortex_sim import neural
from cortex_sim.compare.from_recordings import by_session, by_time_bin, to_dissimilarities, to_responses
from cortex_sim.errors import DataError
from cortex_sim.neural.shape import rdms, recording
from cortex_sim.recording import make_recording, open_lazily, save

SHOWN = list("bacbabab")  # b four times, a three times, c once
NEUROIDS, BINS = 5, 3


@pytest.fixture
def rate():
    rate = np.random.default_rng(0).random((len(SHOWN), NEUROIDS))
    rate[3, 1] = np.nan  # b: one of four repeats of one neuroid
    return rate


def mean_one_by_one(rate, stimulus, neuroid):
    found = [rate[p, neuroid] for p, s in enumerate(SHOWN) if s == stimulus]
    found = [r for r in found if r == r]
    return sum(found) / len(found)


def test_means_and_repeats(rate):
    known = {"animal": ["M"] * 5, "session": ["s"] * 5, "depth": np.arange(5.0)}
    found = to_responses(recording("v4", rate, SHOWN, neuroids=known))
    assert found.name == "v4" and found.stimuli == ("b", "a", "c")
    for i, n in np.ndindex(3, NEUROIDS):
        assert found.values[i, n] == pytest.approx(mean_one_by_one(rate, "bac"[i], n), abs=1e-14)
    assert found.repeats.shape == (4, 3, NEUROIDS)
    np.testing.assert_array_equal(found.repeats[:, 0], rate[[0, 3, 5, 7]])
    np.testing.assert_array_equal(found.repeats[:3, 1], rate[[1, 4, 6]])
    assert np.isnan(found.repeats[3, 1]).all() and np.isnan(found.repeats[1:, 2]).all()
    assert set(found.units) == {"neuroid_id", "animal", "session", "depth"}
    np.testing.assert_array_equal(np.nanmean(found.repeats, 0), found.values)


def test_repeats_are_in_the_order_of_repetition(rate):
    order = np.random.default_rng(1).permutation(len(SHOWN))
    first = recording("v4", rate, SHOWN)
    found = to_responses(first.isel(presentation=order))
    expected = to_responses(first)
    at = [expected.stimuli.index(one) for one in found.stimuli]
    np.testing.assert_array_equal(found.repeats, expected.repeats[:, at])


def test_any_order_of_stimuli():
    rng = np.random.default_rng(3)
    shown = rng.permutation(np.repeat(list("abcdefg"), 3))
    rate = rng.random((21, NEUROIDS))
    found = to_responses(recording("v4", rate, shown))
    assert found.stimuli == tuple(dict.fromkeys(shown.tolist()))
    for i, stimulus in enumerate(found.stimuli):
        np.testing.assert_array_equal(found.repeats[:, i], rate[shown == stimulus])
        np.testing.assert_allclose(found.values[i], rate[shown == stimulus].mean(0), rtol=1e-14)


def test_without_repeats_there_are_none():
    rate = np.random.default_rng(0).random((3, NEUROIDS))
    found = to_responses(recording("v4", rate, list("cab")))
    assert found.repeats is None and found.stimuli == ("c", "a", "b")
    np.testing.assert_array_equal(found.values, rate)


def test_a_repeat_that_is_missing_everywhere_takes_no_room(rate):
    rate[7] = np.nan
    assert to_responses(recording("v4", rate, SHOWN)).repeats.shape[0] == 3


def test_groups_are_of_stimuli(rate):
    kinds = {"b": "cat", "a": "dog", "c": "cat"}
    data = recording("v4", rate, SHOWN, presentations={"kind": [kinds[s] for s in SHOWN], "day": range(8)})
    assert to_responses(data, groups="kind").groups.tolist() == ["cat", "dog", "cat"]
    with pytest.raises(DataError, match="day differs between presentations of one stimulus"):
        to_responses(data, groups="day")
    with pytest.raises(
        DataError, match="no coordinate 'kinds' of presentations; known: day, kind, repetition"
    ):
        to_responses(data, groups="kinds")


@pytest.fixture
def timed():
    rate = np.random.default_rng(2).random((len(SHOWN), NEUROIDS, BINS))
    return recording("it", rate, SHOWN, time_bins=([0, 50, 100], [50, 100, 150]))


def test_unequal_bins_count_by_their_widths():
    """The mean over a window is its integral by its length, whatever the bins; counts add up instead."""
    rng = np.random.default_rng(4)
    fine = rng.random((len(SHOWN), NEUROIDS, 7))  # bins of 10 ms
    edges = np.array([0, 1, 4, 6, 7])
    pairs = list(pairwise(edges))
    coarse = np.stack([fine[..., i:j].mean(-1) for i, j in pairs], -1)
    bins = (10.0 * edges[:-1], 10.0 * edges[1:])
    found = to_responses(recording("it", coarse, SHOWN, time_bins=bins), time_ms=(10, 70))
    expected = to_responses(recording("it", fine[..., 1:].mean(-1), SHOWN))
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-13)
    assert found.stimuli == expected.stimuli
    summed = np.stack([fine[..., i:j].sum(-1) for i, j in pairs], -1)
    found = to_responses(
        recording("it", summed, SHOWN, units="spike count", time_bins=bins), time_ms=(10, 70)
    )
    np.testing.assert_allclose(found.values, expected.values * 6 / 3, rtol=1e-13)  # 60 ms in 3 bins


def test_a_repeat_that_is_missing_in_unequal_bins_stays_missing():
    rate = np.random.default_rng(5).random((len(SHOWN), NEUROIDS, 2))
    rate[0, 1] = np.nan
    found = to_responses(recording("it", rate, SHOWN, time_bins=([0, 10], [10, 40])), time_ms=(0, 40))
    assert np.isnan(found.repeats[0, 0, 1]) and np.isfinite(found.values).all()


def test_time_is_chosen(timed):
    with pytest.raises(DataError, match=r"has 3 time bins \(0 to 150 ms\); choose time_ms="):
        to_responses(timed)
    late = to_responses(timed, time_ms=(50, 150))
    expected = to_responses(recording("x", timed.rate.values[..., 1:].mean(-1), SHOWN))
    np.testing.assert_allclose(late.values, expected.values, rtol=1e-14)
    np.testing.assert_allclose(late.repeats, expected.repeats, rtol=1e-14)
    one, all_bins = to_responses(timed, time_ms=60), by_time_bin(timed)
    assert [r.name for r in all_bins] == ["it, 0 to 50 ms", "it, 50 to 100 ms", "it, 100 to 150 ms"]
    np.testing.assert_array_equal(one.values, all_bins[1].values)
    assert to_responses(timed.isel(time_bin=[2])).values == pytest.approx(all_bins[2].values)
    with pytest.raises(DataError, match="no time bin in time_ms=200"):
        to_responses(timed, time_ms=200)
    with pytest.raises(DataError, match="has no time bins; load spike times"):
        by_time_bin(recording("v4", timed.rate.values[..., 0], SHOWN))


def test_sessions_with_stimuli_of_their_own(rate):
    rate = np.abs(rate)
    session = np.array(list("sstts"))
    rate = np.where(np.isnan(rate), 0.5, rate)
    rate[np.ix_([0, 1, 3, 4], session == "t")] = np.nan  # t saw c, b, a, b only
    rate[np.ix_([2, 5, 6, 7], session == "s")] = np.nan  # s saw b, a, b, a only
    data = recording("v4", rate, ["b", "a", "c", "b", "a", "b", "a", "b"], neuroids={"session": session})
    with pytest.raises(DataError, match=r"pairs of stimulus and neuroid have no response.*\(session=\)"):
        to_responses(data)
    s, t = by_session(data)
    assert (s.name, s.stimuli, s.neuroids) == ("v4, s", ("b", "a"), 3)
    assert (t.name, t.stimuli, t.neuroids) == ("v4, t", ("c", "b", "a"), 2)
    np.testing.assert_array_equal(t.repeats[:, 1], rate[np.ix_([5, 7], session == "t")])
    np.testing.assert_array_equal(to_responses(data, session="t").values, t.values)
    with pytest.raises(DataError, match="no session 'u'; known: s, t"):
        to_responses(data, session="u")
    with pytest.raises(DataError, match="has no coordinate session"):
        by_session(recording("v4", rate, SHOWN))


def test_sessions_of_presentations(rate):
    data = recording("v4", np.nan_to_num(rate), SHOWN, presentations={"session": list("ssssuuuu")})
    s, u = by_session(data)
    assert s.stimuli == ("b", "a", "c") and u.stimuli == ("a", "b") and s.neuroids == u.neuroids == 5


@pytest.fixture
def simulated():
    net = cs.Network("two")
    net.population("V1", 3), net.population("IT", 2)
    rng = np.random.default_rng(1)
    rates = {"V1": rng.normal(size=(4, 3)), "IT": rng.normal(size=(4, 2))}
    attributes = {"network": "two"}
    return make_recording(
        net, {"rate": rates, "credit": rates}, stimulus_id=list("dabc"), attributes=attributes
    )


def test_populations_of_a_simulated_recording(tmp_path, simulated):
    save(simulated, tmp_path / "rec.nc")
    with open_lazily(tmp_path / "rec.nc") as opened:
        found = to_responses(opened, population="IT")
    assert found.name == "two, IT" and found.units["neuroid_id"].tolist() == ["IT/0", "IT/1"]
    np.testing.assert_array_equal(found.values, simulated.rate.values[:, 3:])
    assert to_responses(simulated).neuroids == 5
    with pytest.raises(DataError, match="no population 'V2'.*known: V1, IT"):
        to_responses(simulated, population="V2")
    with pytest.raises(DataError, match="needs a variable drive"):
        to_responses(simulated, variable="drive")


def test_one_arm_at_a_time(simulated):
    two = simulated.assign_coords(
        arm=("presentation", list("xxyy")), stimulus_id=("presentation", list("abab"))
    )
    with pytest.raises(DataError, match="holds arms x, y; choose one with arm="):
        to_responses(two)
    np.testing.assert_array_equal(to_responses(two, arm="y").values, simulated.rate.values[2:])


def test_rdms():
    values = np.random.default_rng(0).random((3, 6))
    data = rdms("it", values, list("abcd"), measure="1 - r", known={"animal": list("xyz")})
    found = to_dissimilarities(data)
    assert found.name == "it" and found.stimuli == ("a", "b", "c", "d") and found.measure == "1 - r"
    np.testing.assert_array_equal(found.values, values)
    assert found.units["animal"].tolist() == ["x", "y", "z"]
    with pytest.raises(DataError, match="needs a variable dissimilarity"):
        to_dissimilarities(xr.Dataset({"rate": 1.0}))


def test_macaque_v4_repeats(real):
    path = real("macaque_v4_210325.npz")
    found = to_responses(neural.load(path))
    with np.load(path) as z:
        np.testing.assert_array_equal(found.repeats, z["response_repeats"].transpose(1, 0, 2))
        np.testing.assert_allclose(found.values, z["response_mean"], rtol=1e-6, atol=1e-6)


def test_macaque_it_in_time(real):
    data = neural.load(real("macaque_it_spikes.npz"), bin_ms=50, window_ms=(0, 300))
    found = by_time_bin(data)
    assert len(found) == 6 and {r.values.shape for r in found} == {(21, 132)}
    assert all(r.repeats.shape == (20, 21, 132) for r in found)
    assert np.argmax([r.values.mean() for r in found]) == 3  # 150 to 200 ms


def test_sessions_of_two_animals_that_share_a_name_are_told_apart():
    rates = np.random.default_rng(0).random((6, 4))
    made = recording(
        "lab", rates, list("abcabc"), neuroids={"session": ["1", "1", "1", "2"], "animal": list("MNNM")}
    )
    found = by_session(made)
    assert [one.name for one in found] == ["lab, M, 1", "lab, N, 1", "lab, 2"]
    assert [one.neuroids for one in found] == [1, 2, 1]
    np.testing.assert_allclose(found[1].values, (rates[:3, 1:3] + rates[3:, 1:3]) / 2)
    assert made.attrs["name"] == "lab"
