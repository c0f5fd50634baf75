"""docs/results-tdca.md says what benchmarks/results/tdca/ holds; every job is one that can be run."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from cortex_sim.tdca.studies.jobs import Folders, Job
from cortex_sim.tdca.studies.transfer import Transfer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tdca(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("tdca")


def test_page_is_what_the_results_make_of_it(tdca):
    """Arms that were not run yet are said to be so, in the same tables."""
    marked = "".join(path.read_text("utf-8") for path in tdca.PAGES)
    assert all(f"<!-- table {name} -->" in marked for name in tdca.TABLES)
    for path in tdca.PAGES:
        text = path.read_text("utf-8")
        assert tdca.tdca_page.page(text, tdca.folders(None), tdca.TABLES) == text


def test_every_job_has_a_name_of_its_own_and_settings_that_hold(tdca, tmp_path):
    from cortex_sim.tdca.evolving.reading import configured

    jobs = tdca.chosen([])
    keys = [job.key for job in jobs]
    assert len(set(keys)) == len(keys)
    for job in jobs:
        if isinstance(job, Transfer):
            assert any(other.key == f"{job.source}-{job.seed}" for other in jobs)
            continue
        job.write(tmp_path / "job.yaml")
        settings = configured(str(tmp_path / "job.yaml"))
        rule, body = settings.inner_rule(), settings.body()
        rule.fixed(body, importlib.import_module("numpy").random.default_rng(0))  # places the credit network
        settings.search(), settings.inner_step(), settings.tests(), settings.inner_span()


def test_tables_say_what_is_missing_and_what_is_known(tdca, tmp_path):
    page, folders = tdca.tdca_page, Folders(tmp_path, tmp_path)
    for table in page.TABLES.values():
        said = "\n".join(table(folders)).lower()
        assert "not run yet" in said or "| – |" in said
        assert " ± " not in said  # no number without a result
    about = {"parameters": 9, "outer_seconds": 1.0, "searcher": {"name": "nres"}}
    for name, level in (("tdca_mnist", 0.9), ("dfa_mnist", 0.7), ("backprop_mnist", 0.95)):
        cells = {"mnist": {"30": [level, level + 0.02]}}
        folders.keep(f"{name}-0", {**about, "per_life": cells})
    asked = "\n".join(page.asked(folders))
    assert "| accuracy, mnist | 30 | 76.0 % | 80.0 % | 91.0 ± 1.4 | yes | yes |" in asked
    assert (
        "| minus direct feedback alignment, mnist | 30 | interval above 0 | interval above 0 | +20.0 ["
        in asked
    )
    assert page.beaten(folders) == ["Not run yet."]
    assert "91.0 ± 1.4 | – | – | – | – | nres | 1 | 9 | 1 |" in "\n".join(page.TABLES["mnist"](folders))


def test_transfer_of_the_layered_form_counts_failures_and_pairs_runs(tdca, tmp_path):
    """One seed: interval over inner runs; a run fails more than 20 points below the mean at home."""
    page, folders = tdca.tdca_layered_page, Folders(tmp_path, tmp_path)
    assert {line.split(" | ")[-1] for line in page.transfer(folders)[2:]} == {"not run yet |"}
    for name, low in (("layered", 0.1), ("layered_backprop_decorrelated", 0.8)):
        cells = {
            "mnist": {"100": [0.5, 0.6], "1000": [low, 0.9]},
            "mnist classes 2": {"100": [0.5, 0.6], "1000": [0.31, 0.6]},
            "mnist horizon 4000": {"4000": [0.7, 0.9]},
            "mnist depth 2": {"failed": "a reason"},
        }
        folders.keep(f"transfer_{name}-0", {"per_life": cells})
    rows = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in page.transfer(folders)[2:]}
    assert rows["mnist"][:4] == ["55.0 ± 7.1", "50.0 ± 56.6", "55.0 ± 7.1", "85.0 ± 7.1"]
    assert rows["mnist"][4] == "+0.0 [+0.0, +0.0]" and rows["mnist"][5].startswith("-35.0 [-479")
    assert rows["mnist"][6:] == ["**1 of 2** / 0", "1 |"]
    assert rows["mnist classes 2"][6] == "0 / **2 of 2**"
    assert rows["mnist horizon 4000"][:2] == ["–", "80.0 ± 14.1"]
    assert rows["mnist depth 2"][:2] == ["–", "–"]


@pytest.mark.slow
def test_figures_are_drawn_from_next_to_nothing(tdca, tmp_path):
    folders = Folders(tmp_path, tmp_path)
    about = {"parameters": 9, "outer_seconds": 1.0, "searcher": {"name": "nres"}}
    for job in tdca.chosen(["diffusion"])[:4]:
        assert isinstance(job, Job)
        folders.keep(job.key, {**about, "per_life": {"mnist": {"100": [0.5, 0.6], "1000": [0.8, 0.9]}}})
    tdca.draw(folders, tmp_path / "figures")
    for path in (tmp_path / "figures").iterdir():
        assert path.stat().st_size < 150_000
    assert len(list((tmp_path / "figures").iterdir())) == 6


CURVES, SPREAD, AWAY = "tdca_learning_curves", "tdca_diffusion", "tdca_transfer"
RING, HOME, DFA = "diffusion_c10_k16_ring", "transfer_tdca_mnist", "transfer_dfa_mnist"
CLAIMS = [  # page, arm, arm it is compared with, what was tested, steps
    (CURVES, "again_tdca_mnist", "again_dfa_mnist", "mnist", 30),
    (CURVES, "again_tdca_mnist", "again_dfa_mnist", "mnist", 1000),
    (CURVES, "again_tdca_mnist", "again_dfa_mnist", "mnist@256", 30),
    (CURVES, "again_tdca_mnist", "again_dfa_mnist", "mnist@256", 1000),
    (CURVES, "again_tdca_mnist", "again_dfa_mnist", "fashion_mnist", 30),
    (CURVES, "again_tdca_mnist", "again_dfa_mnist", "fashion_mnist", 1000),
    (CURVES, "tdca_mnist", "dfa_mnist", "mnist@256", 30),
    (CURVES, "tdca_mnist", "dfa_mnist", "mnist", 3000),
    (CURVES, "tdca_mnist", "dfa_mnist", "mnist@256", 3000),
    (CURVES, "tdca_mnist_raw", "tdca_mnist", "mnist", 1000),
    (CURVES, "tdca_mnist_raw", "tdca_mnist", "mnist", 3000),
    (CURVES, "tdca_mnist_raw", "tdca_mnist", "mnist@256", 1000),
    (CURVES, "tdca_mnist_raw", "tdca_mnist", "mnist@256", 3000),
    (CURVES, "tdca_mnist_nres", "dfa_mnist", "mnist", 30),
    (CURVES, "tdca_mnist_nres", "dfa_mnist", "mnist", 1000),
    (CURVES, "tdca_mnist_nres", "dfa_mnist", "fashion_mnist", 1000),
    (CURVES, "tdca_mnist", "tdca_mnist_untrained", "mnist", 30),
    (CURVES, "tdca_mnist", "tdca_mnist_untrained", "mnist", 1000),
    (CURVES, "tdca_mnist", "tdca_mnist_untrained", "mnist@256", 30),
    (CURVES, "tdca_mnist", "readout_mnist", "mnist@256", 30),
    (CURVES, "tdca_cnn", "dfa_cnn", "mnist", 30),
    (CURVES, "tdca_cnn", "dfa_cnn", "mnist", 1000),
    (SPREAD, "diffusion_c10_k16_modulo", RING, "mnist", 1000),
    (SPREAD, "diffusion_c10_k16_learned", "diffusion_c10_k16_sheet", "mnist", 1000),
    (AWAY, HOME, DFA, "mnist width 16", 1000),
    (AWAY, HOME, DFA, "mnist width 32", 1000),
    (AWAY, HOME, DFA, "mnist activation tanh", 1000),
    (AWAY, HOME, DFA, "mnist horizon 16000", 16000),
    (AWAY, HOME, DFA, "mnist depth 1", 1000),
    (AWAY, HOME, DFA, "mnist depth 4", 1000),
    (AWAY, HOME, DFA, "fashion_mnist width 64", 100),
    (AWAY, HOME, DFA, "fashion_mnist width 64", 1000),
    (AWAY, HOME, DFA, "fashion_mnist horizon 16000", 16000),
    (AWAY, "tdca_shared", "tdca_mnist_untrained", "mnist", 1000),
]


def _page(protocol: str) -> str:
    """The page of a protocol, which is its docstring."""
    return str(ast.get_docstring(ast.parse((ROOT / "protocols" / f"{protocol}.py").read_text("utf-8"))))


@pytest.mark.parametrize("page, ours, theirs, label, steps", CLAIMS)
def test_pages_of_protocols_give_the_intervals_that_the_results_give(tdca, page, ours, theirs, label, steps):
    found = tdca.tdca_page._difference(tdca.folders(None), ours, theirs, label, steps)
    text = " ".join(_page(page).split())
    assert tdca.tdca_page._points(found).replace("-", "−") in text


def test_page_of_diffusion_counts_updates_as_the_results_do(tdca):
    places = tdca.folders(None)
    updates = {places.kept(job.key)["iterations"] for job in tdca.studies()["diffusion"]}
    assert updates == {150}
    text = _page("tdca_diffusion")
    assert "150 outer updates" in text
    assert f"each of {len(tdca.studies()['diffusion'])} outer loops" in text


def test_kernels_lie_as_near_to_each_other_as_the_page_says(tdca):
    from cortex_sim.tdca.studies.compare import accuracies_by_seed, spread

    places = tdca.folders(None)
    narrow = ("ring", "line", "sheet", "block", "modulo", "learned")
    means = [spread(accuracies_by_seed(places, f"diffusion_c10_k16_{k}", "mnist", 1000))[0] for k in narrow]
    assert round(100 * (max(means) - min(means)), 1) == 0.5
    text = _page("tdca_diffusion")
    assert "within 0.5 points of each other" in " ".join(text.split())


def test_shared_form_is_behind_where_the_page_says(tdca):
    from cortex_sim import library

    page, places = tdca.tdca_page, tdca.folders(None)
    cells = [(c.label, n) for c in library.load_module("protocols", AWAY).cells() for n in c.steps]
    found = [page._difference(places, "transfer_tdca_shared", DFA, *cell) for cell in cells]
    assert not any(d.low > 0 for d in found)
    behind = sum(d.high < 0 for d in found)
    text = " ".join(_page(AWAY).split())
    assert f"behind it in {behind} of {len(cells)}" in text


def test_kept_results_are_of_the_configurations_that_would_be_run(tdca):
    places = tdca.folders(None)
    states = {job.key: tdca.state(job, places) for job in tdca.chosen([])}
    assert [key for key, state in states.items() if state == "other"] == []
    first = {job.key for name, jobs in tdca.studies().items() if "layered" not in name for job in jobs}
    assert {key for key in first if states[key] != "done"} == set()
