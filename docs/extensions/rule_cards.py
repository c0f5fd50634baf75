"""Identity cards and tables of rules within pages, written from the code.

Pages hold a rule's card between ``<!-- rule-card NAME -->`` and ``<!-- end -->``, and one of `TABLES` between
``<!-- rule-table NAME -->`` and ``<!-- end -->``, as Markdown that can be read where directives mean nothing.

    python docs/extensions/rule_cards.py

writes them, a test compares them with the code, and every build of the site takes them from the code.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cortex_sim as cs
from cortex_sim.capabilities import Arrival, feedback_of, rule_of
from cortex_sim.cards import BATCHED, EQUILIBRIUM, INNER_RUNS, SYNAPSES, known_rules
from cortex_sim.registry import find, names
from cortex_sim.rules.base import WORDS

DOCS = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"<!-- (rule-card|rule-table) (\w+) -->\n(.*?)<!-- end -->", re.S)
#: Start of every supervised rule's equation; tables leave it out.
LOCAL = "ΔW = η⟨u r_preᵀ⟩, u = c ∘ f′(a), "
#: Rules that share a page with another, and what is added to its heading for them.
PAGES = {"gait_prop_learned": "gait_prop", "e_prop_symmetric": "e_prop", "e_prop_diffused": "e_prop"}
ADDED = {
    "gait_prop_learned": ", learned inverse",
    "e_prop_symmetric": ", symmetric",
    "e_prop_diffused": ", diffused",
}
#: Headings of tables.
FAMILIES: dict[Any, str] = {
    Arrival.CHAIN: "By a chain, from population to population",
    Arrival.DIRECT: "Directly from the top",
    Arrival.TARGETS: "From targets",
    Arrival.CREDIT: "From a credit network",
    "top-down": "Rules of top-down weights alone",
    "unsupervised": "Unsupervised: no credit",
}


@cache
def shipped() -> dict[str, cs.Card]:
    """Cards of the rules that ship, by name."""
    return {name: cs.card(name) for name in known_rules() if _home(name).startswith("cortex_sim.")}


def _home(name: str) -> str:
    """Module of the class of a rule, given by its name or word."""
    return str((find("rule", name) if name in names("rule") else type(WORDS[name].rule)).__module__)


def title(name: str) -> str:
    """Name of a rule on its page."""
    heading = (DOCS / "rules" / f"{PAGES.get(name, name)}.md").read_text("utf-8").split("\n", 1)[0]
    return heading.removeprefix("# ") + ADDED.get(name, "")


def link(name: str, page: Path) -> str:
    """Link from a page to a rule's page."""
    folder = "" if page.parent.name == "rules" else "rules/"
    return f"[{title(name)}]({folder}{PAGES.get(name, name)}.md)"


def row(*cells: str) -> str:
    """A row of a Markdown table."""
    escaped = [cell.replace("|", r"\|") for cell in cells]
    return "|" + "|".join(f" {cell} " if cell else " " for cell in escaped) + "|\n"


def family(card: cs.Card) -> str:
    """Heading below which a table lists a rule."""
    declared = rule_of(card.rules[0])
    if declared.arrival is not None:
        return FAMILIES[declared.arrival]
    return FAMILIES["top-down" if declared.top_down else "unsupervised"]


def grouped() -> dict[str, list[cs.Card]]:
    """Cards by family."""
    cards = shipped().values()
    return {heading: [card for card in cards if family(card) == heading] for heading in FAMILIES.values()}


def in_groups(head: tuple[str, ...], cells: Callable[[cs.Card, Path], tuple[str, ...]], page: Path) -> str:
    """A table of all rules, with a line for each family."""
    text = row(*head) + row(*("---" for _ in head)).replace(" ", "")
    for heading, cards in grouped().items():
        text += row(f"**{heading}**", *("" for _ in head[1:]))
        text += "".join(row(*cells(card, page)) for card in cards)
    return text


def credit_table(page: Path) -> str:
    """What each rule computes, and through which weights."""
    return in_groups(("rule", "equation", "top-down weights"), _credit_cells, page)


def _credit_cells(card: cs.Card, page: Path) -> tuple[str, ...]:
    short = re.sub(r"^(?:and below|with) ", "", card.equation.removeprefix(LOCAL)).rstrip(".")
    return link(card.name, page), short, re.split("[,:] ", card.feedback)[0]


def places_table(page: Path) -> str:
    """Where each rule runs apart from training."""
    return in_groups(("rule", "equilibrium", "in time", "inner runs"), _place_cells, page)


def _place_cells(card: cs.Card, page: Path) -> tuple[str, ...]:
    engines = {BATCHED: "batched", SYNAPSES: "synapses"}
    running = [word for place, word in engines.items() if place in card.runs]
    in_time = "both engines" if len(running) == len(engines) else " ".join(running) or "no"
    equilibrium, inner = ("yes" if place in card.runs else "no" for place in (EQUILIBRIUM, INNER_RUNS))
    return link(card.name, page), equilibrium, in_time, inner


def demands_table(page: Path) -> str:
    """What each rule would require of a brain, as far as the code shows it."""
    head = ("rule", "reads other synapses", "top-down weights learn")
    return in_groups(head, _demand_cells, page)


def _demand_cells(card: cs.Card, page: Path) -> tuple[str, ...]:
    declared = [rule_of(rule) for rule in card.rules]
    tied = [type(feedback).__name__ for feedback in card.feedbacks if feedback_of(feedback).tied]
    reads = {"Transpose": "W", "Inverse": "all of W", "SignSymmetric": "signs of W"}
    several = "weights of its population" if any(callable(one.growth) for one in declared) else "no"
    learning = "yes" if any(one.top_down for one in declared) else "no"
    if any(one.spontaneous for one in declared):
        learning += ", from noise"
    return (
        link(card.name, page),
        " and ".join(reads.get(one, "W") for one in tied) or several,
        learning,
    )


TABLES: dict[str, Callable[[Path], str]] = {
    "credit": credit_table,
    "places": places_table,
    "demands": demands_table,
}


def table(kind: str, name: str, page: Path) -> str:
    """Text between two marks."""
    if kind == "rule-table":
        return TABLES[name](page)
    rows = [row(f"**{label}**", text) for label, text in shipped()[name].rows]
    return row("", "") + "|---|---|\n" + "".join(rows)


def written(text: str, page: Path, frame: str = "{0}") -> str:
    """A page's text with its cards and tables as the code has them."""

    def fresh(found: re.Match[str]) -> str:
        kind, name = found.group(1, 2)
        body = frame.format(table(kind, name, page), kind)
        return f"<!-- {kind} {name} -->\n\n{body.strip()}\n\n<!-- end -->"

    return BLOCK.sub(fresh, text)


def fill(app: Any, page: str, source: list[str]) -> None:
    """Take cards and tables from the code, in a frame that the style sheet defines."""
    source[0] = written(source[0], Path(app.srcdir) / f"{page}.md", ":::{{div}} {1}\n{0}:::\n")


def setup(app: Any) -> dict[str, bool]:
    """Fill pages when they are read."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def main() -> int:
    """Write all pages' cards and tables, and say which changed."""
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text("utf-8")
        fresh = written(text, page)
        if fresh != text:
            page.write_text(fresh, "utf-8")
            print(f"written: {page.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
