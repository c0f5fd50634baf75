"""Tables of pages are all made again, or a mark without its partner is named."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def rewritten(monkeypatch):
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("marked_tables").rewritten


def test_every_table_is_made_again_and_all_else_stays(rewritten):
    text = "a\n<!-- table x -->\nold\n<!-- end x -->\nb"
    made = rewritten(text, lambda name: rf"| {name} \1 |")
    assert made == "a\n<!-- table x -->\n\n| x \\1 |\n\n<!-- end x -->\nb"
    assert rewritten(made, lambda name: rf"| {name} \1 |") == made
    assert rewritten("none", str.upper) == "none"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- table x --> old <!-- end y -->",
        "<!-- table x-1 --> old <!-- end x-1 -->",
        "<!-- table x --> old",
        "<!-- table x --> <!-- table y --> <!-- end y --> <!-- end x -->",
    ],
)
def test_a_table_that_would_stay_old_is_refused(rewritten, text):
    with pytest.raises(ValueError, match="put each table between <!-- table NAME --> and <!-- end NAME -->"):
        rewritten(text, str.upper)
