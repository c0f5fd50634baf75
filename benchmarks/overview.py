"""All results on one page: writes the tables of ``docs/results-overview.md``.

    python benchmarks/overview.py page

Nothing is measured here. Tables are made from the same files as those of the pages that show each study in
full, and by their functions, so that the two cannot disagree; run this after any other ``page``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import marked_tables
import overview_tables as tables

PAGE = tables.DOCS / "results-overview.md"
#: Pages whose figures are listed, in the order of the overview.
PAGES = (
    "results-tdca",
    "results-layered",
    "results-functions",
    "results-reinforcement",
    "results-several-tasks",
    "results-sequences",
    "results-landscapes",
    "results-which-rule",
    "decorrelation",
    "speed",
)
TABLES: dict[str, Callable[[], list[str]]] = {
    "rules": tables.rules,
    "to_backprop": tables.to_backprop,
    "trainings": tables.trainings,
    "layered": tables.layered,
    "broadcast": tables.broadcast,
    "solved": tables.solved,
    "returns": tables.returns,
    "in_sequence": tables.in_sequence,
    "cortex": tables.cortex,
    "cost": tables.cost,
    "counted": tables.counted,
    "unmet": tables.unmet,
    "figures": lambda: tables.figures(PAGES),
}


def page(text: str) -> str:
    """The page with each table between its two markers."""
    return marked_tables.rewritten(text, lambda name: "\n".join(TABLES[name]()))


def write() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["page"])
    parser.parse_args()
    write()


if __name__ == "__main__":
    main()
