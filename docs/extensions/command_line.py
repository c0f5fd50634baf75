"""The page of the command line, written from the live application at every build."""

import re
from typing import Any

import typer
from typer.cli import get_docs_for_click

from cortex_sim import commands  # noqa: F401 - importing registers the commands
from cortex_sim.cli import app as application

PAGE = "command-line"
MARK = "<!-- commands -->"


def reference() -> str:
    """Every command with its usage, arguments and options, as Markdown."""
    group: Any = typer.main.get_command(application)
    ctx = typer.Context(group, info_name="cortex-sim")
    texts = [
        get_docs_for_click(obj=group.get_command(ctx, name), ctx=ctx, call_prefix="cortex-sim", indent=1)
        for name in group.list_commands(ctx)
    ]
    text = re.sub(r"```console\n\$ (.*?)\n```", r"```\n\1\n```", "".join(texts))
    return re.sub(r"^Example: (.*)$", examples, text, flags=re.M)


def examples(found: re.Match[str]) -> str:
    """The examples of a command, one per line."""
    lines = found.group(1).replace(", or cortex-sim ", "\ncortex-sim ")
    return f"**Example**:\n\n```\n{lines}\n```"


def fill(_app: Any, page: str, source: list[str]) -> None:
    """Replace the mark by the reference."""
    if page == PAGE:
        before, _, after = source[0].partition(MARK)
        source[0] = before + reference() + after


def setup(app: Any) -> dict[str, bool]:
    """Read the page again at every build: the application may have changed where the page has not."""
    app.connect("source-read", fill)
    app.connect("env-get-outdated", lambda *_: [PAGE])
    return {"parallel_read_safe": True, "parallel_write_safe": True}
