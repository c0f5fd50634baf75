"""Time courses of the state of rules that was recorded as rates are."""

import numpy as np
import pytest
from traced import Traced

import cortex_sim as cs
from cortex_sim.recording import state_of


@pytest.fixture(scope="module")
def recording():
    net = cs.Network("stateful")
    net.population("retina", 5)
    net.population("V1", 3, activation="tanh")
    net.bottom_up("retina", "V1", plasticity=Traced())
    x = np.random.default_rng(0).normal(size=(4, 5))
    show = cs.Phase("show", 20, drive={"retina": x}, plasticity=True)
    names = [f"retina->V1:{variable}" for variable in Traced.state]
    one = cs.Protocol(show, trials=4, record=cs.Record(["rate", *names], every_ms=4))
    return cs.brian2.run(cs.Experiment(net, {"a": one, "b": one.replace(eta_per_s=1)}), progress=False)


@pytest.mark.parametrize(("variable", "of"), [("mean", "units"), ("seen", "units"), ("trace", "synapses")])
def test_one_panel_shows_the_mean_of_a_state(recording, variable, of):
    figure = cs.viz.time_course(recording, variable=f"retina->V1:{variable}")
    (axes,) = figure.axes
    values = recording[f"retina->V1:{variable}"]
    for line, arm in zip(axes.get_lines(), ("a", "b"), strict=False):
        of_arm = values.values[recording.arm.values == arm].reshape(4, -1, 5).mean((0, 1))
        np.testing.assert_allclose(line.get_ydata(), of_arm, atol=1e-14)
        np.testing.assert_array_equal(line.get_xdata(), recording.time_bin_end)
    assert axes.get_ylabel() == f"retina->V1\n{variable}"
    assert any(f"mean over {of}" in text.get_text() for text in figure.texts)


def test_single_synapses_and_the_modulator(recording):
    figure = cs.viz.time_course(recording, variable="retina->V1:trace", neuroids=["trace[2, 4]"])
    line = figure.axes[0].get_lines()[0]
    part = cs.recording.select(recording, arm="a")["retina->V1:trace"].values
    np.testing.assert_allclose(line.get_ydata(), part[:, 2, 4].mean(0), atol=1e-14)
    assert (
        cs.viz.time_course(recording, variable="retina->V1:modulator").axes[0].get_lines()[0].get_ydata() == 1
    ).all()
    cs.viz.time_course(recording)  # rates, as always
    with pytest.raises(cs.DataError, match="variable of the recording"):
        cs.viz.time_course(recording, variable="retina->V1:theta")


def test_one_sample_a_trial(recording):
    last = recording.isel(time_bin=-1, drop=True)
    (axes,) = cs.viz.time_course(last, variable="retina->V1:mean").axes
    assert axes.get_xlabel() == "presentation"


def test_snapshots_are_not_samples(recording):
    with pytest.raises(
        cs.DataError, match=r"as rates are, not by snapshot; read recording\[\"retina->V1:mean"
    ):
        state_of(recording, "retina->V1", "mean")
