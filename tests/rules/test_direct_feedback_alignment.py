import numpy as np
from agreement import relative_error
from networks import built, dense_chain, shown


def test_what_lies_between_does_not_matter():
    """The change of V1 is the same whatever weights V2 hands on, if the top's credit is."""
    net = dense_chain((11, 7, 5, 3), "tanh", objective="squared_error")
    model = built(net.with_rule("direct_feedback_alignment"))
    x, _ = shown(net)
    changes = []
    for scale in (1.0, -2.0):
        model.set_weights({"V1->V2": scale * model.weights["V1->V2"].detach()})
        top = model.settle(model.stimulus_tensor(x))[1]["IT"].detach().numpy()
        changes.append(model.updates(x, top + 0.3 * np.eye(3)[0])["retina->V1"])
    assert relative_error(*changes) < 1e-12


def test_every_population_hears_the_top_once():
    net = dense_chain((11, 7, 5, 3)).with_rule("direct_feedback_alignment")
    assert {(p.pre, p.post) for p in net.top_downs} == {("IT", "V1"), ("IT", "V2")}
