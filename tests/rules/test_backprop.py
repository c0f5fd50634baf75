import numpy as np
import pytest
from networks import built, chain, shown

import cortex_sim as cs


def test_is_the_slope_of_the_objective():
    """Against finite differences: the change is how the objective falls, weight by weight."""
    net = chain(objective="squared_error").with_rule("backprop")
    model = built(net)
    x, _ = shown(net)
    goal = np.random.default_rng(1).normal(size=(len(x), 3))
    change = model.updates(x, goal)["retina->V1"]
    w = model.weights["retina->V1"].data
    for i, j in [(0, 0), (3, 11), (10, 5)]:
        errors = []
        for step in (1e-5, -1e-5):
            w[i, j] += step
            errors.append(float(model(x, goal).detach()))
            w[i, j] -= step
        slope = (errors[0] - errors[1]) / 2e-5
        assert -slope == pytest.approx(float(change[i, j]), rel=1e-5, abs=1e-9)


def test_takes_its_credit_through_the_transpose_only():
    net = chain().with_rule("feedback_alignment")
    mixed = chain()
    for p in net.top_downs:
        mixed.top_down(p.pre, p.post, feedback=cs.Random())
    with pytest.raises(cs.DeclarationError, match="takes its credit through Transpose"):
        cs.torch.build(mixed)
