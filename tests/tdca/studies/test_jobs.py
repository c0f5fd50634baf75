"""Jobs are done once, in order, failures apart; a configuration is its base with what the job sets."""

from dataclasses import dataclass, fields

import numpy as np
import pytest

from cortex_sim.errors import RunError
from cortex_sim.runs import directory
from cortex_sim.tdca.evolving.reading import configured
from cortex_sim.tdca.evolving.settings import OuterSettings
from cortex_sim.tdca.inner.cohort import layout
from cortex_sim.tdca.studies.jobs import ADDED, Folders, Job, asked, is_done, work
from cortex_sim.tdca.studies.transfer import Cell, Trained, Transfer

FIRST = {  # what OuterSettings began with
    "model", "model_settings", "also", "rule", "step", "tasks", "span", "searcher", "iterations", "lives",
    "frozen", "testing", "seed", "checkpoint_every",
}  # fmt: skip


@dataclass
class Noted:
    """A job that leaves a mark each time it is done."""

    key: str
    fails: bool = False
    setting: int = 1
    source: str | None = None

    def configuration(self, folders):
        return {"setting": self.setting}

    def do(self, folder, folders):
        if self.fails:
            raise RunError("came apart")
        with (folders.runs / "order").open("a") as file:
            file.write(self.key)
        return {"per_life": {}, "half": 0.123456789}


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "runs", tmp_path / "results")


def order(folders):
    return (folders.runs / "order").read_text("utf-8")


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_in_order_and_once(folders, workers):
    report = []
    jobs = [Noted(key) for key in ("b", "a", "c")]
    assert work(jobs, folders, report.append, workers) == []
    work(jobs, folders, report.append, workers)
    assert sorted(order(folders)) == ["a", "b", "c"] and (workers == 2 or order(folders) == "bac")
    assert report == [f"{k}: 0 cells" for k in "bac"] + [f"{k}: already done" for k in "bac"]
    assert folders.kept("a")["half"] == 0.12346 and is_done(jobs[0], folders)


def test_a_result_of_another_configuration_is_made_anew_and_said(folders):
    report = []
    work([Noted("a")], folders, report.append)
    other = Noted("a", setting=2)
    assert not is_done(other, folders)
    work([other], folders, report.append)
    assert report[1] == "a: 0 cells; done again: the kept result has another configuration"
    folders.keep("a", {"per_life": {}})  # of no configuration
    work([other], folders, report.append)
    assert report[2] == report[1] and order(folders) == "aaa"


def test_a_failure_is_named_and_the_others_go_on(folders):
    report = []
    assert work([Noted("a", fails=True), Noted("b")], folders, report.append) == ["a"]
    assert order(folders) == "b"
    assert report[0] == "a: failed: came apart"


def test_what_another_worker_is_at_is_left_to_it(folders):
    report = []
    with directory.held(folders.runs / "a"):
        assert work([Noted("a")], folders, report.append) == []
    assert report == ["a: another process is working on it; skipped"] and folders.kept("a") is None


def test_what_decides_an_outer_loop_is_its_settings(tmp_path, folders):
    base = Job("few", "tdca_mnist", 3, {"iterations": 7})
    renamed = Job("other", "tdca_mnist", 3, {"iterations": 7})
    assert asked(base, folders).fingerprint == asked(renamed, folders).fingerprint
    for other in (Job("few", "tdca_mnist", 4, {"iterations": 7}), Job("few", "tdca_mnist", 3)):
        assert asked(base, folders).fingerprint != asked(other, folders).fingerprint


def test_files_of_ones_own_count_by_content(tmp_path, folders):
    own = tmp_path / "own.npz"
    own.write_bytes(b"1")
    job = Job("few", "tdca_digits", 0, {"testing": {"data": [str(own)]}})
    before = asked(job, folders).fingerprint
    own.write_bytes(b"2")
    assert asked(job, folders).fingerprint != before


def test_a_transfer_is_of_its_source_as_it_was_found(folders):
    away = Transfer("few", 0, (Cell("home", "digits", (3,)),))
    before = asked(away, folders).fingerprint
    folders.keep("few-0", {"fingerprint": "some"})
    some = asked(away, folders).fingerprint
    folders.keep("few-0", {"fingerprint": "other"})
    assert len({before, some, asked(away, folders).fingerprint}) == 3
    folders.run("few-0").mkdir(parents=True)
    (folders.run("few-0") / "outer.safetensors").touch()
    with pytest.raises(RunError, match="has another configuration than its kept result"):
        away.do(folders.run(away.key), folders)


def test_a_new_setting_must_say_what_outer_loops_did_before_it():
    """Kept results stay what they are only if the setting stands in ADDED."""
    assert {f.name for f in fields(OuterSettings)} == FIRST | set(ADDED)


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
    """Kept inner runs are the run's: equal on its own tasks, different elsewhere; misfits are kept."""
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
    trained = Trained(folders.run("tiny-1"))
    assert len(mine) == 2
    found = folders.kept("transfer_tiny-1")["per_life"]
    assert found["home"]["3"][:2] != found["wide"]["3"][:2]
    assert trained.accuracies(cells[0], 3, inner_runs=2) == pytest.approx(mine, abs=1e-5)
    assert "3" in found["other outputs"]["failed"]
    assert len(found["its own tasks"]["3"]) == 6


def test_cells_change_what_they_say(folders):
    """Rates, batch, tasks, disturbance and network; a cell that changes nothing is the first one."""
    job = Job("tiny", "tdca_digits", 1, {**TINY, "rule": {"name": "backprop"}})
    assert work([job], folders, print) == []
    trained = Trained(folders.run("tiny-1"))

    def at(**changes):
        return trained.accuracies(Cell("", "digits", (6,), **changes), 6, inner_runs=2)

    home = at()
    assert at(rate=1.0, batch=trained.settings.inner_span().batch) == home
    assert at(rate=3.0) != home and at(batch=4) != home
    assert at(disturbed={"offset": 2.0}) != home and at(tasks={"permute_pixels": True}) != home
    faster = trained._phi(3.0) - trained._phi(1.0)
    np.testing.assert_allclose(faster, _log_rates(trained) * np.log(3), atol=1e-6)
    assert min(at(model={"classes": 2}, tasks={"classes": 2})) > 0.3
    side = trained.settings.tasks["side"]
    body = trained._body(Cell("", "digits", (6,), {"side": side}, network="tdca_cnn"))
    assert [layer.projection.name for layer in body.layers] == ["retina->V1", "V1->V2", "V2->IT"]


def _log_rates(trained):
    """1 where phi holds a log rate, 0 elsewhere."""
    marks = {name: np.zeros_like(values) for name, values in trained.outer.items()}
    marks["step_rate"][..., 0] = 1
    return layout(trained.rule, trained.step, trained.settings.body()).joined(marks)


def test_fields_added_to_cells_leave_fingerprints_as_they_were():
    first = Cell("wide", "digits", (3,), {"hidden": [48]})
    assert first.as_data() == {"label": "wide", "data": "digits", "steps": (3,), "model": {"hidden": [48]}}
    assert Cell("few", "digits", (3,), batch=4).as_data()["batch"] == 4
