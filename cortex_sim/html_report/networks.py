"""The networks of training runs: a drawing and tables, once for runs that share a declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cortex_sim.errors import CortexSimError
from cortex_sim.html_report.content import Cell, Row, Section, Table
from cortex_sim.html_report.svg import picture
from cortex_sim.html_report.training_runs import TrainingRun

if TYPE_CHECKING:
    from cortex_sim.network import Network


def networks(runs: Sequence[TrainingRun]) -> Section:
    """Every network that the runs trained."""
    section = Section("network", "Network")
    shared: list[tuple[Network, list[str]]] = []
    for run in runs:
        if run.network is None:
            section.sentences.append(f"{run.name}: no network could be read.")
            continue
        same = next((names for net, names in shared if net == run.network), None)
        if same is None:
            shared.append((run.network, [run.name]))
        else:
            same.append(run.name)
    if len(shared) > 1:
        section.title = "Networks"
    for i, (net, names) in enumerate(shared):
        of = "" if len(runs) == 1 else f" of {', '.join(names)}"
        _add(section, net, of, f"network-{i}")
    return section


def _add(section: Section, net: Network, of: str, name: str) -> None:
    from cortex_sim.viz.tables import network_tables, objective

    caption = f"{net.name}{of}"
    chain = ", ".join(f"{one} {'×'.join(map(str, p.shape))}" for one, p in net.populations.items())
    said = f"Drawing of network {net.name}: populations {chain}; objective {objective(net)}"
    try:
        section.pictures.append(picture(net.draw, caption, said, name))
    except CortexSimError as exception:
        section.sentences.append(f"{caption}: no drawing. {exception}.")
    for table in network_tables(net):
        section.tables.append(_as_table(table, of))


def _as_table(table: Any, of: str) -> Table:
    """A rich table as one of the page."""
    columns = [_plain(column.header) for column in table.columns]
    cells = zip(*(map(_plain, column.cells) for column in table.columns), strict=True)
    rows = tuple(Row(head, tuple(map(Cell, rest))) for head, *rest in cells)
    return Table(f"{_plain(table.title)}{of}", tuple(columns), rows, numbers=False, folded=True)


def _plain(cell: object) -> str:
    return getattr(cell, "plain", None) or str(cell)
