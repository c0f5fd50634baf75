"""A recorded trajectory is what the network did."""

import copy

import numpy as np
import pytest
import torch
from small_trajectories import TINY

import cortex_sim as cs
from cortex_sim.backends.torch.showing import batches
from cortex_sim.backends.torch.training import Diverged
from cortex_sim.trajectories import statistics
from cortex_sim.trajectories.design import Run
from cortex_sim.trajectories.measuring import stream
from cortex_sim.trajectories.record import observe, record

NAMES = statistics.names()


@pytest.fixture(scope="module")
def images():
    return cs.data.load("digits").standardised()


def run(rule="backprop", architecture=0, seed=0, rate=0.05):
    return Run(rule, TINY.architectures[architecture], seed, rate)


def trained_by_hand(made, images, steps):
    """The network after so many updates of plain gradient descent, and before."""
    net = made.architecture.network(made.rule, (64,), 10)
    model = cs.torch.build(net, seed=made.seed)
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=made.rate)
    model.attach(optimiser)
    found = [copy.deepcopy(dict(model.weights))]
    for index in list(batches(made.seed, 0, len(images.x_train), TINY.batch_size))[:steps]:
        optimiser.zero_grad()
        model(images.x_train[index], images.y_train[index]).backward()
        optimiser.step()
        found.append(copy.deepcopy(dict(model.weights)))
    model.detach()
    return model, found


def test_weights_and_rates_are_those_of_a_loop_by_hand(images):
    made = run()
    found = record(made, TINY, images)["value"].values[0]  # (snapshot, population, statistic)
    model, weights = trained_by_hand(made, images, 3)
    w = [step["V1->V2"].detach().double().numpy() for step in weights]
    at = {name: NAMES.index(f"weights_{name}") for name in statistics.NAMED}
    middle = found[:, 1]
    np.testing.assert_allclose(
        middle[:, at["frobenius_norm"]], [np.linalg.norm(w[i]) for i in (0, 1, 3)], rtol=1e-5
    )
    np.testing.assert_allclose(
        middle[:, at["mean_abs_change"]],
        [0, np.abs(w[1] - w[0]).mean(), np.abs(w[3] - w[1]).mean()],
        rtol=1e-3,
    )
    rates = cs.recording.select(model.respond(images.x_test[:10]), population="V2")["rate"].values
    np.testing.assert_allclose(middle[2, NAMES.index("activity_mean_abs")], np.abs(rates).mean(), rtol=1e-4)


def test_units_are_columns(images):
    made = run()
    model, _ = trained_by_hand(made, images, 0)
    first = observe(model, made, torch.as_tensor(images.x_test[:10]), torch.as_tensor(images.y_test[:10]))[0]
    assert {name: x.shape for name, x in first.items()} == {
        "activity": (10, 11),
        "weights": (64, 11),
        "credit": (10, 11),
    }


def test_credit_under_backpropagation_is_minus_the_gradient(images):
    made = run()
    model, _ = trained_by_hand(made, images, 2)
    x, y = torch.as_tensor(images.x_test[:10]), torch.as_tensor(images.y_test[:10])
    last = observe(model, made, x, y)[2]["credit"]
    rates = model.settle(model.stimulus_tensor(x), credit=False)[1]
    loss = torch.nn.functional.cross_entropy(rates["IT"], y, reduction="sum")
    expected = -torch.autograd.grad(loss, rates["V4"])[0]
    np.testing.assert_allclose(last, expected.numpy(), rtol=1e-5, atol=1e-7)


def test_before_learning_rules_differ_in_credit_alone(images):
    values = [
        record(run(rule), TINY, images)["value"].values[0, 0] for rule in ("backprop", "feedback_alignment")
    ]
    for i, name in enumerate(NAMES):
        same = np.array_equal(values[0][:, i], values[1][:, i])
        if statistics.observable_of(name) != "credit":
            assert same, name
    assert (values[0] != values[1]).sum() > 3 * 15  # most statistics of credit, at all three places


def test_conditions_are_observed_as_declared(images):
    found = record(run(), TINY, images)["value"].values
    exact, few, noisy = found[:, :, 0]
    norm, cosine = NAMES.index("weights_frobenius_norm"), NAMES.index("weights_cosine_to_first")
    assert (few[:, norm] < 0.5 * exact[:, norm]).all()  # 5 of 11 units, 5 of 64 inputs
    np.testing.assert_allclose(noisy[:, norm] / exact[:, norm], 2**0.5, rtol=0.15)
    assert (exact[:, cosine] > 0.95).all() and (noisy[1:, cosine] < 0.7).all()
    # The last population has 5 units: all are observed, in their order, but only 5 of its 7 inputs.
    activity = NAMES.index("activity_mean")
    np.testing.assert_array_equal(found[1, :, 2, activity], found[0, :, 2, activity])


def test_observed_units_are_those_of_the_stream(images):
    made, condition = run(), TINY.conditions[1]
    model, _ = trained_by_hand(made, images, 0)
    everything = observe(
        model, made, torch.as_tensor(images.x_test[:10]), torch.as_tensor(images.y_test[:10])
    )
    columns = condition.observed(11, stream(0, made.key, "first", "units_5"))
    expected = everything[0]["activity"][:, columns].mean()
    value = record(made, TINY, images)["value"].values[1, 0, 0, NAMES.index("activity_mean")]
    assert value == pytest.approx(expected, rel=1e-5)


def test_a_run_repeats_itself(images):
    a, b = (record(run("feedback_alignment", 1), TINY, images) for _ in range(2))
    assert a.identical(b)
    assert not a.identical(record(run("feedback_alignment", 1, seed=1), TINY, images))


def test_a_run_that_explodes_says_so(images):
    with pytest.raises(Diverged, match="training diverged at step"):
        record(run(architecture=1, rate=1e20), TINY.replace(steps=(0, 30)), images)


def test_statistics_beyond_single_precision_count_as_diverged(images, monkeypatch):
    def huge(*given):
        return [{name: 1e25 * x for name, x in one.items()} for one in observe(*given)]

    monkeypatch.setattr("cortex_sim.trajectories.record.observe", huge)
    with pytest.raises(Diverged, match="step 3, .* a statistic exceeds single precision"):
        record(run(), TINY, images)


@pytest.mark.slow
def test_images_of_another_shape_are_recorded_too(real, monkeypatch):
    monkeypatch.setenv("CORTEX_SIM_DATA", str(real("mnist.npz").parent))
    images = cs.data.load("mnist").standardised()
    found = record(run(), TINY, images)
    assert np.isfinite(found["value"].values).all() and found["accuracy"].shape == (3,)
