"""The README stays short, and CITATION.cff is what citation tools read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import cortex_sim

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_fits_on_two_screens():
    assert len(README.splitlines()) <= 120


def test_the_readme_has_one_figure_the_two_commands_and_the_three_paths():
    assert re.findall(r"!\[.+\]\((.+)\)", README) == ["docs/figures/demo.png"]
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.M | re.S)
    assert re.findall(r"^    (\S.*?)(?:  .*)?$", prose, re.M) == ["make demo", "pip install ."]
    paths = re.findall(r"\]\(docs/(path-\w+)\.md\)", README)
    assert paths == ["path-protocol", "path-recording", "path-deep"]


def test_the_start_page_leads_to_the_same():
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert re.findall(r"^:link: (path-\w+)$", index, re.M) == ["path-protocol", "path-recording", "path-deep"]
    assert "figures/demo.png" in index
    sentences = README.split("\n\n")[1]
    assert sentences in index


def test_citation_is_complete():
    """Keys that the schema of Citation File Format 1.2.0 requires, of the software and of each reference."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)
    assert cited["version"] == cortex_sim.__version__
    assert cited["license"] == "BSD-3-Clause"
    for work in [cited, *cited["references"]]:
        assert work["title"] and work["type"]
        for author in work["authors"]:
            assert set(author) in ({"name"}, {"given-names", "family-names"})
    for work in cited["references"]:
        assert 1950 < work["year"] < 2100
        kinds = {found["type"] for found in work["identifiers"]}
        assert kinds <= {"doi", "url", "swh", "other"}
    numbers = [found["value"] for work in cited["references"] for found in work["identifiers"]]
    for paper in ("2006.06438", "2102.11598", "2208.01416"):
        assert any(paper in number for number in numbers)
