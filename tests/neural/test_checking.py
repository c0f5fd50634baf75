"""Checks of every data set that is loaded, from whichever file."""

from __future__ import annotations

import numpy as np
import pytest

from cortex_sim import data, neural
from cortex_sim.errors import DataError
from cortex_sim.neural.checking import checked
from cortex_sim.neural.shape import recording

IDS = list("aabbcc")


def rates(*shape):
    return np.random.default_rng(0).random(shape)


def made(rate, ids=IDS, **more):
    return recording("set", np.asarray(rate, float), ids, **more)


def refusal(dataset, stimuli=None):
    with pytest.raises(DataError) as caught:
        checked(dataset, "set.npz", stimuli)
    message = str(caught.value)
    assert message.startswith("neural data set.npz: ") and "\n" not in message and len(message) < 400
    return message


def test_identities_are_unique_within_their_session():
    session, twice = list("ststs"), ["n1", "n1", "n2", "n2", "n3"]
    fine = made(rates(6, 5), neuroids={"neuroid_id": twice, "session": session})
    assert checked(fine, "set.npz").equals(fine)
    same = made(rates(6, 5), neuroids={"neuroid_id": twice, "session": ["s"] * 5})
    assert "neuroid_id holds 'n1' more than once (session s)" in refusal(same)
    assert "neuroid_id holds 'n1' more than once; make" in refusal(
        made(rates(6, 5), neuroids={"neuroid_id": twice})
    )


@pytest.mark.parametrize("name", ["session", "animal"])
def test_a_missing_session_is_no_session(name):
    for labels in (["s", "", "t", "t", ""], np.array([1.0, np.nan, 2.0, 2.0, np.nan])):
        said = refusal(made(rates(6, 5), neuroids={name: labels}))
        assert f"2 of 5 entries of {name} are empty or NaN, such as entry 1" in said
    of_presentations = made(rates(6, 5), presentations={name: [1.0, np.nan, 1.0, 2.0, 2.0, 2.0]})
    assert f"1 of 6 entries of {name}" in refusal(of_presentations)
    checked(made(rates(6, 5), neuroids={name: ["nan"] * 5}), "set.npz")  # of none it is known


def test_a_repetition_occurs_once():
    wrong = made(rates(6, 5), repetition=[0, 0, 0, 1, 0, 1])
    assert "stimulus_id 'a' has repetition 0 more than once; number" in refusal(wrong)
    arms = made(rates(6, 5), repetition=[0, 0, 0, 1, 0, 1], presentations={"arm": list("xyxxxx")})
    checked(arms, "set.npz")


@pytest.mark.parametrize(
    "given",
    [list("cbad"), np.array(list("cbad")), data.StimulusSet(np.zeros((4, 8, 8)), ids=list("cbad"))],
    ids=["list", "array", "set"],
)
def test_stimuli_may_be_more_than_were_presented(given):
    checked(made(rates(6, 5)), "set.npz", given)


def test_every_stimulus_of_the_data_must_be_given():
    said = refusal(made(rates(6, 5)), list("bx"))
    assert "2 of 3 stimulus ids are not among the 2 stimuli, such as a, c (those have b, x, …)" in said
    with pytest.raises(DataError, match="stimuli must be a StimulusSet, a path, or a list of ids. Got int"):
        checked(made(rates(6, 5)), "set.npz", 3)


def test_numbered_stimuli_must_be_as_many_as_are_given():
    numbered = made(rates(3, 5), list("012"), attributes={"stimuli": "numbered"})
    checked(numbered, "set.npz", list("012"))
    assert "its 3 stimuli have no ids and are matched by order, but 4 stimuli" in refusal(
        numbered, list("0123")
    )


def test_nan_is_a_missing_repeat():
    rate = rates(6, 5)
    rate[0], rate[3, 2] = np.nan, np.nan  # a and b still have another repeat
    fine = checked(made(rate), "set.npz")
    np.testing.assert_array_equal(fine.rate.values, rate)
    rate[2, 2] = np.nan
    said = refusal(made(rate))
    assert "1 of 15 pairs of stimulus and neuroid have no response at all, such as stimulus b" in said
    assert "neuroid 2" in said


def test_sessions_may_have_stimuli_of_their_own():
    rate = rates(6, 5)
    rate[:2, 3:], rate[2:, :3] = np.nan, np.nan
    assert "8 of 15 pairs" in refusal(made(rate))  # a lacks 2 neuroids, b and c lack 3 each
    checked(made(rate, neuroids={"session": list("ssstt")}), "set.npz")
    rate[2:, 4] = np.nan
    assert "2 of 4 pairs" in refusal(made(rate, neuroids={"session": list("ssstt")}))
    rate[2:, 3] = np.nan
    assert "all responses of neuroids 3, 4 are NaN" in refusal(
        made(rate, neuroids={"session": list("ssstt")})
    )


def test_time_bins_are_missing_together():
    rate = rates(6, 5, 2)
    bins = ([0, 10], [10, 20])
    rate[1, 2] = np.nan
    checked(made(rate, time_bins=bins), "set.npz")
    rate[3, 2, 1] = np.nan
    assert "some time bins of a presentation are NaN" in refusal(made(rate, time_bins=bins))


@pytest.mark.parametrize(
    "start, end, said",
    [
        ([0, 10], [10, 10], "must start before it ends"),
        ([0, np.nan], [10, 20], "must start before it ends"),
        ([10, 0], [20, 10], "time bins must ascend"),
    ],
)
def test_time_bins_ascend(start, end, said):
    assert said in refusal(made(rates(6, 5, 2), time_bins=(start, end)))


@pytest.mark.parametrize("units", ["Hz", "spikes/s", "counts", "spike count"])
def test_counts_are_not_negative(units):
    rate = rates(6, 5)
    checked(made(rate, units=units), "set.npz")
    rate[4, 1] = -0.5
    said = refusal(made(rate, units=units))
    assert "neuroid 1 to stimulus c is -0.5" in said and "baseline give units '1'" in said
    checked(made(rate, units="z-score"), "set.npz")
    checked(made(rate, units="dF/F"), "set.npz")


def test_infinite_responses_are_named():
    rate = rates(6, 5)
    rate[2, 3] = np.inf
    assert "neuroid 3 to stimulus b is infinite" in refusal(made(rate))


def test_constant_neuroids_are_kept_and_named():
    rate = rates(6, 5)
    rate[:, 1], rate[:, 4] = 3.0, 0.0
    rate[0, 4] = np.nan
    loaded = checked(made(rate, neuroids={"neuroid_id": list("vwxyz")}), "set.npz")
    assert neural.constant_neuroids(loaded) == ["w", "z"] and loaded.sizes["neuroid"] == 5
    assert neural.constant_neuroids(checked(made(rates(6, 5)), "set.npz")) == []
    assert "no neuroid's response varies over presentations" in refusal(made(np.ones((6, 5))))


def test_a_time_course_alike_in_all_presentations_is_constant():
    rate = np.tile(rates(1, 5, 2), (6, 1, 1))
    rate[:, 1:] += rates(6, 4, 2)
    loaded = checked(made(rate, time_bins=([0, 10], [10, 20])), "set.npz")
    assert neural.constant_neuroids(loaded) == ["0"]


def test_one_presentation_is_not_constant():
    checked(made(rates(1, 5), ["a"]), "set.npz")


def test_empty_data_are_refused():
    assert "is empty" in refusal(made(np.zeros((0, 5)), []))


@pytest.mark.parametrize(
    "written, meant",
    [
        ("sp/s", "spikes/s"),
        (" HZ ", "spikes/s"),
        ("Spikes", "spike count"),
        (None, "1"),
        ("a.u.", "1"),
        ("dF/F", "dF/F"),
        ("uV", "uV"),
    ],
)
def test_spellings_of_units(written, meant):
    assert made(rates(6, 5), units=written).rate.attrs["units"] == meant
