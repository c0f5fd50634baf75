"""Stimuli of every source in the same presentations, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.routes import Routes
from cortex_sim.backends.torch.timed import stimulus_tensor
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.checks import listed, require_known
from cortex_sim.errors import DataError
from cortex_sim.network import Network


class Presentations:
    """Stimuli of every source, each (presentation, *shape); indexing selects presentations.

    In unrolled networks they may have time bins, (presentation, time_bin, *shape).

    Attributes
    ----------
    by_source : dict of str to Tensor
        In the order in which the sources were declared.
    """

    def __init__(self, by_source: dict[str, Tensor]) -> None:
        self.by_source = by_source

    def __len__(self) -> int:
        """Number of presentations."""
        return len(next(iter(self.by_source.values())))

    def __getitem__(self, which: Any) -> Presentations:
        """The presentations selected by a slice, by indices, or by a mask."""
        return Presentations({name: x[which] for name, x in self.by_source.items()})

    def one(self) -> Tensor:
        """The stimuli of the only source."""
        if len(self.by_source) > 1:
            raise DataError(
                f"stimuli of {listed(self.by_source)} are not one tensor; use "
                "model.presentations(x).by_source"
            )
        return next(iter(self.by_source.values()))

    def detach(self) -> Presentations:
        """The same stimuli without a graph."""
        return Presentations({name: x.detach() for name, x in self.by_source.items()})

    def usable(self) -> Presentations:
        """The same stimuli, in tensors that autograd can track even if made within ``inference_mode``."""
        if torch.is_inference_mode_enabled() or not any(x.is_inference() for x in self.by_source.values()):
            return self
        return Presentations({name: x.clone() for name, x in self.by_source.items()})


def presentations(
    net: Network,
    x: Any,
    precision: str,
    device: torch.device,
    look: bool | None = True,
    how: Unrolled | None = None,
) -> Presentations:
    """Stimuli of a network's sources, checked against them; `Presentations` have been checked already.

    Parameters
    ----------
    net : Network
    x : array of shape (presentation, *shape), or mapping of str to array or number
        By source; with a single source, its array alone. A number is the stimulus of every unit of that
        source in every presentation: 0 for a source at rest.
    precision, device, look
        See `cortex_sim.backends.torch.inputs.stimulus_tensor`.
    how : Unrolled, optional
        The steps of an unrolled network, whose stimuli may have time bins.

    Raises
    ------
    DataError
        If a source is unknown or missing, sources differ in number of presentations, or stimuli do not fit.
    """
    if isinstance(x, Presentations):
        return x.usable()
    given = _by_source(net, x)
    arrays = {
        name: stimulus_tensor(values, net.populations[name], precision, device, look, how)
        for name, values in given.items()
        if not _is_number(values)
    }
    counts = {name: len(array) for name, array in arrays.items()}
    if not counts:
        raise DataError(
            f"stimuli of network {net.name}: every source has a single value, so the number of presentations "
            f"is unknown; give at least one array of shape (presentation, unit). Got {x!r}"
        )
    if len(set(counts.values())) > 1:
        each = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise DataError(
            f"stimuli of network {net.name}: its sources must have equally many presentations. Got {each}; "
            "give the same number for each, or a single value for a source that is constant"
        )
    (count,) = set(counts.values())
    like = next(iter(arrays.values()))
    return Presentations(
        {
            name: arrays[name] if name in arrays else _constant(net, name, given[name], count, like)
            for name in net.sources
        }
    )


def _by_source(net: Network, x: Any) -> Mapping[str, Any]:
    sources = net.sources
    forms = f"give {{{', '.join(f'{name!r}: array' for name in sources)}}}"
    if not isinstance(x, Mapping):
        if len(sources) > 1:
            raise DataError(
                f"stimuli of network {net.name}: it has {len(sources)} sources, {listed(sources)}, but one "
                f"array does not say which it is for; {forms}, or 0 for a source at rest"
            )
        return {sources[0]: x}
    for name in x:
        if name in net.populations and name not in sources:
            raise DataError(
                f"stimuli of network {net.name}: {name} has bottom-up input, so stimuli do not set its "
                f"rates; {forms}, or drive {name} in a protocol"
            )
        require_known(f"source of {net.name}", name, dict.fromkeys(sources), DataError)
    missing = [name for name in sources if name not in x]
    if missing:
        raise DataError(
            f"stimuli of network {net.name}: nothing is given for {listed(missing)}; {forms}, or 0 for a "
            "source at rest"
        )
    return x


def _is_number(values: Any) -> bool:
    return isinstance(values, (int, float, np.number)) and not isinstance(values, bool)


def _constant(net: Network, name: str, value: float, count: int, like: Tensor) -> Tensor:
    """One number for every unit and presentation, stored once in memory."""
    if not np.isfinite(value):
        raise DataError(f"stimuli of {name}: the number must be finite. Got {value!r}")
    return like.new_tensor(float(value)).expand(count, *net.populations[name].shape)


def require_gradient_arrives(stimuli: Presentations, routes: Routes) -> None:
    """Raise `DataError` where stimuli require a gradient that no projection brings to them."""
    credited = {p.post for p in (*routes.paired.values(), *routes.unpaired)}
    for name, x in stimuli.by_source.items():
        if x.requires_grad and name not in credited:
            raise DataError(
                f"stimuli of population {name}: require a gradient, but no projection brings credit to it; "
                "give x.detach(), or use model(x) for plain autograd's gradient"
            )
