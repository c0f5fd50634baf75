"""docs/neural-data.md: the errors that it shows are those that are raised."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "neural-data.md"


def test_the_errors_shown_are_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text("utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.M | re.S))
    exec(compile(code, str(PAGE), "exec", dont_inherit=True), {"__name__": "__main__"})
    shown = re.findall(r"^prints\n\n```\n(.*?)^```", text, re.M | re.S)[0]
    assert capsys.readouterr().out.endswith(shown)
