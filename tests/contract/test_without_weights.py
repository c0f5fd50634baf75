"""A network without weights of its own is a network: shown, recorded, saved and gone on with."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DeclarationError

X = np.random.default_rng(0).normal(size=(3, 4))
SHOW = cs.Protocol(
    cs.Phase("show", 300, drive={"retina": X}), batch=1, record=cs.Record(("rate", "credit"), weights=True)
)


def network(objective):
    net = cs.Network("relays")
    for name in ("retina", "LGN", "V1"):
        net.population(name, 4)
    net.bottom_up("retina", "LGN", cs.Identity())
    net.bottom_up("LGN", "V1", cs.Identity())
    if objective:
        net.objective("V1", "squared_error")
    return net


BUILDS = {
    "batched": lambda net, **more: cs.brian2.build(net, **more),
    "synapses": lambda net, **more: cs.brian2.build(net, engine="synapses", **more),
}


@pytest.mark.parametrize("objective", [False, True])
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_it_relays_in_time(build, objective, tmp_path):
    net = network(objective)
    sim = build(net)
    seen = sim.run(SHOW)
    top = seen.rate.values.reshape(3, -1)[:, seen.population.values == "V1"]
    np.testing.assert_allclose(top, X, atol=1e-9)
    sim.restore(sim.checkpoint())
    cs.save(sim, tmp_path / "relays.safetensors")
    again = build(net, state=tmp_path / "relays.safetensors").run(SHOW)
    np.testing.assert_array_equal(again.rate.values, seen.rate.values)


@pytest.mark.parametrize("objective", [False, True])
def test_it_relays_on_torch_and_in_an_experiment(objective):
    net = network(objective)
    responses = cs.torch.build(net).respond(X.astype(np.float32))
    top = responses.rate.values[:, responses.population.values == "V1"]
    np.testing.assert_allclose(top, X, atol=1e-6)
    for run in (cs.torch.run, cs.brian2.run):
        made = run(cs.Experiment(net, {"one": SHOW}), progress=False)
        found = made.rate.values.reshape(3, -1)[:, made.population.values == "V1"]
        np.testing.assert_allclose(found, X, atol=1e-9)


def test_without_any_projection_the_way_out_is_said():
    net = cs.Network("alone")
    net.population("retina", 4)
    for build in (*BUILDS.values(), cs.torch.build):
        with pytest.raises(
            DeclarationError, match="network alone: no bottom-up projection; add net.bottom_up"
        ):
            build(net)
