import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quadratic_runs import QuadraticRuns, reached

from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.tdca.outer import MetaGradient


def search(runs, **own):
    centre = torch.linspace(-0.5, 0.5, runs.parameters, dtype=torch.float64)
    return MetaGradient(**own).begin(runs, centre, 100, torch.Generator())


def by_hand(s, x, goal, weight):
    """mean over inner runs and steps of weight_t (x_t − goal), x_t given for every inner run and step."""
    return np.mean([[w * (x_it - g) for w, x_it in zip(weight, x_i, strict=True)]
                    for x_i, g in zip(x, goal, strict=True)], axis=(0, 1))  # fmt: skip


@given(st.sampled_from([2, 3, 5]), st.sampled_from([1, 7]), st.integers(1, 6), st.booleans())
@settings(max_examples=20, deadline=None)
def test_equals_the_gradient_of_the_whole_life(count, parameters, steps, apart):
    runs = QuadraticRuns(count, parameters, windows=1, steps=steps)
    begun = search(runs, apart=apart)
    gradient, _ = begun.estimate()
    s = reached(runs.leak, steps)
    x = np.broadcast_to(s[:, None] * begun.centre.numpy(), (count, steps, parameters))
    np.testing.assert_allclose(gradient, by_hand(s, x, runs.goal.numpy(), s), rtol=1e-12, atol=1e-12)


def test_later_windows_take_their_start_as_given():
    runs = QuadraticRuns(5, windows=2)
    begun = search(runs)
    begun.estimate()
    gradient, _ = begun.estimate()
    s, local = reached(runs.leak, 4, start=4), reached(runs.leak, 4)
    x = np.broadcast_to(s[:, None] * begun.centre.numpy(), (5, 4, 3))
    goal = runs.goal.numpy()
    np.testing.assert_allclose(gradient, by_hand(s, x, goal, local), rtol=1e-12)
    assert np.abs(gradient.numpy() - by_hand(s, x, goal, s)).min() > 0.1, "which is not the whole gradient"


def test_descends_to_the_optimum():
    runs = QuadraticRuns(8, windows=1, spread=0.0)
    begun = MetaGradient(rate=0.05).begin(runs, torch.zeros(3, dtype=torch.float64), 200, torch.Generator())
    losses = [begun.step()["loss"] for _ in range(200)]
    s = reached(runs.leak, 4)
    best = runs.mean_goal * s.sum() / (s**2).sum()
    torch.testing.assert_close(begun.centre, torch.full((3,), best, dtype=torch.float64), rtol=0, atol=1e-3)
    assert losses[-1] < 0.5 * losses[0]


def lost(apart):
    runs = QuadraticRuns(4, windows=2)
    begun = search(runs, apart=apart)
    begun.estimate()
    runs.x[1] = torch.nan
    return runs, begun


def test_one_lost_life_costs_the_step_when_all_share_phi():
    _, begun = lost(apart=False)
    before = begun.centre
    measured = begun.step()
    assert measured["skipped"] == 1 and measured["contained"] == 4
    assert torch.equal(begun.centre, before)


def test_one_lost_life_costs_itself_alone_when_apart():
    runs, begun = lost(apart=True)
    kept = [0, 2, 3]
    gradient, measured = begun.estimate()
    assert measured["left_out"] == 1 and measured["contained"] == 4
    s, local = reached(runs.leak, 4, start=4), reached(runs.leak, 4)
    x = np.broadcast_to(s[:, None] * begun.centre.numpy(), (3, 4, 3))
    np.testing.assert_allclose(gradient, by_hand(s, x, runs.goal.numpy()[kept], local), rtol=1e-12)
    assert begun.step()["skipped"] == 0  # the next inner run of the slot is sound


def test_lives_that_do_not_depend_on_phi_are_refused():
    class Detached(QuadraticRuns):
        def unroll(self, phi):
            return super().unroll(phi.detach())

    with pytest.raises(RunError, match="does not depend on the credit network"):
        search(Detached(2)).step()


@pytest.mark.parametrize(
    "centre, message",
    [
        (torch.zeros(2), "shape \\(2,\\) .* has 3 parameters"),
        (torch.zeros(3, dtype=torch.int64), "type torch.int64"),
        (torch.tensor([0.0, torch.nan, 0.0]), "NaN or infinity"),
    ],
)
def test_a_centre_that_does_not_fit_is_refused(centre, message):
    with pytest.raises(DeclarationError, match=message):
        MetaGradient().begin(QuadraticRuns(2), centre, 1, torch.Generator())
