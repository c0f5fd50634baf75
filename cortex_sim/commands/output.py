"""What commands print: tables for people, one JSON object on the last line for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on the last line.")]
Seed = Annotated[int | None, typer.Option(help="Seed of weights, data order and noise.", min=0)]
Threads = Annotated[int, typer.Option(help="Threads that torch may use.", min=1)]


def print_json(value: Any) -> None:
    """One JSON object on one line of standard output."""
    print(json.dumps(value), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on standard output."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    Console(width=None if Console().is_terminal else 100).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
