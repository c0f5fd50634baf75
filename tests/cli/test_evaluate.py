"""`cortex-sim evaluate`: accuracy and objective of a trained network on its own data or other."""

import json
from pathlib import Path

import numpy as np
import pytest

import cortex_sim as cs

TRAIN = "train net.py:small --data ok.npz --batch-size 8 --epochs 2 --out run --set keep_best=true"


@pytest.fixture
def trained(result, run):
    return result(TRAIN)


def test_it_measures_what_training_measured(trained, result, run):
    found = result("evaluate run")
    assert found["accuracy"] == trained["test_accuracy"]
    assert found["loss"] == pytest.approx(trained["test_loss"], rel=1e-5)
    assert found["top5_accuracy"] is None and found["split"] == "test"
    data = np.load("ok.npz")
    model = cs.torch.load("run")
    x = cs.load("run").preprocessing.apply(cs.data.load("ok.npz").x_test)
    right = model.predict(x).argmax(1) == data["y_test"]
    for label in np.unique(data["y_test"]):
        one = found["per_class"][str(label)]
        assert one["presentations"] == int((data["y_test"] == label).sum())
        assert one["accuracy"] == pytest.approx(right[data["y_test"] == label].mean())


def test_any_state_of_a_run_and_any_part(trained, result, run):
    best = result("evaluate run/best.safetensors")
    assert best["accuracy"] == pytest.approx(trained["best"]["test_accuracy"])
    part = result("evaluate run --split train")
    assert part["accuracy"] == trained["train_accuracy"] and part["split"] == "train"


def test_as_a_table(trained, run):
    status, said, _ = run("evaluate run")
    assert status == 0
    assert "run on ok, test: accuracy" in " ".join(said.split()) and "by class" in said


@pytest.mark.parametrize(
    "words, message",
    [
        ("evaluate nothing", "no such file or run directory"),
        ("evaluate run --data digits", "64"),
        ("evaluate run --split validation", "has no part 'validation'"),
        ("evaluate digits_mlp", "untrained"),
    ],
)
def test_bad_requests_end_with_one_line(words, message, trained, refused):
    refused(words, message)


def test_more_classes_than_units_are_refused(trained, refused):
    data = dict(np.load("ok.npz"))
    data["y_train"] = np.arange(len(data["y_train"])) % 4
    np.savez("four.npz", **data)
    refused("evaluate run --data four.npz", "such as '3', that are not among the 3 that run was trained on")


def test_top_five_of_many_classes(result, run):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 20)).astype(np.float32), np.arange(40) % 8
    np.savez("eight.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    Path("eight.py").write_text(
        "import cortex_sim as cs\n\ndef eight():\n    net = cs.Network('eight')\n"
        "    net.population('retina', 20)\n    net.population('IT', 8)\n"
        "    net.bottom_up('retina', 'IT', plasticity='backprop')\n"
        "    net.objective('IT', 'cross_entropy')\n    return net\n"
    )
    made = result(
        "train eight.py:eight --data eight.npz --epochs 1 --out run8 --batch-size 8 --set schedule=null"
    )
    found = result("evaluate run8")
    shown = cs.load("run8").preprocessing.apply(cs.data.load("eight.npz").x_test)
    order = np.argsort(-cs.torch.load("run8").predict(shown), axis=1)[:, :5]
    assert found["top5_accuracy"] == pytest.approx((order == y[:, None]).any(1).mean())
    assert made["test_top5_accuracy"] == found["top5_accuracy"] > found["accuracy"]
    last = [json.loads(line) for line in Path("run8/metrics.jsonl").read_text().splitlines()][-1]
    assert last["test_top5_accuracy"] == made["test_top5_accuracy"]
