import numpy as np
from agreement import relative_error
from networks import built, dense_chain, shown


def test_only_the_signs_of_single_weights_matter():
    """Same signs, same norm, other sizes: the credit below does not change."""
    net = dense_chain((11, 7, 3), "tanh", objective="squared_error").with_rule("sign_symmetric")
    model = built(net)
    x, _ = shown(net)
    w = model.weights["V1->IT"].detach().numpy()
    sizes = np.random.default_rng(0).random(size=w.shape) + 0.1
    other = np.sign(w) * sizes
    other *= np.linalg.norm(w) / np.linalg.norm(other)
    changes = []
    for weights in (w, other):
        model.set_weights({"V1->IT": weights})
        top = model.settle(model.stimulus_tensor(x))[1]["IT"].detach().numpy()
        changes.append(model.updates(x, top + 1.0)["retina->V1"])
    assert relative_error(*changes) < 1e-12


def test_feedback_follows_a_sign_that_turns():
    net = dense_chain((11, 7, 3), objective="squared_error").with_rule("sign_symmetric")
    model = built(net)
    x, y = shown(net)
    before = model.credits(x, np.zeros((len(y), 3)))["V1"]
    model.set_weights({"V1->IT": -model.weights["V1->IT"].detach()})
    model.biases["IT"].data.neg_()  # then the top's rate and credit turn too
    after = model.credits(x, np.zeros((len(y), 3)))["V1"]
    assert relative_error(after, before) < 1e-12
