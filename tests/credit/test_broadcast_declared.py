"""A broadcast with plastic diffusion as a declared network: a teacher whose channels' weights learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import chain as tanh_chain
from networks import conv_residual, fan_out, residual
from plastic_runs import softmax

import cortex_sim as cs
from cortex_sim.backends.torch.training import make_optimiser
from cortex_sim.credit import BroadcastCredit, DenseCredit, TrainedCredit, diffusion, untrained
from cortex_sim.credit.feedback import Diffusion
from cortex_sim.initialisers import stream

LOGS = {"log_gain": 0.5, "log_decay_up": -7.0, "log_decay_down": -6.0, "log_scale": -0.3}


def credit(outputs=3, channels=4, kernel="dense", decorrelated=True, about=None, **others):
    form = BroadcastCredit(outputs, channels, kernel, decorrelated)
    shares = {"mixing": 1.0, "centring": 2.0} if decorrelated else {}
    given = {name: np.array(value) for name, value in (LOGS | shares | others).items()}
    return TrainedCredit(form, form.draw(2) | given, about or {})


def chain():
    return cs.model("tdca_mlp", inputs=11, hidden=[7, 5], classes=3)


def test_every_trained_number_has_its_place_in_the_declaration():
    trained = credit()
    net = chain().with_rule("tdca", credit=trained)
    assert [p.name for p in net.top_downs] == ["TDCA V1->V1", "TDCA V2->V2", "TDCA IT->IT"]
    for p in net.bottom_ups:
        assert p.plasticity == cs.Tdca() and p.regularisers == (cs.Decay(np.exp(-7.0)),)
        assert p.reads == cs.Decorrelated(mixing=1 / (1 + np.exp(-1.0)), centring=1 / (1 + np.exp(-2.0)))
    *hidden, top = net.top_downs
    for p in hidden:
        assert p.feedback == Diffusion("dense", scale=np.exp(-0.3))
        assert p.plasticity == cs.PlasticDiffusion(gain=np.exp(0.5))
        assert p.regularisers == (cs.Decay(np.exp(-6.0)),)
    assert top.plasticity is None and not top.regularisers
    within = net.teacher.projections
    assert set(within) == {f"TDCA base->TDCA {name}" for name in ("IT", "V1", "V2")}
    for name in ("V1", "V2"):
        np.testing.assert_array_equal(
            within[f"TDCA base->TDCA {name}"].feedback.weights, trained.parameters["broadcast"]
        )
    assert chain().with_rule("tdca", credit=credit(decorrelated=False)).bottom_ups[0].reads is None


def test_initial_diffusion_is_the_kernels_times_its_trained_size():
    drawn = chain().with_rule("tdca", credit=credit()).initial_weights(6)
    for name, units in (("V1", 7), ("V2", 5)):
        way = f"TDCA {name}->{name}"
        kernel = diffusion(credit().network.kernel, (units,), 4, stream(6, way))
        np.testing.assert_array_equal(drawn[way], np.exp(-0.3) * kernel)


def test_the_next_rule_takes_all_of_it_away():
    net = chain().with_rule("tdca", credit=credit())
    assert net.with_rule("backprop") == chain()
    assert net.with_rule("tdca", credit=credit(decorrelated=False)) == chain().with_rule(
        "tdca", credit=credit(decorrelated=False)
    )


def test_shown_stored_and_copied_with_the_declaration(tmp_path):
    net = chain().with_rule("tdca", credit=credit())
    assert cs.Network.from_yaml(net.to_yaml()) == net == net.copy()
    said = str(net)
    assert "PlasticDiffusion(gain=1.649" in said and "TDCA V1" in said
    net.draw(tmp_path / "net.png")
    model = cs.torch.build(net, 0)
    with torch.no_grad():
        model.feedback.learned["TDCA V1->V1"].mul_(2.0)
    cs.save(model, tmp_path / "state.npz")
    again = cs.load(tmp_path / "state.npz")
    assert again.network == net
    moved = cs.torch.build(net, 1)
    moved.load_state(again)
    kept = moved.feedback.learned["TDCA V1->V1"]
    assert torch.equal(kept, model.feedback.learned["TDCA V1->V1"])


# -- the equations, in numpy ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_credit_and_changes_are_those_of_the_equations(seed):
    rng = np.random.default_rng(seed)
    sizes, channels, count = rng.integers(3, 10, size=4), int(rng.integers(1, 9)), int(rng.integers(1, 6))
    net = cs.Network("random")
    for name, units in zip(("retina", "V1", "V2", "IT"), sizes, strict=True):
        net.population(name, int(units), activation="linear" if name == "IT" else "tanh")
    for pre, post in (("retina", "V1"), ("V1", "V2"), ("V2", "IT")):
        net.bottom_up(pre, post, plasticity="backprop")
    net.objective("IT", "cross_entropy")
    trained = credit(int(sizes[-1]), channels, "ring", decorrelated=False)
    net = net.with_rule("tdca", credit=trained)
    x, y = rng.normal(size=(count, sizes[0])), rng.integers(sizes[-1], size=count)
    model, w = cs.torch.build(net, seed, precision="64"), net.initial_weights(seed)

    r1 = np.tanh(x @ w["retina->V1"].T)
    r2 = np.tanh(r1 @ w["V1->V2"].T)
    error = np.eye(sizes[-1])[y] - softmax(r2 @ w["V2->IT"].T)
    g = error @ trained.parameters["broadcast"].T
    c1, c2 = g @ w["TDCA V1->V1"].T, g @ w["TDCA V2->V2"].T
    credits = model.credits(x, y)
    for name, c in (("V1", c1), ("V2", c2), ("IT", error)):
        np.testing.assert_allclose(credits[name].detach(), c, atol=1e-12)
    gain = np.exp(0.5)
    expected = {
        "retina->V1": (c1 * (1 - r1**2)).T @ x / count,
        "V1->V2": (c2 * (1 - r2**2)).T @ r1 / count,
        "V2->IT": error.T @ r2 / count,
        "TDCA V1->V1": gain * r1.T @ g / count,
        "TDCA V2->V2": gain * r2.T @ g / count,
    }
    changes = model.updates(x, y)
    each = model.updates(x, y, per_presentation=True)
    assert changes.keys() == expected.keys()
    for name, change in expected.items():
        np.testing.assert_allclose(changes[name], change, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(each[name].mean(0), change, atol=1e-12, err_msg=name)
    model.train()
    model(x, y).backward()
    for name in ("TDCA V1->V1", "TDCA V2->V2"):
        parameter = model.feedback.learned[name]
        np.testing.assert_allclose(
            -parameter.grad, expected[name] - np.exp(-6.0) * parameter.detach().numpy(), atol=1e-12
        )


def test_diffusion_approaches_the_transpose_through_the_channels():
    """With MᵀM = I, κ = 1 and equal decay η λ, plain steps shrink D M − Wᵀ of the top by 1 − η λ."""
    net = cs.model("tdca_mlp", inputs=11, hidden=[7], classes=3)
    m = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 3)))[0]
    logs = {"log_gain": 0.0, "log_decay_up": np.log(0.2), "log_decay_down": np.log(0.2)}
    net = net.with_rule("tdca", credit=credit(channels=5, decorrelated=False, broadcast=m, **logs))
    model = cs.torch.build(net, 0, precision="64")
    x, y = np.random.default_rng(1).normal(size=(20, 11)), np.arange(20) % 3

    def gap():
        d, w = model.feedback.learned["TDCA V1->V1"], model.weights["V1->IT"]
        return (d @ torch.as_tensor(m) - w.T).detach().numpy()

    before, rate = gap(), 0.1
    model.fit((x, y), 3, batch_size=20, optimiser={"name": "SGD", "lr": rate}, schedule=None)
    np.testing.assert_allclose(gap(), (1 - rate * 0.2) ** 3 * before, atol=1e-12)


def test_d_moves_by_what_the_synapses_above_read():
    """V1 → V2 reads decorrelated rates, V2 → IT of the same network rates: D of each follows its own."""
    net = chain().with_rule("tdca", credit=credit())
    net.projections["V2->IT"] = replace(net.projections["V2->IT"], reads=None)
    model = cs.torch.build(net, 0, precision="64")
    rng = np.random.default_rng(0)
    shown = rng.normal(size=(40, 11)) + 1.0, rng.integers(3, size=40)
    model.fit(shown, 2, batch_size=8, optimiser={"name": "SGD", "lr": 0.01})
    x, y = shown[0][:6], shown[1][:6]
    rates = {name: r.detach() for name, r in model.settle(x)[1].items()}
    g = model.credits(x, y)["IT"] @ torch.tensor(net.teacher.parameters["broadcast"]).T
    read = model.presynaptic.of["V1->V2"].read(rates["V1"])
    assert (read - rates["V1"]).abs().max() > 0.01
    changes, gain = model.updates(x, y), np.exp(0.5)
    torch.testing.assert_close(changes["TDCA V1->V1"], gain * read.T @ g / 6, rtol=0, atol=1e-12)
    torch.testing.assert_close(changes["TDCA V2->V2"], gain * rates["V2"].T @ g / 6, rtol=0, atol=1e-12)


@pytest.mark.parametrize("network", [tanh_chain, residual, fan_out, conv_residual])
def test_any_graph(network):
    net = network()
    outputs, rng = net.populations["IT"].size, np.random.default_rng(0)
    declared = net.with_rule("tdca", credit=credit(outputs, decorrelated=False))
    model = cs.torch.build(declared, 1, precision="64")
    x = rng.normal(size=(3, *net.populations["retina"].shape))
    y = rng.integers(outputs, size=3)
    found, rates = model.updates(x, y), model.settle(x)[1]
    error = model.credits(x, y)["IT"].detach().flatten(1)
    g = error @ torch.tensor(declared.teacher.parameters["broadcast"]).T
    for name in declared.teacher.hidden:
        change = np.exp(0.5) * rates[name].detach().flatten(1).T @ g / 3
        torch.testing.assert_close(found[f"TDCA {name}->{name}"], change, rtol=0, atol=1e-12)


def test_without_plasticity_it_is_direct_feedback_alignment_through_m():
    trained = credit(decorrelated=False)
    net = chain().with_rule("tdca", credit=trained)
    for p in net.top_downs:
        net.projections[p.name] = replace(p, plasticity=None, regularisers=())
    net.check()
    d, m = net.initial_weights(0), trained.parameters["broadcast"]
    theirs = chain().with_rule("direct_feedback_alignment")
    for name in ("V1", "V2"):
        way = f"IT->{name}"
        theirs.projections[way] = replace(
            theirs.projections[way], feedback=cs.Given(d[f"TDCA {name}->{name}"] @ m)
        )
    x, y = np.random.default_rng(3).normal(size=(5, 11)), np.arange(5) % 3
    ours, other = (cs.torch.build(n, 0, precision="64").updates(x, y) for n in (net, theirs))
    assert ours.keys() == other.keys()
    for name, change in other.items():
        torch.testing.assert_close(ours[name], change, rtol=0, atol=1e-12)


# -- refusals ---------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(cs.DeclarationError, match="trained for 4 output units"):
        chain().with_rule("tdca", credit=credit(4))
    with pytest.raises(cs.DeclarationError, match="the logarithm of gain is 1000"):
        chain().with_rule("tdca", credit=credit(log_gain=1000.0))
    with pytest.raises(cs.DeclarationError, match=r"every network learns its own D.* use Ring\(\)"):
        BroadcastCredit(3, 4, {"name": "learned", "units": 8})
    with pytest.raises(cs.DeclarationError, match="PlasticDiffusion: gain"):
        cs.PlasticDiffusion(gain=0.0)
    with pytest.raises(cs.DeclarationError, match="Diffusion: scale"):
        Diffusion(scale=0.0)


def test_the_rule_belongs_to_channels_onto_hidden_populations():
    net = chain().with_rule("feedback_alignment")
    del net.projections["IT->V2"]
    with pytest.raises(cs.DeclarationError, match=r"IT->V2: PlasticDiffusion .*KolenPollack\(of='V2->IT'\)"):
        net.top_down("IT", "V2", feedback=cs.Random(), plasticity=cs.PlasticDiffusion())
    with pytest.raises(cs.DeclarationError, match="is a rule for top-down|changes top-down weights"):
        chain().with_rule(cs.PlasticDiffusion())
    taught = chain().with_rule("tdca", credit=credit())
    for name, part in (
        ("TDCA IT->IT", {"plasticity": cs.PlasticDiffusion()}),
        ("TDCA IT->IT", {"regularisers": (cs.Decay(),)}),
        ("TDCA V1->V1", {"plasticity": cs.KolenPollack(of="V1->V2")}),
    ):
        changed = taught.copy()
        changed.projections[name] = replace(changed.projections[name], **part)
        with pytest.raises(cs.DeclarationError, match=f"{name}: (weights of a credit network|KolenPollack)"):
            changed.check()


def test_other_forms_may_diffuse_plastically_too():
    """The rule belongs to the projection: channels of a trained dense network, D on the move."""
    net = chain().with_rule("tdca", credit=untrained(DenseCredit(3, 4)))
    way = net.projections["TDCA V1->V1"]
    net.projections[way.name] = replace(way, plasticity=cs.PlasticDiffusion(0.7))
    model = cs.torch.build(net, 0, precision="64")
    x, y = np.random.default_rng(3).normal(size=(5, 11)), np.arange(5) % 3
    d = torch.linalg.pinv(torch.tensor(net.initial_weights(0)[way.name]))
    g = model.credits(x, y)["V1"] @ d.T  # D has more rows than channels
    change = 0.7 * model.settle(x)[1]["V1"].detach().T @ g / 5
    torch.testing.assert_close(model.updates(x, y)[way.name], change, rtol=0, atol=1e-10)


def test_frozen_diffusion_stays_as_it_is():
    step = {"step_rate": [[[-1.0, 0.5], [-5.0, 0.0]]] * 2, "step_fall": [[0.0, 1.0]] * 2}
    model = cs.torch.build(chain().with_rule("tdca", credit=credit(about={"step": step})), 0)
    d = model.feedback.learned["TDCA V1->V1"].requires_grad_(False)
    before, other = d.clone(), model.feedback.learned["TDCA V2->V2"].detach().clone()
    x, y = np.random.default_rng(3).normal(size=(12, 11)), np.arange(12) % 3
    model.fit((x, y), 1, batch_size=6, optimiser="inner_step")
    assert torch.equal(d, before) and not torch.equal(model.feedback.learned["TDCA V2->V2"], other)
    assert make_optimiser(model, None, 4).param_groups[0]["name"] == "mixed"
