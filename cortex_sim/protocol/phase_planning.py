"""One phase against one network: names looked up, shapes checked, windows and gates determined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim.checks import listed, require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Inverse
from cortex_sim.network import Network
from cortex_sim.protocol.closed_loop import LoopValue
from cortex_sim.protocol.credit_planning import check_acts, credit_alive, credit_drives
from cortex_sim.protocol.input_planning import Arrays, Goals, goals_of, input_of, lengths_of
from cortex_sim.protocol.inputs import Noise, Nudge, Sum
from cortex_sim.protocol.per_trial import every
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.plan import Gate, Goal, Input, PhasePlan
from cortex_sim.protocol.units import units_on

#: What acts on a population of the credit network in place of a goal, and of spontaneous activity.
_DRIVEN = "give drive={{{0!r}: ...}}, which adds to its input"
_NOISY = "give drive={{{0!r}: cs.Noise(0.1)}}, which adds noise to its input"


@dataclass(frozen=True)
class Lesion:
    """Projections cut and populations or units silenced in every phase."""

    cut: tuple[str, ...] = ()
    silence: tuple[str, ...] = ()


def lesion_of(net: Network, names: Iterable[str]) -> Lesion:
    """Sort the names of a lesion into projections and populations or units, and check them."""
    cut = tuple(name for name in names if "->" in name)
    silence = tuple(name for name in names if "->" not in name)
    check_passing("lesion", cut, net)
    alive(net, "lesion", silence)
    return Lesion(cut, silence)


@dataclass(frozen=True)
class Draft:
    """A phase whose nudges still need the number of presentations."""

    phase: Phase
    plan: PhasePlan
    goals: Mapping[str, tuple[Goals, float]]

    def nudges(self, presentations: int) -> dict[str, Goal]:
        """Goals of shape (presentation, unit); a goal for all presentations is repeated without a copy."""
        return {
            population: Goal(np.broadcast_to(g.values, (presentations, g.values.shape[1])), strength)
            for population, (g, strength) in self.goals.items()
        }


def lengths(net: Network, phase: Phase, arrays: Arrays) -> dict[str, set[int]]:
    """Arrays of a phase, in any trial, that have one entry per presentation, and their lengths."""
    owner, found = f"phase {phase.name}", {}
    for drives in every(phase.drive):
        _known(f"population in drive of {owner}", drives, net.every_population)
        for name, given in drives.items():
            inputs = [input_of(owner, net.every_population[name], one, arrays) for one in _parts(given)]
            found[f"drive of {name} in {owner}"] = {n for one in inputs for n in lengths_of(one)}
    for injected in every(phase.drive_credit):
        for name, given in injected.items():
            drives = [credit_drives(net, owner, {name: one}, arrays) for one in _parts(given)]
            found[f"drive_credit of {name} in {owner}"] = {n for one in drives for n in lengths_of(one[name])}
    for nudges in every(phase.nudge):
        _below_credit(f"nudge of {owner}", nudges, net, _DRIVEN)
        for name, given in nudges.items():
            given = [one for one in map(_goal, every(given)) if not isinstance(one, LoopValue)]
            goals = [goals_of(owner, net, net.populations[name], one, arrays) for one in given]
            found[f"nudge of {name} in {owner}"] = {len(one.values) for one in goals if one.each}
    return {what: numbers for what, numbers in found.items() if numbers}


def _parts(given: Any) -> list[Any]:
    """Every input of a drive in some trial, alone or in a sum, that may have one entry per presentation."""
    alone, without = list(every(given)), (Sum, Noise, LoopValue)
    parts = [one for part in alone if isinstance(part, Sum) for one in part.parts]
    return [one for part in [*alone, *parts] for one in every(part) if not isinstance(one, without)]


def _goal(given: Any) -> Any:
    return given.goal if isinstance(given, Nudge) else given


def draft(net: Network, phase: Phase, lesion: Lesion, eta_per_s: Any, arrays: Arrays) -> Draft:
    """Check a phase against the network.

    Raises
    ------
    DeclarationError
        Names the phase, what is wrong with it and what would be right.
    """
    owner = f"phase {phase.name}"
    _below_credit(f"spontaneous of {owner}", phase.spontaneous, net, _NOISY)
    plan = PhasePlan(
        name=phase.name,
        duration_ms=phase.duration_ms,
        drive=_drives(net, phase, arrays),
        spontaneous=dict(phase.spontaneous),
        alive=alive(net, f"silence of {owner}", (*lesion.silence, *phase.silence)),
        gates=_gates(net, phase, lesion),
        errors_silenced=_errors(net, phase),
        eta=_windows(net, phase, eta_per_s),
        modulator=phase.modulator,
        credit_drive=credit_drives(net, owner, phase.drive_credit, arrays),
        credit_alive=credit_alive(net, f"silence_credit of {owner}", phase.silence_credit),
    )
    for population in phase.spontaneous:
        if population in plan.alive and not plan.alive[population].any():
            raise DeclarationError(
                f"{owner}: {population} is spontaneously active, but the lesion silences it; leave out one "
                "of the two"
            )
    _check_modulator(net, phase)
    return Draft(phase, plan, _goals(net, phase, arrays))


def _drives(net: Network, phase: Phase, arrays: Arrays) -> dict[str, Input]:
    owner = f"phase {phase.name}"
    every_population = net.every_population
    _known(f"population in drive of {owner}", phase.drive, every_population)
    check_acts(net, f"drive of {owner}", phase.drive)
    return {
        name: input_of(owner, every_population[name], given, arrays) for name, given in phase.drive.items()
    }


def _goals(net: Network, phase: Phase, arrays: Arrays) -> dict[str, tuple[Goals, float]]:
    owner = f"phase {phase.name}"
    _below_credit(f"nudge of {owner}", phase.nudge, net, _DRIVEN)
    found = {}
    for name, given in phase.nudge.items():
        nudge = given if isinstance(given, Nudge) else Nudge(given)
        goals = goals_of(owner, net, net.populations[name], nudge.goal, arrays)
        found[name] = (goals, phase.strength if nudge.strength is None else nudge.strength)
    return found


def alive(net: Network, where: str, silenced: Iterable[str]) -> dict[str, np.ndarray]:
    """Population to (unit,), 0 where silenced, else 1; only populations with a silenced unit."""
    names = list(silenced)
    for name in names:
        if name in net.projections or name in {p.name for p in net.credit_projections}:
            raise DeclarationError(
                f"{where}: {name} is a projection, and only populations and units can be silenced; "
                f"disconnect it with cut=[{name!r}]"
            )
    check_acts(net, where, names)
    return units_on(where, names, net.every_population)


def _gates(net: Network, phase: Phase, lesion: Lesion) -> dict[str, Gate]:
    owner = f"phase {phase.name}"
    for what in ("cut", "scale", "delay_ms", "noise"):
        check_passing(f"{what} of {owner}", getattr(phase, what), net)
    for what in ("delay_ms", "noise"):
        _check_outside(f"{what} of {owner}", getattr(phase, what), net)
    cut = {*lesion.cut, *phase.cut}
    touched = [*cut, *phase.scale, *phase.delay_ms, *phase.noise]
    gates = {
        name: Gate(
            name in cut,
            phase.scale.get(name, 1.0),
            phase.delay_ms.get(name, 0.0),
            phase.noise.get(name, 0.0),
        )
        for name in (*net.projections, *(p.name for p in net.credit_projections))
        if name in touched
    }
    return {name: gate for name, gate in gates.items() if gate != Gate()}


def check_passing(where: str, names: Iterable[str], net: Network) -> None:
    """Raise unless these are projections, which may be within a credit network."""
    for name in names:
        if name.partition("/")[0] in net.every_population:
            raise DeclarationError(
                f"{where}: {name} is not a projection, such as {next(iter(net.projections), 'V1->IT')}; "
                f"to silence it, give silence=[{name!r}]"
            )
    within = {} if net.teacher is None else net.teacher.projections
    _known(f"projection in {where}", names, {**net.projections, **within})
    check_acts(net, where, names)


def _check_outside(where: str, names: Iterable[str], net: Network) -> None:
    """Raise where signals within a credit network would be delayed or noisy."""
    for name in set(names) & {p.name for p in net.credit_projections}:
        leaving = next(p.name for p in net.top_downs)
        raise DeclarationError(
            f"{where}: {name} is inside the credit network, whose signals can only be cut and scaled; use a "
            f"projection that leaves it, such as {leaving}, or drive {name.partition('->')[2]} with cs.Noise"
        )


def _below_credit(where: str, names: Iterable[str], net: Network, instead: str) -> None:
    """Raise where a population is unknown, or belongs to a credit network, where ``instead`` acts."""
    for name in names:
        if name in net.credit_populations:
            raise DeclarationError(
                f"{where}: {name} is a population of the credit network, whose rates follow from its "
                f"input; {instead.format(name)}"
            )
    _known(f"population in {where}", names, net.populations)


def _errors(net: Network, phase: Phase) -> frozenset[str]:
    _known(f"projection in silence_error of phase {phase.name}", phase.silence_error, net.projections)
    for name in phase.silence_error:
        feedback = net.projections[name].feedback
        if not isinstance(feedback, Inverse):
            with_error = listed(p.name for p in net.top_downs if isinstance(p.feedback, Inverse))
            why = "is not top-down" if feedback is None else f"has {type(feedback).__name__} feedback"
            raise DeclarationError(
                f"phase {phase.name}: {name} {why}, so it has no error population to silence; known: "
                f"{with_error} (cut=... disconnects any projection)"
            )
    return frozenset(phase.silence_error)


def _windows(net: Network, phase: Phase, eta_per_s: Any) -> dict[str, float]:
    """Projection to η of those whose window is open."""
    given = phase.plasticity
    if given is True:
        opened = _opened_by_true(net, phase)
        found = {name: _rate(phase, eta_per_s, name) for name in opened}
    elif isinstance(given, Mapping):
        found = dict(given)
    else:
        named = given or ()
        _known(f"projection in plasticity of phase {phase.name}", named, net.projections)
        found = {name: _rate(phase, eta_per_s, name) for name in named}
    _known(f"projection in plasticity of phase {phase.name}", found, net.projections)
    for name in found:
        _check_opens(net, phase, name)
    return {name: eta for name, eta in found.items() if eta > 0}


def _opened_by_true(net: Network, phase: Phase) -> list[str]:
    plastic = [p for p in net.projections.values() if p.plasticity is not None]
    if phase.spontaneous:
        opened = [p.name for p in plastic if p.rule.spontaneous and p.post in phase.spontaneous]
    else:
        opened = [p.name for p in plastic if not p.rule.spontaneous]
    if opened:
        return opened
    if not plastic:
        why = "has no plastic projection; declare plasticity=... where weights should learn"
    elif phase.spontaneous:
        why = (
            f"has no projection onto {listed(phase.spontaneous)} that learns from spontaneous activity; list "
            "projections in plasticity, or leave out spontaneous"
        )
    else:
        why = "learns from spontaneous activity only; add spontaneous=..., or leave out plasticity"
    raise DeclarationError(
        f"phase {phase.name}: plasticity=True opens no window, because network {net.name} {why}"
    )


def _check_opens(net: Network, phase: Phase, name: str) -> None:
    projection = net.projections[name]
    if projection.plasticity is None:
        plastic = listed(p.name for p in net.projections.values() if p.plasticity is not None)
        raise DeclarationError(
            f"phase {phase.name}: {name} has no plasticity rule, so no window can open; known: {plastic}"
        )
    if projection.rule.spontaneous and projection.post not in phase.spontaneous:
        raise DeclarationError(
            f"phase {phase.name}: {name} learns from spontaneous activity of {projection.post} only; "
            f"add spontaneous=[{projection.post!r}], or open its window in another phase"
        )


def _rate(phase: Phase, eta_per_s: Any, name: str) -> float:
    if not isinstance(eta_per_s, Mapping):
        return float(eta_per_s)
    if name not in eta_per_s:
        raise DeclarationError(
            f"phase {phase.name}: the window of {name} opens, but eta_per_s has no rate for it; add it "
            f"there, or give plasticity={{{name!r}: rate}}"
        )
    return float(eta_per_s[name])


def _check_modulator(net: Network, phase: Phase) -> None:
    modulated = any("modulator" in p.rule.state for p in net.projections.values())
    if phase.modulator != 1.0 and not modulated:
        raise DeclarationError(
            f"phase {phase.name}: modulator={phase.modulator:g}, but no rule of network {net.name} has a "
            "modulator; use a three-factor rule, or leave modulator out"
        )


def _known(kind: str, names: Iterable[str], table: Mapping[str, Any]) -> None:
    for name in names:
        require_known(kind, name, table)
