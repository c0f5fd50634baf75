"""Evaluations within an epoch, the best one kept, and early stopping, also of runs that are killed."""

import json
import os
import signal

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.backends.torch import checkpoint
from cortex_sim.cli import main
from cortex_sim.errors import RunError
from cortex_sim.training import keeping
from cortex_sim.training.choosing import best, has_stopped, measure_of
from cortex_sim.training.run import train
from cortex_sim.training.sweeping import ADDED, configuration_of

pytestmark = pytest.mark.usefixtures("no_figure")


def read(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]


def lines(*values, name="validation_loss"):
    return [{name: value} for value in values]


def test_the_first_of_equal_evaluations_is_the_best():
    assert best(lines(3, 1, 2, 1), "validation_loss") == 1
    assert best(lines(0.3, 0.9, 0.9, name="test_accuracy"), "test_accuracy") == 1
    assert best(lines(None, None), "validation_loss") is None


def test_patience_counts_evaluations_after_the_best():
    falling, rising = lines(3, 2, 1, 0), lines(3, 1, 2, 1)
    assert not has_stopped(falling, "validation_loss", 1)
    assert has_stopped(rising, "validation_loss", 2) and not has_stopped(rising, "validation_loss", 3)


def test_without_classes_the_loss_decides():
    assert measure_of([{"test_accuracy": None}], None, "test") == "test_loss"
    assert measure_of([{"test_accuracy": 0.5}], None, "test") == "test_accuracy"
    assert measure_of([{}], "ema_loss", "validation") == "ema_validation_loss"


@pytest.mark.parametrize(
    "given, message",
    [
        ({"early_stopping": 3}, "early_stopping: needs a validation part"),
        ({"early_stopping": 0, "hold_out": 8}, "early_stopping must be at least 1"),
        ({"best_by": "loss"}, "best_by: has no effect alone"),
        ({"best_by": "acc", "keep_best": True}, "unknown setting best_by 'acc'"),
        ({"best_by": "ema_loss", "keep_best": True}, "give ema_decay=0.999 too"),
        ({"evaluate_every": -1}, "evaluate_every must be at least 0"),
        ({"keep_best": 1}, "keep_best must be true or false"),
        ({"clip_norm": "1"}, "clip_norm must be a number, or null"),
    ],
)
def test_what_cannot_be_is_refused_before_work_starts(given, message, settings, tmp_path):
    with pytest.raises(RunError, match=message):
        train(settings(**given), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_evaluations_within_epochs_change_nothing_else(settings, tmp_path):
    both = {"rule": "gait_prop", "feedback": {"damping": 1e-3, "refresh": 4}, "schedule": None}
    train(settings(**both), tmp_path / "rare")
    train(settings(**both, evaluate_every=4), tmp_path / "often")
    found = read(tmp_path / "often")
    assert [line["step"] for line in found] == [0, 4, 6, 8, 12, 16, 18]
    assert [line["epoch"] for line in found] == [
        0,
        round(4 / 6, 4),
        1,
        round(8 / 6, 4),
        2,
        round(16 / 6, 4),
        3,
    ]
    by_step = {line["step"]: line for line in found}
    for line in read(tmp_path / "rare"):
        assert {**by_step[line["step"]], "seconds": 0} == {**line, "seconds": 0}
    ours, theirs = (cs.load(tmp_path / name).weights for name in ("often", "rare"))
    for name, w in ours.items():
        np.testing.assert_array_equal(w, theirs[name])


def test_the_best_and_the_averaged_weights_are_states_of_their_own(settings, tmp_path):
    out = tmp_path / "run"
    chosen = settings(keep_best=True, best_by="loss", ema_decay=0.5, evaluate_every=2)
    metrics = train(chosen, out)
    found = read(out)
    at = int(np.argmin([line["test_loss"] for line in found]))
    assert (
        metrics["best"]["step"] == found[at]["step"]
        and metrics["best"]["test_loss"] == found[at]["test_loss"]
    )
    data = np.load(chosen.data)
    kept = cs.load(out / "best.safetensors")
    x = kept.preprocessing.apply(data["x_test"])
    assert float(cs.torch.load(out / "best.safetensors").loss(x, data["y_test"])) == pytest.approx(
        found[at]["test_loss"], rel=1e-5
    )
    averaged = cs.torch.load(out / "averaged.safetensors")
    assert float(averaged.loss(x, data["y_test"])) == pytest.approx(found[-1]["ema_test_loss"], rel=1e-5)
    assert metrics["ema_test_loss"] == found[-1]["ema_test_loss"] != found[-1]["test_loss"]


STOPS = {"hold_out": 8, "early_stopping": 2, "evaluate_every": 2, "keep_best": True, "epochs": 30}
RISES = {"optimiser": {"name": "SGD", "lr": 0.7}, "schedule": None, "best_by": "loss"}


def test_a_run_stops_early_within_an_epoch_and_a_killed_one_stops_there_too(
    settings, kill_during, assert_same_end, tmp_path
):
    chosen = settings(**STOPS, **RISES)
    metrics = train(chosen, tmp_path / "whole")
    found = read(tmp_path / "whole")
    losses = [line["validation_loss"] for line in found]
    assert metrics["stopped_early"] and metrics["steps"] < 150
    assert len(found) - 1 - int(np.argmin(losses)) == 2
    last = found[-1]["step"]

    def dies():
        """Kill after the evaluation that ends the run, before its checkpoint."""
        save = checkpoint.save

        def dying(path, trainer, extra):
            if trainer.step == last:
                os.kill(os.getpid(), signal.SIGKILL)
            save(path, trainer, extra)

        checkpoint.save = dying

    kill_during(chosen, tmp_path / "killed", dies)
    assert not (tmp_path / "killed" / "metrics.json").exists()
    train(chosen, tmp_path / "killed", resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
    kept = [cs.load(tmp_path / name / keeping.BEST).weights for name in ("whole", "killed")]
    for name, w in kept[0].items():
        np.testing.assert_array_equal(w, kept[1][name])


def test_a_run_that_need_not_stop_says_so(settings, tmp_path):
    metrics = train(settings(hold_out=8, early_stopping=100), tmp_path / "run")
    assert metrics["stopped_early"] is False and metrics["steps"] == 15


def test_a_summary_says_what_was_measured_and_kept(settings, tmp_path, capsys, work):
    """Top-5 accuracy with six classes, the averaged weights, and which evaluation was the best."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(48, 13)).astype(np.float32), np.arange(48) % 6
    np.savez(tmp_path / "six.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    net = (work / "net.py").read_text("utf-8").replace('"IT", 3', '"IT", 6')
    (tmp_path / "net.py").write_text(net, encoding="utf-8")
    words = ["train", f"{tmp_path}/net.py:deep", "--data", f"{tmp_path}/six.npz", "--epochs", "2"]
    out = tmp_path / "run"
    kept = ["--set", "ema_decay=0.9", "--set", "keep_best=true"]
    assert main([*words, *kept, "--out", str(out)]) == 0
    said, found = capsys.readouterr().out, json.loads((out / "metrics.json").read_text("utf-8"))
    assert f"test top-5 accuracy {found['test_top5_accuracy']:.2%}\n" in said
    averaged = f"accuracy {found['ema_test_accuracy']:.2%}, top-5 {found['ema_test_top5_accuracy']:.2%}"
    assert f"averaged weights: test {averaged} ({out / 'averaged.safetensors'})\n" in said
    step, value = found["best"]["step"], f"{found['best']['test_accuracy']:.2%}"
    assert f"best evaluation: test accuracy {value} after {step} updates ({out / 'best.safetensors'})" in said
    assert main([*words, "--out", str(tmp_path / "plain")]) == 0
    said = capsys.readouterr().out
    assert "averaged" not in said and "best evaluation" not in said


def test_kept_results_of_sweeps_stay_what_they_are(settings):
    """New settings count only where they are not what runs did before."""
    found = configuration_of(settings())
    new = {"accumulate", "clip_norm", "ema_decay", "evaluate_every", "early_stopping", "keep_best", "best_by"}
    assert new <= set(ADDED) and not new & set(found)
    assert configuration_of(settings(accumulate=2))["accumulate"] == 2
