"""Metrics by the names that commands and tables use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cortex_sim.checks import listed, look_up
from cortex_sim.compare.metric import Metric
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Named:
    """A metric under its name.

    Parameters
    ----------
    name : str
    metric : Metric
    """

    name: str
    metric: Metric


def _rsa(**given: Any) -> Metric:
    from cortex_sim.compare.rsa import Rsa

    return Rsa(**given)


def _predictivity(regression: str) -> Callable[..., Metric]:
    def made(**given: Any) -> Metric:
        from cortex_sim.compare.predictivity import Predictivity

        return Predictivity(regression=regression, **given)

    return made


def _cka(**given: Any) -> Metric:
    from cortex_sim.compare.cka import Cka

    return Cka(**given)


def _shape(**given: Any) -> Metric:
    from cortex_sim.compare.shape_distance import ShapeDistance

    return ShapeDistance(**given)


def _soft_matching(**given: Any) -> Metric:
    from cortex_sim.compare.soft_matching import SoftMatching

    return SoftMatching(**given)


#: How each is made, and which settings it takes.
METRICS: dict[str, tuple[Callable[..., Metric], tuple[str, ...]]] = {
    "rsa": (_rsa, ("comparator", "measure", "convention")),
    "ridge": (_predictivity("ridge"), ("folds", "convention")),
    "pls": (_predictivity("pls"), ("folds", "convention")),
    "cka": (_cka, ("convention",)),
    "shape": (_shape, ("convention",)),
    "soft_matching": (_soft_matching, ("convention",)),
}
FOR_RESPONSES = ("ridge", "rsa")
FOR_RDMS = ("rsa",)


def named_metrics(names: list[str], **settings: str | None) -> list[Named]:
    """Metrics by name; a setting goes to those that take it.

    Parameters
    ----------
    names : list of str
        Keys of `METRICS`.
    settings
        ``comparator``, ``measure``, ``folds`` or ``convention``; None for the metric's default.

    Raises
    ------
    DataError
        If a name is unknown, or no metric takes a setting.
    """
    chosen = list(dict.fromkeys(names))
    found = [look_up("metric", name, METRICS, DataError) for name in chosen]
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        if not any(key in takes for _, takes in found):
            able = [name for name, (_, takes) in METRICS.items() if key in takes]
            raise DataError(f"--{key}: is for {listed(able)}, not for {listed(chosen)}; leave it out")
    return [
        Named(name, make(**{key: value for key, value in given.items() if key in takes}))
        for name, (make, takes) in zip(chosen, found, strict=True)
    ]
