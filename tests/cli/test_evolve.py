"""`cortex-sim evolve`: its run directory, its errors, and what becomes of it when it is killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

import cortex_sim
from cortex_sim.cli import main
from cortex_sim.credit import load_credit

SMALL = """
model_settings: {inputs: 64, hidden: [8]}
rule: {name: tdca, credit_network: {name: dense, channels: 3, hidden: 4}}
tasks: {kind: images, sources: [digits], side: 8}
span: {shortest: 4, longest: 16, window: 4, batch: 8, validation: 16}
searcher: {name: meta_gradient, rate: 0.01}
iterations: 5
lives: 4
checkpoint_every: 3
testing: {data: [digits], steps: [4, 8], lives: 2}
"""
FILES = {
    ".lock", "checkpoint.safetensors", "credit.safetensors", "metrics.json", "metrics.jsonl",
    "outer.safetensors", "progress.png", "run.yaml", "tensorboard",
}  # fmt: skip


@pytest.fixture(autouse=True)
def configurations(here, monkeypatch):
    monkeypatch.setenv("CORTEX_SIM_DATA", str(here / "empty"))
    (here / "empty").mkdir()
    (here / "small.yaml").write_text(SMALL, encoding="utf-8")


@pytest.fixture
def config(here):
    """A configuration on top of the small one, by name."""

    def write(name, **settings):
        text = yaml.safe_dump({"base": "./small.yaml", **settings})
        (here / f"{name}.yaml").write_text(text, encoding="utf-8")
        return f"{name}.yaml"

    return write


def without_seconds(content):
    return {key: value for key, value in content.items() if not key.endswith("seconds") and key != "out"}


def outcome(folder):
    """Outer parameters and everything measured, but for seconds."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return (
        {name: p.tobytes() for name, p in load_file(folder / "outer.safetensors").items()},
        {name: p.tobytes() for name, p in load_file(folder / "checkpoint.safetensors").items()},
        [without_seconds(json.loads(line)) for line in lines],
        without_seconds(json.loads((folder / "metrics.json").read_text(encoding="utf-8"))),
    )


def test_run_directory_and_json(here, result, config):
    widths = {"11": {"hidden": [11]}}
    name = config("full", testing={"widths": widths, "controls": ["units", "silent"]})
    metrics = result(f"evolve {name} --out r")
    assert {p.name for p in (here / "r").iterdir()} == FILES
    assert {"out", "parameters", "inner_steps", "test_accuracy", "seconds"} <= metrics.keys()
    assert metrics["out"] == "r" and metrics["inner_steps"] == [4, 8] and metrics["missing"] == []
    assert metrics["test_accuracy"].keys() == {"digits", "digits@11"}
    assert metrics["controls"].keys() == {"units", "silent"}
    for cells in (*metrics["test_accuracy"].values(), *metrics["controls"].values()):
        assert cells.keys() == {"4", "8"}
        assert all(0 <= mean <= 1 and 0 <= sd <= 0.5 for mean, sd in cells.values())
    for label, cells in metrics["per_life"].items():
        if ":" not in label:
            for n, lives in cells.items():
                mean, sd = metrics["test_accuracy"][label][n]
                np.testing.assert_allclose((np.mean(lives), np.std(lives)), (mean, sd), rtol=1e-12)
                assert len(lives) == 2
    kept = json.loads((here / "r" / "metrics.json").read_text(encoding="utf-8"))
    assert kept == {key: value for key, value in metrics.items() if key != "out"}
    steps = [json.loads(x)["step"] for x in (here / "r" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert steps == [3, 5]
    assert (here / "r" / "progress.png").read_bytes().startswith(b"\x89PNG")
    assert yaml.safe_load((here / "r" / "run.yaml").read_text("utf-8"))["testing"]["widths"] == widths


def test_what_it_finds_is_a_credit_network_and_a_step(here, result):
    metrics = result("evolve small.yaml --out r")
    outer, trained = (
        load_file(here / "r" / "outer.safetensors"),
        load_credit(here / "r" / "credit.safetensors"),
    )
    assert trained.network.channels == (3,) and trained.about["trained"] is True
    for name, p in trained.parameters.items():
        np.testing.assert_array_equal(p, outer[name])
    assert {name: np.array(p).tolist() for name, p in trained.about["step"].items()} == {
        name: outer[name].tolist() for name in ("step_rate", "step_fall")
    }
    assert metrics["parameters"] == sum(p.size for p in outer.values())
    start = trained.network.draw(0)
    assert any(np.abs(p - start[name]).max() > 1e-3 for name, p in trained.parameters.items())


def test_the_seed_decides_everything(here, result):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        result(f"evolve small.yaml --out {out} --seed {seed}")
    assert outcome(here / "a") == outcome(here / "b")
    assert outcome(here / "a")[0] != outcome(here / "c")[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": {"name": "backprop"}},
        {"searcher": {"name": "pgpe", "members": 4}, "lives": 2},
        {"searcher": {"name": "cma_es", "members": 4, "separable": True}, "lives": 2, "frozen": True},
        {"also": [{"hidden": [5]}], "step": {"name": "adam"}},
    ],
    ids=["backprop", "pgpe", "frozen", "also"],
)
def test_other_rules_and_searchers(here, result, config, settings):
    metrics = result(f"evolve {config('other', **settings)} --out r")
    assert metrics["iterations"] == 5 and metrics["test_accuracy"]["digits"].keys() == {"4", "8"}
    rule = settings.get("rule", {"name": "tdca"})["name"]
    assert (here / "r" / "credit.safetensors").exists() == (rule == "tdca")
    if settings.get("frozen"):
        trained = load_credit(here / "r" / "credit.safetensors")
        assert trained.about["trained"] is False
        for name, p in trained.network.draw(0).items():
            np.testing.assert_allclose(trained.parameters[name], p, rtol=1e-6)


@pytest.mark.parametrize("name", ["regression", "teacher"])
def test_tasks_without_a_data_set(here, result, name):
    small = {"iterations": 2, "lives": 2, "span": {"longest": 40}, "testing": {"steps": [3], "lives": 2}}
    (here / "task.yaml").write_text(yaml.safe_dump({"base": name, **small}), encoding="utf-8")
    metrics = result("evolve task.yaml --out r")
    assert metrics["test_objective"].keys() == {name} and metrics["test_objective"][name]["3"][0] > 0
    assert bool(metrics["test_accuracy"]) == (name == "teacher")


def test_one_wrong_bit_in_its_checkpoint_is_refused(here, result, refused):
    result("evolve small.yaml --out r")
    (here / "r" / "metrics.json").unlink()  # as if it had not come to its end
    kept = here / "r" / "checkpoint.safetensors"
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes(content)
    refused("evolve --out r --resume", "checkpoint.safetensors", "damaged", "checksum")


@pytest.mark.parametrize("name", ["run.yaml", "checkpoint.safetensors", "outer.safetensors", "metrics.json"])
def test_a_full_disk_is_one_line_and_loses_nothing(name, here, result, run, monkeypatch):
    sync = os.fsync

    def full(descriptor):
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.startswith(f"{name}."):
            raise OSError(28, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        status, _, said = run("evolve small.yaml --out r")
    assert status == 2 and len(said.splitlines()) == 1
    assert name in said and "No space left on device" in said
    assert not list((here / "r").glob("*.part"))
    if name == "run.yaml":
        result("evolve small.yaml --out r")  # nothing stands there yet
        return
    result("evolve --out r --resume")
    result("evolve small.yaml --out whole")
    assert outcome(here / "r") == outcome(here / "whole")


def test_missing_training_data_is_named(refused, config):
    name = config("mnist", tasks={"sources": ["digits", "mnist"]})
    refused(f"evolve {name} --out r", "mnist.npz")
    refused(f"evolve {name} --out r --data-dir empty", "mnist.npz", "empty")


def test_data_missing_for_tests_alone_is_left_out_visibly(run, config):
    name = config("tests", testing={"data": ["mnist", "digits"]})
    status, out, err = run(f"evolve {name} --out r --json")
    metrics = json.loads(out.splitlines()[-1])
    assert status == 0 and metrics["missing"] == ["mnist"]
    assert "not tested on mnist: its file is missing" in err
    assert metrics["test_accuracy"].keys() == {"digits"}


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"testing": {"data": ["mnist"]}}, "no data set is present of mnist"),
        ({"testing": {"data": ["nowhere"]}}, "data 'nowhere' is neither a file"),
        ({"testing": {"controls": ["sign"]}}, "known: noise, presentations, silent, units"),
        ({"testing": {"widths": {"a": {"hiden": [3]}}}}, "hiden"),
        ({"testing": {"widths": {"a": {"classes": 3}}}}, "network 'a' has 64 inputs and 3 outputs"),
        ({"testing": {"elsewhere": ["minst"]}}, "unknown data set in elsewhere 'minst'"),
        ({"model_settings": {"inputs": 63}}, "has 63 inputs and 10 outputs, but its tasks have 64 and 10"),
        ({"span": {"window": 0}}, "window must be a whole number of at least 1"),
        ({"searcher": {"name": "nres"}, "lives": 3}, "inner runs in pairs"),
        ({"iteration": 3}, "did you mean 'iterations'?"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(refused, config, settings, said):
    refused(f"evolve {config('bad', **settings)} --out r", said)


def test_run_directories_that_do_not_fit(here, run, result, refused, config):
    refused("evolve --out r", "give a configuration")
    refused("evolve small.yaml --out done", "already exists", "--resume")
    refused("evolve --resume --out r", "holds no run")
    first = result("evolve small.yaml --out r")
    refused("evolve small.yaml --out r", "already exists")
    assert result("evolve --resume --out r") == first
    assert result("evolve small.yaml --resume --out r --seed 0") == first
    refused("evolve small.yaml --resume --out r --seed 3", "seed is 0 in run.yaml, 3 now")
    refused(f"evolve {config('longer', iterations=9)} --resume --out r", "iterations is 5 in run.yaml, 9 now")


def test_killed_before_its_first_checkpoint_it_begins_again(here, result):
    result("evolve small.yaml --out whole")
    (here / "r").mkdir()
    (here / "r" / "run.yaml").write_text((here / "whole" / "run.yaml").read_text("utf-8"), encoding="utf-8")
    (here / "r" / "metrics.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    result("evolve --resume --out r")
    assert outcome(here / "r") == outcome(here / "whole")


def test_a_damaged_checkpoint_is_named(here, result, run):
    result("evolve small.yaml --out r")
    (here / "r" / "metrics.json").unlink()
    path = here / "r" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    status, _, err = run("evolve --resume --out r")
    assert status == 2 and "checkpoint r/checkpoint.safetensors: damaged" in err and err.count("\n") == 1


def test_a_damaged_result_is_named(here, result, run):
    result("evolve small.yaml --out r")
    (here / "r" / "metrics.json").write_text("{", encoding="utf-8")
    status, _, err = run("evolve --resume --out r")
    assert status == 2 and "metrics.json: damaged" in err and err.count("\n") == 1


def test_going_on_in_another_environment_is_said(here, result, caplog):
    result("evolve small.yaml --out r")
    (here / "r" / "metrics.json").unlink()
    result("evolve --resume --out r")
    assert "another environment" not in caplog.text
    (here / "r" / "metrics.json").unlink()
    recorded = here / "r" / "run.yaml"
    recorded.write_text(recorded.read_text("utf-8").replace("threads: 1", "threads: 7"), encoding="utf-8")
    result("evolve --resume --out r")
    assert "another environment" in caplog.text


@pytest.mark.parametrize(
    "searcher",
    [{"name": "meta_gradient"}, {"name": "nres", "sigma": 0.02}],
)
@pytest.mark.slow
def test_killed_at_a_random_moment_it_ends_where_it_would_have(here, config, searcher):
    name = config(
        "long", iterations=30, lives=2, searcher=searcher, checkpoint_every=2, testing={"steps": [4]}
    )
    place = {**os.environ, "PYTHONPATH": str(Path(cortex_sim.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "cortex_sim", "evolve", name, "--out", "killed"]
    process = subprocess.Popen(command, cwd=here, env=place)
    deadline, delay = time.monotonic() + 120, random.uniform(0.0, 0.25)
    while not (here / "killed" / "checkpoint.safetensors").exists():
        assert process.poll() is None, "ended before it could be killed"
        if time.monotonic() > deadline:
            process.kill()
            pytest.fail("wrote no checkpoint")
        time.sleep(0.01)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (here / "killed" / "metrics.json").exists()

    assert main(["evolve", "--resume", "--out", "killed"]) == 0
    assert main(["evolve", name, "--out", "whole"]) == 0
    assert outcome(here / "killed") == outcome(here / "whole"), f"killed {delay} s after a checkpoint"
    assert not list((here / "killed").glob("*.part"))


def test_functions_are_another_kind_of_problem(here, run, refused):
    small = {
        "base": "functions_first_order", "families": ["sphere"], "never_seen": [], "tasks": 1,
        "evaluations": 20, "iterations": 2, "searcher": {"members": 4},
        "testing": {"dimensions": [2], "tasks": 2},
    }  # fmt: skip
    (here / "functions.yaml").write_text(yaml.safe_dump(small), encoding="utf-8")
    status, out, _ = run("evolve functions.yaml --out r")
    assert status == 0 and "share of tasks solved" in out and "n2:silent" in out
    assert "first_order: 180 outer parameters, 2 outer updates" in out
    refused("evolve small.yaml --resume --out r", "problem is 'functions' in run.yaml, None now")
    refused("evolve functions.yaml --resume --out r --seed 2", "seed is 0 in run.yaml, 2 now")
