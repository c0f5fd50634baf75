"""Runs in progress, interrupted, diverged, damaged; and what is no run: named, in the page or before work."""

import json

import pytest
from html_tables import Parsed

from cortex_sim.cli import main
from cortex_sim.html_report.learning import curves
from cortex_sim.html_report.networks import networks
from cortex_sim.html_report.projections import ANGLES, ORTHOGONALITY, by_projection
from cortex_sim.html_report.reading import found
from cortex_sim.html_report.responses import responses
from cortex_sim.runs.directory import held

from .conftest import LINES, line, write_lines


def read(name):
    (run,) = found([(None, str(name))]).runs
    return run


def test_a_run_that_was_interrupted_says_how_far_it_came(make):
    make("cut", lines=LINES[:2], metrics=False)
    assert read("cut").status == "not finished, epoch 1 of 2"
    assert read("cut").notes == ()


def test_a_run_in_progress_is_seen_by_its_lock(make):
    folder = make("going", lines=LINES[:2], metrics=False)
    with held(folder):
        assert read("going").status == "in progress, epoch 1 of 2"
    assert read("going").status.startswith("not finished")


def test_a_line_that_is_being_written_is_left_out_without_a_word(make):
    folder = make("going", lines=LINES[:2], metrics=False)
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(LINES[2])[:40])
    assert (len(read("going").lines), read("going").notes) == (2, ())


def test_a_run_without_an_evaluation_has_a_page(make, report):
    make("new", lines=[], metrics=False, checkpoint=False)
    text, said = report("new")
    page = Parsed(text)
    assert page.tables["Training runs"]["status"][0][0].endswith("no evaluation yet")
    assert "No evaluation has been written yet." in page.sections["curves"]
    assert "Nothing was measured." in page.sections["angles"]
    assert said == "cortex-sim: new: no checkpoint.safetensors: the network cannot be drawn\n"
    assert said.strip().removeprefix("cortex-sim: ") in page.sections["overview"]


def test_a_run_that_diverged_says_at_which_step(make):
    make("up", lines=[LINES[0], line(10, 0.1, None)], metrics=False)
    run = read("up")
    assert run.status == "diverged: the objective was not finite at step 10"
    assert curves([run]).sentences == ["Objectives that were not finite are left out: up."]


def test_damaged_files_are_named_and_the_rest_is_shown(make):
    folder = make("broken")
    write_lines(folder, LINES)
    text = (folder / "metrics.jsonl").read_text("utf-8").split("\n")
    (folder / "metrics.jsonl").write_text("\n".join([text[0], "{", "3", *text[2:]]), encoding="utf-8")
    (folder / "metrics.json").write_text("{", encoding="utf-8")
    (folder / "checkpoint.safetensors").write_bytes(b"noise")
    run = read("broken")
    assert [one["step"] for one in run.lines] == [0, 20]
    lines, metrics, checkpoint = run.notes
    assert lines == "metrics.jsonl: damaged lines were left out: 2, 3"
    assert metrics.startswith("metrics.json is damaged")
    assert "checkpoint.safetensors: damaged" in checkpoint
    assert networks([run]).sentences == ["broken: no network could be read."]
    assert "from 0.1 to 0.9123" in curves([run]).pictures[0].svg


def test_angles_that_are_undefined_are_left_out(make):
    lost = {"angle_to_bp_deg": {"retina->V1": None, "V1->IT": None}, "orthogonality_deviation": {}}
    make("lost", lines=[line(0, 0.1, 1.0, **lost)])
    section = by_projection(ANGLES, [read("lost")])
    assert (section.pictures, section.tables) == ([], [])
    assert (
        section.sentences
        == by_projection(ORTHOGONALITY, [read("lost")]).sentences
        == ["Nothing was measured."]
    )


def test_data_that_are_gone_leave_a_sentence(make):
    folder = make("gone", data="nowhere.npz")
    (said,) = responses([read("gone")], 10).sentences
    assert said.startswith("gone: no responses. ") and ("nowhere.npz" in said or str(folder) in said)


# -- refused ----------------------------------------------------------------------------------------

SUBJECTS = {
    "nothing there": (["nope"], "nope: no such file or folder"),
    "an empty folder": (["empty"], "empty: holds no run (no run.yaml) and no comparison (no report.json)"),
    "a file": (["text.txt"], "text.txt: is not a recording"),
    "no recording": (["text.nc"], "recording text.nc: cannot be read"),
    "runs below": (
        ["sweep"],
        "sweep: holds no run itself but 2 below it",
        "sweep/jobs/a-0/run, sweep/jobs/b-0/run",
    ),
    "no settings": (["listed"], "listed/run.yaml: expected settings, name: value. Got list"),
    "no YAML": (["bad"], "bad/run.yaml", "not YAML"),
    "no scores": (["scores"], "scores/report.json: damaged"),
    "the same twice": (["run", "run"], "two subjects are called run"),
    "one name for two": (["a=run", "a=other/run"], "two subjects are called a"),
    "a name without a run": (["a="], "a=: give NAME=RUN"),
    "too many": (["run"] * 33, "at most 32 subjects", "Got 33"),
    "no folder for the page": (["run", "--out", "nowhere/page.html"], "no folder nowhere"),
    "the page exists": (["run", "--out", "text.txt"], "--out text.txt: already exists", "--replace"),
    "a folder for the page": (["run", "--out", "empty", "--replace"], "--out empty", "it is a folder"),
    "a negative number": (["run", "--present", "-1"], "--present"),
    "nothing": ([], "Missing argument"),
}


@pytest.mark.parametrize("given, said", [(g, s) for g, *s in SUBJECTS.values()], ids=list(SUBJECTS))
def test_refused_in_one_line(given, said, make, tmp_path, capsys):
    for name in ("run", "other/run", "sweep/jobs/a-0/run", "sweep/jobs/b-0/run", "listed", "bad", "scores"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.yaml").write_text("model: digits_mlp\n", encoding="utf-8")
    (tmp_path / "listed" / "run.yaml").write_text("[1]", encoding="utf-8")
    (tmp_path / "bad" / "run.yaml").write_text("epochs: [", encoding="utf-8")
    (tmp_path / "scores" / "run.yaml").rename(tmp_path / "scores" / "report.json")
    (tmp_path / "empty").mkdir()
    for name in ("text.txt", "text.nc"):
        (tmp_path / name).write_text("words", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    status, out = main(["report", *given]), capsys.readouterr()
    assert (status, out.out) == (2, "")
    assert out.err.startswith("cortex-sim: ") and out.err.count("\n") == 1
    assert [words for words in said if words not in out.err] == []
    assert sorted(tmp_path.rglob("*")) == before


def test_replace_writes_over_a_page_and_json_says_what_is_in_it(make, tmp_path, capsys):
    make("cut", lines=[], metrics=False, checkpoint=False)
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    assert main(["report", "first=cut", "--present", "0", "--replace", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["out"] == "report.html" and said["notes"]
    (subject,) = said["subjects"]
    assert (subject["name"], subject["path"]) == ("first", "cut")
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!doctype html>")
