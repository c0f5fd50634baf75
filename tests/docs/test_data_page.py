"""docs/data.md, run from top to bottom: it prints what its comments say."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def test_page_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S))
    exec(compile(code, str(PAGE), "exec"), {})
    said = re.findall(r"^# (.*)", code, re.M)
    assert capsys.readouterr().out.splitlines() == said
