"""A user-defined credit network and context, one class each: on torch, in time, and in inner runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from networks import chain, conv, shown
from timed import NEAR, assert_close, by_population, expected, protocol, settled

import cortex_sim as cs
from cortex_sim.arrays import array_namespace
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.credit import ChannelSet, DenseCredit, Learned, SharedCredit, TrainedCredit, place, spread
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort
from cortex_sim.tdca.inner.rules import TopDownCredit
from cortex_sim.tdca.inner.step import Plain


@dataclass(frozen=True)
class Rewarded:
    """Rates, target, and one number that says how much of the answer is right: Σ y tanh r."""

    parameters: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    reads_error: ClassVar[bool] = False

    def signals(self, outputs):
        return {"rates": outputs, "goal": outputs, "reward": 1}

    def draw(self):
        return {}

    def trained(self, parameters):
        return self

    def seen(self, received):
        xp = array_namespace(received.rates)
        reward = xp.sum(received.goal * xp.tanh(received.rates), axis=-1, keepdims=True)
        return {"rates": received.rates, "goal": received.goal, "reward": reward}

    def base(self, parameters, received):
        return received.goal - array_namespace(received.rates).tanh(received.rates)


@dataclass(frozen=True)
class Gains:
    """c_L = b ∘ (1 + tanh(W_L s)), g = V b ∘ tanh(W s) with s all signals; one W, V a set of channels."""

    outputs: int
    sets: tuple[ChannelSet, ...] = (ChannelSet(4), ChannelSet(2, "block"))
    context: Any = field(default_factory=Rewarded)
    gated: bool = True
    addressed: ClassVar[bool] = False

    def shapes(self):
        n, signals = self.outputs, sum(self.context.signals(self.outputs).values())
        found = {"top": (n, signals)}
        for i, channel_set in enumerate(self.sets):
            found |= {f"gain_{i}": (channel_set.count, signals), f"value_{i}": (channel_set.count, n)}
            if isinstance(channel_set.kernel, Learned):
                found[f"diffusion_{i}"] = (channel_set.kernel.units, channel_set.count)
        return found

    def draw(self, seed):
        rng = np.random.default_rng(seed)
        return {name: rng.normal(size=shape) for name, shape in self.shapes().items()}

    def credits(self, parameters, received, placed, rates=()):
        xp, p = array_namespace(received.goal), parameters
        s = xp.concat(list(self.context.seen(received).values()), axis=-1)
        b = self.context.base(p, received)

        def through(name, x):
            return x @ p[name].swapaxes(-1, -2)

        sets = (q.level for q in placed)
        channels = [through(f"value_{i}", b) * xp.tanh(through(f"gain_{i}", s)) for i in sets]
        return b * (1 + xp.tanh(through("top", s))), channels


def trained(network, seed=1):
    return TrainedCredit(network, network.draw(seed), {})


def taught(network=chain, credit=None, **settings):
    net = network(init=NEAR)
    outputs = net.populations["IT"].size
    return net.with_rule("tdca", credit=credit or trained(Gains(outputs, **settings)))


FORMS = [
    pytest.param(lambda: taught(), id="chain"),
    pytest.param(lambda: taught(conv), id="conv"),
    pytest.param(lambda: taught(gated=False, sets=(ChannelSet(4, Learned(11)),)), id="ungated, learned"),
    pytest.param(lambda: taught(credit=some(DenseCredit(3, 4, 5, Rewarded()))), id="own context, dense"),
    pytest.param(lambda: taught(credit=some(SharedCredit(4, 5, Rewarded()))), id="own context, shared"),
]
every = pytest.mark.parametrize("make", FORMS)


def some(network):
    rng = np.random.default_rng(1)
    return TrainedCredit(network, {n: rng.normal(size=s) for n, s in network.shapes().items()}, {})


@every
def test_torch_brings_every_unit_what_its_equations_say(make):
    net = make()
    model = cs.torch.build(net, precision="64")
    x, y = shown(net, 3)
    rates = {n: r.detach().flatten(1).numpy() for n, r in model.settle(model.stimulus_tensor(x))[1].items()}
    teacher, weights = net.teacher, net.initial_weights(0)
    goal = np.eye(teacher.outputs)[y]
    from cortex_sim.credit import TopSignals

    received = TopSignals(rates["IT"], goal, np.full_like(goal, np.nan))  # the objective is not read
    placed = teacher.placed(weights)
    top, channels = teacher.network.credits(
        teacher.parameters, received, placed, [rates[n] for n in teacher.hidden]
    )
    ours = {name: c.flatten(1).numpy() for name, c in model.credits(x, y).items()}
    np.testing.assert_allclose(ours["IT"], top, rtol=1e-12)
    for name, g, p in zip(teacher.hidden, channels, placed, strict=True):
        np.testing.assert_allclose(ours[name], g @ p.diffusion.T, rtol=1e-9, atol=1e-12)
        assert np.abs(ours[name]).max() > 1e-2


def test_it_trains():
    images = cs.data.load("digits").standardised()
    network = Gains(10)
    p = {name: np.zeros_like(w) if "value" not in name else w for name, w in network.draw(0).items()}
    for gain in (p["gain_0"], p["gain_1"]):
        gain[:, 10:20] = 1.0  # of the target alone, and so one number: the values are broadcast
    net = cs.model("digits_mlp").with_rule("tdca", credit=TrainedCredit(network, p, {}))
    history = cs.torch.build(net).fit(
        images, epochs=6, optimiser={"name": "Adam", "lr": 1e-2}, progress=False
    )
    assert history[-1]["test_accuracy"] > 0.8


@every
def test_in_time_and_in_a_phase_at_equilibrium_it_is_the_same(make):
    net = make()
    x, y = shown(net, 3)
    rates, credits = settled(cs.brian2.build(net, dt_ms=4.0), x, y)
    their_rates, their_credits = expected(net, x, y)
    assert_close(rates, their_rates, 1e-6)
    assert_close(credits, their_credits, 1e-6, skip=net.stimulated)
    at_once = by_population(net, QuasiStatic(net).run(protocol(net, x, y)), "credit")
    assert_close(at_once, their_credits, 1e-9, skip=net.stimulated)
    assert not any(c.any() for c in settled(cs.brian2.build(net, dt_ms=4.0), x, None)[1].values())


def test_a_plateau_in_time_changes_weights_as_one_update():
    net = taught()
    x, y = shown(net, 3)
    sim, script = cs.brian2.build(net, dt_ms=2.0), protocol(net, x, y, batch=3, learn_ms=100.0)
    start = {n: w.copy() for n, w in sim.weights.matrix.items()}
    sim.run(script.replace(eta_per_s=1e-3))
    for name, change in cs.torch.build(net, precision="64").updates(x, y).items():
        ours = sim.weights.matrix[name] - start[name]
        np.testing.assert_allclose(ours, 1e-4 * change.numpy(), rtol=1e-3, atol=1e-9)


def test_a_cut_silences_one_population():
    net = taught()
    x, y = shown(net, 3)
    script = protocol(net, x, y, cut=["TDCA V1->V1"])
    for session in (cs.brian2.build(net, dt_ms=4.0), QuasiStatic(net)):
        credits = by_population(net, session.run(script), "credit")
        assert not credits["V1"].any() and credits["V2"].any()


def test_its_outputs_are_recorded_silenced_and_driven():
    net = taught()
    x, y = shown(net, 3)
    shared = {"drive": {"retina": x, "TDCA V1": 0.3}, "nudge": {"IT": y}, "silence": ["TDCA V2/1"]}
    watched = cs.Record(("rate", "credit"), ["V1", "V2", "TDCA V1", "TDCA V2", "TDCA IT"])
    script = cs.Protocol(cs.Phase("all", 800, **shared), batch=3, record=watched)
    in_time, at_rest = (s.run(script) for s in (cs.brian2.build(net, dt_ms=4.0), QuasiStatic(net)))
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(in_time[variable], at_rest[variable], atol=1e-7)
    _, intact = expected(net, x, y)
    found = by_population(net, QuasiStatic(net).run(script.replace(record=cs.Record(("credit",)))), "credit")
    d = net.initial_weights(0)["TDCA V1->V1"]
    np.testing.assert_allclose(found["V1"], intact["V1"] + 0.3 * d.sum(1), atol=1e-12)
    with pytest.raises(cs.DeclarationError, match="unknown population in drive.*TDCA context"):
        cs.Experiment(net, {"all": cs.Protocol(cs.Phase("all", 10, drive={"TDCA context": 1.0}))})


@pytest.mark.parametrize(
    "make, what",
    [
        (lambda: taught(), "the credit network Gains"),
        (lambda: taught(credit=some(DenseCredit(3, 4, 5, Rewarded()))), "the context Rewarded"),
    ],
)
def test_synapses_refuse_it_with_the_way_out(make, what):
    with pytest.raises(cs.BuildError, match=f'{what} cannot be made of single synapses.*engine="batched"'):
        cs.brian2.build(make(), engine="synapses")


@pytest.mark.parametrize("of", [Gains, lambda n: DenseCredit(n, 4, 5, Rewarded())])
def test_in_lives_it_teaches_as_on_torch(of):
    runs, count = 3, 4
    net = chain(init=NEAR)
    network, body = of(3), architecture(net.with_rule("backprop"))
    credit = trained(network)
    cohort = Cohort(body, TopDownCredit(network), Plain(), runs, dtype=torch.float64)
    cohort.begin(torch.ones(runs, dtype=torch.bool), torch.arange(runs), torch.full((runs,), 10.0))
    models = [
        cs.torch.build(net.with_rule("tdca", credit=credit), seed=run, precision="64") for run in range(runs)
    ]
    names = ["TDCA V1->V1", "TDCA V2->V2"]
    cohort.fixed = [torch.stack([m.feedback.fixed.get_buffer(name) for m in models]) for name in names]
    x, y = shown(net, count)
    x = torch.as_tensor(x, dtype=torch.float64).flatten(1)
    goal = torch.eye(3, dtype=torch.float64)[torch.as_tensor(y)]
    p = {name: torch.as_tensor(value) for name, value in credit.parameters.items()}
    _, local = cohort.changes(p, x.expand(runs, *x.shape), goal.expand(runs, *goal.shape))
    for run, model in enumerate(models):
        for layer, (u, read) in zip(body.layers, local, strict=True):
            change = u[run].T @ read[run] / count
            theirs = model.updates(x, goal)[layer.projection.name]
            torch.testing.assert_close(change, theirs, rtol=1e-9, atol=1e-9)


def test_a_kernel_that_was_learned_spreads_its_channels():
    network = Gains(3, sets=(ChannelSet(4, Learned(11)),))
    p = network.draw(0)
    (placed,) = place(network, [(11,)], 3, np.random.default_rng(0))
    np.testing.assert_allclose(spread(p, placed), p["diffusion_0"], atol=1e-12)


def test_it_prints_draws_and_survives_yaml_and_files(tmp_path):
    net = taught()
    assert list(net.credit_populations) == ["TDCA IT", "TDCA V1", "TDCA V2"] and not net.credit_projections
    assert "TDCA V1->V1" in str(net) and net.draw()
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net and again.teacher.network == Gains(3)
    model = cs.torch.build(net, seed=5, precision="64")
    cs.save(model, tmp_path / "state.safetensors")
    x, y = shown(net, 3)
    for other in (
        cs.torch.build(net, precision="64", state=tmp_path / "state.safetensors"),
        cs.torch.build(cs.load(tmp_path / "state.safetensors").network, seed=5, precision="64"),
    ):
        for name, change in model.updates(x, y).items():
            assert torch.equal(change, other.updates(x, y)[name])


def test_addresses_go_with_the_state_and_not_with_the_seed():
    net = taught(credit=some(SharedCredit(4, 5)))
    model = cs.torch.build(net, seed=5)
    state = model.state()
    assert set(state.feedback) >= {"TDCA base->TDCA V1", "TDCA V1->V1"}
    for other in (cs.torch.build(net, state=state).state(), cs.brian2.build(net, state=state).state()):
        for name, b in state.feedback.items():
            np.testing.assert_array_equal(other.feedback[name], b)
    another = net.with_rule("tdca", credit=some(SharedCredit(4, 6)))
    assert set(cs.torch.build(another, state=state).state().feedback) == set(state.feedback)


@dataclass(frozen=True)
class Addressed(Gains):
    """The same with an address for each channel, which it does not read."""

    addressed: ClassVar[bool] = True


def test_parts_that_its_equations_do_not_read_are_recorded_and_nothing_else():
    net = taught(credit=trained(Addressed(3)))
    x, y = shown(net, 3)
    phase = cs.Phase("all", 800, drive={"retina": x}, nudge={"IT": y})
    record = cs.Record(("rate", "credit"), list(net.every_population))
    script = cs.Protocol(phase, batch=3, record=record)
    in_time, at_rest = (s.run(script) for s in (cs.brian2.build(net, dt_ms=4.0), QuasiStatic(net)))
    for variable in ("rate", "credit"):
        np.testing.assert_allclose(in_time[variable], at_rest[variable], atol=1e-7)
    for settings in (
        {"silence": ["TDCA base"]},
        {"drive": {"TDCA base": 1.0}},
        {"cut": ["TDCA base->TDCA V1"]},
    ):
        with pytest.raises(cs.DeclarationError, match="is inside the user-defined credit network Addressed"):
            cs.Experiment(net, {"all": cs.Protocol(cs.Phase("all", 10, **settings))})


@dataclass(frozen=True)
class Lacking:
    """A credit network that does not say what it sends."""

    outputs: int = 3

    def shapes(self):
        return {}


def test_what_lacks_a_part_is_refused():
    with pytest.raises(cs.DeclarationError, match="object with outputs, context, sets, addressed, gated"):
        chain().with_rule("tdca", credit=TrainedCredit(Lacking(), {}, {}))
    with pytest.raises(cs.DeclarationError, match="trained for 4 output units, but IT has 3"):
        chain().with_rule("tdca", credit=trained(Gains(4)))
    teacher = taught().teacher
    assert replace(teacher, tau_ms=5.0).populations["TDCA V1"].tau_ms == 5.0


def test_a_context_of_its_own_is_stored_with_an_own_credit_network_that_alone_has_it():
    @dataclass(frozen=True)
    class Seen(Rewarded):
        """A context that nothing but the network below has been given."""

    net = taught(context=Seen())
    assert cs.Network.from_yaml(net.to_yaml()).teacher.network == Gains(3, context=Seen())
