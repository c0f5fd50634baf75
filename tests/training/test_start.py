"""A run that starts from what another has learned: a finished one extended, weights taken to other data."""

import json

import numpy as np
import pytest
from safetensors import safe_open

import cortex_sim as cs
from cortex_sim.errors import RunError
from cortex_sim.training.run import train
from cortex_sim.training.settings import resolve

FLAGS = {"rule": "gait_prop", "epochs": 1, "batch_size": 64, "seed": 3}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "first"
    train(resolve("digits_mlp", flags=FLAGS), out)
    return out


@pytest.fixture(scope="module")
def brighter(tmp_path_factory):
    """Digits at half the contrast, and brighter."""
    path = tmp_path_factory.mktemp("data") / "brighter.npz"
    d = cs.data.load("digits")
    np.savez(path, x_train=d.x_train / 2 + 3, y_train=d.y_train, x_test=d.x_test / 2 + 3, y_test=d.y_test)
    return path


def extended(first, out, resume=False, **flags):
    return train(resolve("digits_mlp", flags={**FLAGS, "start": str(first), **flags}), out, resume)


def evaluations(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_it_starts_where_the_other_ended(first, tmp_path):
    extended(first, tmp_path / "more")
    before, after = evaluations(first)[-1], evaluations(tmp_path / "more")[0]
    for what in ("test_accuracy", "test_loss", "angle_to_bp_deg", "orthogonality_deviation"):
        assert after[what] == pytest.approx(before[what], rel=1e-3, abs=0.05), what
    kept, more = cs.load(first), cs.load(tmp_path / "more")
    assert more.preprocessing == kept.preprocessing
    assert more.origin["updates"] == 2 * kept.origin["updates"] and more.origin["epochs"] == 2


def test_other_data_are_shown_through_the_preprocessing_of_the_weights(first, brighter, tmp_path):
    extended(first, tmp_path / "other", data=str(brighter))
    assert cs.load(tmp_path / "other").preprocessing == cs.load(first).preprocessing
    assert evaluations(tmp_path / "other")[0]["test_accuracy"] < evaluations(first)[-1]["test_accuracy"]


def test_it_is_resumed_without_what_it_started_from(first, tmp_path, monkeypatch):
    from cortex_sim.backends.torch import checkpoint

    start = tmp_path / "start.safetensors"
    cs.save(cs.load(first), start)
    extended(start, tmp_path / "whole", epochs=2)
    save = checkpoint.save

    class Dies(Exception):
        pass

    def once(path, trainer, extra):
        save(path, trainer, extra)
        if trainer.epoch == 1:
            raise Dies

    monkeypatch.setattr(checkpoint, "save", once)
    with pytest.raises(Dies):
        extended(start, tmp_path / "part", epochs=2)
    monkeypatch.setattr(checkpoint, "save", save)
    kept = start.read_bytes()
    start.unlink()
    train(resolve("digits_mlp", flags={**FLAGS, "start": str(start), "epochs": 2}), tmp_path / "part", True)
    start.write_bytes(kept)
    with (
        safe_open(tmp_path / "whole" / "checkpoint.safetensors", framework="np") as one,
        safe_open(tmp_path / "part" / "checkpoint.safetensors", framework="np") as other,
    ):
        assert set(one.keys()) == set(other.keys())
        for name in one.keys():  # noqa: SIM118 - no mapping
            np.testing.assert_array_equal(one.get_tensor(name), other.get_tensor(name), err_msg=name)


def test_weights_of_another_network_are_refused(first, tmp_path):
    with pytest.raises(cs.BuildError, match="population"):
        settings = resolve(
            "tdca_mlp",
            assignments=["model_settings.inputs=64", "model_settings.hidden=[16]"],
            flags={**FLAGS, "rule": "backprop", "start": str(first)},
        )
        train(settings, tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_checkpoint_of_another_run_is_named(first, tmp_path):
    out = tmp_path / "mixed"
    train(resolve("digits_mlp", flags={**FLAGS, "rule": "backprop"}), out)
    (out / "metrics.json").unlink()
    (out / "checkpoint.safetensors").write_bytes((first / "checkpoint.safetensors").read_bytes())
    with pytest.raises(RunError, match="checkpoint.safetensors: holds network digits_mlp, which is not what"):
        train(resolve("digits_mlp", flags={**FLAGS, "rule": "backprop"}), out, True)


def test_another_number_of_classes_draws_the_top_again_and_says_so(first, tmp_path, monkeypatch):
    """Fine-tuning: everything below the top is kept, also when the run is resumed without its start."""
    d = cs.data.load("digits")
    few = tmp_path / "few.npz"
    train_on, test_on = d.y_train < 4, d.y_test < 4
    np.savez(
        few,
        x_train=d.x_train[train_on],
        y_train=d.y_train[train_on],
        x_test=d.x_test[test_on],
        y_test=d.y_test[test_on],
    )
    flags = {**FLAGS, "start": str(first), "data": str(few)}
    settings = resolve("digits_mlp", assignments=["model_settings.classes=4"], flags=flags)
    from cortex_sim.backends.torch import checkpoint

    save = checkpoint.save

    class Dies(Exception):
        pass

    def once(path, trainer, extra):
        save(path, trainer, extra)
        raise Dies

    monkeypatch.setattr(checkpoint, "save", once)
    with pytest.raises(Dies):
        train(settings, tmp_path / "run")
    monkeypatch.setattr(checkpoint, "save", save)
    began, kept = cs.load(tmp_path / "run"), cs.load(first)
    fresh = cs.torch.build(began.network, FLAGS["seed"]).state()
    lowest, *_, onto_top = began.weights
    np.testing.assert_array_equal(began.weights[lowest], kept.weights[lowest])
    np.testing.assert_array_equal(began.weights[onto_top], fresh.weights[onto_top])
    assert began.weights[onto_top].shape[0] == 4 and not began.biases["IT"].any()
    metrics = train(settings, tmp_path / "run", resume=True)
    said = "population IT has 4 units, but 10 in the state that training starts from"
    assert any(said in warning for warning in metrics["warnings"])
    assert metrics["test_accuracy"] > 0.5
