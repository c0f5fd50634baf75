import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.rules.base import WORDS

every_word = pytest.mark.parametrize("word", sorted(WORDS))
SHIPPED = {
    "backprop", "bcm", "difference_target_prop", "direct_feedback_alignment", "error_diffusion",
    "feedback_alignment", "gait_prop", "gait_prop_learned", "global_neuromodulator", "kolen_pollack",
    "low_rank_feedback", "sign_symmetric", "target_prop", "tdca", "weight_mirror",
}  # fmt: skip

# Feedback beside a plastic bottom-up projection, and the rule that changes it.
PAIRED = {
    "backprop": (cs.Transpose, None),
    "difference_target_prop": (cs.Random, cs.InverseLearning),
    "feedback_alignment": (cs.Random, None),
    "gait_prop": (cs.Inverse, None),
    "gait_prop_learned": (cs.Random, cs.InverseLearning),
    "kolen_pollack": (cs.Random, cs.KolenPollack),
    "sign_symmetric": (cs.SignSymmetric, None),
    "weight_mirror": (cs.Random, cs.WeightMirror),
}
# Down to every population whose input learns, beside each way that credit has to go.
WAYS_DOWN = {
    "chain": {"V2->V1", "IT->V2"},
    "residual": {"V4->V2", "IT->V4"},  # and nothing onto V1: what drives it does not learn
    "fan_out": {"dorsal->V1", "ventral->V1", "IT->dorsal", "IT->ventral"},
}


def refused_on(word, net):
    return word == "target_prop" and net.name != "chain"  # it inverts a population's whole drive


def test_the_shipped_words():
    assert set(WORDS) >= SHIPPED


@every_word
def test_a_word_keeps_all_but_rules_and_ways_down(word, graph):
    if refused_on(word, graph):
        pytest.skip("target propagation takes chains only; test_validation_of_rules says so")
    sizes = graph.populations["V1"].size, graph.populations["IT"].size
    graph.top_down("IT", "V1", feedback=cs.Given(np.ones(sizes)))
    before = graph.copy()
    net = graph.with_rule(word)
    assert graph == before
    assert net.populations == graph.populations
    assert (net.objective_at, net.objective_function) == (graph.objective_at, graph.objective_function)
    assert [p.name for p in net.bottom_ups] == [p.name for p in graph.bottom_ups]
    assert not any(isinstance(p.feedback, cs.Given) for p in net.top_downs)
    for old, new in zip(graph.bottom_ups, net.bottom_ups, strict=True):
        assert new.connector == old.connector
        assert new.regularisers[: len(old.regularisers)] == old.regularisers
        assert (new.plasticity is None) == (old.plasticity is None)
        assert new.plasticity is None or new.plasticity == WORDS[word].rule
    weights = net.initial_weights(3)
    for name, w in graph.initial_weights(3).items():
        if name in {p.name for p in graph.bottom_ups}:
            np.testing.assert_array_equal(weights[name], w)


@pytest.mark.parametrize("word", PAIRED)
def test_a_word_adds_its_feedback_where_credit_has_to_go(word, graph):
    net = graph.with_rule(word)
    assert WAYS_DOWN[graph.name] <= {p.name for p in net.top_downs}
    feedback, rule = PAIRED[word]
    for down in net.top_downs:
        paired = net.projections[down.reverse_name]
        if paired.connector == cs.Identity():
            assert down.feedback == cs.Transpose(of=paired)
            continue
        assert type(down.feedback) is feedback
        assert getattr(down.feedback, "of", paired.name) == paired.name
        assert down.plasticity == (None if rule is None else rule(of=paired.name))


@pytest.mark.parametrize("word", PAIRED)
def test_nothing_goes_down_to_what_learns_nothing(word, graph):
    downs = {p.name for p in graph.with_rule(word).top_downs}
    assert downs == WAYS_DOWN[graph.name]


def test_a_population_below_a_fixed_projection_still_gets_its_credit(chain):
    """V1 learns, what lies above it does not: credit crosses all the same."""
    net = cs.Network("frozen above")
    net.populations = chain.populations
    net.bottom_up("retina", "V1", plasticity="backprop")
    net.bottom_up("V1", "V2")
    net.bottom_up("V2", "IT")
    net.objective("IT", "cross_entropy")
    assert {p.name for p in net.with_rule("backprop").top_downs} == {"V2->V1", "IT->V2"}


def test_credit_crosses_a_skip_connection_as_it_is(residual):
    """Identity is its own transpose, inverse and sign pattern."""
    net = cs.Network("learns below the skip")
    net.populations = residual.populations
    for p in residual.bottom_ups:
        plastic = "gait_prop" if p.connector.plastic else None
        net.bottom_up(p.pre, p.post, p.connector, plasticity=plastic)
    net.objective("IT", "squared_error")
    for word in PAIRED:
        down = net.with_rule(word).projection("V4->V1")
        assert down.feedback == cs.Transpose(of="V1->V4") and down.plasticity is None


def test_direct_feedback_goes_from_the_top_to_each_population_that_learns(graph):
    net = graph.with_rule("direct_feedback_alignment")
    learn = {p.post for p in graph.bottom_ups if p.plasticity is not None} - {"IT"}
    assert {p.post for p in net.top_downs} == learn
    assert {p.pre for p in net.top_downs} == {"IT"}
    assert all(p.feedback == cs.Random() for p in net.top_downs)


def test_an_unsupervised_word_needs_no_way_down(graph):
    assert graph.with_rule("bcm").top_downs == []


def test_kolen_pollack_forgets_alike_on_both_sides(fan_out):
    net = fan_out.with_rule("kolen_pollack")
    rates = {p.name: [r.rate for r in p.regularisers] for p in net.projections.values()}
    assert rates["V1->dorsal"] == rates["dorsal->V1"] == [1e-3]  # the user's own decay
    assert rates["ventral->IT"] == rates["IT->ventral"] == [1e-4]  # none was declared


def test_settings_reach_the_feedback(chain):
    net = chain.with_rule("gait_prop", damping=0, rescale=True)
    assert net.projection("IT->V2").feedback == cs.Inverse(of="V2->IT", damping=0, rescale=True)


def test_a_rule_object_keeps_its_settings(chain):
    net = chain.with_rule(cs.GaitProp(form="finite", gamma=1e-4))
    assert {p.plasticity for p in net.bottom_ups} == {cs.GaitProp(form="finite", gamma=1e-4)}
    assert net == chain.with_rule({"name": "gait_prop", "form": "finite", "gamma": 1e-4})


def test_a_word_of_ones_own(chain, own_names):
    word = cs.Word(cs.FeedbackAlignment(), paired=lambda up: cs.TopDown(cs.Random(scale=0.1)))
    cs.register_word("weak_feedback", word)
    assert chain.with_rule("weak_feedback").projection("IT->V2").feedback == cs.Random(scale=0.1)


@pytest.mark.parametrize(
    "rule, message",
    [
        ("gaitprop", "unknown rule 'gaitprop' (did you mean 'gait_prop'?); known: backprop, bcm"),
        ("", "unknown rule ''; known: backprop, bcm"),
        (None, "rule must be one of backprop, bcm"),
        (object(), "an object with change or arrival, accepts"),
        (["gait_prop"], "Got ['gait_prop']"),
        (cs.GaitProp, "give GaitProp(), an object, not the class itself"),
        (cs.Decay(), "Got Decay(rate=0.0001), which is a regulariser"),
        (cs.KolenPollack(of="V2->IT"), "KolenPollack changes top-down weights; use a word"),
    ],
    ids=lambda given: "object" if type(given) is object else repr(given),  # no address
)
def test_what_is_no_word_is_refused(chain, rule, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        chain.with_rule(rule)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    "word, setting, message",
    [
        (
            "gait_prop",
            {"dampin": 0},
            "setting of Inverse feedback 'dampin' (did you mean 'damping'?)",
        ),
        ("gait_prop", {"of": "V1->V2"}, "unknown setting of Inverse feedback 'of'"),
        ("gait_prop", {"damping": -1}, "Inverse: damping must be 0 or more. Got -1"),
        ("direct_feedback_alignment", {"damping": 0}, "setting of Random feedback 'damping'"),
        ("bcm", {"damping": 0}, "Bcm adds no feedback with settings; leave out {'damping': 0}"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(chain, word, setting, message):
    with pytest.raises(cs.DeclarationError) as refusal:
        chain.with_rule(word, **setting)
    assert message in str(refusal.value)


def test_a_network_that_would_not_learn_is_refused(chain):
    still = cs.Network("still")
    still.populations = chain.populations
    still.bottom_up("retina", "IT")
    still.objective("IT", "cross_entropy")
    with pytest.raises(cs.DeclarationError, match="still has no plastic bottom-up projection to put"):
        still.with_rule("backprop")


@pytest.mark.parametrize("word", ["backprop", "direct_feedback_alignment"])
def test_a_supervised_word_needs_an_objective(word):
    net = cs.Network("aimless")
    net.bottom_up(net.population("retina", 3), net.population("IT", 2), plasticity="bcm")
    with pytest.raises(cs.DeclarationError, match="network aimless has none; add net.objective"):
        net.with_rule(word)
    assert net.with_rule("bcm").bottom_ups[0].plasticity == cs.Bcm()


@pytest.mark.parametrize("before", sorted(WORDS))
def test_a_words_own_additions_go_with_the_word(before, graph):
    if refused_on(before, graph):  # target propagation takes chains only
        with pytest.raises(cs.DeclarationError):
            graph.with_rule(before)
        return
    net = graph.with_rule(before)
    ways = {"as it is": net, "as a copy": net.copy(), "read back": cs.Network.from_yaml(net.to_yaml())}
    for word in sorted(WORDS):
        if refused_on(word, graph):
            with pytest.raises(cs.DeclarationError):
                net.with_rule(word)
            continue
        once = graph.with_rule(word)
        for way, between in ways.items():
            assert between.with_rule(word) == once, (word, way)
        for p in graph.bottom_ups:  # and what the user declared stays
            assert once.projections[p.name].regularisers[: len(p.regularisers)] == p.regularisers, word


def test_weight_mirror_keeps_its_own_decay(graph):
    net = graph.with_rule("weight_mirror")
    learned = [p for p in net.top_downs if p.plasticity is not None]
    assert {p.regularisers for p in learned} == {(cs.Decay(1.0),)}
