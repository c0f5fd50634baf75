"""Concept pages: their drawing, quoted numbers and terms are those of the package."""

import importlib
import re
from pathlib import Path

import pytest

import cortex_sim as cs
from cortex_sim.capabilities import Arrival

DOCS = Path(__file__).resolve().parents[2] / "docs"
QUOTED = re.compile(r"<!-- quoted from (\S+) -->\n(.*?)<!-- end -->", re.S)
PAGES = sorted(page for page in DOCS.glob("*.md") if QUOTED.search(page.read_text("utf-8")))


@pytest.fixture
def drawing(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "figures"))
    return importlib.import_module("credit")


def test_the_drawing_is_that_of_its_script(drawing):
    assert drawing.PLACE.read_text("utf-8") == drawing.drawing(), "run python docs/figures/credit.py"


def test_the_drawing_has_every_way_of_credit(drawing, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    families = importlib.import_module("rule_cards").FAMILIES
    titles = set(drawing.PANELS)
    for way in (*Arrival, "unsupervised"):
        assert families[way].split(",")[0] in titles


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_quoted_numbers_stand_where_they_are_quoted_from(page):
    for source, table in QUOTED.findall(page.read_text("utf-8")):
        rows = (DOCS / source).read_text("utf-8").splitlines()
        quoted = [row.strip("|").split("|") for row in table.strip().splitlines()[2:]]
        assert quoted
        for arm, *numbers in ([cell.strip() for cell in row] for row in quoted):
            name = arm.split(",")[0]
            there = [row for row in rows if row.startswith(f"| {name} |")]
            missing = [n for n in numbers if not any(f"| {n} |" in row for row in there)]
            assert not missing, f"{page.name} quotes {missing} of {name}, which {source} does not have"


def test_what_the_glossary_names_exists():
    page = (DOCS / "glossary.md").read_text("utf-8")
    ours = [row.split(" | ")[:-1] for row in page.splitlines() if row.startswith("| ")][2:]
    named = set(re.findall(r"`([A-Z]\w+)`", " ".join(" ".join(cells) for cells in ours)))
    assert len(named) > 20
    assert sorted(name for name in named if not hasattr(cs, name)) == []


def test_terms_of_the_glossary_are_unique():
    page = (DOCS / "glossary.md").read_text("utf-8")
    terms = re.findall(r"^\| ([^|]+?) \|", page, re.M)
    assert len(terms) == len(set(terms))
