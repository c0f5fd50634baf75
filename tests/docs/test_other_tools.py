"""docs/other-tools.md: every statement on a tool has its source, every command of ours exists."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from cortex_sim import (
    commands,  # noqa: F401 - importing registers the commands
    library,
)
from cortex_sim.cli import app
from cortex_sim.rules.base import WORDS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "other-tools.md").read_text("utf-8")


def table(heading):
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_comparison_is_dated_and_says_what_an_empty_cell_means():
    assert "November 2026" in TEXT.split("\n## ")[0]
    assert "not found on those pages" in TEXT


def test_every_tool_is_advised_on_and_has_a_source():
    advised = {name for _, said in table("Which to take") for name in said.split(", ")}
    for name, *cells in table("What their documentation names"):
        assert set(name.split(", ")) <= advised, name
        assert any("](https://" in cell for cell in cells), name


def test_our_commands_exist():
    known = get_command(app).commands
    ours = re.findall(r"`(?:cortex-sim|torchrun [^`]*-m cortex_sim) (\w+) ?(\w*)", TEXT)
    assert len(ours) > 8
    subjects = {"rule": set(WORDS), "simulate": library.names("protocols"), "train": library.names("models")}
    for command, subject in ours:
        assert command in known
        assert subject in subjects.get(command, [subject]), (command, subject)
    assert all(cells[-1].startswith(("`", "[")) for cells in table("Ours, with the command that shows it"))
