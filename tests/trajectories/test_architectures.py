"""Networks of a study: the same but for the rule, with feedback that keeps the size of credit."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.errors import DeclarationError
from cortex_sim.trajectories.architectures import ARCHITECTURES, PLACES, Architecture
from cortex_sim.trajectories.design import RULES


def test_places_are_three_different_populations():
    for architecture in ARCHITECTURES:
        first, middle, last = architecture.places
        assert 0 == first < middle < last == len(architecture.hidden) - 1
        assert len(architecture.populations) == len(set(architecture.populations))
    assert Architecture("even", (2, 3, 4, 5), "tanh").places == (0, 1, 3)
    assert Architecture("odd", (2, 3, 4, 5, 6), "tanh").places == (0, 2, 4)
    assert len(PLACES) == 3


def test_architectures_differ_in_depth_width_activation_and_start():
    assert len({a.name for a in ARCHITECTURES}) == len(ARCHITECTURES) >= 4
    for what in ("activation", "init"):
        assert len({repr(getattr(a, what)) for a in ARCHITECTURES}) > 1
    assert len({len(a.hidden) for a in ARCHITECTURES}) > 1
    assert min(min(a.hidden) for a in ARCHITECTURES) >= 50  # or 50 units could not be observed


@pytest.mark.parametrize("rule", RULES)
def test_only_credit_differs_between_rules(rule):
    architecture = Architecture("net", (11, 7, 5), "tanh")
    ours = architecture.network(rule, (13,), 10)
    theirs = architecture.network("backprop", (13,), 10)
    a, b = ours.initial_weights(3), theirs.initial_weights(3)
    up = [p.name for p in theirs.bottom_ups]
    assert up == [p.name for p in ours.bottom_ups]
    for name in up:
        np.testing.assert_array_equal(a[name], b[name])
        assert ours.projections[name].regularisers == theirs.projections[name].regularisers


@pytest.mark.parametrize("rule", [r for r in RULES if r != "tdca"])
@pytest.mark.parametrize("architecture", ARCHITECTURES[::3], ids=lambda a: a.name)
def test_credit_keeps_the_size_it_has_under_backpropagation(rule, architecture):
    """On orthogonal weights; on others an inverse amplifies weak directions, which is GAIT-prop's own."""
    images = cs.data.load("digits").standardised()
    x, y = images.x_test[:64], images.y_test[:64]
    first = architecture.populations[0]
    sizes = [
        float(cs.torch.build(architecture.network(word, (64,), 10), seed=1).credits(x, y)[first].norm())
        for word in (rule, "backprop")
    ]
    assert 1 / 3 < sizes[0] / sizes[1] < 3


def test_direct_feedback_is_as_large_as_orthogonal_weights():
    net = Architecture("net", (11, 7, 5), "tanh").network("direct_feedback_alignment", (13,), 10)
    drawn = net.initial_weights(0)
    for p in net.top_downs:
        expected = 1 / max(drawn[p.name].shape) ** 0.5
        assert np.sqrt(np.mean(drawn[p.name] ** 2)) == pytest.approx(expected, rel=0.35)


def test_two_hidden_populations_are_too_few():
    with pytest.raises(DeclarationError, match="architecture two: needs at least 3 hidden populations"):
        Architecture("two", (5, 4), "tanh")
