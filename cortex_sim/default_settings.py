"""Default settings shipped for a model under a rule: chosen by a grid search and kept as data.

``cortex-sim train`` starts from them; this module gives them to Python code. Without them
``net.with_rule("gait_prop")`` is the rule as its authors published it: no regulariser, an exact inverse
recomputed at every update.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

from cortex_sim import library, registry, yaml_text
from cortex_sim.checks import look_up, require_known, spelled
from cortex_sim.errors import DeclarationError
from cortex_sim.network import Network
from cortex_sim.rules.base import WORDS
from cortex_sim.runs.merging import merged
from cortex_sim.words import with_settings

#: Settings of training where none are shipped.
BASE: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 64,
    "optimiser": {"name": "Adam", "lr": 1e-3},
    "schedule": {"name": "OneCycleLR", "pct_start": 0.2, "cycle_momentum": False},
    "standardise": True,
}
#: Settings of training for the rule "tdca": the step that the credit network was trained with.
TRAINED_STEP: dict[str, Any] = {"optimiser": {"name": "inner_step"}, "schedule": None}
_FIT = ("epochs", "batch_size", "optimiser", "schedule")
_KEYS = ("all", "rules")


@dataclass(frozen=True)
class Defaults:
    """Settings of one model under one rule.

    Parameters
    ----------
    model : str
    rule : str or None
        A word such as "gait_prop"; None if the model's projections carry several rules.
    tuned : bool
        Whether these settings were chosen for this rule on this model; otherwise they are borrowed from
        the model's other rules, and the learning rate may be far from the best for this one.
    shipped : dict
        The settings in ``protocols/defaults/MODEL.yaml``; may be empty.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> settings = cs.defaults("gait_cifar_deep", "gait_prop")
    >>> settings.tuned, settings.feedback["refresh"], settings.fit["optimiser"]
    (True, 16, {'name': 'Adam', 'lr': 0.001})
    """

    model: str
    rule: str | None
    tuned: bool
    shipped: dict[str, Any] = field(default_factory=dict)

    @property
    def fit(self) -> dict[str, Any]:
        """Arguments of ``model.fit``: epochs, batch_size, optimiser and schedule."""
        whole = merged(BASE, self.shipped) | (TRAINED_STEP if self.rule == "tdca" else {})
        return copy.deepcopy({name: whole[name] for name in _FIT})

    @property
    def standardise(self) -> bool:
        """Whether stimuli are standardised, by ``images.standardised()``, before they are presented."""
        return bool(merged(BASE, self.shipped)["standardise"])

    @property
    def feedback(self) -> dict[str, Any]:
        """Settings of the feedback that the rule's word adds."""
        return copy.deepcopy(dict(self.shipped.get("feedback") or {}))

    @property
    def rule_settings(self) -> dict[str, Any]:
        """Settings of the rule itself."""
        return copy.deepcopy(dict(self.shipped.get("rule_settings") or {}))

    @property
    def regularisers(self) -> list[Any] | None:
        """Regularisers that replace the declared ones; None keeps the declared ones."""
        return copy.deepcopy(self.shipped.get("regulariser"))

    def on(self, net: Network) -> Network:
        """The network under the rule, with these settings of its feedback and these regularisers."""
        if self.regularisers is not None:
            net = with_regularisers(net, self.regularisers)
        if self.rule is not None:
            net = with_settings(net, self.rule, self.rule_settings, self.feedback)
        return net


def defaults(model: str | Network, rule: str | None = None) -> Defaults:
    """Return the settings shipped for a model under a rule.

    Parameters
    ----------
    model : str or Network
        Name of a shipped model, or the network that it declares.
    rule : str, optional
        A word such as "gait_prop"; by default the one that the model declares.

    Raises
    ------
    DeclarationError
        If the model or the rule is unknown.
    """
    name = model.name if isinstance(model, Network) else model
    if not isinstance(name, str) or ".py:" in name:
        raise DeclarationError(f"defaults: give the name of a shipped model, or its network. Got {name!r}")
    require_known("model", name, dict.fromkeys(library.names("models")))
    if rule is None:
        rule = declared_rule(model if isinstance(model, Network) else library.model(name))
    else:
        look_up("rule", rule, WORDS)
        rule = spelled(rule, WORDS)
    return Defaults(name, rule, rule in tuned_rules(name), shipped(name, rule))


def with_defaults(model: str, rule: str | None = None, **settings: Any) -> tuple[Network, Defaults]:
    """Return a shipped model under a rule as ``cortex-sim train`` would train it, and its settings.

    Parameters
    ----------
    model : str
        Name of a shipped model.
    rule : str, optional
        A word such as "gait_prop"; by default the one that the model declares.
    **settings
        Arguments of the model's function, such as ``classes=100``.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> net, settings = cs.with_defaults("gait_cifar_deep", "gait_prop")
    >>> net.projection("V2->V1").feedback.refresh
    16

    Then ``cs.torch.build(net).fit(images.standardised(), **settings.fit)``.
    """
    found = defaults(model, rule)
    return found.on(library.model(model, **settings)), found


def shipped(model: str, rule: str | None) -> dict[str, Any]:
    """The settings shipped for a model and a rule, as plain data; empty if there are none."""
    content = _content(model)
    rule = None if rule is None else spelled(rule, WORDS)
    every, by_rule = content.get("all") or {}, content.get("rules") or {}
    return merged(every, by_rule.get(rule) or {})


def tuned_rules(model: str) -> list[str]:
    """Rules that a model's settings were chosen for; other rules borrow them."""
    return list(_content(model).get("rules") or {})


def _content(model: str) -> dict[str, Any]:
    path = library.folder("protocols") / "defaults" / f"{model}.yaml"
    if not path.is_file():
        return {}
    content = yaml_text.read("defaults", path)
    for key in content:
        require_known(f"key of {path.name}", key, dict.fromkeys(_KEYS))
    return dict(content)


def declared_rule(net: Network) -> str | None:
    """Registered name of the rule of all plastic bottom-up projections; None if they carry several."""
    rules = [p.plasticity for p in net.bottom_ups if p.plasticity is not None]
    if not rules or any(type(rule) is not type(rules[0]) for rule in rules):
        return None
    return registry.registered_name("rule", rules[0])


def with_regularisers(net: Network, regularisers: list[Any]) -> Network:
    """The network with these regularisers on every plastic bottom-up projection that is not from a source."""
    made = tuple(registry.make("regulariser", r) for r in regularisers)
    other = net.copy()
    for p in net.bottom_ups:
        if p.plasticity is not None and p.pre not in net.sources:
            other.projections[p.name] = replace(p, regularisers=made, by_word=())
    return other
