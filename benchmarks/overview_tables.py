"""Tables of ``docs/results-overview.md``, from the results that the pages behind it show in full."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import accuracy
import functions_page
import reinforcement_page
import sequences
import several_page
import speed
import tdca_layered_page
import tdca_page
import which_rule_page

from cortex_sim.runs.results import OneFile
from cortex_sim.tdca.studies.compare import accuracies_by_seed, spread
from cortex_sim.tdca.studies.jobs import Folders

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
STEPS = 1000  # inner steps after which credit networks are compared here
Lines = list[str]


def kept(study: str) -> Folders:
    """Results of a study of outer loops."""
    return Folders(HERE.parent / "runs" / study, HERE / "results" / study)


def row(*cells: object) -> str:
    """One line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*cells: str) -> Lines:
    """The first two lines of a table."""
    return [row(*cells), "|" + "---|" * len(cells)]


# Accuracy: every study that has a table in docs/results.md.


@cache
def studies() -> dict[str, tuple[str, str]]:
    """Studies with final runs of several arms: heading on the page of accuracies, and anchor."""
    found, text = {}, accuracy.PAGE.read_text("utf-8")
    for match in re.finditer(r"<!-- study (\w+) -->", text):
        name = match.group(1)
        heading = re.findall(r"^#{2,4} (.*)$", text[: match.start()], re.M)[-1]
        if len(accuracy.study(name)["arms"]) > 1 and _finals(name):
            found[name] = (heading, anchor(heading))
    return found


def anchor(heading: str) -> str:
    """Anchor of a heading, as GitHub and the site make it."""
    said = re.sub(r"\[(.*?)\]\(.*?\)|`", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", said.strip().lower()).replace(" ", "-")


@cache
def _finals(name: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Final runs by arm and seed, of the arms that have any."""
    spec, results = accuracy.study(name), accuracy.load_results(name)
    found = {arm: accuracy.final_of(spec, results, arm) for arm in spec["arms"]}
    return {arm: runs for arm, runs in found.items() if runs}


def _link(name: str) -> str:
    spec, (_, where) = accuracy.study(name), studies()[name]
    data = spec["data"].split("_")[0].removesuffix(".npz").upper().replace("CIFAR10", "CIFAR-10")
    return f"[`{name}`, {data}](results.md#{where})"


def _arms() -> Iterator[tuple[str, str]]:
    """Rule and arm: backpropagation first, then by rule, arms in the order of the studies."""
    seen: dict[str, str] = {}
    for name in studies():
        for arm in _finals(name):
            seen.setdefault(arm, accuracy.study(name)["arms"][arm]["rule"])
    yield from sorted(
        ((rule, arm) for arm, rule in seen.items()), key=lambda pair: (pair[0] != "backprop", pair[0])
    )


def rules() -> Lines:
    """Test accuracy of every arm on every network."""
    finals = {name: _finals(name) for name in studies()}
    lines = head("rule", "arm", *map(_link, finals))
    for rule, arm in _arms():
        cells = [_accuracy(found[arm]) if arm in found else "" for found in finals.values()]
        lines.append(row(rule, arm, *cells))
    return lines


def _accuracy(runs: dict[int, dict[str, Any]]) -> str:
    values = [100 * metrics["test_accuracy"] for metrics in runs.values()]
    return f"{accuracy._spread(values)} ({len(values)})"


def to_backprop() -> Lines:
    """Difference of every arm to the study's baseline, paired by seed."""
    finals = {name: _finals(name) for name in studies()}
    lines = head("rule", "arm", *map(_link, finals))
    for rule, arm in _arms():
        cells = []
        for name, found in finals.items():
            base = accuracy.study(name)["baseline"]
            known = arm in found and arm != base and base in found
            cells.append(accuracy._paired(found[arm], found[base]) if known else "")
        if any(cells):
            lines.append(row(rule, arm, *cells))
    return lines


def trainings() -> Lines:
    """What each study trains on, for how long, and its command."""
    lines = head("study", "network", "training presentations", "epochs", "command")
    for name, (heading, where) in studies().items():
        spec = accuracy.study(name)
        lines.append(
            row(
                f"[{heading}](results.md#{where})",
                f"`{spec['model']}`",
                spec.get("presentations", "all"),
                spec["epochs"],
                f"`python benchmarks/accuracy.py run {name}`",
            )
        )
    return lines


# Credit networks, functions, reward, sequences.


def layered() -> Lines:
    """Layered form and its rivals after 1000 steps."""
    folders = kept("tdca")
    where = tdca_layered_page.WHERE
    return _after(folders, tdca_layered_page.SAID, where)


def broadcast() -> Lines:
    """First form and its rivals after 1000 steps."""
    where = {"mnist": "MNIST, H = 64", "mnist@256": "MNIST, H = 256", "fashion_mnist": "Fashion-MNIST"}
    arms = {name: tdca_page.SAID[name] for name in tdca_page.FIRST}
    return _after(kept("tdca"), arms, where)


def _after(folders: Any, arms: dict[str, str], where: dict[str, str]) -> Lines:
    lines = head("arm", *where.values(), "outer seeds")
    for name, said in arms.items():
        found = [accuracies_by_seed(folders, name, label, STEPS) for label in where]
        if any(found):
            lines.append(row(said, *(tdca_page._percent(spread(f)) for f in found), max(map(len, found))))
    return lines


def solved() -> Lines:
    """Share of functions solved by number of variables."""
    folders, page = kept("functions"), functions_page
    groups = [(n, group) for n in (10, 30) for group in page.GROUPS]
    lines = head("", *(f"n = {n}, {group}" for n, group in groups))
    for arm, said in page.ARMS.items():
        lines.append(row(said, *(page.share(folders, arm, n, page.GROUPS[group]) for n, group in groups)))
    return lines


def returns() -> Lines:
    """Mean return over an inner run, in default and extreme worlds."""
    folders, page = kept("reinforcement"), reinforcement_page
    run = {name: title for name, title in page.TITLES.items() if page._was_run(folders, name)}
    lines = head("rule", *(f"{title}, D / E" for title in run.values()))
    for arm, said in page.SAID.items():
        cells = []
        for name in run:
            found = [page._spread(page.by_seed(folders, name, arm, world, "mean")) for world in ("D", "E")]
            seeds = len(page.results(folders, name, arm))
            cells.append(f"{found[0]} / {found[1]} ({seeds})" if seeds else "")
        if any(cells):
            lines.append(row(said, *cells))
    return lines


def in_sequence() -> Lines:
    """Scores on sequence tasks."""
    scores = sequences.scores(OneFile(sequences.RESULTS).all())
    titles = {
        "match": "delayed match to sample",
        "pattern": "pattern generation",
        "rows": "rows of MNIST",
    }
    lines = head("credit", *(f"{titles.get(name, name)}, %" for name in scores))
    for arm in dict.fromkeys(arm for arms in scores.values() for arm in arms):
        found = [scores[name].get(arm) for name in scores]
        lines.append(row(arm, *(_per_cent(values) if values else "" for values in found)))
    return lines


def _per_cent(values: list[float]) -> str:
    spread_ = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{100 * statistics.mean(values):.1f}{spread_} ({len(values)})"


# Comparison with neural data, speed.


def cortex() -> Lines:
    """Scores of every model with every recording."""
    lines: Lines = []
    for network in which_rule_page.TRAINED:
        first, _, *body = (x for x in which_rule_page.scores(network).splitlines() if "*" not in x)
        if not lines:
            cells = [cell.strip() for cell in first.strip("|").split("|")]
            lines = head("network", *cells)
        lines += [f"| `{network}` {line}" for line in body]
    return lines


def cost() -> Lines:
    """Step time and memory over plain torch's, and the published algorithm over ours."""
    memory = {
        (network, line["rule"]): f"{line['ratio']:.2f}"
        for network in speed.NETWORKS
        for line in speed.results(f"memory_{network}")
    }
    lines = head("network, batch", "rule", "step time (quartiles)", "memory", "published / ours", "command")
    for network in speed.NETWORKS:
        command = f"`cortex-sim {speed.COMMANDS[network]}`"
        for line in speed.results(network):
            cells = [f"{network}, {line['batch']}", speed.RULES[line["rule"]], speed._ratio(line)]
            cells += [memory.get((network, line["rule"]), "")]
            cells += [f"{line['published_ratio']:.1f}" if "published_ratio" in line else ""]
            lines.append(row(*cells, command))
            command = ""
    return lines


# Criteria that were set before the runs.

CRITERIA: dict[str, tuple[str, Callable[[], Lines]]] = {
    "results-tdca": ("credit network, first form", lambda: tdca_page.asked(kept("tdca"))),
    "results-layered": (
        "layered credit network",
        lambda: tdca_layered_page.asked(kept("tdca")),
    ),
    "results-functions": ("functions", lambda: functions_page.asked(kept("functions"))),
    "results-reinforcement": ("reward", lambda: reinforcement_page.asked(kept("reinforcement"))),
    "results-several-tasks": ("several tasks", lambda: several_page.asked(kept("several"))),
}


@cache
def criteria() -> list[tuple[str, str, dict[str, str]]]:
    """Page, study, and one row of its table of criteria."""
    found = []
    for page, (said, table) in CRITERIA.items():
        first, _, *body = ([c.strip() for c in line.strip("|").split("|")] for line in table())
        found += [(page, said, dict(zip(first, cells, strict=True))) for cells in body]
    return found


def verdicts(criterion: dict[str, str]) -> dict[str, bool]:
    """Whether must and aim were met, of those that the row gives a verdict on."""
    single = "aim" if next(iter(criterion.values())).startswith("aim:") else "must"
    columns = {"met": single, "must met": "must", "aim met": "aim"}
    given = {columns[name]: said for name, said in criterion.items() if name in columns}
    return {name: said == "yes" for name, said in given.items() if said in ("yes", "**no**")}


def counted() -> Lines:
    """How many criteria were met."""
    lines = head("study", "must met", "aim met")
    for page, (said, _) in CRITERIA.items():
        rows = [verdicts(found) for name, _, found in criteria() if name == page]
        cells = []
        for kind in ("must", "aim"):
            known = [found[kind] for found in rows if kind in found]
            cells.append(f"{sum(known)} of {len(known)}" if known else "")
        lines.append(row(f"[{said}]({page}.md#criteria-and-outcomes)", *cells))
    return lines


def unmet() -> Lines:
    """Every criterion that was not met."""
    lines = head("study", "criterion", "must", "aim", "measured", "not met")
    for page, said, found in criteria():
        missed = [name for name, met in verdicts(found).items() if not met]
        if missed:
            what = next(iter(found.values()))
            at = f", {found['at']} steps" if "at" in found else ""
            asked = [found.get(name, "") for name in ("must", "aim")]
            where = f"[{said}]({page}.md#criteria-and-outcomes)"
            lines.append(row(where, f"{what}{at}", *asked, found["measured"], ", ".join(missed)))
    return lines


def figures(pages: Iterable[str]) -> Lines:
    """Every figure of these pages, with the page that it is on."""
    lines = []
    for page in pages:
        text = (DOCS / f"{page}.md").read_text("utf-8")
        title = re.findall(r"^# (.*)$", text, re.M)[0]
        shown = re.findall(r"!\[(.+?)\]\((figures/\S+)\)", text)
        if shown:
            drawn = "; ".join(f"[{said}]({path})" for said, path in shown)
            lines.append(f"- [{title}]({page}.md): {drawn}")
    return lines
