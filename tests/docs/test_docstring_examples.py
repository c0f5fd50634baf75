"""Every example in a docstring runs and prints what it says; so does the Python in a protocol's docstring."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "cortex_sim").rglob("*.py"))
    if re.search(r"^\s*>>> ", path.read_text("utf-8"), re.M)
]
BLOCK = re.compile(r"^\.\. code-block:: python\n\n((?:   .*\n|\n)+)", re.M)
PROTOCOLS = [
    path for path in sorted((ROOT / "protocols").glob("*.py")) if BLOCK.search(path.read_text("utf-8"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed


def test_examples_are_found():
    assert "cortex_sim.viz.keeping" in MODULES
    assert [path.stem for path in PROTOCOLS] == ["blocking", "rule_from_trajectory"]


@pytest.mark.parametrize("path", PROTOCOLS, ids=lambda path: path.stem)
def test_python_in_a_protocols_docstring_prints_what_it_says(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(
        map(textwrap.dedent, BLOCK.findall(ast.get_docstring(ast.parse(path.read_text("utf-8"))) + "\n"))
    )
    exec(compile(code, str(path), "exec", dont_inherit=True), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    promised = re.findall(r"^\s*print\(.*\)  # (.*)$", code, re.M)
    assert promised
    assert [said for said in promised if said.strip() not in printed] == []
