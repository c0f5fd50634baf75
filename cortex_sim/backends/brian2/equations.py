"""The circuit as brian2 equations: basal and apical compartments, error populations, plastic weights.

    basal      τ da/dt = −a + Σ W r_pre + b + κ c,  r = f(a)       κ: the apical coupling, 0 by default
    gain       τ dg/dt = −g + Σ W r_pre,  r = max(0, 1 + g) f(a)  where projections set gain
    normaliser n = gain (a − mean)/√(variance + eps) + b,  r = f(n), with b there and not in the drive;
               u = ∂n/∂a · c f′(n)
    apical     τ_c dc_p/dt = −c_p + B u                      any feedback but the inverse
               τ_c dc_p/dt = −α c_p + Wᵀ(u − W c_p)           the inverse: a loop, no matrix is inverted
    credit     c = Σ_p c_p + nudge,  u = c ∘ f′(a)
    … with a protocol's silencing and injection     c = (1 or 0) · (Σ_p c_p + nudge) + injected

Where a credit network trains the network, the nudge's error at the top is the input of the credit network.

Every right-hand side is taken at the old state of the whole network (see the orders below), so both
engines take the same step.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cortex_sim.backends.brian2.circuit import Apical, Circuit, CreditSource, settings_of
from cortex_sim.backends.brian2.credit_equations import context_equations, reads_objective, shown_to_credit
from cortex_sim.backends.brian2.normalised import VARIABLE, at_this_moment, texts
from cortex_sim.capabilities import activation_of
from cortex_sim.errors import BuildError
from cortex_sim.normalisers.base import STATISTICS
from cortex_sim.objectives import CrossEntropy, SquaredError
from cortex_sim.projection import Projection
from cortex_sim.rules.base import PerPost, PerPre
from cortex_sim.rules.in_time import growth_of
from cortex_sim.transfers import parameters_of

# Within brian2's slot "groups": predictions of the error populations, the signals that all populations
# send, their arrival through delayed or noisy gates, reconstructions from echoes, weights, constraints
# of weights, and neurons last.
PREDICTING, SENDING, ARRIVING, ECHOING, LEARNING, CONSTRAINING, MOVING = 0, 1, 1.2, 1.4, 1.5, 1.6, 2


#: Factor on rates where projections set gain: max(0, 1 + g).
FACTOR = "(int(1 + g > 0) * (1 + g))"


def population_equations(
    circuit: Circuit, name: str, *, features: frozenset[str], noisy: bool, extra: str = ""
) -> str:
    """Equations of one population; ``features`` are projections that are delayed or noisy."""
    if name in circuit.sources:
        lines = ["shown : 1", "alive : 1", "r = alive * shown : 1"]
        return "\n".join([*lines, extra]).strip()
    population = circuit.population(name)
    rate, gain = _text(population, "rate_text"), _text(population, "gain_text")
    gain = gain if circuit.gated(name) else "1"
    drives, lines = ["external"], ["external : 1", "alive : 1", "spontaneous : 1", "free : 1 (shared)"]
    for p in circuit.net.drivers(name):
        drives.append(_arriving(circuit, p.name, "drive", features, lines))
    lines += [f"transfer_{parameter} : 1" for parameter in parameters_of(population)]
    if population.bias:
        lines.append("bias : 1")
    if population.normaliser is not None:
        lines += [f"{VARIABLE.format(kept)} : 1" for kept in ("gain", *STATISTICS)]
        lines.append(f"normalised = {texts(population)[0]} : 1")
    elif population.bias:
        drives.append("bias")
    lateral = circuit.lateral(name)
    if lateral is not None:
        lines.append(f"{circuit.var('drive', lateral.name)} : 1")
        gate = circuit.var("gate", lateral.name)
        lines.append(f"{gate} : 1 (shared)")
        drives.append(f"-{gate} * {circuit.var('drive', lateral.name)}")
    if population.apical_coupling:
        drives.append(f"{population.apical_coupling!r} * c")
    if noisy:
        drives.append("noise")
        lines += ["noise : 1", "fluctuation : 1"]
    factor, multiplied = _multiplying(circuit, name, features, lines)
    moving = " + ".join(drives).replace("+ -", "- ")
    head = [
        f"da/dt = (-a + {moving}) / tau : 1",
        f"r = alive * ((1 - free) * {factor}{rate} + free * spontaneous) : 1",
        *multiplied,
    ]
    credit = (
        _credit(circuit, name, f"{factor}{gain}" if circuit.gated(name) else gain, features)
        if circuit.receives_credit
        else []
    )
    return "\n".join([*head, *lines, *credit, extra]).strip()


def _multiplying(
    circuit: Circuit, name: str, features: frozenset[str], lines: list[str]
) -> tuple[str, list[str]]:
    """Factor max(0, 1 + g) on rate and gain, and the equation of g, where projections set gain."""
    setting = [p for p in circuit.net.gains if p.post == name]
    if not setting:
        return "", []
    signals = " + ".join(_arriving(circuit, p.name, "drive", features, lines) for p in setting)
    return f"{FACTOR} * ", [f"dg/dt = (-g + {signals}) / tau : 1"]


def _text(population: Any, which: str) -> str:
    declared = activation_of(population.activation)
    text = declared.rate_text if which == "rate_text" else declared.gain_text
    if text is None:
        raise BuildError(
            f"population {population.name}: {type(population.activation).__name__} has no {which}, its text "
            'for brian2; give the class rate_text and gain_text, such as "tanh(a)"'
        )
    names = {p: f"transfer_{p}" for p in parameters_of(population)}
    if population.normaliser is not None:
        names["a"] = "normalised"
    return f"({_renamed(text, names)})"


def _arriving(circuit: Circuit, name: str, kind: str, features: frozenset[str], lines: list[str]) -> str:
    """A projection's signal as it arrives: gated, or, where delayed or noisy, written by the runner."""
    signal = circuit.var(kind, name)
    if kind == "drive":
        lines.append(f"{signal} : 1")
    if name in features:
        received = circuit.var("heard", name)
        lines.append(f"{received} : 1")
        return received
    gate = circuit.var("gate", name)
    lines.append(f"{gate} : 1 (shared)")
    return f"{gate} * {signal}"


def _credit(circuit: Circuit, name: str, gain: str, features: frozenset[str]) -> list[str]:
    received: list[str] = []
    lines: list[str] = []
    for p in circuit.apical_inputs(name):
        received.append(_arriving(circuit, p.name, "c", features, lines))
        lines += _compartment(circuit, p)
    for p in circuit.errors(name):
        if not p.patchwise:
            predicted, listening = circuit.var("predicted", p.name), circuit.var("listening", p.name)
            lines += [f"{predicted} : 1", f"{listening} : 1 (shared)"]
            lines.append(f"{circuit.var('error', p.name)} = {listening} * (u - {predicted}) : 1")
    top = circuit.net.objective_function if name == circuit.net.objective_at else None
    lines += ["goal : 1", "strength : 1 (shared)", "credit_alive : 1", "injected_credit : 1"]
    match top:
        case CrossEntropy(weight=weight, label_smoothing=share):
            units = circuit.net.populations[name].size
            wanted = f"({1 - share!r} * goal + {share / units!r})" if share else "goal"
            lines.append("partition : 1")
            lines.append(f"nudge = strength * {weight!r} * ({wanted} - 1 / partition) : 1")
        case SquaredError(weight=weight):
            lines.append(f"nudge = strength * {weight!r} * (goal - r) : 1")
        case None:
            lines.append("nudge = strength * (goal - r) : 1")
        case _:
            raise BuildError(
                f"population {name}: objective {type(top).__name__} has no rate dynamics; use CrossEntropy() "
                "or SquaredError()"
            )
    if circuit.teacher is not None and name == circuit.teacher.top:
        lines[-1] = lines[-1].replace("nudge = strength * ", "error = ")
        if not reads_objective(circuit.teacher):
            lines = [line for line in lines if not line.startswith(("error", "partition"))]
        lines += context_equations(circuit.teacher)
    else:
        received.append("nudge")
    total = f"credit_alive * ({' + '.join(received)}) + injected_credit"
    if circuit.population(name).normaliser is not None:
        slope = texts(circuit.population(name))[1]
        if at_this_moment(circuit.population(name)):  # the engine applies Jᵀ of the whole group
            passed = [f"u_behind = alive * c * {gain} : 1", "u_through : 1", "u = u_through : 1"]
            return [f"c = {total} : 1", *passed, *lines]
        return [
            f"c = {total} : 1",
            f"u_behind = alive * c * {gain} : 1",
            f"u = u_behind * {slope} : 1",
            *lines,
        ]
    return [f"c = {total} : 1", f"u = alive * c * {gain} : 1", *lines]


def _compartment(circuit: Circuit, p: Apical) -> list[str]:
    """State of an apical compartment (for a convolution's inverse it is in the patches)."""
    c, down = circuit.var("c", p.name), circuit.var("down", p.name)
    if p.patchwise:
        return [f"{c} : 1"]
    intact, tau = circuit.var("intact", p.name), circuit.var("tau", p.name)
    loss = f"{circuit.var('alpha', p.name)} * {c}" if p.source is CreditSource.INVERSE else c
    move = down if p.source is CreditSource.INVERSE and not p.damping else f"-{loss} + {down}"
    lines = [f"d{c}/dt = {intact} * ({move}) / {tau} : 1", f"{down} : 1", f"{intact} : 1 (shared)"]
    if reconstructs(p.projection):
        lines.append(f"{circuit.var('reconstruction', p.name)} : 1")
    return lines


def reconstructs(p: Projection) -> bool:
    """Whether a top-down rule compares activity with the projection's reconstruction of it from its echo."""
    return "reconstruction_post" in str(p.rule.growth)


def patch_equations(circuit: Circuit, p: Apical) -> str:
    """Apical state of every patch of a convolution."""
    loss = f"-{p.damping!r} * x + " if p.damping else ""
    return f"dx/dt = intact * ({loss}down) / {circuit.var('tau', p.name)} : 1\ndown : 1\nintact : 1 (shared)"


def constants(circuit: Circuit, name: str, ms: Any) -> dict[str, Any]:
    """Namespace of a population's group: time constants and dampings; nothing comes from outside."""
    found: dict[str, Any] = {"tau": circuit.population(name).tau_ms * ms}
    for p in circuit.apical_inputs(name):
        found[circuit.var("tau", p.name)] = p.tau_ms * ms
        found[circuit.var("alpha", p.name)] = p.damping
    return found


def sending(circuit: Circuit, name: str) -> dict[str, str]:
    """What synapses read of a population besides its rate, computed once a step: variable to expression.

    Within a summed variable the expression would be evaluated for every synapse; here it is once per unit.
    """
    if not circuit.receives_credit or name in circuit.sources:
        return {}
    found = {"sent_u": "u"}
    for p in circuit.errors(name):
        error = circuit.var("error", p.name)
        found[f"sent_{error}"] = error
    if any(p.source is CreditSource.DIRECT and p.projection.pre == name for p in circuit.apicals):
        found["sent_c"] = "alive * c"
    return found | shown_to_credit(circuit, name)


def sends_while_still(circuit: Circuit, name: str) -> bool:
    """Whether anything but plasticity reads what a population is `sending`."""
    sends_above = circuit.teacher is not None and name == circuit.teacher.top
    return sends_above or any(p.projection.pre == name for p in circuit.apicals)


# -- plastic synapses, one by one ------------------------------------------------------------------


def growth_texts(circuit: Circuit, p: Projection, echo: str) -> dict[str, str]:
    """Δw/η of one synapse and the rates of change of its rule's state, for brian2, by variable.

    ``echo`` is what a rule that learns from spontaneous activity reads as its pre rate.

    State per post (pre) unit is kept in that unit under its own name, such as ``theta_V1_to_IT``.
    """
    texts = growth_of(p.plasticity)
    state = p.rule.state
    renamed = {f"u_{side}": f"sent_u_{side}" for side in ("pre", "post")}
    renamed |= {f"r_{side}": f"{circuit.sent_rate(p, side)}_{side}" for side in ("pre", "post")}
    for variable, kind in state.items():
        own = circuit.var(variable, p.name)
        side = {PerPost: "_post", PerPre: "_pre"}.get(type(kind), "")
        renamed[variable] = f"{own}{side}"
    if p.rule.spontaneous:
        renamed["r_pre"] = echo
    if p.pre in circuit.net.credit_populations:
        renamed["u_pre"] = "(strength_pre * sent_r_pre)"
    renamed["reconstruction_post"] = f"{circuit.var('reconstruction', p.name)}_post"
    return {variable: _renamed(text, renamed) for variable, text in texts.items()}


def unit_state_equations(circuit: Circuit, name: str) -> tuple[str, dict[str, Any]]:
    """Equations of rule state kept in the units of a population, and the constants they need."""
    lines: list[str] = []
    namespace: dict[str, Any] = {}
    for p in circuit.plastic():
        state = p.rule.state
        growth = growth_of(p.plasticity)
        for side, kind, unit in (("_post", PerPost, p.post), ("_pre", PerPre, p.pre)):
            mine = {v for v, k in state.items() if isinstance(k, kind)}
            if unit != name or not mine:
                continue
            window = circuit.var(f"window_of{side}", p.name)
            lines.append(f"{window} : 1 (shared)")
            for variable in sorted(mine):
                own = circuit.var(variable, p.name)
                swaps = {f"r{side}": "r", f"u{side}": "u", **{v: circuit.var(v, p.name) for v in state}}
                settings = {
                    f"{key}_{circuit.identifier[p.name]}": value
                    for key, value in settings_of(p.plasticity).items()
                }
                namespace |= settings
                swaps |= {key: f"{key}_{circuit.identifier[p.name]}" for key in settings_of(p.plasticity)}
                if variable in growth:
                    lines.append(f"d{own}/dt = {window} * ({_renamed(growth[variable], swaps)}) : 1")
                else:
                    lines.append(f"{own} : 1")
    return "\n".join(lines), namespace


def _renamed(text: str, names: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda found: names.get(found.group(), found.group()), text)
