"""The joint outer loop: its descent by kind, configurations, a killed run that resumes, refusals."""

import json

import pytest
import torch
import yaml
from safetensors.numpy import load_file

from cortex_sim.errors import CortexSimError, RunError
from cortex_sim.tdca.evolving.reading import based, configured, from_file
from cortex_sim.tdca.evolving.run import evolve, saved_settings
from cortex_sim.tdca.outer.meta_gradient import MetaGradient
from cortex_sim.tdca.several.network import KINDS
from cortex_sim.tdca.several.search import JointSearch, Sizes
from cortex_sim.tdca.several.settings import SeveralSettings

SMALL = {
    "network": {"hidden": 3},
    "supervised": {
        "base": "layered_digits", "lives": 2, "model_settings": {"inputs": 64, "hidden": [6]},
        "span": {"shortest": 2, "longest": 4, "window": 2, "batch": 4, "validation": 8},
        "testing": {"data": ["digits"], "steps": [2], "lives": 2, "widths": {}},
    },
    "reinforcement": {
        "base": "reinforcement_match_to_sample", "inner_runs": 2,
        "practice": {"updates": 4, "window": 2, "episodes": 4, "fresh": 4},
        "testing": {"settings": ["R"], "inner_runs": 2, "after": 4, "controls": []},
    },
    "functions": {
        "base": "functions_first_order", "families": ["sphere"], "never_seen": ["ackley"], "dimensions": [2],
        "tasks": 1, "evaluations": 16, "testing": {"dimensions": [2], "tasks": 2, "controls": []},
    },
    "points": {"points": 2}, "mirror": 8, "searcher": {"pairs": 2}, "iterations": 4, "checkpoint_every": 2,
}  # fmt: skip


def made(**settings):
    return SeveralSettings(**{**SMALL, **settings})


def begun(settings):
    runs, phi = settings.problem(None)
    return (
        runs,
        phi,
        settings.search().begin(runs, phi, settings.iterations, torch.Generator().manual_seed(1)),
    )


def test_the_shipped_configuration():
    settings = configured("several_tasks")
    assert isinstance(settings, SeveralSettings) and settings.trained_by == list(KINDS)
    assert settings.shared().cue
    assert settings.part("supervised").model_settings["reads"]["name"] == "decorrelated"
    assert settings.part("reinforcement").task == "match_to_sample"
    assert based("several_tasks", settings.as_dict()) == settings  # in full it is itself
    less = based("several_tasks", {"supervised": {"lives": 2}})
    assert less.supervised == {**settings.supervised, "lives": 2}


@pytest.mark.parametrize("kind", KINDS[:2])
def test_the_first_update_is_that_of_the_kind_alone(kind):
    """Adam's first step is the rate times the gradient's sign, which is found here in the kind's own φ."""
    settings = made(trained_by=[kind])
    runs, phi, search = begun(settings)
    alone, _ = settings.part(kind).problem(None)
    inner = getattr(alone, "inner", alone)
    start = settings.assembly(kind).start
    found, _ = MetaGradient(apart=True).begin(inner, start, 4, torch.Generator()).estimate()
    theirs = settings.assembly(kind).layout.split(found)
    search.step()
    moved = (search.centre - phi)[: runs.lengths[0]]
    ours = settings.shared().layout.split(moved)
    rate = settings.search().network
    for name in ("outputs", "outputs_bias"):
        assert theirs[name].any()
        torch.testing.assert_close(ours[name], -rate * theirs[name].sign(), atol=1e-3 * rate, rtol=0)
    assert not ours["cue"].any()  # V is 0


def test_the_network_moves_by_the_kinds_that_train_it_and_each_kind_by_itself():
    for trained_by in ([], ["functions"], list(KINDS)):
        runs, phi, search = begun(made(trained_by=trained_by))
        measured = [search.step() for _ in range(2)]
        before, after = runs.split(phi), runs.split(search.centre)
        assert bool((before["network"] != after["network"]).any()) == bool(trained_by)
        assert all(bool((before[kind] != after[kind]).any()) for kind in KINDS)
        assert all(measured[0].keys() == m.keys() for m in measured)
        cue = made().shared().layout.split(after["network"])["cue"]
        assert [bool(column.any()) for column in cue.T] == [kind in trained_by for kind in KINDS]


def test_a_kind_that_does_not_train_it_leaves_the_network_as_without():
    """The network trained by one kind is the same, however the inner runs of the others are set."""
    ends = []
    for pairs in (2, 3):
        _, _, search = begun(made(trained_by=["supervised"], searcher={"pairs": pairs}))
        for _ in range(2):
            search.step()
        ends.append(search.centre[: made().shared().layout.count])
    assert torch.equal(*ends)


def test_a_gradient_that_is_not_finite_is_left_out_and_counted(monkeypatch):
    runs, phi, search = begun(made())
    estimate = search._searches["reinforcement"].estimate

    def unbounded():
        gradient, measured = estimate()
        return gradient * torch.nan, measured

    monkeypatch.setattr(search._searches["reinforcement"], "estimate", unbounded)
    assert [search.step()["skipped"] for _ in range(2)] == [1.0, 2.0]
    before, after = runs.split(phi), runs.split(search.centre)
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved == ["network", "supervised", "functions"] and search.centre.isfinite().all()


def test_gradients_count_alike_and_rare_large_ones_no_more():
    sizes = Sizes(["a", "b"])
    unit = torch.tensor([0.6, 0.8])
    for _ in range(50):
        torch.testing.assert_close(sizes.bounded("a", 3 * unit), unit)
        torch.testing.assert_close(sizes.bounded("b", 300 * unit), unit)
    torch.testing.assert_close(sizes.bounded("a", 300 * unit), unit)  # a hundred times the usual
    factor = float(3 * unit.norm() / sizes.bounded("a", 3 * unit).norm() / 3)
    assert 1.4 < factor < 1.6
    small = sizes.bounded("b", 3 * unit)
    assert float(small.norm()) < 0.02
    assert not sizes.bounded("a", torch.zeros(2)).any()
    assert sizes.bounded("a", torch.full((2,), torch.nan)).isnan().all()


class Killed(Exception):
    pass


def test_a_run_what_it_writes_and_a_killed_one_that_resumes_to_the_bit(tmp_path, monkeypatch):
    settings = made()
    metrics = evolve(settings, tmp_path / "whole")
    assert json.loads((tmp_path / "whole" / "metrics.json").read_text("utf-8")) == metrics
    assert from_file(tmp_path / "whole" / "run.yaml") == settings
    conditions = {"supervised/digits", "reinforcement/R", "functions/n2 sphere", "functions/n2 ackley"}
    assert set(metrics["per_life"]) - {"supervised/digits@64"} == conditions and metrics["missing"] == []
    assert metrics["rule"]["trained_by"] == list(KINDS) and metrics["searcher"]["name"] == "joint"
    named = load_file(tmp_path / "whole" / "outer.safetensors")
    assert {"network/cue", "supervised/log_gain", "reinforcement/step_rate", "functions/fall"} <= named.keys()
    title, heads, rows = settings.table(metrics)
    assert title and {row[0] for row in rows} == set(KINDS) and all(len(row) == len(heads) for row in rows)
    assert (tmp_path / "whole" / "progress.png").read_bytes().startswith(b"\x89PNG")

    taken, step = [], JointSearch.step

    def stepping(search):
        if len(taken) == 3:
            raise Killed
        taken.append(step(search))
        return taken[-1]

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(JointSearch, "step", stepping)
        evolve(settings, tmp_path / "killed")
    resumed = evolve(saved_settings(tmp_path / "killed"), tmp_path / "killed", resume=True)
    assert resumed["per_life"] == metrics["per_life"] and resumed["contained"] == metrics["contained"]
    for name in ("outer.safetensors", "checkpoint.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("whole", "killed"))
        assert all(p.tobytes() == theirs[of].tobytes() for of, p in ours.items())


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"trained_by": ["vision"]}, "kind in trained_by 'vision'"),
        ({"trained_by": ["functions", "functions"]}, "trained_by: must name each kind at most once"),
        ({"trained_by": "functions"}, "trained_by must be a list"),
        ({"network": {"hiden": 3}}, "setting of network 'hiden'"),
        ({"network": {"cue": 1}}, "cue"),
        ({"searcher": {"pairs": 0}}, "pairs"),
        ({"searcher": {"name": "nres"}}, "setting of searcher 'name'"),
        (
            {"supervised": {"rule": {"name": "backprop"}}},
            "setting supervised: rule belongs to the outer",
        ),
        ({"functions": {"iterations": 3}}, "setting functions: iterations belongs"),
        ({"functions": {"base": "layered_digits"}}, "its base layered_digits is of another kind of problem"),
        ({"functions": {"family": []}}, "setting of functions 'family'"),
        ({"reinforcement": {"task": "chess"}}, "chess"),
        ({"points": {"points": 0}}, "points"),
        ({"mirror": -1}, "mirror"),
        ({"points": {"hidden": 5}}, "setting of points 'hidden'"),
        ({"searcher": {"final": 1.5}}, "Joint: final must be between 0 and 1"),
        (
            {"supervised": {**SMALL["supervised"], "hold": ["outputs"]}},
            "hold names outputs, which belongs to the shared network",
        ),
        ({"supervised": []}, "setting supervised must be a mapping"),
    ],
)
def test_what_it_refuses_by_name(wrong, message):
    with pytest.raises(CortexSimError, match=message):
        settings = made(**wrong)
        for kind in KINDS:
            settings.part(kind).inner_rule()


def test_what_it_refuses_before_work(tmp_path):
    several = made(supervised={**SMALL["supervised"], "also": [{"hidden": [8]}]})
    with pytest.raises(RunError, match="also"):
        evolve(several, tmp_path / "run")
    values = made(
        supervised={"tasks": {"kind": "regression"}, "model_settings": {"objective": "squared_error"}}
    )
    with pytest.raises(RunError, match="objective cross_entropy"):
        values.check(None)
    assert not (tmp_path / "run").exists()


def test_configurations_on_disk(tmp_path):
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump({"base": "several_tasks", "network": {"cue": False}, "trained_by": ["functions"]}),
        "utf-8",
    )
    own = configured(str(tmp_path / "own.yaml"))
    assert "cue" not in own.shared().shapes() and own.trained_by == ["functions"]
