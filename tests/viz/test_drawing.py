import sys
from functools import cache

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch

import cortex_sim as cs
from cortex_sim.credit import DenseCredit, SharedCredit, untrained

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def fan(skip=True):
    net = cs.Network("fan")
    net.population("retina", 12)
    for name in ("V1", "dorsal", "ventral", "MT"):
        net.population(name, 8, activation="leaky_relu")
    net.population("IT", 3)
    ways = ["retina V1", "V1 dorsal", "V1 ventral", "dorsal MT", "MT IT", "ventral IT", "V1 MT"]
    for pair in ways[: None if skip else -1]:
        net.bottom_up(*pair.split(), plasticity="gait_prop")
    net.objective("IT", "cross_entropy")
    return net.with_rule("gait_prop")


def lateral(net):
    for name in [p for p in net.populations if p not in net.stimulated]:
        net.lateral(name, plasticity=cs.Decorrelation())
    return net


NETWORKS = {
    "three populations": cs.model("digits_mlp"),
    "nine populations": cs.model("gait_imagenet"),
    "direct feedback": cs.model("gait_tower").with_rule("direct_feedback_alignment"),
    "fan-out": fan(),
    "long labels": fan().with_rule("kolen_pollack"),
    "lateral": lateral(fan(skip=False)),
    "lateral, direct feedback": lateral(fan()).with_rule("direct_feedback_alignment"),
    "credit network": cs.model("digits_mlp").with_rule("tdca", credit=untrained(DenseCredit())),
    "credit network, fan-out": fan().with_rule("tdca", credit=untrained(DenseCredit(outputs=3))),
    "credit network, shared": lateral(fan()).with_rule("tdca", credit=untrained(SharedCredit())),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@cache
def drawn(name):
    """The figure of a network, drawn once for all tests that only read it."""
    return NETWORKS[name].draw()


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def boxes(figure):
    return [p for p in figure.axes[0].patches if isinstance(p, FancyBboxPatch)]


@every_network
def test_every_population_and_projection_is_there_once(name):
    net, figure = NETWORKS[name], drawn(name)
    said = texts(figure)
    every = [*net.populations, *net.credit_populations]
    assert all(said.count(name) == 1 for name in every)
    assert len(boxes(figure)) == len(every)
    dashed = [p for p in figure.axes[0].patches if p.get_linestyle() == "--" or p._dash_pattern[1]]
    assert len(dashed) == len(net.top_downs) + len(net.credit_projections)
    arrows = [*net.projections, *net.credit_projections]
    assert len(figure.axes[0].patches) == len(every) + 2 * len(arrows)


def test_arrows_say_rule_and_feedback():
    said = texts(drawn("long labels"))
    assert said.count("FeedbackAlignment") == 7
    assert said.count("Random + KolenPollack") == 6
    assert "3 · Linear · CrossEntropy" in said and "12 · stimulus" in said


def test_loops_say_the_rule_of_lateral_projections():
    said = texts(drawn("lateral"))
    assert said.count("Decorrelation") == 5 and said.count("lateral") == 1
    assert "lateral" not in texts(drawn("fan-out"))


def test_skip_connections_and_fixed_projections_say_what_they_are():
    net = cs.Network("skip")
    for name in ("retina", "V1", "V2"):
        net.population(name, 3)
    for pre, post in (("retina", "V1"), ("V1", "V2")):
        net.bottom_up(pre, post)
    net.bottom_up("retina", "V2", "identity")
    said = texts(net.draw())
    assert said.count("Identity") == 1 and said.count("fixed") == 2


@every_network
def test_nothing_covers_anything(name):
    """Neither boxes nor words overlap, and no word leaves the page."""
    net, figure = NETWORKS[name], drawn(name)
    renderer = FigureCanvasAgg(figure).get_renderer()
    outlines = [box.get_window_extent(renderer) for box in boxes(figure)]
    names = {*net.populations, *net.credit_populations}
    words = [
        text.get_window_extent(renderer)
        for text in figure.axes[0].texts
        if text.get_text() not in names and "·" not in text.get_text()
    ]
    things = [*outlines, *words]
    for i, thing in enumerate(things):
        assert thing.x0 >= 0 and thing.y0 >= 0
        assert thing.x1 <= figure.bbox.x1 and thing.y1 <= figure.bbox.y1
        assert not any(thing.overlaps(other) for other in things[i + 1 :])


@every_network
def test_ways_around_boxes_turn_at_right_angles(name):
    lines = [p for p in drawn(name).axes[0].patches if isinstance(p, PathPatch)]
    for line in lines:
        corners = line.get_path().vertices
        steps = abs(corners[1:] - corners[:-1])
        assert len(corners) == 2 or (steps.min(axis=1) < 1e-9).all()


@every_network
def test_depth_grows_upwards(name):
    height = {text.get_text(): text.get_position()[1] for text in drawn(name).axes[0].texts}
    assert all(height[p.pre] < height[p.post] for p in NETWORKS[name].bottom_ups)


@pytest.mark.parametrize("suffix", MAGIC)
def test_a_file_is_written_whole(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    assert isinstance(NETWORKS["fan-out"].draw(path), Figure)
    assert path.read_bytes().startswith(MAGIC[suffix])
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "net.png"
    path.write_bytes(b"old")

    def full(self, file, **_):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(cs.DeclarationError, match=r"net.png: cannot be written \(No space left"):
        NETWORKS["fan-out"].draw(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["net.png"]


@pytest.mark.parametrize("name", ["net.bmp", "net", "net.png.gz"])
def test_another_format_is_refused_before_anything_is_drawn(tmp_path, name):
    with pytest.raises(cs.DeclarationError, match="the suffix must be one of .png, .svg, .pdf"):
        NETWORKS["fan-out"].draw(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_no_window_and_no_global_state():
    """A figure of its own: pyplot, which keeps figures and opens windows, is not even loaded."""
    sys.modules.pop("matplotlib.pyplot", None)
    NETWORKS["three populations"].draw()
    assert "matplotlib.pyplot" not in sys.modules


def test_a_network_that_is_not_finished_can_be_drawn():
    net = cs.Network("begun")
    net.population("retina", 3)
    assert texts(net.draw())[-2:] == ["retina", "3 · stimulus"]
    net.population("a name that is far too long for its box", 3)
    assert len(boxes(net.draw())) == 2
