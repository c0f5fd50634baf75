"""The study of which rule looks like cortex, end to end on small runs: what it compares, writes and keeps."""

import json
import shutil
from pathlib import Path

import pytest

import cortex_sim as cs
from cortex_sim import library, yaml_text
from cortex_sim.compare.folds import RandomFolds
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.report.metrics import Named

STUDIES = Path(__file__).resolve().parents[2] / "benchmarks" / "studies"


@pytest.fixture
def study(folder, tmp_path, monkeypatch):
    """The protocol with two rules and two seeds of the small network, and the planted recording."""
    for rule, names in {"backprop": ("backprop-0", "backprop-1"), "gait_prop": ("fa-0", "fa-0")}.items():
        for seed, name in enumerate(names):
            place = tmp_path / "runs" / "trained" / "final" / rule / "0.1" / f"seed-{seed}" / "run"
            shutil.copytree(folder / name, place)
    found = library.load_module("protocols", "which_rule_looks_like_cortex")
    metric = Named("ridge", Predictivity(folds=RandomFolds(5), splits=50))
    monkeypatch.setattr(found, "NETWORKS", {"small": ("trained", ("V1", "V2"))})
    monkeypatch.setattr(found, "RULES", ("backprop", "gait_prop"))
    monkeypatch.setattr(found, "SEEDS", (0, 1))
    monkeypatch.setattr(found, "DATA", {"v4.npz": (("v4.npz",), (metric,))})
    return found


@pytest.mark.slow
def test_the_study_finds_what_is_planted_and_keeps_it(study, folder, tmp_path, capsys):
    study.compared("small", "v4.npz", folder, tmp_path / "runs", 3, tmp_path / "out")
    place = tmp_path / "out" / "small" / "v4"
    report = json.loads((place / "report.json").read_text("utf-8"))
    names = ["backprop", "gait_prop", "untrained", "pixels", "gabor"]
    assert list(dict.fromkeys(row["recording"] for row in report["scores"])) == names
    assert {row["seeds"] for row in report["scores"] if row["recording"] == "untrained"} == {2}
    best = {one["recording"]: one for one in report["comparisons"][0]["best"]}
    assert best["backprop"]["population"] == "V2" and best["backprop"]["score"] > best["gabor"]["score"]
    recovery = report["recovery"][0]
    assert recovery["models"] == names and recovery["simulations"] == 3
    assert all(sum(row) == pytest.approx(1) for row in recovery["confusion"])
    assert (place / "recovery-v4-ridge.png").is_file()
    written = (place / "report.json").stat().st_mtime_ns
    study.compared("small", "v4.npz", folder, tmp_path / "runs", 3, tmp_path / "out")
    assert (place / "report.json").stat().st_mtime_ns == written


def test_missing_runs_are_named(study, folder, tmp_path):
    shutil.rmtree(tmp_path / "runs" / "trained" / "final" / "gait_prop" / "0.1" / "seed-1")
    with pytest.raises(SystemExit, match="1 of 2 runs under gait_prop; train them first"):
        study.compared("small", "v4.npz", folder, tmp_path / "runs", 3, tmp_path / "out")


def test_networks_and_populations_exist():
    found = library.load_module("protocols", "which_rule_looks_like_cortex")
    for trained_in, populations in found.NETWORKS.values():
        about = yaml_text.read("study", STUDIES / f"{trained_in}.yaml")
        assert set(populations) < set(cs.model(about["model"]).populations)
    for network, arms in found.ARMS.items():
        about = yaml_text.read("study", STUDIES / f"{found.NETWORKS[network][0]}.yaml")
        assert set(arms) <= set(about["arms"])
