"""A run that is killed and resumed ends, bit for bit, where an uninterrupted one ends."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cortex_sim.backends.torch import checkpoint
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.errors import RunError
from cortex_sim.runs import files
from cortex_sim.training import run as run_module
from cortex_sim.training.run import train

pytestmark = pytest.mark.usefixtures("no_figure")

RUNS = {
    "gait_prop": {
        "rule": "gait_prop",
        "feedback": {"damping": 1e-3, "refresh": 3},
        "regulariser": [
            {"name": "hard_orthogonality", "every": 3},
            {"name": "orthogonality", "probes": 2},
        ],
    },
    "gait_prop, iterative": {
        "rule": "gait_prop",
        "feedback": {"solver": "iterative", "rescale": True, "refresh": 5},
        "optimiser": {"name": "SGD", "lr": 0.05, "momentum": 0.9},
        "precision": "bf16",
    },
    "gait_prop, difference kept": {
        "rule": "gait_prop",
        "feedback": {"keeps": "difference", "rescale": True, "refresh": 5},
        "optimiser": {"name": "SGD", "lr": 0.05, "momentum": 0.9},
    },
    "difference_target_prop": {
        "rule": "difference_target_prop",
        "optimiser": {"name": "SGD", "lr": 0.02, "momentum": 0.9},
        "schedule": {"name": "MultiStepLR", "milestones": [5, 9, 13]},
    },
    "kolen_pollack": {
        "rule": "kolen_pollack",
        "optimiser": {"name": "NAdam", "lr": 1e-2},
        "schedule": {"name": "CosineAnnealingLR"},
    },
    "tdca, the step of inner runs": {
        "rule": "tdca",
        "optimiser": {"name": "inner_step"},
        "schedule": None,
    },
    "Muon and every option of an update": {
        "rule": "gait_prop",
        "feedback": {"damping": 1e-3, "refresh": 3},
        "optimiser": {"name": "Muon", "lr": 0.02, "others": {"name": "SGD", "lr": 0.01, "momentum": 0.9}},
        "objective": {"name": "cross_entropy", "label_smoothing": 0.1},
        "hold_out": 8,
        "batch_size": 5,
        "accumulate": 2,
        "clip_norm": 0.05,
        "ema_decay": 0.9,
        "evaluate_every": 3,
        "early_stopping": 30,
        "keep_best": True,
        "best_by": "ema_loss",
    },
    "rates computed again": {
        "rule": "gait_prop",
        "feedback": {"damping": 1e-3, "refresh": 3},
        "settling": {"name": "equilibrium", "recompute": True},
    },
    "fused, biases without decay": {
        "optimiser": {"name": "AdamW", "lr": 0.01, "weight_decay": 0.1, "decay": "weights", "fused": True},
        "evaluate_every": 2,
        "keep_best": True,
    },
    "unrolled": {
        "rule": "feedback_alignment",
        "settling": {"name": "unrolled", "steps": 5, "dt_ms": 4, "truncate": 3},
    },
    "bcm": {
        "rule": "bcm",
        "optimiser": {"name": "SGD", "lr": 1e-3},
        "schedule": {"name": "CyclicLR", "base_lr": 1e-4, "max_lr": 1e-3, "step_size_up": 5},
    },
}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def in_epoch(step):
    """Kill between the computation of an update and the next."""

    def patch():
        update = Trainer.update

        def dying(trainer, index):
            update(trainer, index)
            if trainer.step == step:
                die()

        Trainer.update = dying

    return patch


def in_write(step):
    """Kill when half of a checkpoint's bytes are in its .part file."""

    def patch():
        write, steps = files.save_file, []
        save = checkpoint.save

        def noting(path, trainer, extra):
            steps.append(trainer.step)
            save(path, trainer, extra)

        def torn(tensors, path, metadata):
            write(tensors, path, metadata)
            if steps and steps[-1] == step and path.name.startswith("checkpoint"):
                os.truncate(path, os.path.getsize(path) // 2)
                die()

        checkpoint.save, files.save_file = noting, torn

    return patch


def before_save(step):
    """Kill after an evaluation is written, before its checkpoint is."""

    def patch():
        save = checkpoint.save

        def dying(path, trainer, extra):
            if trainer.step == step:
                die()
            save(path, trainer, extra)

        checkpoint.save = dying

    return patch


def at_the_end():
    """Kill when all is trained and saved but the result is not written."""
    run_module.Run._finish = lambda *_: die()


@pytest.fixture(scope="module")
def whole():
    """Uninterrupted runs, by name, made once."""
    return {}


@pytest.fixture
def uninterrupted(whole, settings, tmp_path_factory):
    def find(name):
        if name not in whole:
            whole[name] = tmp_path_factory.mktemp("whole") / "run"
            train(settings(**RUNS[name]), whole[name])
        return whole[name]

    return find


@pytest.mark.parametrize(
    "patch",
    [in_epoch(9), pytest.param(in_write(8), marks=pytest.mark.slow)],
    ids=["in epoch", "in write"],
)
@pytest.mark.parametrize("name", RUNS)
def test_resumed_run_ends_where_an_uninterrupted_one_ends(
    name, patch, settings, uninterrupted, kill_during, assert_same_end, tmp_path
):
    out = tmp_path / "run"
    kill_during(settings(**RUNS[name]), out, patch)
    assert not (out / "metrics.json").exists()
    train(settings(**RUNS[name]), out, resume=True)
    assert_same_end(out, uninterrupted(name))


@pytest.mark.parametrize(
    "patch",
    [in_write(0), before_save(0), in_epoch(1), before_save(12), in_write(12), in_epoch(18), at_the_end],
    ids=["in first write", "before first", "first update", "evaluated", "in epoch's", "last", "end"],
)
def test_wherever_it_is_killed(patch, settings, uninterrupted, kill_during, assert_same_end, tmp_path):
    out = tmp_path / "run"
    kill_during(settings(**RUNS["gait_prop"]), out, patch)
    train(settings(**RUNS["gait_prop"]), out, resume=True)
    assert_same_end(out, uninterrupted("gait_prop"))


def test_killed_again_and_again(settings, uninterrupted, kill_during, assert_same_end, tmp_path):
    out, given = tmp_path / "run", settings(**RUNS["gait_prop"])
    kill_during(given, out, in_epoch(5))
    for step in (7, 11, 15):
        kill_during(given, out, in_epoch(step), resume=True)
    train(given, out, resume=True)
    assert_same_end(out, uninterrupted("gait_prop"))


def test_torn_file_of_an_earlier_death_does_not_matter(
    settings, uninterrupted, kill_during, assert_same_end, tmp_path
):
    out, given = tmp_path / "run", settings(**RUNS["bcm"])
    kill_during(given, out, in_epoch(9))
    (out / "checkpoint.safetensors.part").write_bytes(b"torn")
    (out / "metrics.json.part").write_bytes(b'{"torn')
    train(given, out, resume=True)
    assert_same_end(out, uninterrupted("bcm"))


def test_killed_before_anything_was_written_starts_anew(settings, tmp_path):
    (tmp_path / "run.yaml.part").write_text("mod", encoding="utf-8")
    with pytest.raises(RunError, match="holds no run"):
        train(settings(), tmp_path, resume=True)
    train(settings(), tmp_path)
    assert not list(tmp_path.glob("*.part"))


def test_finished_run_is_left_as_it_is(settings, tmp_path):
    out = tmp_path / "run"
    first = train(settings(), out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert train(settings(), out, resume=True) == first
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_noise_and_state_are_in_the_balance(uninterrupted):
    """The comparison above would be empty if these runs did not learn or left no state behind."""
    bcm = load_file(uninterrupted("bcm") / "checkpoint.safetensors")
    assert np.count_nonzero(bcm["model/local.state.V1->V2.theta"])
    gait = load_file(uninterrupted("gait_prop") / "checkpoint.safetensors")
    assert {name.split("/")[0] for name in gait} == {"model", "optimiser"}
    assert "model/feedback.fixed.V2->V1" in gait


def test_event_files_are_cut_back(settings, kill_during, tmp_path):
    out = tmp_path / "run"
    kill_during(settings(), out, before_save(12))  # its evaluation at 12 is written, and lost
    train(settings(), out, resume=True)
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    for name in ("test_accuracy", "angle_to_bp_deg/V1->V2"):  # files of one second sort by process
        assert sorted(e.step for e in events.Scalars(name)) == [0, 6, 12, 18]


def test_log_that_was_shortened_is_refused(settings, kill_during, tmp_path):
    out = tmp_path / "run"
    kill_during(settings(), out, in_epoch(9))
    (out / "metrics.jsonl").unlink()
    with pytest.raises(RunError, match=r"metrics.jsonl: shorter than"):
        train(settings(), out, resume=True)


def test_other_environment_is_a_warning(settings, kill_during, tmp_path, caplog):
    out = tmp_path / "run"
    kill_during(settings(), out, in_epoch(9))
    text = (out / "run.yaml").read_text(encoding="utf-8")
    (out / "run.yaml").write_text(text.replace("torch: ", "torch: 0."), encoding="utf-8")
    train(settings(), out, resume=True)
    assert "another environment" in caplog.text


def test_changed_data_are_refused(settings, work, tmp_path):
    """The rest of the run would learn from other data, standardised by the mean of the first."""
    own, out = tmp_path / "own.npz", tmp_path / "run"
    with np.load(work / "tiny.npz") as arrays:
        first = dict(arrays)
    np.savez(own, **first)
    given = settings(data=str(own), epochs=1)
    metrics = train(given, out)
    (out / "metrics.json").unlink()
    np.savez(own, **{**first, "y_test": (first["y_test"] + 1) % 3})
    with pytest.raises(RunError, match=r"own.npz has changed since the run was started; restore it, or"):
        train(given, out, resume=True)
    np.savez(own, **first)
    assert train(given, out, resume=True)["test_loss"] == metrics["test_loss"]


def test_resuming_runs_no_code(settings, kill_during, work, tmp_path):
    """The checkpoint holds the network as data; the file that declared it is not asked again."""
    own = tmp_path / "mine.py"
    own.write_text((work / "net.py").read_text(encoding="utf-8"), encoding="utf-8")
    out, given = tmp_path / "run", replace(settings(), model=f"{own}:deep")
    kill_during(given, out, in_epoch(9))
    own.unlink()
    assert train(given, out, resume=True)["steps"] == 18


def test_checkpoint_is_as_readable_as_its_folder(settings, tmp_path):
    """safetensors writes files that only their owner reads; a group shares runs."""
    train(settings(), tmp_path / "run")
    mode = (tmp_path / "run" / "checkpoint.safetensors").stat().st_mode & 0o777
    assert mode == (tmp_path / "run").stat().st_mode & 0o666


def test_another_number_of_updates_in_an_epoch_is_refused(settings, no_figure, tmp_path, monkeypatch):
    """As other ranks would have, where they leave a remainder out."""
    out = tmp_path / "run"
    train(settings(epochs=1), out)
    (out / "metrics.json").unlink()
    monkeypatch.setattr(Trainer, "steps_per_epoch", property(lambda trainer: 7))
    with pytest.raises(RunError, match="updates per epoch were 6 when .* would now be 7 .ranks: 1."):
        train(settings(epochs=1), out, resume=True)
