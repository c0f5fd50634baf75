"""brian2's caches are searched by the keys that brian2 itself would find, only faster."""

import itertools

import brian2
import numpy as np
import pytest
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.equations.equations import SingleEquation
from brian2.utils import caching

import cortex_sim as cs
from cortex_sim.backends.brian2 import cache_keys


@pytest.fixture
def brian2s(monkeypatch):
    """The keys of brian2 itself, which calls itself by name."""
    monkeypatch.setattr(caching, "_hashable", cache_keys._brian2s)
    return cache_keys._brian2s


@pytest.fixture(scope="module")
def groups():
    """Every group of a small circuit, synapses among them, as built for runs."""
    net = cs.model("digits_mlp", hidden=5).with_rule("gait_prop_learned")
    sims = [cs.brian2.build(net, engine=engine) for engine in ("batched", "synapses")]
    phase = cs.Phase("p", 3, drive={"retina": np.ones((1, 64))}, plasticity=True)
    for sim in sims:
        sim.run(cs.Protocol(phase, eta_per_s=0.5))
    objects = itertools.chain.from_iterable(sim.built.network.sorted_objects for sim in sims)
    return [made for made in objects if hasattr(made, "variables")]


def test_brian2_finds_its_keys_this_way():
    assert cs.brian2.build  # loaded by then
    assert caching._hashable is cache_keys.key_of


def test_variables_of_every_group_have_the_same_keys(groups, brian2s):
    assert {brian2.NeuronGroup, brian2.Synapses} <= {type(group) for group in groups}
    for group in groups:
        variables = dict(group.variables)
        assert len(variables) > 3
        assert cache_keys.key_of(variables) == brian2s(variables)
        assert list(map(cache_keys.key_of, variables.values())) == list(map(brian2s, variables.values()))


class StateOfItsOwn(caching.CacheKey):
    _cache_irrelevant_attributes = frozenset({"b"})

    def __init__(self):
        self.a, self.b = 1, 2

    @property
    def _state_tuple(self):
        return ("mine", self.a)


class OneAttribute(caching.CacheKey):
    def __init__(self):
        self.only = ["x"]


THINGS = {
    "text": "dr/dt = -r / tau : 1",
    "numbers": (1, 1.5, True, None, np.float64(0.3)),
    "nested": {"a": [1, {"b": {2, 3}}], ("c", 4): (5.0, ("d",))},
    "a quantity": {"tau": 3.0 * brian2.ms},
    "types": [np.float64, np.dtype(float), int],
    "a state of its own": StateOfItsOwn(),
    "one attribute": OneAttribute(),
    "an equation": SingleEquation("parameter", "x", brian2.volt.dim),
    "equations": brian2.Equations("dr/dt = (b - r) / tau : 1\nb : 1"),
    "functions": dict(DEFAULT_FUNCTIONS),
}


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
def test_all_else_has_the_same_key(thing, brian2s):
    key = cache_keys.key_of(thing)
    assert key == brian2s(thing) and hash(key) == hash(brian2s(thing))


def test_what_is_irrelevant_stays_so_and_what_is_relevant_counts(groups):
    variables = dict(groups[0].variables)
    one = next(iter(variables.values()))
    before = cache_keys.key_of(variables)
    assert "owner" in vars(one) and "name" in vars(one)
    owner, name = one.owner, one.name
    try:
        one.owner = None
        assert cache_keys.key_of(variables) == before
        one.name = "another"
        assert cache_keys.key_of(variables) != before
    finally:
        one.owner, one.name = owner, name


def test_what_cannot_be_a_key_is_refused_as_before(brian2s):
    for find in (cache_keys.key_of, brian2s):
        with pytest.raises(TypeError, match="Do not know how to handle"):
            find({"values": np.zeros(3)})
