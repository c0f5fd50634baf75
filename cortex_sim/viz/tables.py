"""A network as text, as printed by ``print(net)``."""

from __future__ import annotations

import io
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cortex_sim.initialisers import GivenWeights

if TYPE_CHECKING:
    from cortex_sim.network import Network
    from cortex_sim.population import Population
    from cortex_sim.projection import Projection

WIDTH = 100


def network_table(net: Network) -> str:
    """Populations, projections of every kind and the objective, in lines of at most 100 characters."""
    parts: list[RenderableType] = [f"network {net.name}", *network_tables(net)]
    parts.append(f"objective: {objective(net)}")
    if net.step is not None:
        parts.append(f'step: {net.step.name}, with rates of an outer loop; torch\'s optimiser "inner_step"')
    return "\n\n".join(map(_printed, parts))


def network_tables(net: Network) -> list[Table]:
    """A table of populations, and one of each kind of projection that there is."""
    tables = [_populations(net)]
    if net.bottom_ups:
        tables.append(_of_rates(net, "bottom-up", net.bottom_ups))
    if net.top_downs:
        tables.append(_top_down(net, "top-down", net.top_downs))
    if net.credit_populations:
        tables += [
            _credit_populations(net),
            _top_down(net, "within the credit network", net.credit_projections),
        ]
    if net.laterals:
        tables.append(_lateral(net))
    if net.recurrents:
        tables.append(_of_rates(net, "recurrent", net.recurrents))
    if net.gains:
        tables.append(_of_rates(net, "gain, without credit", net.gains))
    return tables


def _printed(part: RenderableType) -> str:
    page = io.StringIO()
    Console(file=page, width=WIDTH, color_system=None, legacy_windows=False).print(
        Text(part) if isinstance(part, str) else part
    )
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def settings(thing: Any) -> str:
    """``GaitProp(form='finite')``: the class, and the settings that differ from their defaults.

    ``of`` is left out: it names the paired projection, which is evident.
    """
    said = []
    for field in fields(thing) if is_dataclass(thing) else ():
        value = getattr(thing, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name != "of" and (hasattr(value, "__array__") or value != default):
            said.append(f"{field.name}={_value(value)}")
    return kind(thing) + (f"({', '.join(said)})" if said else "")


def _value(value: Any) -> str:
    if isinstance(value, GivenWeights):
        return _value(value.weights)
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    if hasattr(value, "__array__"):
        return f"array of shape {_shape(np.shape(value))}"
    return settings(value) if is_dataclass(value) else repr(value)


def kind(thing: Any) -> str:
    """Name of its class, as the user typed it."""
    return type(thing).__name__


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"


def _all(things: tuple[Any, ...]) -> str:
    return ", ".join(map(settings, things))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    for column in columns:
        number = column in ("units", "tau (ms)")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table


def _populations(net: Network) -> Table:
    table = _table("populations", "name", "shape", "units", "activation", "bias", "tau (ms)", "")
    for p in net.populations.values():
        stimulated = p.name in net.sources
        table.add_row(
            p.name,
            _shape(p.shape),
            str(p.size),
            "stimulus" if stimulated else settings(p.activation),
            "" if stimulated else _bias(p),
            "" if stimulated else f"{p.tau_ms:g}",
            _further(p),
        )
    return table


def _further(population: Population) -> str:
    coupled = f"apical coupling {population.apical_coupling:g}" if population.apical_coupling else ""
    normal = "" if population.normaliser is None else settings(population.normaliser)
    dropped = f"dropout {population.dropout:g}" if population.dropout else ""
    said = normal, "nonnegative" if population.nonnegative else "", coupled, dropped
    return ", ".join(filter(None, said))


def _bias(population: Population) -> str:
    if not population.bias:
        return "none"
    return "per channel" if len(population.shape) == 3 else "per unit"


def _of_rates(net: Network, title: str, projections: list[Projection]) -> Table:
    table = _table(title, "projection", "connector", *_columns(projections))
    for p in projections:
        weights = net.weight_shape(p)
        table.add_row(
            Text(p.name),
            Text(settings(p.connector)),
            _shape(weights) if weights else "none",
            *_what_acts(p, projections),
        )
    return table


def _columns(projections: list[Projection]) -> list[str]:
    """Columns about weights; those of constraints and of what synapses read only if there are any."""
    constrained = ["constraint"] if any(p.constraints for p in projections) else []
    reading = ["reads"] if any(p.reads is not None for p in projections) else []
    return ["weights", "plasticity", "regulariser", *constrained, *reading]


def _what_acts(p: Projection, projections: list[Projection]) -> list[Text]:
    """Rule, regularisers, constraints and reading of a projection, by the columns of its table."""
    cells = {
        "plasticity": _rule(p),
        "regulariser": _all(p.regularisers),
        "constraint": _all(p.constraints),
        "reads": "rates" if p.reads is None else settings(p.reads),
    }
    return [Text(cells[column]) for column in _columns(projections)[1:]]


def _credit_populations(net: Network) -> Table:
    table = _table("credit populations", "name", "units", "activation", "bias", "tau (ms)")
    for p in net.credit_populations.values():
        bias = "none" if p.biases is None else "trained"
        table.add_row(p.name, str(p.size), settings(p.activation), bias, f"{p.tau_ms:g}")
    return table


def _top_down(net: Network, title: str, projections: list[Projection]) -> Table:
    table = _table(title, "projection", "feedback", *_columns(projections))
    for p in projections:
        weights = net.weight_shape(p)
        table.add_row(
            Text(p.name),
            Text(_feedback(p)),
            _shape(weights) if weights else "none",
            *_what_acts(p, projections),
        )
    return table


def _lateral(net: Network) -> Table:
    table = _table("lateral, without credit", "projection", *_columns(net.laterals))
    for p in net.laterals:
        table.add_row(Text(p.name), _shape(net.weight_shape(p)), *_what_acts(p, net.laterals))
    return table


def _feedback(projection: Projection) -> str:
    of = projection.source.of
    return settings(projection.feedback) + (f" of {of}" if of else "")


def _rule(projection: Projection) -> str:
    if projection.plasticity is not None:
        return settings(projection.plasticity)
    return "" if projection.source.tied else "fixed"


def objective(net: Network) -> str:
    """The objective and its population, or none."""
    return (
        "none"
        if net.objective_function is None
        else f"{settings(net.objective_function)} at {net.objective_at}"
    )
