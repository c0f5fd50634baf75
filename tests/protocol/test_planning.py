import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import cortex_sim as cs
from cortex_sim.protocol.plan import Constant, Gate, Images, Series, White
from cortex_sim.protocol.planning import plan


def network():
    """Every size a prime of its own; V1 carries channels."""
    net = cs.Network("small")
    net.population("retina", 7)
    net.population("V1", shape=(2, 3, 5), activation="leaky_relu")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity="gait_prop")
    net.bottom_up("V1", "IT", plasticity="gait_prop")
    net.top_down("IT", "V1", feedback=cs.Inverse(of="V1->IT"))
    net.objective("IT", "cross_entropy")
    return net


def learned_inverse():
    net = network()
    return net.with_rule("gait_prop_learned")


def phase(**settings):
    return cs.Phase("p", 100, **settings)


def only(net=None, seed=0, **settings):
    """The plan of a protocol with one phase, and that phase."""
    made = plan(cs.Protocol(phase(**settings)), net or network(), seed)
    return made, made.shown[0].phases[0]


# -- drives and nudges ----------------------------------------------------------------------------


def numbers(*shape):
    return arrays("f8", shape, elements=st.floats(-9, 9))


@given(st.sampled_from([(30,), (2, 3, 5)]).flatmap(lambda shape: numbers(*shape)))
def test_a_constant_in_either_shape(values):
    drive = only(drive={"V1": values})[1].drive["V1"]
    assert isinstance(drive, Constant)
    np.testing.assert_array_equal(drive.values, values.ravel())


@given(st.sampled_from([(4, 30), (4, 2, 3, 5), (1, 30)]).flatmap(lambda shape: numbers(*shape)))
def test_images_in_either_shape(values):
    made, seen = only(drive={"V1": values})
    assert isinstance(seen.drive["V1"], Images)
    for k, image in enumerate(values):
        np.testing.assert_array_equal(seen.drive["V1"].values[k], image.ravel())
    assert sum(len(s.trials) for s in made.shown) == len(values)


def test_every_other_drive():
    def of(given):
        return only(drive={"V1": given})[1].drive["V1"]

    np.testing.assert_array_equal(of(0.5).values, np.full(30, 0.5))
    np.testing.assert_array_equal(of(np.arange(30)).values, np.arange(30.0))
    assert of(np.arange(30)).values.dtype == np.float64
    assert of(cs.Noise(0.5, 1, hold_ms=10)) == White(mean=1.0, sd=0.5, hold_ms=10.0)
    series = of(cs.TimeSeries(np.arange(60.0).reshape(2, 2, 3, 5), 20))
    assert isinstance(series, Series) and series.bin_ms == 20.0
    np.testing.assert_array_equal(series.values, np.arange(60.0).reshape(2, 30))
    np.testing.assert_array_equal(of(cs.TimeSeries([1, 2], 20)).values, [[1.0] * 30, [2.0] * 30])
    assert of(cs.Noise(1)).hold_ms is None


def test_a_data_set_by_name_is_its_images_and_its_labels():
    net = cs.model("digits_mlp")
    drawn = cs.Stimuli("digits", count=5)
    seen = only(net, drive={"retina": drawn}, nudge={"IT": drawn})[1]
    np.testing.assert_array_equal(seen.drive["retina"].values, drawn.images.astype("f8"))
    np.testing.assert_array_equal(seen.nudge["IT"].values, np.eye(10)[drawn.labels])


def test_arrays_that_phases_share_are_converted_once():
    images = np.zeros((4, 7), "f4")
    protocol = cs.Protocol(*(cs.Phase(name, 10, drive={"retina": images}) for name in "ab"))
    first, second = plan(protocol, network(), 0).shown[0].phases
    assert np.shares_memory(first.drive["retina"].values, second.drive["retina"].values)


def test_labels_are_whole_numbers_at_the_objective():
    goal = only(nudge={"IT": [2, 0, 1, 1]}, strength=0.3)[1].nudge["IT"]
    np.testing.assert_array_equal(goal.values, np.eye(3)[[2, 0, 1, 1]])
    assert goal.strength == 0.3


def test_a_nudge_may_have_a_strength_of_its_own():
    nudges = {"IT": cs.Nudge([1], strength=2), "V1": cs.Nudge(np.ones(30))}
    seen = only(nudge=nudges, strength=0.3)[1].nudge
    assert seen["IT"].strength == 2.0 and seen["V1"].strength == 0.3


def test_one_target_serves_every_presentation():
    seen = only(drive={"retina": np.zeros((4, 7))}, nudge={"IT": [0.2, 0.3, 0.5]})[1]
    np.testing.assert_array_equal(seen.nudge["IT"].values, [[0.2, 0.3, 0.5]] * 4)


def test_target_rates_in_the_population_s_shape():
    goals = np.arange(120.0).reshape(4, 2, 3, 5)
    np.testing.assert_array_equal(only(nudge={"V1": goals})[1].nudge["V1"].values, goals.reshape(4, 30))


# -- silence, gates, windows ----------------------------------------------------------------------


def test_silenced_units_and_populations():
    alive = only(silence=["V1/3", "V1/29", "IT"])[1].alive
    expected = np.ones(30)
    expected[[3, 29]] = 0
    assert set(alive) == {"V1", "IT"}
    np.testing.assert_array_equal(alive["V1"], expected)
    np.testing.assert_array_equal(alive["IT"], np.zeros(3))


def test_gates_gather_what_is_said_of_a_projection():
    seen = only(cut=["V1->IT"], scale={"IT->V1": 2}, delay_ms={"IT->V1": 5}, noise={"IT->V1": 0.1})[1]
    assert seen.gates == {
        "V1->IT": Gate(cut=True),
        "IT->V1": Gate(scale=2.0, delay_ms=5.0, noise_sd=0.1),
    }
    assert only(scale={"IT->V1": 1})[1].gates == {}
    assert only(silence_error=["IT->V1"])[1].errors_silenced == {"IT->V1"}


def test_a_lesion_acts_in_every_phase_interval_and_probe():
    protocol = cs.Protocol(
        phase(scale={"IT->V1": 2}, silence=["V1/0"]),
        interval_ms=10,
        lesion=["IT->V1", "V1/1"],
        probe=cs.Protocol(phase(), lesion=["V1/2"]),
    )
    probe, trial, _ = plan(protocol, network(), 0).shown
    first, interval = trial.phases
    assert first.gates == {"IT->V1": Gate(cut=True, scale=2.0)}
    assert interval.gates == probe.phases[0].gates == {"IT->V1": Gate(cut=True)}
    silent = [np.flatnonzero(p.alive["V1"] == 0).tolist() for p in (first, interval, probe.phases[0])]
    assert silent == [[0, 1], [1], [1, 2]]
    assert interval.name == "interval" and interval.duration_ms == 10.0 and not interval.drive


ALL = {"retina->V1", "V1->IT"}


@pytest.mark.parametrize(
    "plasticity, expected",
    [
        (True, dict.fromkeys(ALL, 0.1)),
        (False, {}),
        ("V1->IT", {"V1->IT": 0.1}),
        ({"V1->IT": 3, "retina->V1": 0}, {"V1->IT": 3.0}),
    ],
)
def test_which_windows_open(plasticity, expected):
    made, seen = only(plasticity=plasticity)
    assert seen.eta == expected and made.plastic is bool(expected)


def test_true_opens_by_whether_a_rule_learns_from_spontaneous_activity():
    net = learned_inverse()
    assert set(only(net, plasticity=True)[1].eta) == ALL
    seen = only(net, plasticity=True, spontaneous={"V1": 0.5})[1]
    assert set(seen.eta) == {"IT->V1"} and seen.spontaneous == {"V1": 0.5}
    assert set(only(net, plasticity=["retina->V1"], spontaneous=["V1"])[1].eta) == {"retina->V1"}


def test_rates_by_projection():
    rates = {"retina->V1": 1, "V1->IT": 0}
    protocol = cs.Protocol(phase(plasticity=True), eta_per_s=rates)
    assert plan(protocol, network(), 0).shown[0].phases[0].eta == {"retina->V1": 1.0}
    with pytest.raises(cs.DeclarationError, match="eta_per_s has no rate for it"):
        plan(protocol.replace(eta_per_s={"V1->IT": 1}), network(), 0)


def test_a_modulator_where_a_rule_has_one():
    net = cs.Network("modulated")
    net.population("retina", 7)
    net.population("V1", 5)
    net.bottom_up("retina", "V1", plasticity=cs.ThreeFactor())
    assert only(net, modulator=-0.5)[1].modulator == -0.5


# -- order ----------------------------------------------------------------------------------------


def order(seed=0, images=5, **settings):
    protocol = cs.Protocol(phase(drive={"retina": np.zeros((images, 7))}), **settings)
    return plan(protocol, network(), seed).shown


def images_by_block(shown):
    found = {}
    for s in shown:
        if s.stage == "trial":
            found.setdefault(s.block, []).extend(s.images)
    return found


def test_images_once_in_their_order():
    assert images_by_block(order(repeat=2)) == {1: [0, 1, 2, 3, 4], 2: [0, 1, 2, 3, 4]}


def test_more_trials_than_images_start_over_and_fewer_stop():
    assert images_by_block(order(trials=7)) == {1: [0, 1, 2, 3, 4, 0, 1]}
    assert images_by_block(order(trials=3)) == {1: [0, 1, 2]}


def test_without_images_there_is_one_trial():
    made = plan(cs.Protocol(phase(drive={"retina": 1})), network(), 0)
    assert [(s.trials, s.images) for s in made.shown] == [((0,), (0,))] and made.stimulus_id == ("0",)
    assert len(plan(cs.Protocol(phase(), trials=3, batch=1), network(), 0).shown) == 3


@given(st.integers(1, 40), st.integers(1, 100), st.integers(0, 5))
def test_shuffled_draws_without_replacement(images, trials, seed):
    drawn = images_by_block(order(seed, images, trials=trials, order="shuffled", repeat=2))
    assert [len(block) for block in drawn.values()] == [trials, trials]
    whole = [drawn[1] + drawn[2]] if trials < images else drawn.values()  # fewer trials go on through the set
    for block in whole:
        for start in range(0, len(block), images):
            part = block[start : start + images]
            assert len(set(part)) == len(part) and set(part) <= set(range(images))


def test_fewer_trials_than_images_go_on_through_the_set_and_probes_start_over():
    drawn = images_by_block(order(0, 7, trials=3, repeat=5))
    assert [image for block in drawn.values() for image in block] == [k % 7 for k in range(15)]
    probe = cs.Protocol(phase(drive={"retina": np.zeros((7, 7))}), trials=2)
    script = cs.Protocol(phase(drive={"retina": np.ones((7, 7))}), trials=3, repeat=2, probe=probe)
    probes = [s.images for s in plan(script, network(), 0).shown if s.stage == "probe"]
    assert probes == [(0, 1)] * 3


def test_another_permutation_for_each_block_and_seed_and_the_same_for_the_same():
    drawn = images_by_block(order(0, 50, order="shuffled", repeat=2))
    assert drawn[1] != drawn[2] and drawn[1] != list(range(50))
    assert drawn == images_by_block(order(0, 50, order="shuffled", repeat=2))
    assert drawn[1] != images_by_block(order(1, 50, order="shuffled"))[1]


@pytest.mark.parametrize(
    "settings, sizes",
    [
        ({}, [256, 44]),
        ({"batch": 128}, [128, 128, 44]),
        ({"batch": 1000}, [300]),
        ({"reset": False}, [1] * 300),
    ],
)
def test_presentations_side_by_side(settings, sizes):
    assert [len(s.trials) for s in order(images=300, **settings)] == sizes


def test_one_by_one_where_anything_learns():
    drive = {"retina": np.zeros((4, 7))}
    learning = cs.Protocol(phase(drive=drive), cs.Phase("learn", 1, plasticity=True))
    assert [len(s.trials) for s in plan(learning, network(), 0).shown] == [1] * 4
    assert [len(s.trials) for s in plan(learning.replace(batch=3), network(), 0).shown] == [3, 1]


def test_probes_before_the_first_block_and_after_each():
    shown = order(repeat=2, images=3, batch=2, probe=cs.Protocol(phase(), trials=2))
    assert [(s.number, s.stage, s.block, s.trials) for s in shown] == [
        (0, "probe", 0, (0, 1)),
        (1, "trial", 1, (0, 1)),
        (2, "trial", 1, (2,)),
        (3, "probe", 1, (2, 3)),
        (4, "trial", 2, (3, 4)),
        (5, "trial", 2, (5,)),
        (6, "probe", 2, (4, 5)),
    ]


def test_reset_and_the_first_trial_after_a_probe():
    assert all(s.reset for s in order())
    assert [s.reset for s in order(images=3, reset=False, repeat=2)] == [True] + [False] * 5
    probed = order(images=2, reset=False, repeat=2, probe=cs.Protocol(phase(), trials=2, reset=False))
    assert [s.reset for s in probed] == [True, False] * 5


def test_stimuli_of_probes_are_those_of_trials_only_where_the_images_are():
    images, others = np.zeros((3, 7)), np.ones((2, 7))

    def seen(probe_images):
        probe = cs.Protocol(phase(drive={"retina": probe_images}))
        made = plan(cs.Protocol(phase(drive={"retina": images}), probe=probe), network(), 0)
        return [made.stimuli(s) for s in made.shown]

    assert seen(images) == [("0", "1", "2")] * 3
    assert seen(others) == [("probe 0", "probe 1"), ("0", "1", "2"), ("probe 0", "probe 1")]


# -- recording ------------------------------------------------------------------------------------


def wanted(net=None, **record):
    return plan(cs.Protocol(phase(), record=cs.Record(**record)), net or network(), 0).wanted


def test_what_is_recorded():
    assert wanted().populations == ("retina", "V1", "IT") and wanted().phase == "p"
    assert wanted(populations=["IT", "V1"]).populations == ("V1", "IT")
    assert wanted(weights=True).weights == ("retina->V1", "V1->IT")
    assert wanted(learned_inverse(), weights=True).weights == ("retina->V1", "V1->IT", "IT->V1")
    assert wanted(weights="V1->IT", weights_every=3).weights_every == 3
    assert wanted(variables=["credit", "rate"], every_ms=5).variables == ("credit", "rate")
