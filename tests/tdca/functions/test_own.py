"""A trained network on a user's own function."""

import numpy as np
import pytest

from cortex_sim.errors import CortexSimError, DeclarationError, RunError
from cortex_sim.tdca.functions.own import PRETRAINED, minimise
from cortex_sim.tdca.functions.studies import trained


def bowl(x):
    return ((x - 0.25) ** 2).sum(1), 2 * (x - 0.25)


def test_it_finds_a_minimum_and_says_where():
    asked = []

    def counted(x):
        asked.append(len(x))
        return bowl(x)

    found = minimise(counted, 5, evaluations=203, seed=1)
    assert sum(asked) == 200 and len(found.course) == 50 and found.course[-1] == found.value
    np.testing.assert_allclose(bowl(found.x[None])[0][0], found.value)
    np.testing.assert_allclose(found.x, 0.25, atol=0.05)
    assert (np.diff(found.course) <= 0).all()
    again = minimise(bowl, 5, evaluations=203, seed=1)
    np.testing.assert_array_equal(again.x, found.x)


def test_the_network_that_ships_is_that_of_its_run_file():
    settings, phi = trained(PRETRAINED / "first_order")
    assert phi.shape == (1, settings.inner_rule().layout.count) and settings.seed == 0
    silent = settings.inner_rule().draw(0)["outputs"]
    assert not silent.any() and float(settings.inner_rule().layout.split(phi)["outputs"].abs().max()) > 0.05


@pytest.mark.parametrize(
    "measured, said",
    [
        (lambda x: (x.sum(), x), r"it gave values of shape \(\) and gradients"),
        (lambda x: (x.sum(1), x[:1]), r"gradients of shape \(1, 3\); it must return \(4,\) and \(4, 3\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(measured, said):
    with pytest.raises(DeclarationError, match=said):
        minimise(measured, 3)


def test_what_cannot_be_done_is_refused(tmp_path):
    with pytest.raises(RunError, match="no value of a step is finite"):
        minimise(lambda x: (np.full(len(x), np.nan), np.zeros_like(x)), 3)
    with pytest.raises(RunError, match="run its outer loop first"):
        minimise(bowl, 3, run=tmp_path)
    with pytest.raises(CortexSimError, match="n must be a whole number of at least 1"):
        minimise(bowl, 0)
