"""Stimuli and targets of unrolled networks, with time bins or without, and the rates that have targets.

Stimuli without time bins are constant. A target belongs to the last step of its time bin; without bins, to
the last step of all. A time bin whose target rates are NaN in every unit has no target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch import inputs
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.checks import listed
from cortex_sim.data.axes import keeps_order
from cortex_sim.errors import DataError
from cortex_sim.population import Population


def stimulus_tensor(
    x: Any,
    population: Population,
    precision: str,
    device: torch.device,
    look: bool | None,
    how: Unrolled | None,
) -> Tensor:
    """Stimuli of a population, (presentation, *shape), or if unrolled also (presentation, time_bin, *shape).

    Raises
    ------
    DataError
        If stimuli do not fit the population, or their time bins do not fit the steps.
    """
    if how is None:
        return inputs.stimulus_tensor(x, population, precision, device, look)
    given = inputs.as_tensor("stimuli", x)
    shape = tuple(given.shape)
    if not (len(shape) >= 3 and min(shape) > 0 and keeps_order(shape[2:], population.shape)):
        if population.size not in (math.prod(shape), math.prod(shape[1:])):
            raise _unfit(shape, population, how)
        return inputs.stimulus_tensor(given, population, precision, device, look)
    _require_bins("stimuli", shape[1], how)
    flat = inputs.stimulus_tensor(given.flatten(0, 1), population, precision, device, None)
    tensor = flat.reshape(*shape[:2], *population.shape)
    if inputs.looks(tensor, look):
        inputs.require_finite("stimuli", tensor, precision)
    return tensor


def _unfit(shape: tuple[int, ...], population: Population, how: Unrolled) -> DataError:
    axes = ", ".join(map(str, population.shape))
    return DataError(
        f"stimuli have shape {shape}, but population {population.name}, {how}, expects "
        f"(presentation, {axes}) or (presentation, time_bin, {axes}), with at least one presentation"
    )


def _require_bins(what: str, bins: int, how: Unrolled) -> None:
    if how.steps % bins:
        fitting = [str(n) for n in range(1, how.steps + 1) if how.steps % n == 0]
        raise DataError(
            f"{what} have {bins} time bins, into which the {how.steps} steps cannot be divided; give "
            f"{listed(fitting)} bins, or build with steps={bins * math.ceil(how.steps / bins)}"
        )


def target_tensor(
    y: Any,
    top: Population,
    precision: str,
    device: torch.device,
    look: bool | None,
    how: Unrolled | None,
) -> Tensor:
    """Labels (presentation[, time_bin]) or rates (presentation[, time_bin], unit) of the top population.

    Labels are whole numbers, target rates of an unrolled network are floats: NaN in every unit of a time bin
    without a target.

    Raises
    ------
    DataError
        If targets do not fit the top population, their time bins do not fit the steps, they could be labels
        as well as rates, or only some units of a time bin are NaN.
    """
    if how is None:
        return inputs.target_tensor(y, top, precision, device, look)
    tensor = inputs.as_tensor("targets", y)
    shape = tuple(tensor.shape)
    if tensor.dim() == 3 and shape[2] == top.size:
        _require_bins("targets", shape[1], how)
        missing = _missing(tensor, top) if inputs.looks(tensor, look) else None
        known = tensor if missing is None else tensor.masked_fill(missing[..., None], 0)
        rates = inputs.target_tensor(known.flatten(0, 1), top, precision, device, look)
        rates = _as_floats(rates, precision).reshape(shape)
        return rates if missing is None else rates.masked_fill(missing[..., None].to(device), math.nan)
    if tensor.dim() == 2 and not tensor.is_floating_point() and tensor.dtype != torch.bool:
        if shape[1] == top.size and how.steps % shape[1] == 0:
            raise DataError(
                f"targets have shape {shape}, which could be rates of {shape[1]} units of {top.name}, or "
                f"labels in {shape[1]} time bins; give y.astype(float) for rates, or one-hot rates "
                "(presentation, time_bin, unit) for labels"
            )
        if shape[1] != top.size:
            _require_bins("targets", shape[1], how)
            return inputs.target_tensor(tensor.flatten(), top, precision, device, look).reshape(shape)
    if tensor.dim() > 2 or (tensor.dim() == 2 and shape[1] != top.size):
        raise DataError(
            f"targets have shape {shape}, but population {top.name}, {how}, needs whole-number labels "
            f"(presentation,) or (presentation, time_bin), or rates (presentation, {top.size}) or "
            f"(presentation, time_bin, {top.size})"
        )
    found = inputs.target_tensor(tensor, top, precision, device, look)
    return found if found.dim() == 1 else _as_floats(found, precision)


def _as_floats(rates: Tensor, precision: str) -> Tensor:
    return rates if rates.is_floating_point() else rates.to(inputs.PRECISIONS[precision])


def _missing(y: Tensor, top: Population) -> Tensor | None:
    """Which time bins have no target, (presentation, time_bin); None if all have one."""
    if not y.is_floating_point():
        return None
    absent = y.isnan()
    missing = absent.all(2)
    partly = absent.any(2) & ~missing
    if bool(partly.any()):
        presentation, time_bin = (int(at) for at in partly.nonzero()[0])
        raise DataError(
            f"targets are NaN in some units of {top.name} and not in others, first in presentation "
            f"{presentation}, time bin {time_bin}; give NaN in all {top.size} units of a bin without target, "
            "and in no unit of any other"
        )
    return missing if bool(missing.any()) else None


@dataclass(frozen=True)
class Judged:
    """The top's rates that have a target, one row per presentation and time bin.

    Parameters
    ----------
    r : Tensor of shape (row, unit)
    y : Tensor of shape (row,) or (row, unit)
        Labels or target rates.
    share : Tensor of shape (row,), optional
        Share of each row in the mean objective; None if all are equal.
    """

    r: Tensor
    y: Tensor
    share: Tensor | None = None


def judged(r: Tensor, y: Tensor, how: Unrolled | None, sources: str) -> Judged:
    """The top's rates that have a target, with the label or target rates of each row.

    Parameters
    ----------
    r : Tensor of shape (presentation, *shape), or (presentation, step, *shape) of an unrolled network
    y : Tensor
        As `target_tensor` returns it.
    how : Unrolled or None
    sources : str
        Names of the sources, for the message.

    Raises
    ------
    DataError
        If there are not as many targets as presentations.
    """
    if len(y) != len(r):
        raise DataError(
            f"{len(y)} labels for {len(r)} presentations of population {sources}; give one for each "
            "presentation"
        )
    if how is None:
        return Judged(r.flatten(1), y)
    each = how.steps // (y.shape[1] if _by_bin(y) else 1)
    ends = r[:, each - 1 :: each].flatten(2)  # (presentation, time_bin, unit)
    known = _with_target(y)
    if known is None:
        return Judged(ends.flatten(0, 1), rows(y, how))
    # Every presentation has the same share, and within it every time bin that has a target.
    share = known.to(ends.dtype) / (known.sum(1, keepdim=True).clamp(min=1) * len(y))
    return Judged(ends[known], y[known], share[known])


def rows(y: Tensor, how: Unrolled | None) -> Tensor:
    """Labels (row,) or target rates (row, unit): one row per presentation and time bin that has a target."""
    if how is None or not _by_bin(y):
        return y
    known = _with_target(y)
    return y.flatten(0, 1) if known is None else y[known]


def steps_with_target(y: Tensor | None, how: Unrolled) -> list[int]:
    """Steps, from 0, that have a target in any presentation; only the last if there are no time bins."""
    if y is None or not _by_bin(y):
        return [how.steps - 1]
    known = _with_target(y)
    bins, each = y.shape[1], how.steps // y.shape[1]
    return [each * (i + 1) - 1 for i in range(bins) if known is None or bool(known[:, i].any())]


class Goals:
    """Targets of an unrolled network step by step, with the share of each row in the mean objective.

    Parameters
    ----------
    y : Tensor
        As `target_tensor` returns it.
    how : Unrolled
    """

    def __init__(self, y: Tensor, how: Unrolled) -> None:
        self._y = y if _by_bin(y) else y[:, None]  # of the last step: one time bin
        self._each = how.steps // self._y.shape[1]
        known = _with_target(self._y)
        counted = torch.ones(self._y.shape[:2], dtype=torch.bool, device=y.device) if known is None else known
        self._share = counted.double() / (counted.sum(1, keepdim=True).clamp(min=1) * len(y))
        self._some = [True] * self._y.shape[1] if known is None else known.any(0).tolist()

    def at(self, step: int) -> tuple[Tensor, Tensor] | None:
        """Labels (presentation,) or target rates (presentation, unit) of a step; shares (presentation, 1).

        None if no presentation has a target at this step; a presentation without one has share 0 and rates 0.
        """
        number, rest = divmod(step + 1, self._each)
        if rest or not self._some[number - 1]:
            return None
        y = self._y[:, number - 1]
        return (y.nan_to_num() if y.is_floating_point() else y), self._share[:, number - 1 : number]


def _by_bin(y: Tensor) -> bool:
    """Whether targets of an unrolled network have time bins."""
    return y.dim() == 3 or (y.dim() == 2 and not y.is_floating_point())


def _with_target(y: Tensor) -> Tensor | None:
    """Which time bins have a target, (presentation, time_bin); None if all have one."""
    if y.dim() < 3:
        return None
    known = ~y.isnan().all(2)  # if values were not checked, NaN in only some units makes the objective NaN
    return None if bool(known.all()) else known


def bin_coordinates(how: Unrolled) -> dict[str, Any]:
    """Coordinates of the time bins of a recording, one per step; values are those at the step's end."""
    start = np.arange(how.steps) * how.dt_ms
    return {
        "time_bin_start": ("time_bin", start, {"units": "ms", "long_name": "start of the time bin"}),
        "time_bin_end": ("time_bin", start + how.dt_ms, {"units": "ms", "long_name": "end of the time bin"}),
    }
