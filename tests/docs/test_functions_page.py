"""docs/results-functions.md says what the kept results are; docs/functions.md names every setting."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from cortex_sim import library, registry
from cortex_sim.tdca.functions.settings import FunctionSettings
from cortex_sim.tdca.functions.studies import Baseline, Counted
from cortex_sim.tdca.studies.jobs import Folders, Job, is_done

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "functions.md").read_text("utf-8")


@pytest.fixture
def functions(monkeypatch):
    with monkeypatch.context() as patched:  # no longer: coverage.py there hides the package from evotorch
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("functions")


def test_page_is_what_the_results_make_of_it(functions):
    text = functions.PAGE.read_text("utf-8")
    for name in functions.functions_page.TABLES:
        assert f"<!-- table {name} -->" in text
    made = functions.functions_page.page(text, functions.folders(None))
    assert made == text, "run: python benchmarks/functions.py page"


def test_kept_results_are_of_the_jobs_as_they_are(functions):
    """A changed setting or default shows here: what is kept would be done again."""
    places = functions.folders(None)
    stale = [j.key for j in functions.jobs() if places.kept(j.key) is not None and not is_done(j, places)]
    assert not stale, "run: python benchmarks/functions.py run"


def test_every_job_has_a_name_of_its_own_and_settings_that_hold(functions):
    jobs = functions.jobs()
    assert len({job.key for job in jobs}) == len(jobs)
    for job in jobs:
        if isinstance(job, Job):
            job.settings().check(None)
        if isinstance(job, Counted):
            assert any(other.key == job.source for other in jobs)
    arms = {job.arm for job in jobs if isinstance(job, Baseline)}
    assert arms < functions.functions_page.ARMS.keys()


def test_tables_say_what_is_missing(functions, tmp_path):
    for table in functions.functions_page.TABLES.values():
        said = "\n".join(table(Folders(tmp_path, tmp_path)))
        assert "not run yet" in said or "| – |" in said


def test_shares_are_those_of_the_tasks(functions, tmp_path):
    page, places = functions.functions_page, Folders(tmp_path, tmp_path)
    for seed, at in ((0, [10, None, 30, None]), (1, [10, 20, 30, None])):
        cells = {f"n10 {name}": {"solved_at": at} for group in page.GROUPS.values() for name in group}
        places.keep(f"first_order-{seed}", {"per_life": cells})
    assert page.share(places, "first_order", 10, page.TRAINED) == "62 (50–75)"
    places.keep("adam_4-0", {"per_life": {name: {"solved_at": [None] * 4} for name in cells}})
    mean, low, high = re.findall(
        r"[-+]?\d+", page.difference(places, "first_order", "adam_4", 10, page.TRAINED)
    )
    assert mean == "+62" and int(low) < 62 < int(high)


def test_a_family_left_out_is_read_from_the_loop_that_never_saw_it(functions, tmp_path):
    page, places = functions.functions_page, Folders(tmp_path, tmp_path)
    names = list(page.FAMILIES)
    for arm, suffix, apart in (("first_order", "", 20), ("first_order_tuned", "_tuned", None)):
        for i in range(5):
            if i == 4:
                assert page.left_out(places, 10, arm) is None
            own = names[2 * i : 2 * i + 2]
            at = {name: [10, apart] if name in own else [None, None] for name in names}
            cells = {f"n10 {name}": {"solved_at": cell} for name, cell in at.items()}
            places.keep(f"rotated_{i}{suffix}-0", {"per_life": cells})
    assert page.left_out(places, 10).tolist() == [[[1.0, 1.0]] * 10]
    assert page.left_out(places, 10, "first_order_tuned").tolist() == [[[1.0, 0.0]] * 10]


def test_tiny_runs(functions, tmp_path):
    jobs = [
        functions.shrunk(job) for job in functions.jobs() if job.key in ("first_order-0", "random_search-0")
    ]
    places = functions.folders(tmp_path, tiny=True)
    assert functions.work(jobs, places, lambda _: None) == []
    result = places.kept("random_search-0")
    assert len(result["per_life"]["n2 sphere"]["level"]) == 2 and result["settings"] == {"n2": {}}


def test_figures_are_drawn_from_what_there_is(tmp_path):
    figures = library.load_module("protocols", "tdca_functions").figures
    places = Folders(tmp_path / "runs", tmp_path / "results")
    solved, paths = figures(places).values()
    assert not any(axes.lines for axes in solved.axes)
    assert [bool(axes.lines) for axes in paths.axes] == [False] * 4 + [True] * 4  # Adam needs no run
    page = importlib.import_module("cortex_sim.tdca.functions.settings")
    names = [*page.TRAINED, *page.NEVER_SEEN]
    cells = {f"n{n} {name}": {"solved_at": [100, None]} for n in (10, 30) for name in names}
    places.keep("snes-0", {"per_life": cells})
    shares = figures(places)["functions_solved"].axes[0].lines[0].get_ydata()
    assert list(shares[[0, 99, 100, 400]]) == [0, 0, 0.5, 0.5]


def test_every_setting_has_a_row_with_its_default():
    table = PAGE.partition("| setting |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| `")]
    found = {re.findall(r"`(\w+)`", cells[0])[0]: cells for cells in rows}
    assert found.keys() == {f.name for f in dataclasses.fields(FunctionSettings)}
    for f in dataclasses.fields(FunctionSettings):
        if isinstance(f.default, (int, float)):
            assert float(found[f.name][1]) == f.default
    for name in registry.names("function_rule"):
        assert f"`{name}`" in found["rule"][2]
        for f in dataclasses.fields(registry.find("function_rule", name)):
            assert f"`{f.name}`" in found["rule"][2]
