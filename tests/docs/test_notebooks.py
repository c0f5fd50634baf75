"""Notebooks of docs/notebooks run as they are printed, and are kept without outputs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

DOCS = Path(__file__).resolve().parents[2] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
LIMIT_S = 1800  # of one cell, on a machine with other work
FIGURES = {"deep": 2, "gait-prop": 3, "protocol": 2, "recording": 3, "tdca": 3}  # at least

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_there_are_one_per_path_and_two_on_the_methods():
    assert {path.stem for path in NOTEBOOKS} == set(FIGURES)


@each
def test_a_notebook_is_kept_valid_and_without_outputs(path):
    kept = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(kept)
    assert kept.metadata.kernelspec.name == "python3"
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert code and all(not cell.outputs and cell.execution_count is None for cell in code)
    assert kept.cells[0].source.startswith("# ") and "**Prediction.**" in kept.cells[0].source


@each
def test_links_of_a_notebook_lead_somewhere(path):
    kept = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in kept.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links and all((path.parent / link).is_file() for link in links)


def test_the_page_lists_every_notebook():
    listed = re.findall(r"\(notebooks/([\w-]+)\.ipynb\)", (DOCS / "notebooks.md").read_text("utf-8"))
    assert sorted(listed) == [path.stem for path in NOTEBOOKS]


@pytest.mark.slow
@each
def test_a_notebook_runs_and_draws(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent))
    made = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(made, timeout=LIMIT_S, kernel_name="python3", resources=where).execute()
    outputs = [output for cell in made.cells for output in cell.get("outputs", [])]
    drawn = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(drawn) >= FIGURES[path.stem]
    assert all(len(output.data["image/png"]) > 4000 for output in drawn)  # not an empty canvas
