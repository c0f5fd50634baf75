"""Trials of spiking units: their inputs and targets, checked, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cortex_sim import objectives
from cortex_sim.checks import listed, look_up
from cortex_sim.errors import DataError
from cortex_sim.network import Network


@dataclass(frozen=True, eq=False)
class SpikingTrials:
    """What spiking units did in a batch of trials.

    Attributes
    ----------
    spikes : dict of str to bool array of shape (presentation, step, unit)
        By population; for sources those that were presented.
    output : array of shape (presentation, step, unit)
        The readout, y.
    objective : float
        Mean over presentations of the mean over steps with a target, without the regularisation of firing
        rates; NaN without targets.
    changes : dict of str to array
        Δw/η (post, pre) by projection and Δb/η (unit,), or (channel,), by population, means over
        presentations; empty without targets.
    dt_ms : float
        Length of a step.
    """

    spikes: dict[str, np.ndarray]
    output: np.ndarray
    objective: float
    changes: dict[str, np.ndarray]
    dt_ms: float

    def rates_hz(self, population: str) -> np.ndarray:
        """Mean firing rate of each unit, (unit,), in spikes/s."""
        found = look_up("population that sends spikes", population, self.spikes)
        return np.asarray(found.mean((0, 1)) * 1000 / self.dt_ms)


def shown(net: Network, x: Any) -> dict[str, np.ndarray]:
    """Spikes of every source, float64 (presentation, step, unit).

    Raises
    ------
    DataError
        If a source is missing or unknown, shapes do not fit, or a value is neither 0 nor 1.
    """
    given = dict(x) if isinstance(x, Mapping) else {net.sources[0]: x}
    if set(given) != set(net.sources):
        raise DataError(
            f"network {net.name}: spikes are needed for {listed(net.sources)}, as {{population: array}}. "
            f"Got {listed(map(str, given))}"
        )
    found: dict[str, np.ndarray] = {}
    for name in net.sources:
        values, size = _array(f"population {name}: spikes", given[name]), net.populations[name].size
        like = next(iter(found.values())).shape[:2] if found else None
        fits = values.ndim == 3 and values.shape[2] == size and values.size > 0
        if not fits or like not in (None, values.shape[:2]):
            first = "presentation, step" if like is None else f"{like[0]}, {like[1]}"
            raise DataError(
                f"population {name}: spikes must have shape ({first}, {size}), with at least one of each. "
                f"Got {values.shape}"
            )
        if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
            raise DataError(
                f"population {name}: spikes must be 0 or 1 in every step; draw them from rates by "
                "cs.tasks.poisson_spikes(rates, bin_ms=10)"
            )
        found[name] = values.astype(np.float64)
    return found


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of the readout, and each step's share of a trial's objective.

    Attributes
    ----------
    rates : array of shape (step, presentation, unit)
        0 where there is no target.
    share : array of shape (step, presentation, 1)
        1/(steps with a target) of the presentation, 0 where there is none.
    """

    rates: np.ndarray
    share: np.ndarray


def targets(net: Network, y: Any, presentations: int, steps: int) -> Targets:
    """Targets, checked, in the order of steps.

    Raises
    ------
    DataError
        If they do not fit the population and the objective, or a step has a target in some units only, or a
        presentation has none.
    """
    top = net.populations[str(net.objective_at)]
    values = _array(f"population {top.name}: targets", y)
    if values.shape != (presentations, steps, top.size) or values.dtype.kind not in "biuf":
        raise DataError(
            f"population {top.name}: targets must have shape ({presentations}, {steps}, {top.size}), a value "
            f"for every step (NaN in all units where there is none). Got {values.shape}"
        )
    values = values.astype(np.float64)
    missing = np.isnan(values)
    absent = missing.all(2)
    if (missing.any(2) & ~absent).any() or np.isinf(values).any():
        raise DataError(
            f"population {top.name}: targets of a step must be finite in every unit, or NaN in every unit"
        )
    count = (~absent).sum(1)
    if not count.all():
        raise DataError(
            f"population {top.name}: presentation {int(np.flatnonzero(count == 0)[0])} has no target in any "
            "step; leave it out, or run it without targets"
        )
    wrong = objectives.complaint(net.objective_function, values[~absent])
    if wrong:
        raise DataError(f"population {top.name}: {wrong} of the steps that have a target")
    share = np.where(absent, 0.0, 1 / count[:, None])
    return Targets(np.where(missing, 0.0, values).swapaxes(0, 1), share.T[..., None])


def _array(label: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except ValueError as exception:
        raise DataError(
            f"{label} must be an array of shape (presentation, step, unit), with rows of equal length "
            f"({exception})"
        ) from None
