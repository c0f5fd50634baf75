"""Links between files of the repository, which GitHub resolves, rewritten for the site."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = re.compile(r"\]\((?:\.\./)+protocols/(\w+)\.py\)")
README = re.compile(r"\]\((?:\.\./)+README\.md\)")


def mend(app: Any, page: str, source: list[str]) -> None:
    """Point links to a protocol's file at its gallery page, and links to the README at the start page."""
    if Path(app.env.doc2path(page)).suffix == ".md":
        up = "../" * page.count("/")
        text = PROTOCOL.sub(rf"]({up}gallery/\1.rst)", source[0])
        source[0] = README.sub(rf"]({up}index.md)", text)


def setup(app: Any) -> dict[str, bool]:
    """Rewrite each page's links when it is read."""
    app.connect("source-read", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
