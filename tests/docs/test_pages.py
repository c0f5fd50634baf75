"""Every page's Python runs as it stands, and prints what the comment behind a print says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from cortex_sim import capabilities

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"data", "path-protocol", "path-recording", "path-deep"}  # test_data_page.py, test_paths.py
PAGES = [
    page
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "```python" in page.read_text("utf-8") and page.stem not in ELSEWHERE
]
SLOW = {  # each trains, compares or simulates for seconds
    "bcm",
    "comparing",
    "global_neuromodulator",
    "inference",
    "protocols",
    "predictivity",
    "recovery",
    "reports",
    "synaptic_scaling",
    "tutorial-protocol",
    "tutorial-tdca",
}


def code_of(page):
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))


def promised(code):
    """What the comments behind ``print(...)`` lines say will be printed."""
    return [said.strip() for said in re.findall(r"^\s*print\(.*\)  # (.*)$", code, re.M)]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.stem, marks=[pytest.mark.slow] if p.stem in SLOW else []) for p in PAGES],
)
def test_page_runs_and_prints_what_it_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = code_of(page)
    exec(compile(code, str(page), "exec", dont_inherit=True), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    missing = [said for said in promised(code) if said not in printed]
    assert not missing, f"{page.name} promises {missing}, printed:\n{printed}"


def test_every_word_has_a_page():
    listed = subprocess.run(  # in a fresh process: the pages above register words of their own
        [sys.executable, "-m", "cortex_sim", "list", "rules", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    words = json.loads(listed.stdout)["rules"]
    pages = {page.stem for page in (ROOT / "docs" / "rules").glob("*.md")}
    variants = {"gait_prop_learned": "gait_prop"} | dict.fromkeys(
        ("e_prop_diffused", "e_prop_symmetric"), "e_prop"
    )
    assert {variants.get(word, word) for word in words} <= pages


def test_the_table_of_capabilities_is_complete():
    page = (ROOT / "docs" / "writing-a-rule.md").read_text("utf-8")
    table = page.split("## Capabilities")[1].split("```")[0]
    listed: dict[str, set[str]] = {}
    kinds: list[str] = []
    for row in re.findall(r"^\| (.*?) ?\| (`.*?) \|", table, re.M):
        kinds = row[0].split(", ") if row[0].strip() else kinds
        for kind in kinds:
            listed.setdefault(kind, set()).update(re.findall(r"`(\w+)(?:\( \))?`", row[1]))
    views = {
        "rule": capabilities.DeclaredRule,
        "feedback": capabilities.DeclaredFeedback,
        "regulariser": capabilities.DeclaredRegulariser,
        "activation": capabilities.DeclaredActivation,
        "connector": capabilities.DeclaredConnector,
    }
    assert listed == {kind: {f.name for f in fields(view)} - {"part"} for kind, view in views.items()}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda p: p.stem
)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken
