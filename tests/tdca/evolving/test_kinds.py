"""A user's kind of outer problem: found by name, run, killed, resumed to the bit, and what is refused."""

import shutil
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
import torch
import yaml
from safetensors.numpy import load_file

from cortex_sim import registry
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.registry import make, to_data
from cortex_sim.runs.files import write_tensors
from cortex_sim.tdca.evolving import kinds
from cortex_sim.tdca.evolving.reading import based, configured, from_file
from cortex_sim.tdca.evolving.run import evolve, saved_settings
from cortex_sim.tdca.outer.evolution import EvolutionSearch
from cortex_sim.tdca.studies.jobs import Folders, Job


class Bowl:
    """|φ − a|² with a drawn for each generation around 1."""

    contained, parameters = 0, 3

    def fitness(self, phi, generator):
        target = 1 + 0.1 * torch.randn(3, generator=generator)
        return (phi - target).square().sum(-1)


@dataclass(frozen=True)
class Bowls:
    """The settings of a small kind."""

    choices: ClassVar[tuple[str, ...]] = ("searcher",)

    searcher: dict[str, Any] = field(default_factory=lambda: {"name": "snes", "members": 8, "sigma": 0.2})
    iterations: int = 12
    seed: int = 0
    checkpoint_every: int = 5
    width: float = 1.0

    def as_dict(self):
        return kinds.content(self)

    def described(self):
        return {"rule": {"name": "bowl"}, "searcher": to_data("searcher", self.search())}

    def sources(self):
        return []

    def search(self):
        return make("searcher", self.searcher)

    def problem(self, data_dir):
        return Bowl(), torch.zeros(3)

    def check(self, data_dir):
        if self.width < 0:
            raise RunError("bowl: width is negative")

    def write(self, phi, out):
        write_tensors(out / "outer.safetensors", {"phi": phi.numpy()}, {})

    def outcome(self, phi, data_dir, report):
        report("measuring")
        return {"per_life": {"bowl": {"all": phi.tolist()}}, "missing": []}

    def table(self, metrics):
        return "parameters", ("", "value"), [("bowl", str(metrics["per_life"]["bowl"]["all"]))]

    def draw(self, axes, metrics):
        axes.plot(metrics["per_life"]["bowl"]["all"])
        return True


@pytest.fixture
def bowl(tmp_path, monkeypatch):
    """A configuration of the kind, registered for the time of the test."""
    registry.register("outer_problem", "bowl")(Bowls)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bowl.yaml").write_text("problem: bowl\nwidth: 2.0\n", encoding="utf-8")
    yield "bowl.yaml"
    registry._TABLES["outer_problem"].pop("bowl")


def test_it_is_found_read_and_written(bowl, tmp_path):
    settings = configured(bowl)
    assert settings == Bowls(width=2.0) and settings.as_dict()["problem"] == "bowl"
    assert "problem" not in configured("tdca_digits").as_dict()  # as files were before there were kinds
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**settings.as_dict(), "environment": {}}), "utf-8")
    assert from_file(tmp_path / "run.yaml") == settings


def test_another_searcher_replaces_that_of_the_base(bowl, tmp_path):
    (tmp_path / "pgpe.yaml").write_text("base: bowl.yaml\nsearcher: {name: pgpe}\n", encoding="utf-8")
    assert configured("pgpe.yaml") == Bowls(width=2.0, searcher={"name": "pgpe"})
    found = based("bowl.yaml", {"searcher": {"sigma": 0.5}, "seed": 3})
    assert found.searcher == {"sigma": 0.5}  # that is merged into what the file itself gives: nothing


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", [3, 5, 8, 12])
def test_a_killed_run_resumes_to_the_bit(bowl, tmp_path, monkeypatch, at):
    whole = evolve(configured(bowl), tmp_path / "whole")
    taken, step = [], EvolutionSearch.step

    def stepping(search):
        if len(taken) == at:
            raise Killed
        taken.append(step(search))
        return taken[-1]

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(EvolutionSearch, "step", stepping)
        evolve(configured(bowl), tmp_path / "killed")
        raise Killed  # of the last: killed after its end
    resumed = evolve(saved_settings(tmp_path / "killed"), tmp_path / "killed", resume=True)
    assert resumed["per_life"] == whole["per_life"] and resumed["rule"] == {"name": "bowl"}
    for name in ("outer.safetensors", "checkpoint.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("whole", "killed"))
        assert ours.keys() == theirs.keys()
        assert all(p.tobytes() == theirs[of].tobytes() for of, p in ours.items())
    assert (tmp_path / "killed" / "progress.png").exists()


def test_a_study_keeps_its_result(bowl, tmp_path):
    folders = Folders(tmp_path / "runs", tmp_path / "results")
    job = Job("round", bowl, 1, {"iterations": 2})
    assert job.settings() == Bowls(width=2.0, iterations=2, seed=1)
    assert job.configuration(folders)["problem"] == "bowl"
    assert job.do(tmp_path / "runs" / "round", folders)["per_life"]["bowl"].keys() == {"all"}


@pytest.mark.parametrize(
    "text, said",
    [
        ("problem: bowls\n", "unknown problem 'bowls' (did you mean 'bowl'?); known: bowl,"),
        ("problem: bowl\nlives: 3\n", "unknown setting of own.yaml 'lives'"),
        ("problem: bowl\nwidht: 3\n", "unknown setting of own.yaml 'widht' (did you mean 'width'?)"),
        ("base: bowl.yaml\nlives: 3\n", "unknown setting of own.yaml 'lives'"),
        ("base: bowl.yaml\nproblem: presentations\n", "its base is of another kind"),
        ("width: 3\n", "unknown setting of own.yaml 'width'"),
    ],
)
def test_what_is_wrong_is_named(bowl, tmp_path, text, said):
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RunError) as raised:
        configured("own.yaml")
    assert said in str(raised.value)


def test_its_check_comes_before_work(bowl, tmp_path):
    with pytest.raises(RunError, match="width is negative"):
        evolve(Bowls(width=-1.0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings_are_data():
    with pytest.raises(DeclarationError, match="must be a dataclass"):
        registry.register("outer_problem", "plain")(Bowl)


def test_data_that_changed_are_refused_and_missing_ones_are_not(bowl, tmp_path, monkeypatch):
    data, out = tmp_path / "own.npz", tmp_path / "out"
    monkeypatch.setattr(Bowls, "sources", lambda _: [str(data), "digits"])
    evolve(configured(bowl), out)
    (out / "metrics.json").unlink()
    data.write_bytes(b"first")  # was missing before, and said to be
    evolve(saved_settings(out), out, resume=True)
    shutil.rmtree(out)
    evolve(configured(bowl), out)
    (out / "metrics.json").unlink()
    data.write_bytes(b"other")
    with pytest.raises(RunError, match=r"own.npz has changed since the run was started"):
        evolve(saved_settings(out), out, resume=True)
