"""Tables of a page, each between ``<!-- table NAME -->`` and ``<!-- end NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Callable


def rewritten(text: str, table: Callable[[str], str]) -> str:
    """The page with every table as ``table`` makes it from its name; all else stays."""

    def between(marks: re.Match[str]) -> str:
        name = marks.group(1)
        return f"<!-- table {name} -->\n\n{table(name)}\n\n<!-- end {name} -->"

    return re.sub(r"<!-- table (\w+) -->.*?<!-- end \1 -->", between, text, flags=re.S)
