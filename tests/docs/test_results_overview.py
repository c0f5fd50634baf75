"""docs/results-overview.md says what the pages behind it say."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
CRITERIA = ("tdca", "layered", "functions", "reinforcement", "several-tasks")


@pytest.fixture(scope="module")
def overview():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("overview")


def rows(lines):
    """Rows of a table, without its head."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_page_is_what_the_results_make_of_it(overview):
    text = overview.PAGE.read_text("utf-8")
    assert all(f"<!-- table {name} -->" in text for name in overview.TABLES)
    assert overview.page(text) == text, "run: python benchmarks/overview.py page"


def shown(name):
    return (DOCS / f"{name}.md").read_text("utf-8")


def has(page, *cells):
    """Whether the page has a row with these cells from its start on; None: any."""
    said = r" \| ".join("[^|]*" if cell is None else re.escape(cell) for cell in cells)
    return re.search(rf"^\| {said} \|", shown(page), re.M) is not None


def test_accuracies_are_those_of_their_page(overview):
    """Read from the pages' text, by arm or model, whatever function wrote either; so below."""
    page = shown("results")
    for _, arm, *cells in rows(overview.TABLES["rules"]()):
        for cell in filter(None, cells):
            mean = re.escape(cell.split(" (")[0])
            assert re.search(rf"^\| {arm} \| .* \| {mean} \| {cell[-2]} \|", page, re.M), (arm, cell)


def test_credit_networks_are_those_of_their_pages_after_1000_steps(overview):
    for table, page in (("layered", "results-layered"), ("broadcast", "results-tdca")):
        for arm, *cells, _ in rows(overview.TABLES[table]()):
            assert all(has(page, arm, None, None, None, cell) for cell in cells), (arm, cells)


def test_functions_reward_and_sequences_are_those_of_their_pages(overview):
    for arm, *cells in rows(overview.TABLES["solved"]()):
        assert has("results-functions", arm, None, None, *cells), arm
    for rule, *cells in rows(overview.TABLES["returns"]()):
        for cell in filter(None, cells):
            default, extreme = cell.split(" (")[0].split(" / ")
            assert has("results-reinforcement", rule, default, None, extreme), (rule, cell)
    for arm, *cells in rows(overview.TABLES["in_sequence"]()):
        assert all(has("results-sequences", arm, cell.split(" (")[0]) for cell in filter(None, cells)), arm


def test_comparison_and_speed_are_those_of_their_pages(overview):
    for _, *cells in rows(overview.TABLES["cortex"]()):
        assert has("results-which-rule", *cells)
    for network, rule, ratio, *_ in rows(overview.TABLES["cost"]()):
        assert has("speed", network, rule, ratio)


def test_every_study_with_results_has_a_column(overview):
    """Studies of one arm alone are looked up on the page of accuracies."""
    accuracy = importlib.import_module("accuracy")
    marked = re.findall(r"<!-- study (\w+) -->", accuracy.PAGE.read_text("utf-8"))
    several = [name for name in marked if len(accuracy.study(name)["arms"]) > 1]
    final = [name for name in several if any(k.startswith("final/") for k in accuracy.load_results(name))]
    head = overview.TABLES["rules"]()[0]
    assert re.findall(r"\[`(\w+)`", head) == final


def test_a_criterion_is_counted_as_its_page_says(overview):
    verdicts = importlib.import_module("overview_tables").verdicts
    assert verdicts({"": "a", "must met": "yes", "aim met": "**no**"}) == {"must": True, "aim": False}
    assert verdicts({"criterion": "aim: b", "met": "**no**"}) == {"aim": False}
    assert verdicts({"criterion": "c", "met": "–"}) == {}
    said = "".join(shown(f"results-{name}") for name in CRITERIA)
    missed = rows(overview.TABLES["unmet"]())
    assert sum(len(row[-1].split(", ")) for row in missed) == said.count("**no** |") > 0


def test_every_figure_of_a_page_of_results_is_listed(overview):
    listed = "\n".join(overview.TABLES["figures"]())
    for path in sorted(DOCS.glob("results-*.md")):
        if path != overview.PAGE:
            for figure in re.findall(r"!\[.+?\]\((\S+)\)", path.read_text("utf-8")):
                assert f"({figure})" in listed, (path.name, figure)
