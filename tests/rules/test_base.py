"""The local step that every supervised rule shares, and credit carried down, as a rule file says them."""

import numpy as np
import pytest
from agreement import relative_error
from networks import built, chain, shown

from cortex_sim.rules.base import carried_down, local_step


def test_local_step_is_the_mean_of_outer_products():
    rng = np.random.default_rng(0)
    u, r = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    outer = sum(np.outer(u_b, r_b) for u_b, r_b in zip(u, r, strict=True)) / 5
    np.testing.assert_allclose(local_step(u, r), outer, atol=1e-12)


def test_carried_down_is_b_times_u():
    rng = np.random.default_rng(0)
    b, u = rng.normal(size=(2, 3)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(carried_down(b, u), [b @ u_b for u_b in u], atol=1e-12)


@pytest.mark.parametrize("word", ["backprop", "feedback_alignment", "gait_prop", "sign_symmetric"])
def test_what_torch_does_is_what_they_say(word):
    model = built(chain().with_rule(word))
    x, y = shown(model.net)
    drives, rates = model.settle(model.stimulus_tensor(x))
    credits, changes = model.credits(x, y), model.updates(x, y)
    u = {n: c * model.net.populations[n].activation.gain(drives[n]) for n, c in credits.items()}
    for p in model.net.bottom_ups:
        assert relative_error(changes[p.name], local_step(u[p.post], rates[p.pre]).detach()) < 1e-12
    for p in model.net.top_downs:
        b = model.feedback.stored(p.name, model.weights[p.reverse_name])
        assert relative_error(credits[p.post].detach(), carried_down(b, u[p.pre]).detach()) < 1e-12
