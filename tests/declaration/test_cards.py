"""Identity cards: complete for every rule that ships, and true of the code that runs it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from networks import chain

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.cards import (
    BATCHED,
    EQUILIBRIUM,
    INNER_RUNS,
    NOT_GIVEN,
    SPIKES,
    SYNAPSES,
    TRAINING,
    inner_rules,
    known_rules,
)
from cortex_sim.credit import BroadcastCredit, DenseCredit, untrained
from cortex_sim.registry import names

pytestmark = pytest.mark.usefixtures("own_names")

RULES = known_rules()  # at collection: those that ship
SUPERVISED = [name for name in RULES if cs.card(name).credit.startswith("arrives")]
# Inner rules that are no rule of a network: controls, and parts of policies.
CONTROLS = {"altered", "readout_only", "backprop_of_trained_top", "layered_of_trained_top"}


def network(name, **settings):
    """A network that learns by this rule."""
    net = chain(objective="squared_error", **settings)
    outputs = net.populations["IT"].size
    if name == "tdca":
        return net.with_rule(name, credit=untrained(DenseCredit(outputs, 4, 5)))
    if name == "plastic_diffusion":
        return net.with_rule("tdca", credit=untrained(BroadcastCredit(outputs, 4)))
    if name == "inverse_learning":
        return net.with_rule("gait_prop_learned")
    if name == "decorrelation":
        net = cs.Network("lateral")
        net.population("retina", 5)
        net.population("V1", 3)
        net.bottom_up("retina", "V1", plasticity="oja")
        net.lateral("V1", plasticity="decorrelation")
        return net
    return net.with_rule(name)


@pytest.mark.parametrize("name", RULES)
def test_every_field_is_filled(name):
    card = cs.card(name)
    assert card.name == name
    for label, text in card.rows:
        assert text and NOT_GIVEN not in text, label
    assert {"Equation", "Source", "Departures", "Feedback", "Runs in", "Limits"} <= {n for n, _ in card.rows}
    assert {*card.runs} | {*card.refused} == {TRAINING, EQUILIBRIUM, BATCHED, SYNAPSES, SPIKES, INNER_RUNS}


@pytest.mark.parametrize("name", RULES)
def test_it_says_where_the_rule_is_built_and_why_not(name):
    card = cs.card(name)
    builders = {
        TRAINING: lambda net: cs.torch.build(net, precision="64"),
        EQUILIBRIUM: QuasiStatic,
        BATCHED: lambda net: cs.brian2.build(net, engine="batched"),
        SYNAPSES: lambda net: cs.brian2.build(net, engine="synapses"),
        SPIKES: cs.brian2.Spiking,
    }
    for place, build in builders.items():
        if place in card.runs:
            build(network(name))
        else:
            with pytest.raises(cs.BuildError) as refused:
                build(network(name))
            assert card.refused[place].partition(" ")[2] in str(refused.value)


def test_the_finite_form_has_a_card_of_its_own():
    limit, finite = cs.card(cs.GaitProp()), cs.card(cs.GaitProp(form="finite"))
    assert EQUILIBRIUM in limit.runs and BATCHED in limit.runs
    assert finite.runs == (TRAINING,) and 'precision="64"' in finite.needs
    with pytest.raises(cs.BuildError, match="no rate dynamics"):
        cs.brian2.build(chain().with_rule(cs.GaitProp(form="finite")))


def test_every_inner_rule_is_on_a_card():
    claimed = {inner for name in RULES for inner in inner_rules(name)}
    assert claimed == set(names("inner_rule")) - CONTROLS
    assert all((INNER_RUNS in cs.card(name).runs) == bool(inner_rules(name)) for name in RULES)
    assert inner_rules("kolen_pollack") == ["layered"]


@pytest.mark.parametrize("name", SUPERVISED)
@pytest.mark.parametrize(
    "need, setting, value",
    [
        ("activations with an inverse", "activation", "relu"),
        ("no loops, normalisers or dropout", "normaliser", cs.BatchNorm()),
        ("no loops, normalisers or dropout", "dropout", 0.5),
    ],
    ids=["relu", "normaliser", "dropout"],
)
def test_what_it_needs_is_what_is_refused(name, need, setting, value):
    net = network(name)
    hidden = next(n for n in net.populations if n not in (*net.sources, "IT"))
    changed = replace(net.populations[hidden], **{setting: cs.Relu() if value == "relu" else value})
    net.populations[hidden] = changed
    if need in cs.card(name).needs:
        with pytest.raises(cs.DeclarationError, match=f"population {hidden}"):
            net.check()
    else:
        net.check()


@pytest.mark.parametrize("name", SUPERVISED)
def test_feedback_is_what_with_rule_adds(name):
    added = {type(p.feedback).__name__ for p in network(name).top_downs if p.post != "IT"}
    said = cs.card(name).feedback.split("; ")
    assert added == {one.split(",")[0].split(" ")[0] for one in said if not one.startswith("a declared")}


# -- a user's own ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bare:
    def change(self, w, r_pre, r_post):
        return r_post.T @ r_pre / len(r_pre)


@dataclass(frozen=True)
class Written:
    """Δw_ij = η⟨y_i x_j⟩ − w_ij.

    More words.

    Notes
    -----
    Departures: the decay
    is ours.

    A paragraph of another kind.

    Limits: none.

    References
    ----------
    Nobody (1900).
    """

    strength: float

    def change(self, w, r_pre, r_post):
        return r_post.T @ r_pre / len(r_pre) - w


def test_a_rule_without_a_docstring_says_what_is_not_given():
    Bare.__doc__ = None  # what a dataclass without one is given is no equation
    card = cs.card(Bare())
    said = (card.equation, card.source, card.departures, card.limits)
    assert said == (NOT_GIVEN,) * 4
    assert card.name == "Bare" and card.runs == (TRAINING, EQUILIBRIUM)
    assert "has no growth" in card.refused[BATCHED]
    net = cs.Network("own")
    net.population("retina", 5)
    net.population("V1", 3)
    net.bottom_up("retina", "V1", plasticity=Bare())
    with pytest.raises(cs.BuildError, match="has no growth"):
        cs.brian2.build(net)
    cs.torch.build(net).updates(np.ones((2, 5)))


def test_a_rules_own_docstring_is_read():
    cs.register("rule", "written")(Written)
    card = cs.card(Written(0.5))
    assert (card.name, card.equation) == ("written", "Δw_ij = η⟨y_i x_j⟩ − w_ij.")
    assert (card.departures, card.limits, card.source) == ("the decay is ours.", "none.", "Nobody (1900).")
    with pytest.raises(cs.DeclarationError, match=r"settings without defaults.*Written\(strength=...\)"):
        cs.card("written")


def test_a_word_of_ones_own():
    word = cs.Word(cs.FeedbackAlignment(), paired=lambda up: cs.TopDown(cs.Random(scale=3.0)))
    cs.register_word("strong", word)
    strong, published = cs.card("strong"), cs.card("feedback_alignment")
    assert (strong.name, strong.equation, strong.runs) == ("strong", published.equation, published.runs)
    assert strong.feedbacks == (cs.Random(scale=3.0),)
    assert cs.card(word).name == "strong"
    described = replace(word, docstring="c_pre = 3 B u.")
    assert cs.card(described).equation == "c_pre = 3 B u."


def test_an_unknown_name_is_an_error():
    with pytest.raises(cs.DeclarationError, match="unknown rule 'ojja'.*did you mean 'oja'"):
        cs.card("ojja")


# -- shown -----------------------------------------------------------------------------------------


def test_it_is_printed_and_shown_in_a_notebook():
    card = cs.card("GAIT prop")
    lines = str(card).splitlines()
    assert lines[0] == "rule gait_prop" and max(map(len, lines)) <= 100
    assert "c_pre = W⁺ u" in lines[1]
    assert "<td" in card._repr_html_() and "2006.06438" in card._repr_html_()
