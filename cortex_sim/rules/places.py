"""Where a rule cannot run, and why; used by the backends that refuse it, and by its identity card."""

from __future__ import annotations

from typing import Any

from cortex_sim.capabilities import Arrival, rule_of
from cortex_sim.rules.e_prop import EProp

_LAYERS = "computes targets layer by layer"


def by_targets(rule: Any) -> bool:
    """Whether a rule's credit points to a target, which it computes by inverting activations."""
    return rule_of(rule).arrival is Arrival.TARGETS


def not_in_protocols(rule: Any) -> str:
    """Why protocols at equilibrium cannot run it, or ""."""
    return f"{_LAYERS}, but a protocol's nudges, cuts and gates act on credit" if by_targets(rule) else ""


def not_in_time(rule: Any) -> str:
    """Why rate dynamics cannot run it, or ""."""
    declared = rule_of(rule)
    if by_targets(rule):
        return f"{_LAYERS}, for which there are no rate dynamics here"
    if declared.keeps_traces:
        return "keeps traces over unrolled steps, which rate dynamics do not support"
    return "" if declared.supervised or declared.growth is not None else "has no growth, its equation in time"


def not_by_synapse(rule: Any) -> str:
    """Why rate dynamics synapse by synapse cannot run it, or ""."""
    if callable(rule_of(rule).growth):
        return "reads several synapses at once, but the synapses engine updates each by itself"
    return not_in_time(rule)


def not_on_spikes(rule: Any) -> str:
    """Why spiking units cannot run it, or ""."""
    if not isinstance(rule, EProp):
        return "has no spiking counterpart"
    if rule.keeps.autapse:
        return (
            "follows a rate through the unit's autapse, but for spiking units only the leak is supported "
            '(memory="leak" or "none")'
        )
    return ""
