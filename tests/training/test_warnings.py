"""What a run says of itself: on which part it was measured, by what it learned, and what went wrong."""

import json

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.backends.torch import noticing
from cortex_sim.cli import main
from cortex_sim.training.naming import regularisers_of, rule_label, settings_remarks
from cortex_sim.training.run import train
from cortex_sim.training.settings import network, resolve
from cortex_sim.viz import curves, sweeps

X = np.random.default_rng(0).normal(size=(60, 64)).astype(np.float32)
Y = np.arange(60) % 10
X += 3 * np.eye(10, 64)[Y].astype(np.float32)


def model(rule="backprop"):
    return cs.torch.build(cs.model("digits_mlp", hidden=11).with_rule(rule))


def lines(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


# -- held-out presentations ------------------------------------------------------------------------


def test_a_run_that_holds_out_measures_validation(settings, no_figure, tmp_path):
    metrics = train(settings(hold_out=12), tmp_path / "run")
    assert 0 <= metrics["validation_accuracy"] <= 1 and metrics["validation_loss"] > 0
    assert metrics["test_accuracy"] is None and metrics["test_loss"] is None
    for line in lines(tmp_path / "run"):
        assert line["validation_loss"] > 0 and line["test_accuracy"] is None and line["test_loss"] is None
    assert metrics == json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))


def test_a_run_that_holds_nothing_out_measures_the_test_set(settings, no_figure, tmp_path):
    metrics = train(settings(), tmp_path / "run")
    assert metrics["test_accuracy"] is not None and "validation_accuracy" not in metrics


def test_the_summary_names_the_part(work, tmp_path, capsys):
    line = f"train {work}/net.py:deep --data {work}/tiny.npz --epochs 1 --set schedule=null"
    assert main([*line.split(), "--set", "hold_out=12", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "validation accuracy" in said and "test accuracy" not in said
    assert (tmp_path / "run" / "learning_curves.png").is_file()


def test_figures_name_the_part(settings, tmp_path):
    held = [{"validation_loss": 1.0, "test_loss": None}]
    assert curves.tested_on(held) == "validation" and curves.tested_on([{"test_loss": 1.0}]) == "test"
    rows = [{"rule": "a", "seed": 0, "validation_accuracy": 0.5, "test_accuracy": None}]
    assert sweeps.spreads(rows)["a"][0] == [0.5] and sweeps.tested_on(rows) == "validation"


def test_fit_measures_the_validation_part():
    data = cs.data.image_set("tiny", X, Y, X[:7], Y[:7]).hold_out(20)
    (line,) = model().fit(data, 1, batch_size=8)
    assert 0 <= line["validation_accuracy"] <= 1 and line["validation_loss"] > 0
    assert line["test_accuracy"] is None and line["test_loss"] is None


# -- rule and regulariser --------------------------------------------------------------------------


def test_rule_and_regularisers_are_named():
    settings = resolve(
        "gait_tower", flags={"rule": "backprop"}, assignments=["regulariser=[hard_orthogonality]"]
    )
    net = network(settings)
    assert regularisers_of(net) == ["hard_orthogonality"]
    assert rule_label("backprop", net) == "backprop + hard_orthogonality"
    assert rule_label(None, cs.model("digits_mlp")) == "as declared"


def test_summary_metrics_and_figure_name_the_regulariser(work, tmp_path, capsys, monkeypatch):
    titles = []
    monkeypatch.setattr(curves, "learning_curves", lambda found, path, rule: titles.append(rule))
    line = f"train {work}/net.py:deep --data {work}/tiny.npz --epochs 1 --rule backprop --set schedule=null"
    asked = [*line.split(), "--set", "regulariser=[hard_orthogonality]", "--out", str(tmp_path / "run")]
    assert main(asked) == 0
    assert ":deep, backprop + hard_orthogonality: " in capsys.readouterr().out
    assert titles == ["backprop + hard_orthogonality"]
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["regulariser"] == ["hard_orthogonality"]


# -- warnings --------------------------------------------------------------------------------------


def test_settings_that_were_chosen_for_other_rules_are_said():
    def remarks(rule):
        settings = resolve("conv4", flags={"rule": rule})
        return settings_remarks(settings, network(settings))

    chosen = cs.defaults("conv4", "backprop")
    assert chosen.tuned and remarks("backprop") == []
    assert not cs.defaults("conv4", "bcm").tuned
    (said,) = remarks("bcm")
    assert "not tuned for this rule, bcm" in said and "backprop" in said


def test_a_dropped_rate_is_said():
    settings = resolve("digits_mlp", flags={"rule": "backprop"}, assignments=["optimiser.name=SGD"])
    (said,) = settings_remarks(settings, network(settings))
    assert said.startswith("optimiser SGD: no learning rate is given") and "torch's default, 0.001" in said
    given = resolve(
        "digits_mlp", assignments=["optimiser=SGD", "optimiser.lr=0.1"], flags={"rule": "backprop"}
    )
    assert given.optimiser == {"name": "SGD", "lr": 0.1} and settings_remarks(given, network(given)) == []


@pytest.mark.parametrize("words", [["optimiser=AdamW"], ["optimiser.lr=0.1", "optimiser=AdamW"]], ids=str)
def test_an_optimiser_by_its_name_alone(words, tmp_path):
    assert resolve("digits_mlp", assignments=words).optimiser["name"] == "AdamW"
    own = tmp_path / "own.yaml"
    own.write_text("optimiser: AdamW\nschedule: LinearLR\n", encoding="utf-8")
    found = resolve("digits_mlp", config=own)
    assert (found.optimiser["name"], found.schedule["name"]) == ("AdamW", "LinearLR")


def test_a_rate_set_before_the_name_stays():
    found = resolve("digits_mlp", assignments=["optimiser.lr=0.1", "optimiser=AdamW"]).optimiser
    assert found == {"name": "AdamW", "lr": 0.1}


def curve_of(*losses, accuracy=0.9):
    return [{"epoch": n, "test_loss": loss, "test_accuracy": accuracy} for n, loss in enumerate(losses)]


def test_a_loss_that_grew_tenfold():
    assert noticing.growth(curve_of(2.0, 19.0, 1.0), "test") is None
    assert "grew from 2 to 21 by epoch 2" in noticing.growth(curve_of(2.0, 19.0, 21.0, 1.0), "test")
    assert noticing.growth(curve_of(0.0, 5.0), "test") is None
    assert noticing.growth([{"test_loss": None}], "test") is None


def test_nothing_learned():
    assert noticing.learned(curve_of(2.0, 1.0), "test", 0.1, 1000) is None
    assert "is at chance" in noticing.learned(curve_of(2.0, 1.0, accuracy=0.11), "test", 0.1, 1000)
    assert "not below the 2 before training" in noticing.learned(curve_of(2.0, 3.0), "test", 0.1, 1000)
    assert noticing.learned(curve_of(2.0, 1.0, accuracy=None), "test", None, 1000) is None


def test_chance_is_the_most_frequent_class():
    assert noticing.chance_of(np.array([0, 0, 0, 1])) == 0.75
    assert noticing.chance_of(torch.eye(4)) == 0.25
    assert noticing.chance_of(np.array([1, 1])) is None


def test_a_rate_at_which_nothing_is_learned_is_said(settings, no_figure, tmp_path, caplog):
    given = settings(optimiser={"name": "Adam", "lr": 1e-12}, schedule=None, epochs=1)
    (said,) = train(given, tmp_path / "run")["warnings"]
    assert "nothing was learned" in said and caplog.text.count(said) == 1


def test_a_rate_that_is_far_too_high_is_said(settings, no_figure, tmp_path):
    given = settings(rule="backprop", optimiser={"name": "Adam", "lr": 1e3}, schedule=None)
    said = train(given, tmp_path / "run")["warnings"]
    assert any("objective grew from" in warning for warning in said)


def test_warnings_stand_in_the_summary_and_the_status_stays(work, tmp_path, capsys):
    line = f"train {work}/net.py:deep --data {work}/tiny.npz --epochs 1 --set schedule=null --batch-size 99"
    asked = [*line.split(), "--set", "optimiser.lr=1e-12", "--out", str(tmp_path / "run")]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "warning: training: batch size 99" in said and "warning: nothing was learned" in said


def test_a_run_that_learned_warns_of_nothing(settings, no_figure, tmp_path):
    given = settings(optimiser={"name": "Adam", "lr": 0.02}, schedule=None, epochs=20)
    assert train(given, tmp_path / "run")["warnings"] == []


def test_fit_says_the_same(caplog):
    model().fit((X, Y), 2, batch_size=8, optimiser={"name": "Adam", "lr": 1e-12})
    assert "nothing was learned" in caplog.text
    caplog.clear()
    model().fit((X, Y), 2, batch_size=8, optimiser={"name": "Adam", "lr": 1e2})
    assert "training objective grew from" in caplog.text
    caplog.clear()
    model().fit((X, Y), 20, batch_size=8, optimiser={"name": "Adam", "lr": 1e-2})
    assert caplog.text == ""
