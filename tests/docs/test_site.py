"""The site as ``make docs`` builds it: without a warning, and complete in itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
FETCHED |= {"embed": "src", "object": "data", "input": "src", "track": "src"}
NO_REQUEST = {"canonical", "prev", "next", "search", "author", "index"}  # links of a head that load nothing


class Requests(HTMLParser):
    """What a browser fetches to show a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        if tag == "link" and not set(given.get("rel", "").split()) & NO_REQUEST:
            self.found.append(given["href"])
        if given.get(FETCHED.get(tag, ""), ""):
            self.found.append(given[FETCHED[tag]])
        for style in [given.get("style", "")]:
            self.found += urls(style)

    def handle_data(self, data):
        if self.lasttag == "style":
            self.found += urls(data)


def urls(style):
    """What a style sheet fetches."""
    return re.findall(r"url\(\s*['\"]?([^'\")]+)", style) + re.findall(r"@import\s+['\"]([^'\"]+)", style)


def requests(path):
    text = path.read_text("utf-8")
    return urls(text) if path.suffix == ".css" else Requests(text).found


def is_remote(target):
    return re.match(r"(?:\w+:)?//", target) is not None


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://example.org/a.js"></script>',
        '<link rel="stylesheet" href="//example.org/a.css">',
        "<style>@import 'http://example.org/a.css';</style>",
        '<p style="background: url(https://example.org/a.png)">',
        '<img src="https://example.org/a.png">',
    ],
)
def test_a_request_is_found(page):
    assert any(map(is_remote, Requests(page).found))


def test_a_link_that_is_followed_only_when_clicked_is_no_request():
    assert not Requests('<a href="https://example.org"></a><link rel="next" href="b.html">').found


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The whole site, with the fast protocols run."""
    pytest.importorskip("sphinx_gallery", reason="the site's packages are missing; run make docs once")
    if not (DOCS / "_static" / "mathjax").is_dir():
        pytest.skip("docs/_static/mathjax is missing; run make docs once")
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # of the run: its workers share a build, which writes pages below docs/
    built, complete = place / "site", place / "site" / "complete"
    with FileLock(place / "site.lock"):
        if not complete.exists():
            command = [sys.executable, "-m", "sphinx", "-W", "--keep-going"]
            command += ["-d", built / "trees", DOCS, built / "html"]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            assert done.returncode == 0, done.stderr
            complete.touch()
    return built / "html"


@pytest.mark.slow
def test_pages_fetch_nothing_from_elsewhere_and_find_what_they_fetch(site):
    templates = site / "_static" / "webpack-macros.html"  # of the theme, left among its files; no page
    pages = [page for page in [*site.rglob("*.html"), *site.rglob("*.css")] if page != templates]
    assert len(pages) > 100
    remote, missing = set(), set()
    for page in pages:
        for target in requests(page):
            name = re.split(r"[?#]", target)[0]
            if is_remote(target):
                remote.add((page.name, target))
            elif not target.startswith(("data:", "#")) and not (page.parent / name).exists():
                missing.add((page.name, target))
    assert not remote
    assert not missing


@pytest.mark.slow
def test_formulas_are_drawn_by_the_sites_own_copy(site):
    (script,) = {target for target in requests(site / "concepts.html") if "mathjax" in target}
    assert (site / script.split("?")[0]).is_file()


@pytest.mark.slow
def test_every_protocol_has_a_page_with_a_figure(site):
    for script in sorted((ROOT / "protocols").glob("*.py")):
        page = (site / "gallery" / f"{script.stem}.html").read_text("utf-8")
        assert re.search(r'<img[^>]*src="\.\./_images/', page), script.stem
    fresh = (site / "gallery" / "oja_principal_component.html").read_text("utf-8")
    assert "sphx_glr_oja_principal_component_001.png" in fresh
    assert "| Oja |" in fresh  # printed by the script


@pytest.mark.slow
def test_commands_and_exports_have_their_reference(site):
    commands = (site / "command-line.html").read_text("utf-8")
    for name in ("train", "simulate", "compare", "evolve"):
        assert f'id="cortex-sim-{name}"' in commands
    assert (site / "reference" / "api" / "objects" / "cortex_sim.GaitProp.html").is_file()
    assert "GaitProp" in (site / "searchindex.js").read_text("utf-8")
