"""Tables and figures as HTML, for notebooks."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cortex_sim.viz.panels import png

if TYPE_CHECKING:
    from rich.table import Table

_CELL = "padding:1px 12px 1px 0;text-align:{};border:none;white-space:nowrap"
_PROSE = "padding:1px 0;text-align:left;vertical-align:top;border:none"
_LABEL = "padding:1px 12px 1px 0;text-align:left;vertical-align:top;border:none;white-space:nowrap"
_DPI = 100


def page(*parts: str) -> str:
    """Parts one below the other."""
    return f'<div style="font-size:90%">{"".join(parts)}</div>'


def heading(text: str) -> str:
    """A line in bold."""
    return f'<div style="margin:6px 0 2px"><b>{html.escape(text)}</b></div>'


def line(text: str) -> str:
    """A line of text."""
    return f"<div>{html.escape(text)}</div>"


def table_of(table: Table) -> str:
    """A rich table as an HTML table: its title, its columns and its cells."""
    columns = list(table.columns)
    cells = [[_text(cell) for cell in column.cells] for column in columns]
    aligned = ["right" if column.justify == "right" else "left" for column in columns]
    title = heading(str(table.title)) if table.title else ""
    return title + table_with(
        [_text(column.header) for column in columns], list(zip(*cells, strict=True)), aligned
    )


def table_with(columns: list[str], rows: Sequence[tuple[str, ...]], aligned: list[str] | None = None) -> str:
    """An HTML table of plain text."""
    sides = aligned or ["left"] * len(columns)
    head = "".join(_cell("th", name, side) for name, side in zip(columns, sides, strict=True))
    body = "".join(
        f"<tr>{''.join(_cell('td', value, side) for value, side in zip(row, sides, strict=True))}</tr>"
        for row in rows
    )
    return (
        '<table style="border-collapse:collapse;margin:2px 0 8px">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def described(rows: Sequence[tuple[str, str]]) -> str:
    """Labels in bold, each next to a text that may take several lines."""
    cells = "".join(
        f'<tr><th style="{_LABEL}">{html.escape(label)}</th>'
        f'<td style="{_PROSE}">{html.escape(text)}</td></tr>'
        for label, text in rows
    )
    return f'<table style="border-collapse:collapse;margin:2px 0 8px;max-width:52em">{cells}</table>'


def folded(title: str, *parts: str) -> str:
    """Parts that are hidden until their title is clicked."""
    return f"<details><summary>{html.escape(title)}</summary>{''.join(parts)}</details>"


def text_block(text: str) -> str:
    """Text unchanged, in a fixed-width font."""
    return f'<pre style="font-size:90%">{html.escape(text)}</pre>'


def picture(figure: Figure, said: str) -> str:
    """A figure embedded in the page, with ``said`` as its alternative text."""
    data = base64.b64encode(png(figure, _DPI)).decode("ascii")
    width = int(figure.get_figwidth() * _DPI * 0.8)
    return (
        f'<img alt="{html.escape(said, quote=True)}" style="max-width:100%;width:{width}px;background:white" '
        f'src="data:image/png;base64,{data}"/>'
    )


def _cell(kind: str, text: str, side: str) -> str:
    return f'<{kind} style="{_CELL.format(side)}">{html.escape(text)}</{kind}>'


def _text(cell: object) -> str:
    return getattr(cell, "plain", None) or str(cell)
