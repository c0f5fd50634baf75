"""The quasi-static session: its states and recordings, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
from networks import chain, conv, shown
from quasi import (
    EVERYTHING,
    TARGETS,
    carried_out,
    labelled,
    planned,
    session_of,
    spontaneous,
)

import cortex_sim as cs
from cortex_sim.backends.torch.quasi_static import QuasiStatic
from cortex_sim.protocol.plan import PhasePlan, Series, White


@pytest.mark.parametrize("word", ["gait_prop_learned", "bcm", "kolen_pollack", "three_factor"])
def test_goes_on_from_its_state_to_the_same_end(word):
    net = chain().with_rule(word)
    hard = cs.HardOrthogonality(every=2)
    for p in net.bottom_ups:
        net.projections[p.name] = replace(p, regularisers=(*p.regularisers, hard))
    x, y = shown(net)
    resting = {p.name: 0.2 for p in net.top_downs if spontaneous(p)}
    eta = {p.name: 0.2 for p in net.projections.values() if p.plasticity is not None and not spontaneous(p)}
    phases = [labelled(net, x, y, eta=eta, duration_ms=20.0)]
    if resting:
        rest = {p.post: 0.5 for p in net.top_downs}
        phases.append(PhasePlan("rest", 30.0, spontaneous=rest, eta=resting))
    plan = planned(net, *phases, trials=5, weights=("V1->V2",), weights_every=10)
    whole = QuasiStatic(net, 4)
    samples = carried_out(whole, plan)
    half = QuasiStatic(net, 4)
    carried_out(half, replace(plan, shown=plan.shown[:2]))
    kept = {name: values.copy() for name, values in half.checkpoint().items()}
    again = QuasiStatic(net, 4)
    again.restore(kept)
    rest_of_it = carried_out(again, plan, first=2)
    for one, other in zip(samples[2:], rest_of_it, strict=True):
        assert one.time_ms == other.time_ms
        for variable in EVERYTHING:
            for name in net.populations:
                np.testing.assert_array_equal(one.values[variable][name], other.values[variable][name])
    ended, ended_again = whole.checkpoint(), again.checkpoint()
    assert set(ended) == set(ended_again)
    for name, values in ended.items():
        assert isinstance(values, np.ndarray)
        np.testing.assert_array_equal(values, ended_again[name])
        assert name in {"learned", "time_ms"} or values is not whole.checkpoint()[name]  # copies
    assert samples[-1].time_ms == 5 * plan.shown[0].duration_ms


def test_weights_are_kept_where_due():
    net = conv().with_rule("kolen_pollack")
    x, y = shown(net)
    eta = {"V1->V2": 0.1, "V2->V1": 0.1}
    names = ("V1->V2", "V2->V1")
    plan = planned(net, labelled(net, x, y, eta=eta), trials=4, count=1, weights=names, weights_every=2)
    probe = replace(plan.shown[1], stage="probe")
    session = session_of(net)
    samples = carried_out(session, replace(plan, shown=(*plan.shown, probe)))
    assert [set(s.weights) for s in samples] == [set(), set(names), set(), set(names), set()]
    for name in names:
        kept = samples[3].weights[name]
        assert kept.shape == net.weight_shape(net.projections[name])
        assert not np.array_equal(kept, samples[1].weights[name])


def test_only_the_wanted_phase_is_recorded():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    look, learn = replace(labelled(net, x, y, nudge={}), name="look"), labelled(net, x, y)
    plan = planned(net, look, learn, phase="look")
    (sample,) = carried_out(session_of(net), plan)
    assert not sample.values["credit"]["IT"].any() and sample.values["rate"]["IT"].any()
    (sample,) = carried_out(session_of(net), planned(net, look, learn))
    assert sample.values["credit"]["IT"].any()


def test_a_protocol_teaches_a_network():
    """The protocol language, its plan, this session and the recording, on three easy classes."""
    net = chain("leaky_relu", "orthogonal").with_rule("gait_prop")
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    images = rng.normal(size=(3, 13))[labels] + 0.3 * rng.normal(size=(300, 13))
    look = cs.Protocol(cs.Phase("look", 100, drive={"retina": images}))
    teach = cs.Protocol(
        cs.Phase("teach", 100, drive={"retina": images}, nudge={"IT": labels}, plasticity=True),
        eta_per_s=0.2,
    )
    session = QuasiStatic(net, 0)

    def accuracy():
        seen = session.run(look)
        return float((seen.rate[:, seen.population == "IT"].values.argmax(1) == labels).mean())

    before = accuracy()
    learned = session.run(teach)
    assert before < 0.7 and accuracy() > 0.95
    assert learned.attrs["backend"] == "torch" and learned.sizes["presentation"] == 300


def test_attributes_say_what_made_the_recording():
    net = chain().with_rule("kolen_pollack")
    found = QuasiStatic(net, 3).attributes()
    assert found["network"] == "chain" and found["rule"] == "feedback_alignment, kolen_pollack"
    assert (found["seed"], found["backend"]) == (3, "torch")
    assert found["cortex_sim_version"] == cs.__version__


@pytest.mark.parametrize("word", sorted(TARGETS))
def test_target_rules_are_refused(word):
    with pytest.raises(cs.BuildError, match="computes targets layer by layer.*limit form"):
        QuasiStatic(chain().with_rule(word))


def test_a_rule_without_growth_runs_here_and_not_in_time():
    from dataclasses import dataclass

    @dataclass(frozen=True)
    class Own:
        def change(self, w, r_pre, r_post):
            return 0 * w

    net = cs.Network("own")
    net.population("retina", 3)
    net.population("V1", 2)
    net.bottom_up("retina", "V1", plasticity=Own())
    assert QuasiStatic(net).windows.own("retina->V1").shape == (2, 3)
    with pytest.raises(cs.BuildError, match="retina->V1: rule Own: has no growth"):
        cs.brian2.build(net)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"drive": {"retina": Series(np.zeros((2, 13)), 5.0)}}, "phase learn: the drive of retina is a time"),
        ({"drive": {"V1": White(0.0, 1.0, None)}}, "phase learn: the drive of V1 is noise.*brian2"),
        (
            {"spontaneous": {"V1": 1.0}, "eta": {"V1->V2": 1.0}},
            "phase learn: V1->V2 would learn from activity driven by noise.*brian2",
        ),
        (
            {"errors_silenced": frozenset(["V2->V1"])},
            "without its error population V2->V1 keeps its present credit",
        ),
    ],
)
def test_what_does_not_settle_is_refused_before_anything_runs(change, says):
    net = chain().with_rule("gait_prop", damping=0)
    x, y = shown(net)
    fine = labelled(net, x, y, eta={"V1->V2": 1.0})
    session, heard = session_of(net), []
    before = session.checkpoint()
    plan = planned(net, fine)
    bad = replace(plan.shown[0], number=1, phases=(replace(labelled(net, x, y), **change),))
    with pytest.raises(cs.RunError, match=says):
        session.carry_out(replace(plan, shown=(plan.shown[0], bad)), 0, heard.append)
    assert not heard
    for name, values in session.checkpoint().items():
        np.testing.assert_array_equal(values, before[name])


def test_what_learns_from_spontaneous_activity_needs_some():
    net = chain().with_rule("weight_mirror")
    x, y = shown(net)
    phase = labelled(net, x, y, spontaneous={"V1": 1.0}, eta={"IT->V2": 1.0})
    with pytest.raises(cs.RunError, match="phase learn: IT->V2 learns from spontaneous activity of V2"):
        carried_out(session_of(net), planned(net, phase))


def test_time_within_a_phase_is_refused():
    net = chain().with_rule("backprop")
    x, y = shown(net)
    plan = planned(net, labelled(net, x, y))
    with pytest.raises(cs.RunError, match="every_ms=5 needs time within a phase.*brian2"):
        session_of(net).carry_out(replace(plan, wanted=replace(plan.wanted, every_ms=5.0)), 0, print)


def test_weights_that_run_away_are_an_error():
    net = chain("linear").with_rule("hebbian")
    x, y = shown(net)
    phase = labelled(net, x, y, nudge={}, eta={p.name: 1e9 for p in net.bottom_ups}, duration_ms=1000.0)
    with np.errstate(all="ignore"), pytest.raises(cs.RunError, match="weights are no longer finite in trial"):
        carried_out(session_of(net), planned(net, phase, trials=30))
