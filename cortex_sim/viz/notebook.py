"""What a notebook shows of networks, protocols, experiments, simulations and models: tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from cortex_sim.errors import CortexSimError
from cortex_sim.protocol.sequence import Sequence
from cortex_sim.viz import html
from cortex_sim.viz.tables import network_tables, objective

if TYPE_CHECKING:
    from cortex_sim.cards import Card
    from cortex_sim.experiments.experiment import Experiment
    from cortex_sim.network import Network
    from cortex_sim.protocol.protocol import Protocol


def network(net: Network) -> str:
    """Drawing and tables of a network."""
    tables = [html.table_of(table) for table in network_tables(net)]
    return html.page(
        html.heading(f"network {net.name}"),
        _drawn(net.draw, f"drawing of network {net.name}"),
        *tables,
        html.line(f"objective: {objective(net)}"),
    )


def protocol(shown: Protocol | Sequence) -> str:
    """Time line of a protocol, or of each in a sequence, and what it records."""
    return html.page(_protocol(shown))


def experiment(shown: Experiment) -> str:
    """Network and arms of an experiment."""
    own = {
        name: value
        for name in ("dt_ms", "apical_tau_ms", "noise", "engine", "start")
        if (value := getattr(shown, name)) is not None
    }
    said = ", ".join(f"{name} {_short(value)}" for name, value in own.items())
    arms = []
    for name, arm in shown.arms.items():
        net = "" if arm.network is None else f", on a different network ({_rules(arm.network)})"
        arms += [html.heading(f"arm {name}{net}"), _protocol(arm.protocol)]
    return html.page(
        html.heading(f"experiment on network {shown.network.name}, arms {', '.join(shown.arms)}"),
        html.line(said),
        html.folded(f"network {shown.network.name}", network(shown.network)),
        *arms,
    )


def simulation(shown: Any) -> str:
    """Settings, equations and network of a built simulation in time."""
    setup = shown.setup
    rows = [
        ("backend", "brian2, rate dynamics in time"),
        ("engine", setup.engine),
        ("method, time step", f"{setup.method}, {setup.dt_ms:g} ms"),
        ("code", setup.target),
        ("seed", str(shown.seed)),
        ("noise", ", ".join(f"{name} {sd:g}" for name, sd in setup.noise.items() if sd) or "none"),
    ]
    return html.page(
        html.heading(f"simulation of network {shown.net.name}"),
        html.table_with(["", ""], rows),
        html.folded("equations", html.text_block(shown.equations)),
        network(shown.net),
    )


def card(shown: Card) -> str:
    """Identity card of a rule."""
    return html.page(html.heading(f"rule {shown.name}"), html.described(shown.rows))


def settled(shown: Any, said: str, parameters: int | None = None) -> str:
    """A network built for torch: what it is, and the network."""
    rows = [("backend", said), ("seed", str(getattr(shown, "seed", "")))]
    if parameters is not None:
        rows.append(("parameters", f"{parameters:,}"))
    return html.page(
        html.heading(f"{type(shown).__name__} of network {shown.net.name}"),
        html.table_with(["", ""], rows),
        network(shown.net),
    )


def _protocol(shown: Protocol | Sequence) -> str:
    if isinstance(shown, Sequence):
        return "".join(
            html.heading(f"protocol {number} of {len(shown.protocols)}") + _protocol(one)
            for number, one in enumerate(shown.protocols, 1)
        )
    record = shown.record
    what = ", ".join(record.of_neuroids)
    where = "all populations" if record.populations is None else ", ".join(record.populations)
    weights = "all plastic projections" if record.weights is True else ", ".join(record.weights)
    parts = [f"{what} of {where}" if what else "", ", ".join(record.of_rules)]
    parts.append(f"weights of {weights}" if weights else "")
    said = "records " + "; ".join(filter(None, parts))
    return _drawn(shown.draw, "time line of the protocol") + html.line(said)


def _rules(net: Network) -> str:
    rules = dict.fromkeys(
        type(p.plasticity).__name__ for p in net.projections.values() if p.plasticity is not None
    )
    return ", ".join(rules) or "no plasticity"


def _drawn(draw: Callable[[], Figure], said: str) -> str:
    """The figure, or the reason why there is none."""
    try:
        return html.picture(draw(), said)
    except CortexSimError as exception:
        return html.line(f"no drawing: {exception}")


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{type(value).__name__}"
