"""Every page of docs/ is reached from the start page, and anchors exist: checked without Sphinx."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
BUILT = {"_build", "_static", "gallery", "reference"}  # made by a build: other pages lead there too
TREE = re.compile(r"^(`{3,}|:{3,})\{toctree\}\n(.*?)^\1$", re.M | re.S)


def pages(docs):
    """All pages that are written by hand."""
    found = (path.relative_to(docs) for path in docs.rglob("*.md"))
    return {path.with_suffix("").as_posix() for path in found if path.parts[0] not in BUILT}


def entries(docs, page):
    """What the tables of contents of a page list."""
    text = (docs / f"{page}.md").read_text("utf-8")
    folder = (docs / page).parent
    for _, body in TREE.findall(text):
        lines = [line.strip() for line in body.splitlines()]
        for line in (line for line in lines if line and not line.startswith(":")):
            name = re.sub(r"^.*<(.*)>$", r"\1", line)
            if ":glob:" in lines and "*" in name:
                yield from (
                    path.with_suffix("").relative_to(docs).as_posix() for path in folder.glob(f"{name}.md")
                )
            else:
                yield (folder / name).relative_to(docs).as_posix()


def reached(docs):
    """All pages that tables of contents lead to from the start page, itself included."""
    found, ahead = set(), ["index"]
    while ahead:
        page = ahead.pop()
        if page not in found:
            found.add(page)
            if (docs / f"{page}.md").exists():
                ahead += entries(docs, page)
    return found


def test_every_page_is_reached_from_the_start_page():
    missing = pages(DOCS) - reached(DOCS)
    assert not missing, (
        f"in no table of contents: {sorted(missing)}; add each to understanding, how-to or another"
    )


def test_every_entry_is_a_page():
    written = {page for page in reached(DOCS) if Path(page).parts[0] not in BUILT}
    assert written <= pages(DOCS)
    assert {"gallery/index", "rules/oja", "metrics/cka", "changelog"} <= reached(DOCS)


def test_a_page_that_is_in_no_table_is_found(tmp_path):
    (tmp_path / "index.md").write_text("# A\n\n```{toctree}\n:hidden:\n\nB <b>\n```\n")
    (tmp_path / "b.md").write_text("# B\n\n[C](c.md)\n")
    (tmp_path / "c.md").write_text("# C\n")
    assert pages(tmp_path) - reached(tmp_path) == {"c"}


def anchors(page):
    """Anchors of a page's headings, as GitHub and the site make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.M | re.S)
    found = set()
    for heading in re.findall(r"^#{1,4} (.*)$", text, re.M):
        said = re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", said.strip().lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS / f"{p}.md" for p in pages(DOCS))], ids=lambda p: p.stem
)
def test_anchors_exist(page):
    links = re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8"))
    wrong = [
        f"{target}#{anchor}"
        for target, anchor in links
        if anchor not in anchors((page.parent / target) if target else page)
    ]
    assert not wrong


SCRIPTS = sorted((ROOT / "protocols").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_protocols_docstring_is_a_page(script):
    page = ast.get_docstring(ast.parse(script.read_text("utf-8")))
    title, line, *_ = page.splitlines()
    assert line == "=" * len(title)
    for heading in ("Question and prediction", "Run it"):
        assert f"\n{heading}\n{'-' * len(heading)}\n" in page
    stored = re.findall(r"^\.\. image:: /(\S+)$", page, re.M)
    assert stored, "a page shows a figure"
    assert all((DOCS / figure).is_file() for figure in stored)


def test_scripts_that_every_build_runs_are_protocols(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    fast = importlib.import_module("protocol_gallery").FAST
    assert set(fast) <= {script.stem for script in SCRIPTS}
