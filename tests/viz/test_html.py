"""What notebooks show: escaped, complete, and with a sentence where nothing can be drawn."""

import re

import pytest

import cortex_sim as cs


def cells_of(html):
    return re.findall(r"<td[^>]*>([^<]*)</td>", html)


@pytest.fixture
def net():
    net = cs.Network("<three>")
    retina, v1, it = net.population("retina", 5), net.population("V1", 4), net.population("IT", 2)
    net.bottom_up(retina, v1, plasticity="hebbian")
    net.bottom_up(v1, it, plasticity="hebbian")
    return net


def test_names_are_escaped(net):
    shown = net._repr_html_()
    assert "&lt;three&gt;" in shown and "<three>" not in shown
    assert {"retina-&gt;V1", "(4, 5)", "Hebbian"} <= set(cells_of(shown))


def test_an_empty_network_says_why_it_is_not_drawn():
    shown = cs.Network("nothing")._repr_html_()
    assert "no drawing: " in shown and "<img" not in shown


def test_an_experiment_shows_every_arm_and_what_it_records(net):
    protocol = cs.Protocol(cs.Phase("show", 20, drive={"retina": 1.0}), record=cs.Record(populations=["IT"]))
    other = net.copy()
    shown = cs.Experiment(net, {"one": protocol, "two": cs.Arm(protocol, other)}, dt_ms=2)._repr_html_()
    assert shown.count("data:image/png") == 3  # the network and two time lines
    assert "arm two, on a different network (Hebbian)" in shown
    assert "records rate of IT" in shown and "dt_ms 2," in shown


def test_a_simulation_shows_its_equations(net):
    shown = cs.brian2.build(net, seed=3, noise={"V1": 0.1})._repr_html_()
    assert {"batched", "3", "V1 0.1"} <= set(cells_of(shown))
    assert "da/dt" in shown


def test_an_overview_says_what_a_recording_holds(net):
    protocol = cs.Protocol(
        cs.Phase("rest", 10),
        cs.Phase("show", 20, drive={"retina": 1.0}, plasticity=True),
        trials=3,
        record=cs.Record(every_ms=5, weights=["V1->IT"]),
    )
    arms = {"one": protocol, "two": protocol.replace(lesion=["V1/0"])}
    overview = cs.viz.overview(cs.brian2.run(cs.Experiment(net, arms), seed=4))
    assert dict(overview.rows) == {
        "arm one": "3 trials",
        "arm two": "3 trials",
        "populations": "retina (5), V1 (4), IT (2)",
        "phases": "rest 10 ms, show 20 ms",
        "variables": "rate",
        "weights": "V1->IT; 8 snapshots",
        "origin": "network <three>, rule hebbian, backend brian2, seed 4, cortex_sim_version 0.1.0",
    }
    assert str(overview).splitlines()[0] == "arm one      3 trials"
    shown = overview._repr_html_()
    assert "xarray.Dataset" in shown and "data:image/png" in shown
