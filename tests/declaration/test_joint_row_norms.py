"""A row norm over several projections: declared once, kept by initial weights, written and read back."""

import numpy as np
import pytest
from constrained import kept

import cortex_sim as cs
from cortex_sim.viz.drawing import _label

NAMES = ["left->V1", "right->V1"]
BOTH = cs.RowNorm(2.0, over=NAMES)


def eyes(norm=BOTH, connectors=None, shapes=((7,), (4,)), post=(5,), **settings):
    """Two eyes of different sizes, onto one population."""
    net = cs.Network("two eyes")
    net.population("V1", shape=post, bias=False)
    given = connectors or [cs.Dense(cs.Uniform(0.1, 0.3)), cs.Sparse(in_degree=3)]
    for eye, shape, connector in zip(("left", "right"), shapes, given, strict=True):
        net.population(eye, shape=shape)
        norms = norm if isinstance(norm, dict) else dict.fromkeys(("left", "right"), norm)
        rows = [] if norms[eye] is None else [norms[eye]]
        net.bottom_up(eye, "V1", connector, constraint=[cs.Bounds(0, 0.6), *rows], **settings)
    return net


@pytest.mark.parametrize("method", ["subtractive", "multiplicative"])
def test_initial_weights_have_the_total_together(method):
    norm = cs.RowNorm(np.linspace(1.0, 2.0, 5), method, over=NAMES)
    net = eyes(norm)
    w, free = net.initial_weights(3), eyes(None).initial_weights(3)
    names = [p.name for p in net.bottom_ups]
    together = np.concatenate([w[name] for name in names], axis=1)
    exists = np.concatenate([np.ones((5, 7)), net.wiring(net.projection("right->V1"))], axis=1)
    drawn = np.concatenate([free[name] for name in names], axis=1)
    rows = [
        kept(drawn[i : i + 1], 0, 0.6 * exists[i : i + 1], norm.total.values[i], method) for i in range(5)
    ]
    np.testing.assert_allclose(together, np.concatenate(rows), atol=1e-12)
    np.testing.assert_allclose(together.sum(1), np.linspace(1, 2, 5), rtol=1e-13)
    assert np.ptp(w["left->V1"].sum(1) / together.sum(1)) > 1e-3  # only together


def test_yaml_copies_rules_states_tables_and_drawings_keep_it(tmp_path):
    net = eyes(plasticity="oja")
    again = cs.Network.from_yaml(net.to_yaml())
    assert again == net and again.projection("left->V1").constraints[1].over == tuple(NAMES)
    for other in (net.copy(), net.with_rule("hebbian")):
        assert [p.constraints for p in other.bottom_ups] == [p.constraints for p in net.bottom_ups]
    cs.save(cs.torch.build(net), tmp_path / "state.safetensors")
    assert cs.load(tmp_path / "state.safetensors").network == net
    assert "over=('left->V1','right->V1')" in "".join(str(net).split())
    assert _label(net.projection("left->V1")) == "Oja + Dense + Bounds + joint RowNorm".replace(
        "Dense + ", ""
    )
    net.draw(tmp_path / "net.svg")


def test_projections_may_be_given_as_objects_in_any_order():
    up = eyes().projection("right->V1")
    assert cs.RowNorm(2.0, over=(up, "left->V1")) == BOTH


def test_convolutions_with_the_same_channels_share_rows():
    net = eyes(
        cs.RowNorm(1.0, over=NAMES), [cs.Conv2d(3), cs.Conv2d(2, stride=1)], ((2, 5, 5), (1, 4, 4)), (3, 3, 3)
    )
    w = net.initial_weights(0)
    np.testing.assert_allclose(sum(w[name].sum((1, 2, 3)) for name in NAMES), 1.0, rtol=1e-13)


def alone(kind):
    net = cs.Network("kinds")
    net.population("left", 7)
    net.population("V1", 5)
    net.bottom_up("left", "V1")
    names = {"lateral": "V1->V1", "gain": "left->V1 gain"}
    norm = cs.RowNorm(1.0, over=[names[kind], "left->V1"])
    if kind == "lateral":
        net.lateral("V1", constraint=[cs.Bounds(0), norm])
    else:
        net.top_down("left", "V1", effect="gain", constraint=[cs.Bounds(0), norm])


def elsewhere():
    net = cs.Network("elsewhere")
    for name in ("left", "V1", "V2"):
        net.population(name, 5)
    norm = cs.RowNorm(1.0, over=["left->V1", "left->V2"])
    for area in ("V1", "V2"):
        net.bottom_up("left", area, constraint=[cs.Bounds(0), norm])


def missing():
    net = cs.Network("missing")
    net.population("left", 7)
    net.population("V1", 5)
    net.bottom_up("left", "V1", constraint=[cs.Bounds(0), BOTH])
    net.check()


GIVEN = [cs.Dense(np.full((5, 7), 0.1)), cs.Dense(np.full((5, 4), 0.1))]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cs.RowNorm(1.0, over="left->V1"), "over must list the projections that share the total"),
        (lambda: cs.RowNorm(1.0, over=["a", "a"]), "over must list the projections that share the total"),
        (lambda: cs.RowNorm(1.0, over=["a"]), "over names only a; name all projections that share"),
        (
            lambda: eyes(cs.RowNorm(1.0, over=["a", "b"])),
            "leaves this projection out; add 'left->V1' to over",
        ),
        (
            lambda: eyes({"left": BOTH, "right": None}).check(),
            "projection right->V1: left->V1 shares a RowNorm",
        ),
        (
            lambda: eyes({"left": None, "right": BOTH}),
            "projection left->V1: right->V1 shares a RowNorm",
        ),
        (
            lambda: eyes({"left": cs.RowNorm(1.0, over=NAMES), "right": BOTH}),
            "give the same RowNorm object to",
        ),
        (
            lambda: eyes({"left": cs.RowNorm(1.0), "right": BOTH}),
            "give the same RowNorm object to left->V1 and",
        ),
        (
            lambda: eyes(cs.RowNorm(9.0, over=NAMES)),
            "left->V1 and right->V1: RowNorm gives row 0 the sum 9, which its 10 synapses cannot have",
        ),
        (lambda: eyes(cs.RowNorm(np.ones(4), over=NAMES)), "total has shape .4,., but there are 5 rows"),
        (
            lambda: eyes(connectors=[cs.Dense(), cs.Conv2d(2)], shapes=((7,), (1, 4, 4)), post=(3, 3, 3)),
            "has 3 rows of weights and left->V1 has 27 .one per unit or, for a convolution, per channel",
        ),
        (
            lambda: eyes(connectors=[GIVEN[0], cs.Dense()]),
            "right->V1: .* but only some of them have given weights",
        ),
        (lambda: eyes(connectors=GIVEN), "the sum of row 0 is 1.1, but RowNorm keeps it at 2"),
        (elsewhere, "which go to V1 and V2; name projections onto one population"),
        (
            lambda: alone("lateral"),
            "for those that drive a unit, but this one is lateral; use bottom-up or recurrent",
        ),
        (lambda: alone("gain"), "that drive a unit, but this one is gain; use bottom-up or recurrent"),
        (missing, "unknown projection that shares the RowNorm of left->V1 'right->V1'.*known: left->V1"),
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(make, said):
    with pytest.raises(cs.DeclarationError, match=said):
        make()


def test_given_weights_that_have_it_stay_as_they_are():
    net = eyes(cs.RowNorm(1.1, over=NAMES), GIVEN)
    for name, connector in zip(NAMES, GIVEN, strict=True):
        np.testing.assert_array_equal(net.initial_weights(0)[name], connector.init.weights)
