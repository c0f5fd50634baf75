import logging

import numpy as np
import pytest
import torch
from graphs import as_graph, credit_of_labels
from networks import built, chain, shown

import cortex_sim as cs
from cortex_sim.backends.torch import diagnostics
from cortex_sim.backends.torch.diagnostics import angle_deg


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_angles_of_known_vectors():
    assert angle_deg(vector(1, 2, 3), vector(2, 4, 6)) == pytest.approx(0, abs=1e-10)
    assert angle_deg(vector(1, 2, 3), vector(1, 2, 3)) == 0
    assert angle_deg(vector(1, 0), vector(0, 3)) == pytest.approx(90, abs=1e-10)
    assert angle_deg(vector(1, 0), vector(-2, 0)) == pytest.approx(180, abs=1e-10)
    assert angle_deg(vector(1, 1), vector(1, 0)) == pytest.approx(45, abs=1e-10)


def test_small_angles_keep_their_digits():
    """An arc cosine would answer 0 below 1e-6 degrees."""
    tiny = np.radians(1e-9)
    assert angle_deg(vector(1, 0), vector(np.cos(tiny), np.sin(tiny))) == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf, 1e-310])
def test_no_angle_where_there_is_none(bad):
    assert angle_deg(vector(bad, 0), vector(1, 0)) is None
    assert angle_deg(vector(1, 0), vector(0, bad)) is None


def test_backprop_is_at_no_angle_to_itself():
    net = chain().with_rule("backprop")
    angles = diagnostics.angles_to_backprop(built(net), *shown(net))
    assert set(angles) == {p.name for p in net.bottom_ups}
    assert all(angle == pytest.approx(0, abs=1e-9) for angle in angles.values())


def test_gait_prop_is_at_none_on_orthogonal_weights_and_at_some_off_them():
    for init, low, high in (("orthogonal", 0, 1e-9), (cs.He(), 1, 180)):
        net = chain(init=init).with_rule("gait_prop", damping=0)
        angles = diagnostics.angles_to_backprop(built(net), *shown(net))
        assert low <= angles["retina->V1"] <= high
        assert angles["V2->IT"] == pytest.approx(0, abs=1e-9)  # nothing lies between it and E


def test_an_angle_that_is_not_defined_is_none_and_the_log_says_why(caplog):
    net = chain(objective="squared_error").with_rule("gait_prop")
    model = built(net)
    x, _ = shown(net)
    top = model.settle(model.stimulus_tensor(x))[1]["IT"].detach()
    with caplog.at_level(logging.WARNING):
        angles = diagnostics.angles_to_backprop(model, x, top)
    assert set(angles.values()) == {None}
    assert "V1->V2: no angle to backpropagation, since an update is zero" in caplog.text


def test_without_an_objective_there_is_no_angle(caplog):
    net = cs.Network("unsupervised")
    net.population("retina", 5)
    net.population("V1", 3)
    net.bottom_up("retina", "V1", plasticity="bcm")
    with caplog.at_level(logging.WARNING):
        readings = diagnostics.diagnose(built(net), np.ones((4, 5)), None)
    assert readings["angle_to_bp_deg"] == {"retina->V1": None}
    assert readings["credit_norm"] == {"V1": 0.0}
    assert "the network has no objective" in caplog.text


def test_orthogonality_deviation_of_every_projection(caplog):
    net = chain(init="orthogonal").with_rule("gait_prop")
    model = built(net)
    model.weights["retina->V1"].data.mul_(3)
    model.weights["V1->V2"].data.zero_()
    with caplog.at_level(logging.WARNING):
        found = diagnostics.orthogonality_deviations(model)
    assert found["retina->V1"] == pytest.approx(0, abs=1e-12)
    assert found["V1->V2"] is None and "V1->V2: no orthogonality deviation" in caplog.text


def test_credit_norms_are_root_mean_squares_over_presentations():
    net = chain().with_rule("backprop")
    model = built(net)
    x, y = shown(net)
    _, rates = as_graph(model).settle(x)
    c = credit_of_labels(rates["IT"], y)
    norms = diagnostics.credit_norms(model, x, y)
    assert list(norms) == ["V1", "V2", "IT"]
    assert norms["IT"] == pytest.approx(np.sqrt((c**2).sum(1).mean()))
    assert norms["V1"] > 0
    doubled = diagnostics.credit_norms(model, np.repeat(x, 2, 0), np.repeat(y, 2))
    assert doubled == pytest.approx(norms)


def test_dead_units_say_the_same_whatever_is_shown():
    net = chain("relu").with_rule("backprop")
    model = built(net)
    x, _ = shown(net, count=20)
    model.biases["V1"].data[:4] = -100
    dead = diagnostics.dead_units(model, x)
    _, rates = model.settle(model.stimulus_tensor(x), credit=False)
    silent = (rates["V1"] == 0).all(0).double().mean()
    assert dead["V1"] == pytest.approx(float(silent)) and dead["V1"] >= 4 / 11
    assert dead["IT"] == 0
    model.weights["V2->IT"].data[0] = 0  # says 0.1 whatever happens, which is no news either
    model.biases["IT"].data[0] = 0.1
    assert diagnostics.dead_units(model, x)["IT"] == pytest.approx(1 / 3)
    assert set(diagnostics.dead_units(model, x[:1]).values()) == {None}


def test_the_regularisers_share_of_the_gradient():
    net = chain().with_rule("kolen_pollack")
    model = built(net)
    x, y = shown(net)
    rule = model.updates(x, y)["V1->V2"].norm()
    penalty = 1e-4 * model.weights["V1->V2"].detach().norm()
    share = diagnostics.regulariser_shares(model, x, y)
    assert share["V1->V2"] == pytest.approx(float(penalty / (penalty + rule)))
    assert diagnostics.regulariser_shares(built(chain().with_rule("backprop")), x, y) == {}


def test_all_readings_leave_the_model_as_it_was():
    model = built(chain().with_rule("gait_prop"))
    x, y = shown(model.net)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    readings = diagnostics.diagnose(model, x, y)
    assert set(readings) == {
        "angle_to_bp_deg",
        "orthogonality_deviation",
        "credit_norm",
        "dead_units",
        "regulariser_share",
    }
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
