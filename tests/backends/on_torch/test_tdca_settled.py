"""TDCA in phases of a protocol at equilibrium: nudged, cut, silenced."""

import numpy as np
import pytest
import torch
from networks import chain, shown
from quasi import carried_out, labelled, moved, planned, session_of

from cortex_sim.backends.torch.equilibrium import settle
from cortex_sim.credit import DenseCredit, SharedCredit, TrainedCredit
from cortex_sim.protocol.plan import Gate, Goal

COUNT = 5


def taught_session(network=DenseCredit(3, 4, 5, pooled=True)):  # noqa: B008 - frozen
    rng = np.random.default_rng(1)
    credit = TrainedCredit(network, {n: rng.normal(size=s) for n, s in network.shapes().items()}, {})
    session = session_of(chain().with_rule("tdca", credit=credit))
    return session, *shown(session.net, COUNT)


def settled(session, phase):
    return settle(session.model, phase, range(COUNT))


@pytest.mark.parametrize(
    "network", [DenseCredit(3, 4, 5, "raw", pooled=True), DenseCredit(3, 4, 5, gated=False), SharedCredit(4)]
)
def test_a_nudged_phase_learns_what_an_update_is(network):
    session, x, y = taught_session(network)
    ours = session.model.updates(x, y, biases=True)
    found = settled(session, labelled(session.net, x, y))
    for name, c in session.model.credits(x, y).items():
        torch.testing.assert_close(found.credits[name], c.detach())
    rates = {p.name: 0.3 for p in session.net.bottom_ups}
    before = session.checkpoint()
    carried_out(session, planned(session.net, labelled(session.net, x, y, eta=rates, duration_ms=100.0)))
    changes = moved(session, before)
    for name, change in ours.items():
        np.testing.assert_allclose(changes[name], 0.03 * change.numpy(), rtol=1e-9, atol=1e-13)


def test_strength_scales_credit_and_no_nudge_is_none():
    session, x, y = taught_session()
    whole = settled(session, labelled(session.net, x, y)).credits
    goal = {"IT": Goal(np.eye(3)[y], 0.25)}
    weak = settled(session, labelled(session.net, x, y, nudge=goal)).credits
    none = settled(session, labelled(session.net, x, y, nudge={})).credits
    for name in ("V1", "V2", "IT"):
        torch.testing.assert_close(weak[name], 0.25 * whole[name])
        assert whole[name].abs().max() > 1e-3 and not none[name].any()


def test_a_cut_silences_the_credit_of_one_population():
    session, x, y = taught_session()
    whole = settled(session, labelled(session.net, x, y))
    gates = {"TDCA V1->V1": Gate(cut=True), "TDCA V2->V2": Gate(scale=0.5)}
    cut = settled(session, labelled(session.net, x, y, gates=gates))
    assert not cut.credits["V1"].any() and not cut.u["V1"].any()
    torch.testing.assert_close(cut.credits["V2"], 0.5 * whole.credits["V2"])
    torch.testing.assert_close(cut.credits["IT"], whole.credits["IT"])


def test_silent_units_learn_nothing():
    session, x, y = taught_session()
    alive = np.ones(11)
    alive[[2, 7]] = 0.0
    found = settled(session, labelled(session.net, x, y, alive={"V1": alive}))
    assert not found.u["V1"][:, [2, 7]].any() and (found.u["V1"][:, 3] != 0).all()


def test_gates_within_the_credit_network_act_on_one_population():
    session, x, y = taught_session()
    whole = settled(session, labelled(session.net, x, y))
    gates = {"TDCA deep->TDCA V1": Gate(cut=True), "TDCA base->TDCA V1": Gate(scale=2.0)}
    found = settled(session, labelled(session.net, x, y, gates=gates))
    assert (found.credits["V1"] - whole.credits["V1"]).abs().max() > 1e-3
    for name in ("V2", "IT"):
        torch.testing.assert_close(found.credits[name], whole.credits[name])
