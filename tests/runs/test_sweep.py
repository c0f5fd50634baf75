"""A sweep does each job once, and ends the same whether or not it was killed."""

import json
import os
import signal
from pathlib import Path

import pytest

from cortex_sim.cli import main
from cortex_sim.errors import RunError
from cortex_sim.runs import directory
from cortex_sim.runs.sweep import Job, sweep
from cortex_sim.training import sweeping


def jobs(rate=1.0):
    return [Job(f"seed-{seed}", {"seed": seed, "rate": rate}, {"seed": seed}) for seed in range(3)]


def squared(job: Job, folder: Path):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "times").open("a") as file:
        file.write(".")
    if job.configuration["rate"] < 0 and job.configuration["seed"] == 1:
        raise RunError("came apart")
    return {"square": job.configuration["seed"] ** 2, "of": {"rate": job.configuration["rate"]}, "seconds": 1}


def times(out, seed):
    return len((out / "jobs" / f"seed-{seed}" / "run" / "times").read_text())


def test_each_job_once_and_one_tidy_table(tmp_path):
    report: list[str] = []
    rows = sweep(jobs(), squared, tmp_path, report=report.append)
    assert rows == [{"seed": s, "square": s**2, "of.rate": 1.0} for s in range(3)]
    assert (tmp_path / "results.csv").read_text() == "seed,square,of.rate\n0,0,1.0\n1,1,1.0\n2,4,1.0\n"
    assert json.loads((tmp_path / "results.json").read_text()) == rows
    assert sweep(jobs(), squared, tmp_path, report=report.append) == rows
    assert times(tmp_path, 0) == 1 and report[-1] == "seed-2: already done"


def test_a_result_of_another_configuration_is_made_anew_and_said(tmp_path):
    report: list[str] = []
    sweep(jobs(), squared, tmp_path, report=report.append)
    rows = sweep(jobs(rate=2.0), squared, tmp_path, report=report.append)
    assert [row["of.rate"] for row in rows] == [2.0] * 3 and times(tmp_path, 0) == 1
    assert report[-1] == "seed-2: done; done again: the kept result has another configuration"


def test_what_another_process_is_at_is_skipped(tmp_path):
    report: list[str] = []
    with directory.held(tmp_path / "jobs" / "seed-1"):
        rows = sweep(jobs(), squared, tmp_path, report=report.append)
    assert [row["seed"] for row in rows] == [0, 2]
    assert report[1] == "seed-1: another process is working on it; skipped"


def test_a_failure_is_named_and_the_others_go_on(tmp_path):
    with pytest.raises(RunError, match="failed: seed-1; the others are done"):
        sweep(jobs(rate=-1.0), squared, tmp_path, report=lambda line: None)
    assert len(json.loads((tmp_path / "results.json").read_text())) == 2


def test_two_jobs_of_one_name_are_refused(tmp_path):
    with pytest.raises(RunError, match="two jobs are called seed-0; give each setting once"):
        sweep([*jobs(), jobs()[0]], squared, tmp_path)


def counted(job: Job, folder: Path):
    return {"data": job.configuration["settings"]["data"]["sha256"]}


def test_other_data_at_the_same_place_are_not_silently_the_same(tmp_path):
    report: list[str] = []
    own = tmp_path / "own.npz"

    def swept():
        asked = sweeping.jobs("digits_mlp", [None], 1, [], {"data": str(own)})
        return sweep(asked, counted, tmp_path / "out", report=report.append)

    own.write_bytes(b"some")
    first = swept()
    assert swept() == first and report[-1].endswith(": already done")
    own.write_bytes(b"more")
    assert swept() != first and report[-1].endswith("done again: the kept result has another configuration")


def test_grid_divides_at_commas_outside_brackets():
    assert sweeping.grid(["a=1,2", "b=[1,2],3"]) == [
        ("a=1", "b=[1,2]"), ("a=1", "b=3"), ("a=2", "b=[1,2]"), ("a=2", "b=3"),
    ]  # fmt: skip
    with pytest.raises(RunError, match="give name=value, or name=a,b,c"):
        sweeping.grid(["a"])


def test_a_killed_sweep_ends_byte_for_byte_as_a_whole_one(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cortex_sim.viz.curves.learning_curves", lambda lines, path, rule: None)
    rules = ["--rule", "backprop", "--rule", "gait_prop"]
    line = ["sweep", "digits_mlp", *rules, "--set", "batch_size=200,400", "--epochs", "2", "--out"]
    pid = os.fork()
    if pid == 0:
        from cortex_sim.backends.torch import checkpoint

        save, count = checkpoint.save, [0]

        def dying(*given):
            save(*given)
            count[0] += 1
            if count[0] == 5:  # in the middle of the second run
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.save = dying
        try:
            main([*line, "killed"])
        finally:
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert len(list((tmp_path / "killed").rglob("result.json"))) == 1
    assert main([*line, "killed"]) == 2
    assert main([*line, "killed", "--resume"]) == 0
    assert main([*line, "whole"]) == 0
    for name in ("results.csv", "results.json", "test_accuracy.png"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert [(r["rule"], r["batch_size"]) for r in rows] == [
        ("backprop", "200"), ("backprop", "400"), ("gait_prop", "200"), ("gait_prop", "400"),
    ]  # fmt: skip
    # A row is what its run measured, and what that run measures when it is not part of a sweep.
    kept = {
        path.parents[1].name: json.loads(path.read_text())
        for path in (tmp_path / "whole").rglob("metrics.json")
    }
    assert sorted(m["test_accuracy"] for m in kept.values()) == sorted(r["test_accuracy"] for r in rows)
    alone = [
        "train",
        "digits_mlp",
        "--rule",
        "gait_prop",
        "--batch-size",
        "400",
        "--epochs",
        "2",
        "--seed",
        "0",
    ]
    assert main([*alone, "--out", "alone"]) == 0
    own = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    for measured in ("test_accuracy", "train_accuracy", "test_loss", "steps"):
        assert rows[-1][measured] == own[measured]
    capfd.readouterr()
