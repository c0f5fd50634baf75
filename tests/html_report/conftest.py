"""Runs of both kinds, a comparison and a recording, each as small as can be."""

import json

import numpy as np
import pytest
import yaml
from html_tables import Parsed

import cortex_sim as cs
from cortex_sim.cli import main
from cortex_sim.runs.files import write_tensors
from cortex_sim.state import metadata_of, tensors_of

NAMES = ["retina->V1", "V1->IT"]
PROJECTION = {"angle_to_bp_deg": (40.0, 0.0), "orthogonality_deviation": (0.2, 0.5)}
ENVIRONMENT = {"cortex_sim": "0.1.0", "torch": "2.13.0", "threads": 1}


def line(step, accuracy, loss, **more):
    """An evaluation as a run writes it."""
    found = {"step": step, "epoch": step // 10, "train_loss": loss and 2 * loss, "train_accuracy": accuracy}
    found |= {"test_accuracy": accuracy, "test_loss": loss, "seconds": step / 8}
    found |= {
        key: dict(zip(NAMES, [value / (1 + step) for value in values], strict=True))
        for key, values in PROJECTION.items()
    }
    found |= {"credit_norm": {"V1": 0.5, "IT": 0.25}, "dead_units": {"V1": 0.125, "IT": 0.0}}
    return found | more


LINES = [line(0, 0.1, 2.302585), line(10, 0.823529411764, 0.65432), line(20, 0.912345678, 0.2987654)]


def write_lines(folder, lines):
    text = "".join(json.dumps(one) + "\n" for one in lines)
    (folder / "metrics.jsonl").write_text(text, encoding="utf-8")


def write_run(folder, rule="backprop", lines=LINES, metrics=True, checkpoint=True, **settings):
    """A run directory; with ``lines`` but no ``metrics`` it has not finished."""
    folder.mkdir(parents=True)
    content = {"model": "digits_mlp", "data": "digits", "rule": rule, "seed": 0, "epochs": 2}
    content |= {"optimiser": {"name": "Adam", "lr": 0.003}, **settings, "environment": ENVIRONMENT}
    (folder / "run.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    write_lines(folder, lines)
    if metrics:
        keys = ("test_accuracy", "test_loss", "train_accuracy", "seconds", *PROJECTION)
        final = {key: lines[-1][key] for key in keys} | {"steps": lines[-1]["step"], "warnings": []}
        (folder / "metrics.json").write_text(json.dumps(final), encoding="utf-8")
    if checkpoint:
        state = cs.state.initial(cs.model("digits_mlp").with_rule(rule))
        write_tensors(folder / "checkpoint.safetensors", tensors_of(state), metadata_of(state))
    return folder


def write_outer_loop(folder):
    """An outer loop that has finished."""
    folder.mkdir()
    settings = {
        "model_settings": {"inputs": 64, "hidden": [8]},
        "rule": {"name": "tdca", "credit_network": {"name": "dense", "channels": 3, "hidden": 4}},
        "tasks": {"kind": "images", "sources": ["digits"], "side": 8},
        "span": {"shortest": 4, "longest": 16, "window": 4, "batch": 8, "validation": 16},
        "searcher": {"name": "meta_gradient", "rate": 0.01},
        "iterations": 30,
        "lives": 4,
        "testing": {"data": ["digits"], "steps": [4, 8], "lives": 2},
        "environment": ENVIRONMENT,
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    write_lines(folder, [{"step": 10 * i, "loss": 5.0 / i, "gradient_norm": 1.0 / i} for i in (1, 2, 3)])
    accuracy = {"digits": {"4": [0.25, 0.01], "8": [0.5, 0.02]}}
    metrics = {"iterations": 30, "inner_steps": [4, 8], "test_accuracy": accuracy, "controls": {}}
    metrics |= {"test_objective": accuracy, "per_life": {}, "missing": [], "seconds": 2.0}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return folder


def write_comparison(folder):
    """A comparison with one data set, by one metric."""
    folder.mkdir()
    row = {"population": "V1", "data": "V4", "metric": "rsa", "convention": "raw", "ceiling": 0.8}
    row |= {"control_shifted": 0.01, "control_untrained": 0.1, "time_bin_start": None, "time_bin_end": None}
    rows = [
        {**row, "recording": "backprop", "score": 0.412345, "ci_low": 0.3, "ci_high": 0.5},
        {**row, "recording": "gait_prop", "score": 0.398765, "ci_low": 0.28, "ci_high": 0.49},
    ]
    pair = {"first": "backprop", "second": "gait_prop", "difference": 0.01358, "ci_low": -0.1, "ci_high": 0.1}
    pair |= {"p": 0.5, "p_adjusted": 0.7}
    content = {"scores": rows, "warnings": ["the models do not differ"]}
    content["comparisons"] = [{"data": "V4", "metric": "rsa", "differences": [pair], "correction": "holm"}]
    (folder / "report.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_recording(path, presentations=4):
    """A recording of two populations."""
    net = cs.Network("two")
    net.population("V1", 3), net.population("IT", 2)
    rng = np.random.default_rng(0)
    rates = {"V1": rng.random((presentations, 3)), "IT": rng.random((presentations, 2))}
    cs.recording.save(cs.recording.make_recording(net, {"rate": rates}), path)
    return path


@pytest.fixture(scope="session")
def everything(tmp_path_factory):
    """The page of two runs and one of every other kind, as text and parsed, and the folders of the runs."""
    place = tmp_path_factory.mktemp("everything")
    own = [{**one, "angle_to_bp_deg": {**one["angle_to_bp_deg"], "V1->V1": 5.0}} for one in LINES]
    runs = write_run(place / "backprop"), write_run(place / "gait", rule="gait_prop", lines=own)
    others = write_outer_loop(place / "outer"), write_comparison(place / "v4")
    subjects = [*runs, *others, write_recording(place / "cut.nc")]
    assert main(["report", *map(str, subjects), "--out", str(place / "page.html"), "--present", "0"]) == 0
    text = (place / "page.html").read_text("utf-8")
    return text, Parsed(text), runs


@pytest.fixture
def make(tmp_path, monkeypatch):
    """A function that writes a run directory into the working directory."""
    monkeypatch.chdir(tmp_path)
    return lambda name, *given, **more: write_run(tmp_path / name, *given, **more)


@pytest.fixture
def report(tmp_path, capsys):
    """What a successful ``cortex-sim report`` wrote, and said on standard error."""

    def call(*given, out="page.html"):
        status = main(["report", *map(str, given), "--out", str(tmp_path / out), "--present", "0"])
        said = capsys.readouterr()
        assert status == 0, said.err
        return (tmp_path / out).read_text("utf-8"), said.err

    return call
