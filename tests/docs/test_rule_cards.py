"""Cards and tables of rules within pages are those of the code."""

import importlib
from pathlib import Path

import pytest

import cortex_sim as cs

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "<!-- rule-" in page.read_text("utf-8"))
RULES = sorted(page for page in (DOCS / "rules").glob("*.md") if page.stem != "index")


@pytest.fixture
def cards(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    return importlib.import_module("rule_cards")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_holds_what_the_code_says(page, cards):
    text = page.read_text("utf-8")
    assert cards.written(text, page) == text, "run python docs/extensions/rule_cards.py"


@pytest.mark.parametrize("page", RULES, ids=lambda page: page.stem)
def test_a_rules_page_begins_with_its_card(page, cards):
    opening = page.read_text("utf-8").split("\n## ")[0]
    assert f"<!-- rule-card {page.stem} -->\n\n| | |\n|---|---|\n| **Equation** | " in opening


def test_every_rule_has_a_page_and_a_place_in_every_table(cards):
    assert {cards.PAGES.get(name, name) for name in cards.shipped()} == {page.stem for page in RULES}
    for write in cards.TABLES.values():
        table = write(DOCS / "credit.md")
        assert all(cards.link(name, DOCS / "credit.md") in table for name in cards.shipped())


def test_every_supervised_rule_begins_with_the_shared_step(cards):
    for name, card in cards.shipped().items():
        by_credit = cards.rule_of(card.rules[0]).supervised and not card.equation.startswith(
            "c_pre = B u, ΔB"
        )
        assert card.equation.startswith(cards.LOCAL) == by_credit, name


def test_what_is_out_of_date_is_found(cards):
    page = DOCS / "rules" / "oja.md"
    text = page.read_text("utf-8").replace("y_i² w_ij", "y_i w_ij", 1)
    assert cards.written(text, page) != text
    assert cs.card("oja").equation in cards.written("<!-- rule-card oja -->\n<!-- end -->", page)
