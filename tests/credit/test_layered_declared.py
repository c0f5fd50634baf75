"""A layered credit network as a declared network of existing parts."""

import numpy as np
import pytest
from networks import chain as tanh_chain
from networks import conv_residual, fan_out, residual

import cortex_sim as cs
from cortex_sim.credit import LayeredCredit, TrainedCredit
from cortex_sim.credit.step import TrainedStep, step_of
from cortex_sim.initialisers import stream
from cortex_sim.tdca.evolving.outcome import write_credit
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.cohort import layout, start

STEP = {"step_rate": [[[-1.0, 0.5], [-5.0, 0.0]]] * 2, "step_fall": [[0.0, 1.0]] * 2}
LOGS = {"log_gain": 0.5, "log_decay_up": -7.0, "log_decay_down": -6.0, "log_scale": -0.3}


def credit(mirror=0, decorrelated=True, about=None, **others):
    shares = {"mixing": 1.0, "centring": 2.0} if decorrelated else {}
    parameters = {name: np.array(value) for name, value in (LOGS | shares | others).items()}
    return TrainedCredit(LayeredCredit(mirror, decorrelated), parameters, about or {"step": STEP})


def chain():
    return cs.model("tdca_mlp", inputs=11, hidden=[7, 5], classes=3)


def test_every_trained_number_has_its_place_in_the_declaration():
    net = chain().with_rule("tdca", credit=credit())
    assert net.teacher is None
    assert [p.name for p in net.top_downs] == ["V2->V1", "IT->V2"]
    for p in net.bottom_ups:
        assert p.plasticity == cs.FeedbackAlignment()
        assert p.regularisers == (cs.Decay(np.exp(-7.0)),)
        assert p.reads == cs.Decorrelated(mixing=1 / (1 + np.exp(-1.0)), centring=1 / (1 + np.exp(-2.0)))
    for p in net.top_downs:
        assert p.feedback == cs.Random(np.exp(-0.3))
        assert p.plasticity == cs.KolenPollack(p.reverse_name, gain=np.exp(0.5), forgetting="own")
        assert p.regularisers == (cs.Decay(np.exp(-6.0)),)
    assert chain().with_rule("tdca", credit=credit(decorrelated=False)).bottom_ups[0].reads is None


@pytest.mark.parametrize("reads", [{"mixing": 0.6}, {"mixing": 1.0, "centring": 0.4}, {"mixing": 0.0}])
@pytest.mark.parametrize("rule", ["layered", "broadcast", "tdca"])
def test_a_share_that_was_not_trained_stays_as_the_outer_loop_declared_it(tmp_path, rule, reads):
    settings = OuterSettings(
        model_settings={"inputs": 64, "hidden": [8], "reads": {"name": "decorrelated", "every": 4, **reads}},
        rule={"name": rule},
    )
    parts = settings.inner_rule(), settings.inner_step()
    named = start(*parts, 0, settings.body())
    write_credit(settings, layout(*parts, settings.body()).joined(named), tmp_path)
    net = cs.model("tdca_mlp", inputs=11, hidden=[7, 5], classes=10)
    under = net.with_rule("tdca", credit=tmp_path / "credit.safetensors")
    for p in under.bottom_ups:
        assert p.reads.every == 4 and p.reads_by_word
        wanted = cs.Decorrelated(**reads)
        assert p.reads.mixing == pytest.approx(wanted.mixing, rel=1e-6)
        assert p.reads.centring == pytest.approx(wanted.centring, rel=1e-6)
    assert under.with_rule("backprop") == net


def test_numbers_too_large_and_readings_too_wide_are_refused():
    with pytest.raises(cs.DeclarationError, match="the logarithm of gain is 1000"):
        chain().with_rule("tdca", credit=credit(log_gain=1000.0))
    low = chain().with_rule("tdca", credit=credit(mixing=-1000.0))
    assert low.bottom_ups[0].reads.mixing < 1e-300
    wide = cs.model("tdca_mlp", inputs=1100, hidden=[4], classes=3)
    with pytest.raises(
        cs.DeclarationError, match=r"brings Decorrelated\(mixing=.*, so declare it with another"
    ):
        wide.with_rule("tdca", credit=credit())


def test_shown_stored_and_copied_with_the_declaration(tmp_path):
    net = chain().with_rule("tdca", credit=credit(mirror=50))
    assert cs.Network.from_yaml(net.to_yaml()) == net == net.copy()
    said = str(net)
    assert "KolenPollack(gain=1.649" in said and "Mirrored(presentations=50" in said and "mixing" in said
    assert "step: mixed" in said
    net.draw(tmp_path / "net.png")
    model = cs.torch.build(net, 0)
    cs.save(model, tmp_path / "state.npz")
    assert cs.load(tmp_path / "state.npz").network == net


def test_the_next_rule_takes_all_of_it_away_and_leaves_what_was_declared():
    net, own = chain(), cs.Decorrelated(mixing=0.2, group=1)
    net = net.with_reads(own)
    under = net.with_rule("tdca", credit=credit())
    assert all(p.reads == own for p in under.bottom_ups)  # declared by hand: stays
    assert under.with_rule("backprop") == net
    assert chain().with_rule("tdca", credit=credit()).with_rule("backprop") == chain()
    again = chain().with_rule("tdca", credit=credit()).with_rule("tdca", credit=credit(decorrelated=False))
    assert again == chain().with_rule("tdca", credit=credit(decorrelated=False))


def test_reads_as_the_network_it_was_trained_on():
    about = {"settings": {"model_settings": {"reads": {"name": "decorrelated", "local": True, "rate": 0.01}}}}
    reads = chain().with_rule("tdca", credit=credit(about=about)).bottom_ups[0].reads
    assert reads.local and reads.rate == 0.01 and reads.mixing == 1 / (1 + np.exp(-1.0))


def test_inputs_too_wide_for_one_matrix_are_refused_with_the_way_out():
    wide = cs.model("tdca_mlp", inputs=2000, hidden=[100])
    with pytest.raises(cs.DeclarationError, match="retina->V1: Decorrelated.* give group="):
        wide.with_rule("tdca", credit=credit())
    reads = cs.Decorrelated(group=100)
    assert wide.with_reads(reads).with_rule("tdca", credit=credit()).bottom_ups[0].reads == reads


@pytest.mark.parametrize("network", [tanh_chain, residual, fan_out, conv_residual])
def test_any_graph(network):
    net = network()
    declared = net.with_rule("tdca", credit=credit(decorrelated=False, mirror=10))
    assert {p.name for p in declared.top_downs} == {p.name for p in net.with_rule("kolen_pollack").top_downs}
    drawn = declared.initial_weights(1)
    for name, w in net.with_rule("kolen_pollack").initial_weights(1).items():
        assert drawn[name].shape == w.shape


# -- the mirror phase -------------------------------------------------------------------------------


def test_mirrored_weights_are_the_mean_over_samples_and_places():
    net = cs.Network("conv")
    net.population("retina", shape=(2, 5, 5))
    net.population("V1", shape=(3, 3, 3))
    net.population("V2", 4)
    net.bottom_up("retina", "V1", cs.Conv2d(3, stride=2, padding=1))
    up = net.bottom_up("V1", "V2")
    net.top_down("V2", "V1", feedback=cs.Mirrored(of=up, presentations=6, scale=2.0))
    net.top_down("V1", "retina", feedback=cs.Mirrored(of="retina->V1", presentations=3))
    w = net.initial_weights(5)
    xi = stream(5, "mirror V2->V1").normal(size=(6, 27))
    expected = sum(2.0 * np.outer(one, w["V1->V2"] @ one) / 6 for one in xi)
    np.testing.assert_allclose(w["V2->V1"], expected, atol=1e-12)
    xi = stream(5, "mirror V1->retina").normal(size=(3, 2, 5, 5))
    padded = np.pad(xi, ((0, 0), (0, 0), (1, 1), (1, 1)))
    kernel = np.zeros((3, 2, 3, 3))
    for one in padded:
        for row in range(3):
            for column in range(3):
                patch = one[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
                y = np.einsum("ockl,ckl->o", w["retina->V1"], patch)
                kernel += np.einsum("o,ckl->ockl", y, patch) / 27
    np.testing.assert_allclose(w["V1->retina"], kernel, atol=1e-12)


def test_mirrored_weights_approach_the_transpose():
    for presentations in (100, 10_000):
        net = cs.Network("pair")
        net.population("A", 7)
        net.population("B", 5)
        up = net.bottom_up("A", "B")
        net.top_down("B", "A", feedback=cs.Mirrored(of=up, presentations=presentations))
        w = net.initial_weights(0)
        gap = np.linalg.norm(w["B->A"] - w["A->B"].T) / np.linalg.norm(w["A->B"])
        assert gap < 4 * np.sqrt(7 / presentations)


def test_mirrored_refusals():
    net = cs.Network("pair")
    net.population("A", 7)
    net.population("B", 5)
    net.bottom_up("A", "B")
    with pytest.raises(cs.DeclarationError, match=r"Mirrored\(of='B->A'\) names no bottom-up projection"):
        net.top_down("B", "A", feedback=cs.Mirrored(of="B->A"))
    for wrong in ({"presentations": 0}, {"scale": 0.0}):
        with pytest.raises(cs.DeclarationError, match="Mirrored: "):
            cs.Mirrored(of="A->B", **wrong)


# -- the trained step -------------------------------------------------------------------------------


def test_the_step_comes_from_the_file():
    assert step_of(credit()) == TrainedStep("mixed", STEP["step_rate"], STEP["step_fall"])
    assert step_of(credit(about={"trained": False})) is None
    plain = {
        "step": {"step_rate": [[[0.0, 0.0]]] * 2, "step_fall": [[0.0]] * 2},
        "settings": {"step": "plain"},
    }
    assert step_of(credit(about=plain)) is None
    for name in ("tdca_mnist", "tdca_shared"):
        assert chain_of_ten().with_rule("tdca", credit=name).step.name == "mixed"
    assert chain_of_ten().with_rule("tdca").with_rule("backprop").step is None


def chain_of_ten():
    return cs.model("tdca_mlp", inputs=11, hidden=[7])


@pytest.mark.parametrize("rate, fall", [([[[1.0, 2.0]]] * 2, [[0.0]] * 2), (3.0, 1.0), ([["a"]], [])])
def test_a_malformed_step_is_refused(rate, fall):
    with pytest.raises(cs.DeclarationError, match=r"trained step mixed: rate must have shape \(2, 2, 2\)"):
        TrainedStep("mixed", rate, fall)
    with pytest.raises(cs.DeclarationError, match="needs name, rate, fall"):
        TrainedStep.from_data({"name": "mixed"})
