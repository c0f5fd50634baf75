"""The state of rules, recorded beside weights: on both backends, on disk, resumed."""

import numpy as np
import pytest
from traced import Traced

import cortex_sim as cs
from cortex_sim.recording import state_of


def experiment(rule, **record):
    net = cs.Network("stateful")
    net.population("retina", 5)
    net.population("V1", 3, bias=False)
    net.bottom_up("retina", "V1", cs.Dense("xavier"), plasticity=rule)
    x = np.random.default_rng(0).normal(size=(4, 5))
    show = cs.Phase("show", 60, drive={"retina": x}, plasticity=True)
    protocol = cs.Protocol(show, trials=8, eta_per_s=0.2, record=cs.Record(**record))
    return cs.Experiment(net, {"one": protocol, "two": protocol})


@pytest.mark.parametrize("backend", ["brian2", "torch"])
def test_theta_is_recorded_like_weights(backend):
    found = experiment(cs.Bcm(tau_ms=100.0), weights=True, state=True, weights_every=2)
    recording = getattr(cs, backend).run(found, progress=False)
    assert recording["state:retina->V1:theta"].dims == ("snapshot", "post:retina->V1")
    trials, theta = state_of(recording, "retina->V1", "theta", "one")
    np.testing.assert_array_equal(trials, [0, 2, 4, 6, 8])
    assert theta.shape == (5, 3) and not theta[0].any() and np.diff(theta, axis=0).any(1).all()
    if backend == "brian2":
        sim = cs.brian2.build(found.network_of("one"))
        sim.run(found.arms["one"].protocol, progress=False)
        np.testing.assert_array_equal(theta[-1], sim.weights.state["retina->V1"]["theta"])


def test_every_kind_of_state_and_one_variable_alone():
    recording = cs.brian2.run(experiment(Traced(), state=["retina->V1"]), progress=False)
    shapes = {"mean": (18, 3), "seen": (18, 5), "trace": (18, 3, 5), "modulator": (18,)}
    for variable, shape in shapes.items():
        assert recording[f"state:retina->V1:{variable}"].shape == shape
        assert state_of(recording, "retina->V1", variable, "two")[1].shape == (9, *shape[1:])
    np.testing.assert_array_equal(recording["state:retina->V1:mean"].values[0], 0.1)
    alone = cs.brian2.run(experiment(Traced(), state=["retina->V1:seen"]), progress=False)
    assert [n for n in alone.data_vars if n.startswith("state:")] == ["state:retina->V1:seen"]


def test_engines_agree_and_disk_holds_the_same(tmp_path):
    made = experiment(Traced(), state=True)
    in_memory = cs.brian2.run(made, progress=False)
    on_disk = cs.brian2.run(made, progress=False, out=tmp_path / "state.nc")
    for name in in_memory.data_vars:
        np.testing.assert_array_equal(in_memory[name], on_disk[name])
    other = cs.Experiment(made.network_of("one"), {"one": made.arms["one"].protocol}, engine="synapses")
    synapses = cs.brian2.run(other, progress=False)
    for variable in Traced.state:
        ours = state_of(in_memory, "retina->V1", variable, "one")[1]
        np.testing.assert_allclose(state_of(synapses, "retina->V1", variable)[1], ours, atol=1e-12)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ["retina->V1:sigma"],
            "'retina->V1:sigma' is not a rule's state variable in stateful; known: ",
        ),
        (["V1->IT"], "is not a rule's state variable"),
    ],
)
def test_what_is_no_state_is_refused(asked, said):
    with pytest.raises(cs.DeclarationError, match=said):
        cs.brian2.run(experiment(cs.Bcm(), state=asked), progress=False)
