"""Names of a run's rule and regularisers, and warnings about its settings before it starts."""

from __future__ import annotations

import inspect
from typing import Any

from cortex_sim import library, registry
from cortex_sim.checks import listed
from cortex_sim.default_settings import TRAINED_STEP, declared_rule, tuned_rules
from cortex_sim.network import Network
from cortex_sim.training.settings import Settings


def regularisers_of(net: Network) -> list[str]:
    """Names of the regularisers on bottom-up projections, each once, in order."""
    found = [r for p in net.bottom_ups for r in p.regularisers]
    return list(dict.fromkeys(registry.known_as("regulariser", r) or type(r).__name__ for r in found))


def rule_label(rule: str | None, net: Network) -> str:
    """Rule and regularisers in words: "backprop + hard_orthogonality"."""
    return joined(rule, regularisers_of(net))


def joined(rule: str | None, regularisers: list[str]) -> str:
    """A rule and its regularisers, as figures and summaries name them."""
    return " + ".join([rule or "as declared", *regularisers])


def settings_remarks(settings: Settings, net: Network) -> list[str]:
    """Warnings about a run's settings: tuned for another rule, or a learning rate that was not chosen."""
    return [*_borrowed(settings, net), *_rate_of_torch(settings.optimiser)]


def _borrowed(settings: Settings, net: Network) -> list[str]:
    if settings.model not in library.names("models"):
        return []
    chosen, rule = tuned_rules(settings.model), settings.rule or declared_rule(net)
    if settings.optimiser == TRAINED_STEP["optimiser"]:  # chosen by an outer loop
        return []
    if not chosen or rule is None or rule in chosen:
        return []
    return [
        f"{settings.model}: its default settings are not tuned for this rule, {rule}, but for "
        f"{listed(chosen)}; try other values of optimiser.lr, and choose on presentations that hold_out "
        "holds back"
    ]


def _rate_of_torch(optimiser: dict[str, Any]) -> list[str]:
    """Warning that torch's default learning rate applies: the shipped one is for another optimiser."""
    import torch

    cls = getattr(torch.optim, str(optimiser.get("name")), None)
    if "lr" in optimiser or not isinstance(cls, type):
        return []
    rate = inspect.signature(cls).parameters.get("lr")
    default = None if rate is None else rate.default
    return [
        f"optimiser {optimiser['name']}: no learning rate is given, and that of another optimiser does not "
        f"carry over, so torch's default, {default}, is used; give optimiser.lr"
    ]
