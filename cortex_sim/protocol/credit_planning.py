"""Credit of populations under a phase, checked against the network: where it is silenced and injected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cortex_sim.checks import listed, require_known
from cortex_sim.credit.in_parts import acting_names
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.protocol.input_planning import Arrays, input_of
from cortex_sim.protocol.plan import Input
from cortex_sim.protocol.units import units_on

#: What acts on a population of the credit network in place of a setting of credit.
_INSTEAD = {"silence_credit": "silence=[{0!r}]", "drive_credit": "drive={{{0!r}: ...}}"}


def credit_alive(net: Network, where: str, silenced: Iterable[str]) -> dict[str, np.ndarray]:
    """Population to (unit,), 0 where credit is silenced, else 1; only populations with silenced credit."""
    names = list(silenced)
    check_receiving(net, where, [name.partition("/")[0] for name in names], "silence_credit")
    return units_on(where, names, net.populations)


def credit_drives(net: Network, owner: str, given: Mapping[str, Any], arrays: Arrays) -> dict[str, Input]:
    """Credit that is injected, by population."""
    check_receiving(net, f"drive_credit of {owner}", given, "drive_credit")
    populations = net.populations
    return {
        name: input_of(owner, populations[name], one, arrays, "drive_credit") for name, one in given.items()
    }


def check_acts(net: Network, where: str, names: Iterable[str]) -> None:
    """Raise `DeclarationError` where a part of a credit network has no effect in its equations."""
    teacher = net.teacher
    if teacher is None:
        return
    acting = acting_names(teacher)
    for name in (full if "->" in full else full.partition("/")[0] for full in names):
        if name not in acting and name in {*teacher.populations, *teacher.projections}:
            kind, outputs = type(teacher.network).__name__, listed(acting)
            raise DeclarationError(
                f"{where}: {name} is inside the user-defined credit network {kind}, which computes its "
                f"outputs as a whole; name one of them, {outputs}, or a projection that leaves it"
            )


def check_receiving(net: Network, where: str, names: Iterable[str], setting: str) -> None:
    """Raise `DeclarationError` where a population has no credit to be silenced or added to."""
    for name in names:
        if "->" in name and name in net.projections:
            raise DeclarationError(
                f"{where}: {name} is a projection, and only populations and units have credit; cut it with "
                f"cut=[{name!r}], or name {name.partition('->')[2].partition(' ')[0]}"
            )
        if name in net.credit_populations:
            way = _INSTEAD[setting].format(name)
            raise DeclarationError(
                f"{where}: {name} is a population of the credit network, which sends credit and receives "
                f"none; give {way}, or name a population that receives it"
            )
        require_known(f"population in {where}", name, net.populations)
        if name in net.sources:
            raise DeclarationError(
                f"{where}: {name} has no bottom-up input, and no rule sends credit to a source; name a "
                "population above it"
            )
        if net.objective_at is None and not net.top_downs:
            raise DeclarationError(
                f"{where}: network {net.name} has neither an objective nor a top-down projection, so it has "
                "no credit; use net.with_rule(...) with a supervised rule, or act on rates with drive and "
                "silence"
            )
