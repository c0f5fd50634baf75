"""Tables of a page, each between ``<!-- table NAME -->`` and ``<!-- end NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Callable


def rewritten(text: str, table: Callable[[str], str]) -> str:
    """The page with every table as ``table`` makes it from its name; all else stays.

    Raises
    ------
    ValueError
        If a mark has no partner, so that its table would stay as it is.
    """

    def between(marks: re.Match[str]) -> str:
        name = marks.group(1)
        return f"<!-- table {name} -->\n\n{table(name)}\n\n<!-- end {name} -->"

    found, tables = re.subn(r"<!-- table (\w+) -->.*?<!-- end \1 -->", between, text, flags=re.S)
    starts, ends = text.count("<!-- table "), text.count("<!-- end ")
    if not starts == ends == tables:
        raise ValueError(
            f"{starts} tables begin and {ends} end, but {tables} do both; put each table between "
            "<!-- table NAME --> and <!-- end NAME -->"
        )
    return found
