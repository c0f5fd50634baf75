import numpy as np
import pytest
from networks import ALL, chain, residual

import cortex_sim as cs
from cortex_sim.backends.routes import find_routes


@pytest.mark.parametrize("network", ALL.values(), ids=ALL)
def test_rates_come_after_what_drives_them(network):
    net = network().with_rule("gait_prop")
    order = find_routes(net).order
    assert order[0] == "retina" and set(order) == set(net.populations)
    assert all(order.index(p.pre) < order.index(p.post) for p in net.bottom_ups)


def test_chain_credit_runs_beside_bottom_up_projections():
    made = find_routes(residual().with_rule("gait_prop"))
    assert set(made.paired) == {"LGN->V1", "V1->V2", "V1->V4", "V2->V4", "V4->IT"}
    assert made.paired["V1->V2"].name == "V2->V1"
    assert not (made.unpaired or made.direct or made.targets or made.by_targets)


def test_direct_credit_runs_from_the_top():
    made = find_routes(chain().with_rule("direct_feedback_alignment"))
    assert [p.name for p in made.direct] == ["IT->V1", "IT->V2"]
    assert not (made.paired or made.unpaired or made.targets)


def test_targets_run_through_the_whole_network():
    made = find_routes(chain().with_rule(cs.GaitProp(form="finite")))
    assert {p.name for p in made.targets} == {"V2->V1", "IT->V2"} and made.by_targets
    assert not (made.paired or made.unpaired or made.direct)


def test_a_path_with_no_partner_runs_apart():
    net = chain().with_rule("feedback_alignment")
    net.top_down("IT", "V1", feedback="random")
    made = find_routes(net)
    assert [p.name for p in made.unpaired] == ["IT->V1"]
    assert set(made.paired) == {"V1->V2", "V2->IT"}


def fork():
    """Two ways up that do not meet before the top."""
    net = cs.Network("fork")
    net.population("retina", 7)
    for name in ("dorsal", "ventral", "IT"):
        net.population(name, 5)
    net.bottom_up("retina", "dorsal", plasticity="feedback_alignment")
    net.bottom_up("retina", "ventral", plasticity="feedback_alignment")
    net.bottom_up("dorsal", "IT", plasticity="feedback_alignment")
    net.bottom_up("ventral", "IT", plasticity="feedback_alignment")
    net.top_down("IT", "dorsal", feedback="random")
    net.top_down("IT", "ventral", feedback="random")
    net.objective("IT", "squared_error")
    return net


def test_two_ways_for_credit_to_reach_one_population_are_refused():
    net = cs.Network("two rules")
    net.population("retina", 7)
    for name, size in (("V1", 5), ("V2", 3), ("IT", 2)):
        net.population(name, size)
    net.bottom_up("retina", "V1", plasticity="feedback_alignment")
    net.bottom_up("retina", "V2", plasticity="feedback_alignment")
    net.bottom_up("V1", "V2", plasticity="direct_feedback_alignment")
    net.bottom_up("V2", "IT", plasticity="feedback_alignment")
    net.top_down("V2", "V1", feedback="random")
    net.top_down("IT", "V2", feedback="random")
    net.objective("IT", "squared_error")
    with pytest.raises(cs.BuildError, match="population V2: retina->V2 and V1->V2 expect credit in"):
        cs.torch.build(net)


def test_credit_that_would_be_needed_before_it_is_known_is_refused():
    net = fork()
    net.top_down("dorsal", "ventral", feedback="random")
    assert cs.torch.build(net)
    net.top_down("ventral", "dorsal", feedback="random")
    with pytest.raises(cs.BuildError, match="credit would be needed before it is known"):
        cs.torch.build(net)


def test_rules_of_two_kinds_may_share_a_network():
    net = cs.Network("mixed")
    net.population("retina", 7)
    for name, size in (("V1", 5), ("V2", 3), ("IT", 2)):
        net.population(name, size)
    net.bottom_up("retina", "V1", plasticity="bcm")
    net.bottom_up("V1", "V2", plasticity="direct_feedback_alignment")
    net.bottom_up("V2", "IT", plasticity="backprop")
    net.top_down("IT", "V2", feedback="random")
    net.objective("IT", "squared_error")
    made = find_routes(net)
    assert [p.name for p in made.direct] == ["IT->V2"]
    ours = cs.torch.build(net).updates(np.ones((3, 7)), np.ones((3, 2)))
    assert set(ours) == {"retina->V1", "V1->V2", "V2->IT"}
    assert all(change.any() for change in ours.values())


@pytest.mark.parametrize("rule", ["direct_feedback_alignment", "difference_target_prop"])
def test_a_rule_that_reads_a_chains_credit_where_there_is_none_is_refused(rule):
    """It would never learn, and nobody would notice."""
    net = cs.Network("never learns")
    net.population("retina", 7)
    net.population("V1", 5, activation="tanh")
    net.population("IT", 3)
    net.bottom_up("retina", "V1", plasticity=rule)
    up = net.bottom_up("V1", "IT", plasticity=rule, regulariser=cs.Decay(1e-4))
    down = cs.KolenPollack(of=up)
    net.top_down("IT", "V1", feedback="random", plasticity=down, regulariser=cs.Decay(1e-4))
    net.objective("IT", "squared_error")
    with pytest.raises(cs.BuildError, match="projection IT->V1: KolenPollack reads the credit that a chain"):
        cs.torch.build(net)
