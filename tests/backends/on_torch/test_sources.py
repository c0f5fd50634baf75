"""Training with several sources: the same as with one that holds the units of both side by side."""

import numpy as np
import pytest
import torch
from several_sources import eyes, halves, labels, side_by_side, stimuli, whole

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer, evaluate
from cortex_sim.responding import respond_to
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.training.run import train
from cortex_sim.training.settings import Settings

SGD = {"name": "SGD", "lr": 0.1, "momentum": 0.9}


def pair(word):
    """A model with two sources, one with their units in one source, and stimuli and labels of the first."""
    two, one = (cs.torch.build(net(word), precision="64") for net in (halves, whole))
    one.set_weights(joined(two))
    return two, one, stimuli(two.net, 23), labels(two.net, 23)


def joined(two):
    """Weights of the network with one source."""
    w = {name: values.detach() for name, values in two.weights.items()}
    return {"both->V1": torch.cat([w["left->V1"], w["right->V1"]], 1), "V1->IT": w["V1->IT"]}


def assert_joined(two, one):
    for name, values in joined(two).items():
        torch.testing.assert_close(values, one.weights[name].detach(), rtol=0, atol=1e-12)


WORDS = ["backprop", "gait_prop", "difference_target_prop", "bcm", "direct_feedback_alignment"]


@pytest.mark.parametrize("word", WORDS)
def test_updates_are_those_of_the_sources_side_by_side(word):
    two, one, x, y = pair(word)
    both = side_by_side(x)
    for settings in ({}, {"per_presentation": True}):
        ours, theirs = (
            two.updates(x, y, biases=True, **settings),
            one.updates(both, y, biases=True, **settings),
        )
        joint = torch.cat([ours.pop("left->V1"), ours.pop("right->V1")], -1)
        torch.testing.assert_close(joint, theirs.pop("both->V1"), rtol=1e-12, atol=1e-14)
        assert ours.keys() == theirs.keys()
        for name, change in ours.items():
            torch.testing.assert_close(change, theirs[name], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(two.predict(x), one.predict(both), atol=1e-12)
    torch.testing.assert_close(two(x), one(both), atol=1e-12, rtol=0)
    if word != "bcm":
        torch.testing.assert_close(two.loss(x, y), one.loss(both, y), atol=1e-12, rtol=0)
    ours, theirs = two.respond(x), one.respond(both)
    for name in ("V1", "IT"):
        values = (r["rate"].values[:, r.population.values == name] for r in (ours, theirs))
        np.testing.assert_allclose(*values, atol=1e-12)


@pytest.mark.parametrize("word", WORDS)
def test_fit_learns_the_same(word):
    two, one, x, y = pair(word)
    start = {name: w.detach().clone() for name, w in two.weights.items()}
    ours = two.fit((x, y), epochs=3, batch_size=5, optimiser=SGD)
    theirs = one.fit((side_by_side(x), y), epochs=3, batch_size=5, optimiser=SGD)
    assert [line["train_accuracy"] for line in ours] == [line["train_accuracy"] for line in theirs]
    np.testing.assert_allclose([a["train_loss"] for a in ours], [b["train_loss"] for b in theirs], atol=1e-12)
    assert_joined(two, one)
    assert all((w.detach() - start[name]).abs().max() > 1e-4 for name, w in two.weights.items())


class Shown:
    """A source of data whose stimuli are by source."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y)

    def batch(self, indices, epoch=0):
        return {name: values[indices] for name, values in self.x.items()}, self.y[indices]


def test_a_data_source_gives_each_its_own():
    (first, _, x, y), (second, *_) = pair("backprop"), pair("backprop")
    first.fit((x, y), epochs=2, batch_size=5)
    second.fit(Shown(x, y), epochs=2, batch_size=5)
    for name, w in first.weights.items():
        assert torch.equal(w, second.weights[name]), name
    assert evaluate(first, x, torch.as_tensor(y)) == evaluate(second, Shown(x, torch.as_tensor(y)))
    late = Shown({**x, "right": x["right"][:-1]}, y)
    late.batch = lambda at, epoch=0: ({"left": x["left"][at], "right": x["right"][:2]}, y[at])
    with pytest.raises(
        cs.DataError, match="23 presentations were requested, but it returned 2 and 23 stimuli"
    ):
        second.fit(late, epochs=1, batch_size=5)


def test_a_run_resumed_within_an_epoch_ends_with_the_same_bits(tmp_path):
    def trainer():
        model = cs.torch.build(eyes("gait_prop"), precision="64")
        return Trainer(model, stimuli(model.net, 22), torch.as_tensor(labels(model.net, 22)), 2, 4, SGD)

    class Stop(Exception):
        pass

    def stop():
        checkpoint.save(tmp_path / "at.safetensors", stopped, {})
        if stopped.step == 3:
            raise Stop

    through, stopped, resumed = trainer(), trainer(), trainer()
    for _ in range(2):
        through.train_epoch()
    with pytest.raises(Stop):
        stopped.train_epoch(stop)
    checkpoint.restore(resumed, tmp_path / "at.safetensors")
    for _ in range(2):
        resumed.train_epoch()
    for name, values in through.model.state_dict().items():
        assert torch.equal(values, resumed.model.state_dict()[name]), name


def test_a_number_is_one_stimulus_for_all_and_0_is_rest():
    model = cs.torch.build(eyes("backprop"), precision="64")
    x = stimuli(model.net, 4)
    given = model.predict({**x, "context": 0.7, "right": 0})
    full = {"context": np.full((4, 2), 0.7), "right": np.zeros((4, 13))}
    np.testing.assert_array_equal(given, model.predict({**x, **full}))
    assert isinstance(model.predict({n: torch.as_tensor(v) for n, v in x.items()}), torch.Tensor)


def test_one_source_may_be_named():
    model = cs.torch.build(whole("backprop"), precision="64")
    x = np.random.default_rng(0).normal(size=(3, 11))
    np.testing.assert_array_equal(model.predict({"both": x}), model.predict(x))
    with pytest.raises(cs.DataError, match="stimuli have shape .*, but population both expects"):
        model.predict({"both": x[:, :4]})


X = stimuli(eyes(), 4)
REFUSED = {
    "one array": (X["left"], "it has 3 sources, context, left, right, but one array does not say which"),
    "one missing": ({n: X[n] for n in ("left", "right")}, "nothing is given for context; give .* or 0 for a"),
    "misspelt": ({**X, "rihgt": X["right"]}, "unknown source of eyes 'rihgt' .did you mean 'right'?"),
    "no source": ({**X, "V1": np.zeros((4, 11))}, "V1 has bottom-up input, so stimuli do not set its rates"),
    "numbers": (dict.fromkeys(X, 1.0), "so the number of presentations is unknown"),
    "lengths": ({**X, "right": X["right"][:3]}, "Got .*right 3.*; give the same number"),
    "a number": ({**X, "right": float("nan")}, "stimuli of right: the number must be finite"),
    "a value": ({**X, "right": np.full((4, 13), np.nan)}, "stimuli hold NaN"),
    "shape": ({**X, "right": X["right"][:, :4]}, "population right expects .presentation, 13."),
    "an image set": (
        cs.data.digits(),
        "respond: ImageSet.* network eyes has 3 sources, .*give arrays, {source",
    ),
}


@pytest.mark.parametrize("given, message", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_with_the_way_out(given, message):
    model = cs.torch.build(eyes("backprop"))
    with pytest.raises(cs.DataError, match=message) as refusal:
        model.respond(given)
    assert "\n" not in str(refusal.value)


def test_what_shows_one_image_a_presentation_is_refused(tmp_path):
    net = eyes("backprop")
    model = cs.torch.build(net)
    with pytest.raises(
        cs.DataError, match="fit: image set digits shows one image per presentation, but network"
    ):
        model.fit(cs.data.digits())
    with pytest.raises(cs.DataError, match="3 sources, context, left, right; record them by cs.torch.build"):
        respond_to(net, np.zeros((3, 15)), like="none")
    with pytest.raises(cs.DataError, match="stimuli of context, left, right are not one tensor; use model"):
        model.stimulus_tensor(X)


def test_so_are_runs_and_inner_runs(tmp_path):
    file = tmp_path / "two.py"
    file.write_text(
        "import cortex_sim as cs\n\n\ndef two():\n    net = cs.Network('two eyes')\n"
        "    for eye in ('left', 'right'):\n        net.population(eye, 32)\n    net.population('IT', 10)\n"
        "    for eye in ('left', 'right'):\n        net.bottom_up(eye, 'IT', plasticity='backprop')\n"
        "    net.objective('IT', 'cross_entropy')\n    return net\n"
    )
    with pytest.raises(cs.RunError, match="train: data set digits shows one image .* 2 sources, left, right"):
        train(Settings(model=f"{file}:two", data="digits"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(cs.BuildError, match="parallel inner runs need a chain, but network eyes has 3"):
        architecture(eyes("backprop"))
