"""Recordings of weights, or the state of rules, without rates."""

import numpy as np
import pytest
from stopped_runs import assert_resumed_is_the_same

import cortex_sim as cs
from cortex_sim.recording import state_of, weights_of

ALONE = cs.Record((), weights=True, state=True, weights_every=2)


def experiment(record=ALONE, **settings):
    net = cs.Network("two")
    net.population("retina", 5)
    net.population("V1", 3, activation="tanh", bias=False)
    net.bottom_up("retina", "V1", plasticity=cs.Bcm(tau_ms=50))
    x = np.random.default_rng(0).normal(size=(6, 5))
    show = cs.Phase("show", 10, drive={"retina": x}, plasticity=True)
    probe = cs.Protocol(cs.Phase("show", 10, drive={"retina": x}), trials=2)
    one = cs.Protocol(show, trials=6, probe=probe, record=record, **settings)
    return cs.Experiment(net, {"one": one, "two": one.replace(eta_per_s=0.5)})


@pytest.mark.parametrize("backend", ["brian2", "torch"])
def test_they_are_those_recorded_beside_rates(backend, tmp_path):
    run = getattr(cs, backend).run
    alone = run(experiment(), progress=False)
    beside = run(experiment(cs.Record(weights=True, state=True, weights_every=2)), progress=False)
    assert set(beside.variables) - set(alone.variables) == {"rate"}
    for name in alone.variables:
        np.testing.assert_array_equal(alone[name], beside[name])
    with run(experiment(), progress=False, out=tmp_path / "weights.nc") as written:
        assert dict(written.sizes) == dict(alone.sizes)
        for name in alone.variables:
            np.testing.assert_array_equal(written[name], alone[name])
    loaded = cs.recording.load(tmp_path / "weights.nc")
    trials, weights = weights_of(loaded, "retina->V1", "two")
    assert trials.tolist() == [0, 2, 4, 6] and weights.shape == (4, 3, 5)
    assert state_of(loaded, "retina->V1", "theta", "one")[1].shape == (4, 3)
    assert cs.recording.select(loaded, arm="one").sizes["snapshot"] == 4
    assert "weights" in str(cs.viz.overview(loaded))
    cs.viz.weight_trajectories(loaded, path=tmp_path / "weights.png")


def test_a_session_and_its_resume(tmp_path, monkeypatch):
    one = experiment()
    alone = cs.brian2.build(one.network_of("one")).run(one.arms["one"].protocol, progress=False)
    assert not {"rate", "neuroid"} & set(alone.data_vars) and alone.sizes["presentation"] == 10
    assert_resumed_is_the_same(one, (5,), tmp_path, monkeypatch)


def test_what_needs_rates_says_so(tmp_path):
    alone = cs.brian2.run(experiment(), progress=False)
    for draw in (cs.viz.time_course, cs.viz.raster, cs.viz.compare_arms):
        with pytest.raises(cs.DataError, match="rate"):
            draw(alone)
    with pytest.raises(cs.DataError, match="needs an xarray Dataset with a variable rate"):
        cs.recording.save_nwb(alone, tmp_path / "alone.nwb")
    with pytest.raises(cs.DataError, match="variable rate"):
        cs.compare.to_responses(alone)


def test_settings_that_record_nothing_are_refused():
    with pytest.raises(cs.DeclarationError, match="Record: variables is empty; .* weights=True for weights"):
        cs.Record(())
    with pytest.raises(cs.DeclarationError, match="every_ms=2 samples variables, but there are none"):
        cs.Record((), every_ms=2, weights=True)


def test_yaml_and_notebook_know_it():
    one = experiment().arms["one"].protocol
    assert cs.Protocol.from_yaml(one.to_yaml()).record == ALONE
    assert "records weights of all plastic projections" in one._repr_html_()
