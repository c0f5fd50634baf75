"""Jobs are done once, in order, failures apart; a configuration is its base with what the job sets."""

from dataclasses import dataclass, field

import pytest
from filelock import FileLock

from cortex_sim.errors import RunError
from cortex_sim.tdca.evolving.settings import configured
from cortex_sim.tdca.studies.jobs import Folders, Job, work
from cortex_sim.tdca.studies.transfer import Cell, Trained, Transfer


@dataclass
class Noted:
    """A job that notes when it is done."""

    key: str
    done: list = field(default_factory=list)
    fails: bool = False

    def do(self, folders):
        if self.fails:
            raise RunError("came apart")
        self.done.append(self.key)
        folders.keep(self.key, {"per_life": {}})
        return "well"


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "runs", tmp_path / "results")


def test_in_order_and_once(folders):
    done, told = [], []
    jobs = [Noted(key, done) for key in ("b", "a", "c")]
    assert work(jobs, folders, told.append) == []
    work(jobs, folders, told.append)
    assert done == ["b", "a", "c"]
    assert told == ["b: well", "a: well", "c: well"]


def test_a_failure_is_named_and_the_others_go_on(folders):
    done, told = [], []
    assert work([Noted("a", fails=True), Noted("b", done)], folders, told.append) == ["a"]
    assert done == ["b"]
    assert told[0] == "a: failed: came apart"


def test_what_another_worker_is_at_is_left_to_it(folders):
    done, told = [], []
    folders.runs.mkdir()
    with FileLock(folders.runs / "a.lock"):
        assert work([Noted("a", done)], folders, told.append) == []
    assert (done, told) == ([], ["a: another worker is at it"])


def test_configuration_is_the_base_merged_but_for_its_tests(tmp_path):
    overrides = {"iterations": 7, "model_settings": {"classes": 2}, "testing": {"data": ["digits"]}}
    path = tmp_path / "job.yaml"
    Job("few", "tdca_mnist", 3, overrides).write(path)
    found, base = configured(str(path)), configured("tdca_mnist")
    assert (found.iterations, found.seed) == (7, 3)
    assert found.model_settings == {**base.model_settings, "classes": 2}
    assert found.testing == {"data": ["digits"]}
    assert base.testing["widths"]  # which merging alone would have kept
    assert found.searcher == base.searcher


TINY = {
    "iterations": 2,
    "lives": 2,
    "span": {"shortest": 4, "longest": 8, "window": 2},
    "testing": {"data": ["digits"], "steps": [3], "lives": 2},
}


def test_an_outer_loop_and_then_elsewhere(folders, tmp_path):
    """Kept lives are the run's; taken home again they are the same, elsewhere others; misfits are kept."""
    cells = (
        Cell("home", "digits", (3,)),
        Cell("wide", "digits", (3,), {"hidden": [48]}),
        Cell("other outputs", "digits", (3,), {"classes": 3}),
        Cell("its own tasks", None, (3,)),
    )
    jobs = [Job("tiny", "tdca_digits", 1, TINY), Transfer("tiny", 1, cells)]
    assert work(jobs[1:], folders, print) == ["transfer_tiny-1"]  # nothing there to be taken elsewhere
    assert work(jobs, folders, print) == []
    mine = folders.kept("tiny-1")["per_life"]["digits"]["3"]
    trained = Trained(folders.runs / "tiny-1")
    assert len(mine) == 2
    found = folders.kept("transfer_tiny-1")["per_life"]
    assert found["home"]["3"][:2] != found["wide"]["3"][:2]
    assert trained.accuracies(cells[0], 3, lives=2) == pytest.approx(mine, abs=1e-5)
    assert "3" in found["other outputs"]["failed"]
    assert len(found["its own tasks"]["3"]) == 6
