import numpy as np
import torch
from agreement import cosine
from networks import built, dense_chain

import cortex_sim as cs


def linear_problem(word):
    net = dense_chain((11, 7, 3), "linear", cs.Orthogonal(gain=0.1), objective="squared_error")
    model = built(net.with_rule(word))
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 11))
    return model, x, x @ rng.normal(size=(11, 3)) / 3


def trained(word, steps=400):
    model, x, y = linear_problem(word)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model.attach(optimiser)
    errors = []
    for _ in range(steps):
        optimiser.zero_grad()
        model(x, y).backward()
        optimiser.step()
        errors.append(float(model.last_objective))
    return model, errors


def test_forward_weights_come_to_align_with_fixed_feedback():
    """Lillicrap et al. 2016: a random B teaches because W turns towards Bᵀ."""
    before = linear_problem("feedback_alignment")[0]
    model, errors = trained("feedback_alignment")
    b = model.feedback.plastic_or_free("IT->V1")
    angles = [cosine(m.weights["V1->IT"].detach().numpy(), b.numpy().T) for m in (before, model)]
    assert torch.equal(b, before.feedback.plastic_or_free("IT->V1"))
    assert angles[1] > 0.5 and angles[1] > angles[0] + 0.2
    assert errors[-1] < 0.01 * errors[0]


def test_a_fixed_b_is_no_parameter():
    model = linear_problem("feedback_alignment")[0]
    assert not model.feedback.plastic
    assert "feedback.fixed.IT->V1" in model.state_dict()
