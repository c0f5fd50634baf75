"""The settings that ship reach Python as they reach the command line."""

import pytest

import cortex_sim as cs
from cortex_sim import library
from cortex_sim.default_settings import BASE, tuned_rules
from cortex_sim.rules.base import WORDS
from cortex_sim.training.settings import Settings, network, resolve

SHIPPED = sorted(p.stem for p in (library.folder("protocols") / "defaults").glob("*.yaml"))
PAIRS = [(m, rule) for m in SHIPPED for rule in sorted({*tuned_rules(m), "backprop"} - {"tdca"})]


@pytest.mark.parametrize("model, rule", PAIRS)
def test_python_gets_what_the_command_line_gets(model, rule):
    net, settings = cs.with_defaults(model, rule)
    told = resolve(model, flags={"rule": rule})
    assert net == network(told)
    assert settings.fit == {name: getattr(told, name) for name in settings.fit}
    assert settings.standardise == told.standardise
    assert settings.feedback == told.feedback


def test_what_holds_where_nothing_ships_is_training_s_own():
    assert {name: getattr(Settings(), name) for name in BASE} == BASE
    assert cs.defaults("gait_square").fit == {k: v for k, v in BASE.items() if k != "standardise"}
    assert not cs.defaults("gait_square", "backprop").tuned


@pytest.mark.parametrize("model", SHIPPED)
def test_tuned_rules_are_words_and_what_ships_for_a_rule_is_tuned(model):
    assert set(tuned_rules(model)) <= set(WORDS)
    for rule in WORDS:
        assert cs.defaults(model, rule).tuned == (rule in tuned_rules(model))


def test_what_was_not_chosen_for_a_rule_says_so():
    assert not cs.defaults("conv4", "kolen_pollack").tuned
    assert cs.defaults("conv4", "feedback_alignment").tuned
    assert cs.defaults("conv4", "Gait-Prop") == cs.defaults("conv4")
    assert cs.defaults(cs.model("conv4")).tuned


def test_settings_are_ones_own_to_change():
    cs.defaults("conv4").fit["optimiser"]["lr"] = 7
    cs.defaults("conv4").feedback["damping"] = 7
    assert cs.defaults("conv4").fit["optimiser"]["lr"] == 3e-3
    assert cs.defaults("conv4").feedback["damping"] == 2e-3


@pytest.mark.parametrize(
    "model, rule, message",
    [
        ("conv5", None, "unknown model 'conv5' \\(did you mean 'conv4'\\?\\)"),
        ("conv4", "gaitprop", "unknown rule 'gaitprop' \\(did you mean 'gait_prop'\\?\\)"),
        ("own.py:net", None, "give the name of a shipped model"),
    ],
)
def test_unknown_names(model, rule, message):
    with pytest.raises(cs.DeclarationError, match=message):
        cs.defaults(model, rule)
