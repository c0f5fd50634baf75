import pytest

import cortex_sim as cs


@pytest.fixture
def net():
    net = cs.Network("small")
    net.population("retina", shape=(1, 6, 6))
    net.population("V1", shape=(2, 4, 4), activation=cs.LeakyRelu(slope=0.25), tau_ms=5)
    net.population("V2", 5, activation="relu", bias=False, nonnegative=True)
    net.population("IT", 3)
    net.bottom_up("retina", "V1", cs.Conv2d(3))
    net.bottom_up("V1", "V2", "dense", plasticity="gait_prop", regulariser=["decay", cs.Orthogonality()])
    net.bottom_up("V2", "IT", cs.Dense(init=[[1.0] * 5] * 3), plasticity="gait_prop")
    net.top_down("V2", "V1", feedback="random", plasticity=cs.InverseLearning(of="V1->V2"))
    net.top_down("IT", "V2", feedback=cs.Inverse(of="V2->IT", damping=0, rescale=True))
    net.objective("IT", cs.CrossEntropy(weight=0.5))
    return net


def line(table, name):
    """Cells of the line that begins with ``name``."""
    found = [text for text in table.splitlines() if text.startswith(f"{name} ")]
    assert len(found) == 1
    return " ".join(found[0].split())


def test_populations(net):
    table = str(net)
    assert line(table, "retina") == "retina (1, 6, 6) 36 stimulus"
    assert line(table, "V1") == "V1 (2, 4, 4) 32 LeakyRelu(slope=0.25) per channel 5"
    assert line(table, "V2") == "V2 (5) 5 Relu none 10 nonnegative"
    assert line(table, "IT") == "IT (3) 3 Linear per unit 10"


def test_bottom_up_projections(net):
    table = str(net)
    assert line(table, "retina->V1") == "retina->V1 Conv2d(kernel=3) (2, 1, 3, 3) fixed"
    assert line(table, "V1->V2") == "V1->V2 Dense (5, 32) GaitProp Decay, Orthogonality"
    assert line(table, "V2->IT") == "V2->IT Dense(init=array of shape (3, 5)) (3, 5) GaitProp"


def test_top_down_projections(net):
    table = str(net)
    assert line(table, "V2->V1") == "V2->V1 Random (32, 5) InverseLearning"
    assert line(table, "IT->V2") == "IT->V2 Inverse(damping=0, rescale=True) of V2->IT (5, 3)"


def test_the_objective(net):
    assert str(net).splitlines()[-1] == "objective: CrossEntropy(weight=0.5) at IT"
    bare = cs.Network("bare")
    assert str(bare).splitlines()[0] == "network bare"
    assert str(bare).splitlines()[-1] == "objective: none"
    assert "bottom-up" not in str(bare) and "top-down" not in str(bare)


def test_settings_at_their_default_are_not_said(net):
    assert "gain=1" not in str(net) and "form=" not in str(net) and "slope=0.1" not in str(net)
    assert "GaitProp(form='finite')" in str(cs.model("digits_mlp").with_rule(cs.GaitProp(form="finite")))


@pytest.mark.parametrize("columns", ["40", "300"])
def test_plain_text_whatever_the_terminal(net, monkeypatch, columns):
    plain = str(net)
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert str(net) == plain
    assert "\x1b" not in plain and plain.isascii()
    assert max(map(len, plain.splitlines())) <= 100
    assert not any(text.endswith(" ") for text in plain.splitlines())


def test_names_in_brackets_are_no_markup():
    """rich would read [bold] as a command."""
    assert str(cs.Network("[bold]x")).splitlines()[0] == "network [bold]x"
