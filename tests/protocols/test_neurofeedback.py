"""Neurofeedback: credit of every rule by its equation, the loop through the grating, signs and statistics."""

import numpy as np
import pytest
from short_runs import module, shortened

import cortex_sim as cs

NAME = "neurofeedback"
FIXED = ("GAIT-prop", "feedback alignment", "neuromodulator", "neuromodulator, signs")
FREE = ("feedback alignment", "neuromodulator", "neuromodulator, signs", "TDCA, untrained")


@pytest.fixture(scope="module")
def few():
    """Three frames under every rule, with weights."""
    record = cs.Record(["rate", "credit"], phase="learn", weights=module(NAME).LEARNING)
    return cs.torch.run(shortened(NAME, trials=3, record=record, seed=1), seed=1, progress=False)


def of(recording, arm, population, variable="credit"):
    found = cs.recording.select(recording, arm=arm, population=population)[variable]
    return found.transpose("presentation", "neuroid").values


def test_roles_are_balanced_and_differ_between_animals():
    nf = module(NAME)
    for seed in range(5):
        assert (nf.roles(seed) == 1).sum() == (nf.roles(seed) == -1).sum() == nf.GROUP
    assert (nf.roles(0) != nf.roles(1)).any()


def test_credit_is_that_of_the_equations(few):
    nf = module(NAME)
    role = nf.roles(1)
    readout = role / nf.GROUP
    expected = {"GAIT-prop": readout / (readout @ readout + 1e-3)}
    for arm, (channels, width, trained) in nf.TDCA.items():
        place = (np.arange(nf.UNITS) + 0.5) / nf.UNITS
        apart = abs(place[:, None] - (np.arange(channels) + 0.5) / channels)
        d = np.exp(-0.5 * (np.minimum(apart, 1 - apart) * nf.UNITS / width) ** 2)
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        g = (
            d.T @ role
            if trained
            else nf.credit_network(1, channels, width, False).parameters["broadcast_0"][:, 0]
        )
        expected[arm] = d @ g / np.sqrt((g**2).mean())
    for arm, direction in expected.items():
        error = of(few, arm, "rotation")
        assert (abs(error) > 0.1).all()
        np.testing.assert_allclose(of(few, arm, "RSC"), error * direction, atol=1e-9, err_msg=arm)
    for arm in FREE[:3]:  # one fixed number a unit, times the error
        per_error = of(few, arm, "RSC") / of(few, arm, "rotation")
        np.testing.assert_allclose(per_error, per_error[[0, 0, 0]], atol=1e-9)
    assert np.ptp(of(few, "neuromodulator", "RSC")[0]) < 1e-12
    for arm in ("GAIT-prop, cut", "reward"):
        assert not of(few, arm, "RSC").any()


def test_a_cut_keeps_what_is_below_from_learning_under_every_rule(few):
    nf = module(NAME)

    def moved(recording, arm):
        return abs(np.diff(cs.recording.weights_of(recording, nf.LEARNING[0], arm)[1], axis=0)).max()

    for lesion, rules in ((nf.DOWN, FIXED), ("TDCA RSC->RSC", [*nf.TDCA])):
        record = cs.Record(phase="learn", weights=nf.LEARNING)
        cut = shortened(NAME, trials=2, record=record, seed=1, only=rules, lesion=[lesion])
        recording = cs.torch.run(cut, seed=1, progress=False)
        for arm in rules:
            assert moved(recording, arm) == 0 < moved(few, arm)
    assert moved(few, "GAIT-prop, cut") == 0 < moved(few, "reward")


def test_the_grating_turns_by_what_the_units_do():
    nf = module(NAME)
    record = cs.Record(phase="act", populations=["rotation"])
    made = cs.torch.run(shortened(NAME, trials=40, record=record, only=["GAIT-prop"]), progress=False)
    angle, frame, expected = 0.0, 0, []
    for turned in of(made, "GAIT-prop", "rotation", "rate")[:, 0]:
        angle, frame = min(max(angle + nf.GAIN * turned, -1), 1), frame + 1
        hit = angle == 1
        if hit or frame == nf.ATTEMPT:
            angle, frame = 0.0, 0
        expected.append((angle, frame, hit, 1 - angle))
    found = [made[f"turn:{name}"].values.ravel() for name in ("angle", "frame", "hit", "remaining")]
    np.testing.assert_allclose(np.transpose(found), expected, atol=1e-12)


def test_agreement_and_correlation_of_closed_forms():
    nf = module(NAME)
    role = np.array([[1, 1, -1, -1, 0]] * 4)
    credit = np.array([[2, 1, -3, -1, 9], [1, 1, 1, 1, 1], [-1, 1, 1e-17, -1, 4], [0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(nf.agreement(credit, role), [1, 0.5, 0.625, np.nan])
    x = np.array([[0.0, 1, 2, 3, 50], [1, 1, 1, 1, 7]])
    np.testing.assert_allclose(nf.correlation(x, 1 - 2 * x, role[:2] != 0), [-1, np.nan])
    low, high = nf.interval(np.array([1.0, 2.0, 3.0]))
    assert (low + high) / 2 == pytest.approx(2) and high - 2 == pytest.approx(4.3027 / 3**0.5, abs=1e-3)


def test_units_without_a_role():
    nf = module(NAME)
    role = np.array([0, 1, 0, 0, 0, -1, 0, 0])
    nearest = [1, 0, 1, 1, -1, 0, -1, 1]  # the first of two that are as near
    np.testing.assert_array_equal(nf.of_nearest(role), nearest)
    credit = np.array([[3.0, 1, 3, 3, 3, -1, 3, 3], [0] * 8])
    np.testing.assert_allclose(nf.without_role(credit, np.array([role, role])), [3, np.nan])


def test_shuffled_roles_tell_signs_from_chance():
    nf = module(NAME)
    role = np.array([nf.roles(seed) for seed in range(5)])
    assert nf.by_shuffled_roles(role, role, shuffles=200) == pytest.approx(1 / 201)
    assert nf.by_shuffled_roles(np.ones_like(role), role, shuffles=20) == 1


def test_few_channels_and_wide_kernels_blur_roles():
    nf = module(NAME)
    assert nf.addressed(nf.UNITS, 0.5) == 1
    by_width = [nf.addressed(nf.UNITS, width) for width in nf.WIDTHS]
    by_channels = [nf.addressed(channels, 0.5) for channels in nf.CHANNELS]
    assert (np.diff(by_width) < 0).all() and (np.diff(by_channels) > 0).all()
    assert 0.5 < by_channels[0] < 0.7 and 0.5 < by_width[-1] < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("word", ["feedback_alignment", "global_neuromodulator"])
def test_feedback_that_was_there_before_is_at_chance(word):
    nf = module(NAME)
    weights = np.array([nf.network(s, word).initial_weights(s)[nf.DOWN][:, 0] for s in range(200)])
    share = nf.agreement(weights, np.array([nf.roles(s) for s in range(200)]))
    assert share.mean() == pytest.approx(0.5, abs=0.035)  # three standard errors


@pytest.mark.slow
def test_in_time_credit_has_the_same_signs():
    made = shortened(NAME, trials=3, only=["GAIT-prop", "feedback alignment"])
    in_time, settled = (backend.run(made, progress=False) for backend in (cs.brian2, cs.torch))
    for arm in made.arms:
        ours, theirs = of(in_time, arm, "RSC"), of(settled, arm, "RSC")
        np.testing.assert_allclose(ours, theirs, atol=0.1 * abs(theirs).max())


@pytest.mark.slow
def test_known_result():
    nf = module(NAME)
    found = nf.statistics(cs.sweep(nf.experiment, seeds=4, backend="torch", progress=False))
    for arm in ("GAIT-prop", "TDCA, narrow"):
        row = found[arm]
        assert row["signed by role, early"] == row["signed by role, late"] == 1
        assert row["p, shuffled roles"] < 0.001 and row["change, P+ less P-, low"] > 0
    learned = found["GAIT-prop, learned"]
    assert learned["signed by role, early"] < 0.95 and learned["signed by role, late"] == 1
    assert (
        found["GAIT-prop"]["credit without a role, early"]
        == 0
        < found["TDCA, narrow"]["credit without a role, early"]
        < 0.3
    )
    assert learned["credit without a role, late"] < 0.2 < learned["credit without a role, early"]
    for arm in ("TDCA, wide", "TDCA, 4 channels"):
        assert found[arm]["signed by nearest role"] > 0.6
        assert 0.5 < found[arm]["signed by role, early"] < 0.9
    for arm in FREE:
        assert found[arm]["signed by role, early"] == pytest.approx(0.5, abs=0.2)
        assert found[arm]["credit without a role, early"] > 0.7
    for arm in (*FREE[:1], *FREE[2:], "GAIT-prop", "TDCA, wide"):
        assert found[arm]["r with later change"] > 0.5
    cut, reward = found["GAIT-prop, cut"], found["reward"]
    assert abs(cut["change, P+ less P-"]) < 0.03 and abs(cut["rotation gained"]) < 0.05
    assert reward["change, P+ less P-, low"] > 0 and np.isnan(reward["signed by role, early"])
