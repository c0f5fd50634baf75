"""Escape our docstrings' notation for shapes and absolute values, which reStructuredText would interpret.

``(presentation, *shape)`` would start emphasis and ``|x|`` a substitution. Neither is escaped in the
docstrings themselves, which are read in terminals too.
"""

import re
from typing import Any

LITERAL = re.compile(r"(``.*?``|`[^`]+`)")
STARRED = re.compile(r"(?<![\w*\\])\*(?=\w)(?!\w[^*]*\*)")
EXAMPLE = ">>>"


def escaped(line: str) -> str:
    """A line with lone asterisks and all bars escaped, but not in code."""
    parts = LITERAL.split(line)
    for place in range(0, len(parts), 2):
        parts[place] = STARRED.sub(r"\\*", parts[place]).replace("|", r"\|")
    return "".join(parts)


def escape(_app: Any, _what: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Escape a docstring's lines in place; examples and their output are left alone."""
    example = False
    for place, line in enumerate(lines):
        example = line.lstrip().startswith(EXAMPLE) or (example and bool(line.strip()))
        if not example:
            lines[place] = escaped(line)


def setup(app: Any) -> dict[str, bool]:
    """Escape before numpydoc reads the docstring."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", escape, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
