"""Registered names: never another's, the same class again, and classes that nobody registered."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim import registry
from cortex_sim.activations import lower_bound
from cortex_sim.capabilities import rule_of
from cortex_sim.checks import counted
from cortex_sim.rules.base import WORDS


def two(**settings):
    net = cs.Network("two")
    net.population("retina", 5)
    net.population("V1", 3, activation=settings.pop("activation", "linear"))
    net.bottom_up("retina", "V1", settings.pop("connector", "dense"), **settings)
    return net


def declared(name, qualname, module):
    cls = dataclass(frozen=True)(type(name, (), {"change": lambda self, w, r_pre, r_post: 0 * w}))
    cls.__qualname__, cls.__module__ = qualname, module
    return cls


@pytest.mark.parametrize("kind", sorted(registry._TABLES))
def test_no_shipped_name_is_ever_replaced(kind, own_names):
    for name in registry.names(kind):
        shipped = registry.find(kind, name)
        if not shipped.__module__.startswith("cortex_sim."):  # another test's
            continue
        for module in ("__main__", "mine"):
            mine = declared(shipped.__name__, shipped.__qualname__, module)
            with pytest.raises(cs.DeclarationError, match=f"{kind} '{name}' is taken by cortex_sim"):
                cs.register(kind, name)(mine)
        assert registry.find(kind, name) is shipped


def test_the_same_class_again_takes_its_own_place(own_names):
    first, again = (declared("Mine", "Mine", "__main__") for _ in range(2))
    cs.register("rule", "mine")(first)
    net = two(plasticity=first())
    cs.register("rule", "mine")(again)
    assert registry.find("rule", "mine") is again
    assert net.to_yaml() == two(plasticity=again()).to_yaml()  # a former object is still known
    with pytest.raises(cs.DeclarationError, match="is taken by __main__.Mine; choose another name"):
        cs.register("rule", "mine")(declared("Mine", "Mine", "another"))


@pytest.mark.parametrize("word", sorted(WORDS))
@pytest.mark.parametrize(
    "spelling", [str, str.upper, lambda w: w.replace("_", "-"), lambda w: w.replace("_", " ")]
)
def test_no_shipped_word_is_ever_replaced(word, spelling, own_names):
    with pytest.raises(cs.DeclarationError, match=f"register_word: '{word}' is taken, by cortex_sim"):
        cs.register_word(spelling(word), cs.Word(WORDS[word].rule))


def test_a_word_may_be_registered_again_where_it_was(own_names):
    for scale in (1.0, 2.0):
        word = cs.Word(cs.FeedbackAlignment(), paired=lambda up, scale=scale: cs.TopDown(cs.Random(scale)))
        cs.register_word("again", word)
    with pytest.raises(cs.DeclarationError, match="'again' is taken, by .*test_names for FeedbackAlignment"):
        cs.register_word("again", cs.Word(cs.Backprop()))


@dataclass(frozen=True)
class Unnamed:
    """Nobody registered it."""

    rate: float = 0.5

    def change(self, w, r_pre, r_post):
        return self.rate * r_post.T @ r_pre / len(r_pre)


@dataclass(frozen=True)
class Square:
    """An activation that nobody registered."""

    scale: float = 2.0
    invertible: ClassVar[bool] = False

    def rate(self, a):
        return self.scale * a * a

    def gain(self, a):
        return 2 * self.scale * a


@dataclass(frozen=True)
class Ones:
    """Initial weights that nobody registered."""

    def draw(self, rng, post, fan_in):
        return np.ones((post, fan_in))


@pytest.mark.parametrize(
    "settings",
    [{"plasticity": Unnamed(0.1)}, {"activation": Square(3.0)}, {"connector": cs.Dense(init=Ones())}],
    ids=["rule", "activation", "initialiser"],
)
def test_what_nobody_registered_is_still_written_and_read(settings, own_names):
    net = two(**settings)
    assert cs.Network.from_yaml(net.to_yaml()) == net
    assert not any(":" in name for kind in registry._TABLES for name in registry.names(kind))


def test_what_is_not_known_by_its_place_says_how(own_names):
    text = two(plasticity=Unnamed()).to_yaml().replace("Unnamed", "Elsewhere")
    with pytest.raises(cs.DeclarationError, match="rule Elsewhere was declared in the module .*test_names"):
        cs.Network.from_yaml(text)


def test_settings_that_could_not_be_kept_are_refused_before_any_work():
    class Loose:
        def change(self, w, r_pre, r_post):
            return w

    with pytest.raises(cs.DeclarationError, match="rule .*Loose must be a dataclass"):
        two(plasticity=Loose())


@pytest.mark.parametrize("spelling", ["gait-prop", "Gait-Prop", "GAIT prop", " gait_prop "])
def test_a_rule_may_be_spelled_as_people_do(spelling):
    net = two(plasticity=spelling)
    assert net.projection("retina->V1").plasticity == cs.GaitProp()
    net.objective("V1", "squared_error")
    assert net.with_rule(spelling) == net.with_rule("gait_prop")


def shown(drive=None, **settings):
    phase = cs.Phase("show", 10, drive=drive or {"retina": np.ones(5)})
    return cs.brian2.build(two()).run(cs.Protocol(phase, **settings))


MISSPELT = {
    "forgetting": lambda: cs.KolenPollack(of="a->b", forgetting="Own"),
    "by": lambda: cs.PerTrial(np.zeros((2, 3)), by="Image"),
    "split": lambda: cs.Stimuli("digits", split="Test"),
    "order": lambda: cs.Protocol(cs.Phase("show", 10), order="Shuffled"),
    "variable": lambda: cs.torch.build(two()).respond(np.zeros((1, 4)), variables=["Rate"]),
    "population": lambda: cs.torch.build(two()).respond(np.zeros((1, 4)), populations=["v1"]),
    "lesion": lambda: shown(lesion=["v1"]),
    "unit": lambda: shown(lesion=["v1/0"]),
    "drive": lambda: shown(drive={"Retina": np.ones(5)}),
    "weights": lambda: cs.torch.build(two()).set_weights({"retina->v1": np.ones((3, 5))}),
    "setting": lambda: cs.torch.build(two(), Seed=0),
}


@pytest.mark.parametrize("case", MISSPELT)
def test_a_choice_in_another_spelling_is_refused_where_it_would_mean_another(case):
    """A setting "Own" that is not "own" would be the default, a lesion of "v1" leave V1 as it is."""
    with pytest.raises(cs.CortexSimError, match="did you mean"):
        MISSPELT[case]()


def test_a_setting_called_of_makes_no_top_down_rule(own_names):
    @dataclass(frozen=True)
    class Share:
        of: float = 0.5

        def change(self, w, r_pre, r_post):
            return self.of * r_post.T @ r_pre / len(r_pre)

    assert not rule_of(Share()).top_down
    assert two(plasticity=Share()).projection("retina->V1").plasticity == Share()
    for rule in (cs.KolenPollack, cs.WeightMirror, cs.InverseLearning):
        assert rule_of(rule(of="V1->IT")).top_down


NO_NAMES = [" V1", "V1 ", "V1\n", "a/b", "V\x001", "", "e\u0301", 3, None, "."]


@pytest.mark.parametrize("name", NO_NAMES)
def test_names_that_files_and_other_tools_refuse(name):
    protocol = cs.Protocol(cs.Phase("p", 20))
    net = two()
    for declare in (
        lambda: cs.Network(name),
        lambda: cs.Network("n").population(name, 3),
        lambda: cs.Experiment(net, {name: protocol}),
    ):
        with pytest.raises(cs.DeclarationError, match="name"):
            declare()


@dataclass(frozen=True)
class Linear:
    """Of the name of a shipped activation, yet never negative."""

    invertible: ClassVar[bool] = False

    def rate(self, a):
        return abs(a)

    def gain(self, a):
        return (a > 0) - 1.0 * (a < 0)


@dataclass(frozen=True)
class Shifted(Linear):
    """Softly negative, whatever it is called."""

    def rate(self, a):
        return abs(a) - 0.1


def test_nonnegative_asks_what_an_activation_gives_not_what_it_is_called(own_names):
    net = cs.Network("n")
    assert net.population("a", 3, activation=Linear(), nonnegative=True).nonnegative
    with pytest.raises(cs.DeclarationError, match="population b: nonnegative, but its activation Shifted"):
        net.population("b", 3, activation=Shifted(), nonnegative=True)
    for word in registry.names("activation"):
        fits = word in ("relu", "softplus", "logistic")
        assert (lower_bound(registry.make("activation", word)) >= 0) == fits


def test_a_shape_given_as_a_size_says_so():
    with pytest.raises(cs.DeclarationError, match=r"give shape=\(3, 32, 32\)"):
        cs.Network("n").population("retina", (3, 32, 32))


def test_a_kind_that_nothing_looks_up_is_refused():
    with pytest.raises(cs.DeclarationError, match="did you mean 'rule'"):
        cs.register("rules", "mine")


def test_a_count_agrees_with_its_noun():
    assert [counted(number, "picture") for number in (0, 1, 2)] == ["0 pictures", "1 picture", "2 pictures"]
