"""The page of ``cortex-sim report``: complete in itself, with the numbers of the runs' files."""

import html
import json
import re

import pytest
from html_tables import Parsed

from cortex_sim import html_report
from cortex_sim.errors import RunError
from cortex_sim.html_report import colours
from cortex_sim.html_report.projections import ANGLES, by_projection
from cortex_sim.html_report.reading import found
from cortex_sim.html_report.settings_tables import settings, versions

from .conftest import LINES, line

KINDS = ("overview", "network", "curves", "angles", "orthogonality", "credit", "responses", "outer")
KINDS += ("recordings", "comparison", "settings", "versions")


def test_every_section_is_there_and_nothing_is_fetched(everything):
    text, page, _ = everything
    assert tuple(page.sections) == KINDS
    assert all(words.strip() for words in page.sections.values())
    assert page.fetched == []
    assert re.findall(r"https?:|<script|<iframe|<object|<embed", text) == []
    assert "default-src &#39;none&#39;" in text
    assert len(page.identifiers) == len(set(page.identifiers))
    used = re.findall(r'(?:href="|url\()#([^")]+)', text)
    assert used and set(used) <= set(page.identifiers)


def test_a_request_is_found():
    planted = '<img src="a.png"><p style="background: url(b.png)"><style>@import "c.css";</style>'
    planted += '<link href="d.css"><a href="https://example.org">followed only when clicked</a>'
    assert len(Parsed(planted).fetched) == 4


def test_numbers_are_those_of_the_files(everything):
    _, page, runs = everything
    table = page.tables["Training runs"]
    assert page.columns["Training runs"] == ["", "backprop", "gait"]
    for i, run in enumerate(runs):
        metrics = json.loads((run / "metrics.json").read_text("utf-8"))
        rows = {"test accuracy": "test_accuracy", "training accuracy": "train_accuracy"}
        rows |= {"objective, test": "test_loss", "updates": "steps", "time (s)": "seconds"}
        assert {row: table[row][i][1] for row in rows} == {row: metrics[key] for row, key in rows.items()}
        assert [cell[i][0] for cell in (table["status"], table["test accuracy"])] == ["finished", "91.23%"]
    angles, orthogonality = (
        table for title, table in page.tables.items() if title.startswith(("Angle (deg) at", "Deviation at"))
    )
    for name in ("retina->V1", "V1->IT"):
        for i in (0, 1):
            assert angles[name][i][1] == metrics["angle_to_bp_deg"][name]
            assert orthogonality[name][i][1] == metrics["orthogonality_deviation"][name]
    scores = page.tables["Scores"]
    assert scores["gait_prop"][3] == ("0.399", 0.398765)
    assert page.tables["Differences between models"]["backprop − gait_prop"][-1][0] == "0.7 (holm)"


def test_figures_say_what_they_show(everything):
    _, page, _ = everything
    assert page.figures["test accuracy"] == (
        "test accuracy: backprop from 0.1 to 0.9123; gait from 0.1 to 0.9123"
    )
    assert page.figures["retina->V1"].startswith("retina->V1, ")
    assert "V1->IT" not in page.figures or page.figures["V1->IT"].startswith("V1->IT, deviation")
    assert "Below 0.01 degrees in every run: V1->IT" in page.sections["angles"]
    assert "populations retina 64, V1 64, IT 10" in page.figures["digits_mlp of gait"]
    assert {"objective of inner runs", "outer: outcome", "rsa score, V4"} <= set(page.figures)
    assert all(page.figures.values())


def test_settings_that_differ_come_first_and_are_marked(make):
    make("a", epochs=3), make("b", optimiser={"name": "Adam", "lr": 0.1}, feedback={})
    make("c", feedback={"damping": 0.1})
    read = found([(None, name) for name in "abc"])
    (table,) = settings(read.runs, ()).tables
    marked = [row.head for row in table.rows if row.marked]
    rows = {row.head: [cell.text for cell in row.cells] for row in table.rows}
    assert marked == list(rows)[:3] == ["epochs", "optimiser.lr", "feedback.damping"]
    assert rows["optimiser.lr"] == ["0.003", "0.1", "0.003"]
    assert rows["feedback.damping"] == ["–", "–", "0.1"]
    (same,) = versions(read.runs).tables
    assert [row for row in same.rows if row.marked] == []


def test_one_run_has_a_line_for_each_projection(make):
    make("alone")
    section = by_projection(ANGLES, found([(None, "alone")]).runs)
    (shown,) = section.pictures
    assert [key.name for key in shown.keys] == ["retina->V1", "V1->IT"] and section.keys == []
    assert "retina->V1 from 40 deg to 1.905 deg" in html.unescape(shown.svg)


def test_projections_of_one_run_alone_share_a_panel(make):
    other = {"angle_to_bp_deg": {"retina->V1": 9.0, "LGN->V1": 30.0, "LGN->V2": 50.0}}
    make("a"), make("b", lines=[line(0, 0.1, 1.0, **other)])
    section = by_projection(ANGLES, found([(None, "a"), (None, "b")]).runs)
    captions = [(shown.caption, [key.name for key in shown.keys]) for shown in section.pictures]
    assert captions == [
        ("retina->V1", []),
        ("a: projections of this run only", ["V1->IT"]),
        ("b: projections of this run only", ["LGN->V1", "LGN->V2"]),
    ]
    assert [key.name for key in section.keys] == ["a", "b"]
    cells = {row.head: [cell.value for cell in row.cells] for row in section.tables[0].rows}
    assert cells["LGN->V2"] == [None, 50.0] and cells["retina->V1"][1] == 9.0


def test_names_are_text_wherever_they_stand(make):
    """In HTML, in a figure's text (which would read $ as mathematics, or leave out "_"), and in titles."""
    name = '_a$\\b$ <img src=x onerror="alert(1)">&amp;'
    make("one", lines=LINES[:1], checkpoint=False)
    make("two", lines=LINES[:1], checkpoint=False, note="<script>alert(1)</script>")
    text = html_report.write({name: "one", "two": "two"}, present=0).read_text("utf-8")
    page = Parsed(text)
    assert page.fetched == [] and "<script" not in text
    assert page.columns["Training runs"][1] == name
    assert page.tables["Settings of training"]["note"][1][0] == "<script>alert(1)</script>"


def test_it_is_written_from_python_and_leaves_the_run_as_it_was(make, tmp_path):
    folder = make("runs/gait", lines=LINES[:1])
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}
    assert html_report.write({"GAIT": "runs/gait"}, "new.html", present=0).name == "new.html"
    assert Parsed((tmp_path / "new.html").read_text("utf-8")).columns["Training runs"] == ["", "GAIT"]
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")} == before
    with pytest.raises(RunError, match="new.html: already exists; give a new file"):
        html_report.write(["runs/gait"], "new.html")


# -- colours ---------------------------------------------------------------------------------------

TEXT = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#000000", "#222222", "#262626", "#595959"}
GROUNDS = {"#ffffff", "#eef1f4", "#fbede3"}  # on which something is drawn
FAINT = {"#b0b0b0", "#b2b2b2", "#cccccc"}  # grids and lines at zero, which carry nothing


def luminance(colour):
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the standard's own example


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_contrast_in_both_schemes(scheme):
    paper = colours.ROLES["paper"][scheme]
    weak = [
        (name, pair[scheme])
        for name, pair in colours.FIGURES.items()
        if name not in GROUNDS | FAINT and contrast(pair[scheme], paper) < (4.5 if name in TEXT else 3)
    ]
    assert weak == []
    for ground in ("paper", "raised", "marked"):
        for words in ("ink", "faint"):
            shown = colours.ROLES[words][scheme], colours.ROLES[ground][scheme]
            assert contrast(*shown) >= 4.5, (words, ground)


def test_every_colour_of_a_figure_follows_the_scheme(everything):
    text = everything[0]
    styles = re.findall(
        r'(?:style|fill|stroke)="([^"]*)"', re.sub(r"<style>.*?</style>", "", text, flags=re.S)
    )
    assert [
        style for style in styles if re.search(r"#[0-9a-fA-F]{3,6}\b", re.sub(r"url\(#\S*\)", "", style))
    ] == []
    defined = set(re.findall(r"(--c[0-9a-f]{6}):", text))
    assert set(re.findall(r"var\((--c[0-9a-f]{6})\)", text)) <= defined
