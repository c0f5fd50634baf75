"""Stimuli, labels and target rates as tensors, checked against the network.

Stimuli may be (presentation, *shape) of the stimulated population, flat (presentation, unit), or have more
or fewer axes of length 1; a flat population takes any shape, read row by row. Unsigned 8-bit integers are
grey levels from 0 to 255, and are scaled to 0 to 1, as `cortex_sim.data` reads them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch.uncompiled import uncompiled
from cortex_sim.data.axes import keeps_order, same_axes_in_another_order
from cortex_sim.errors import BuildError, DataError
from cortex_sim.network import Network
from cortex_sim.population import Population

PRECISIONS = {"32": torch.float32, "64": torch.float64, "bf16": torch.bfloat16}

_HARDLY_COMPUTED = (torch.uint16, torch.uint32, torch.uint64)  # few of torch's operations support them
_WAYS_OUT = {
    "U": "holds text; give numbers, for names of classes np.unique(y, return_inverse=True)[1]",
    "S": "holds text; give numbers, for names of classes np.unique(y, return_inverse=True)[1]",
    "O": "holds objects, or lists of unequal length; give one array of numbers",
    "c": "is complex; give real numbers, such as np.abs(x)",
}


def check_precision(net: Network, precision: str) -> None:
    """Raise `BuildError` where a rule's small step would be lost in this precision."""
    small = [p.plasticity for p in net.driving if p.rule.needs_float64]
    if precision != "64" and small:
        raise BuildError(
            f"network {net.name}: {small[0]!r} loses its small step at precision {precision}; "
            'build with precision="64" (--precision 64), or use the limit form'
        )


def as_tensor(what: str, given: Any) -> Tensor:
    """An array of numbers as a tensor; anything else is refused, with ``what`` as its name."""
    if isinstance(given, Tensor):
        if given.is_complex():
            raise DataError(f"{what}: the tensor {_WAYS_OUT['c']}")
        if given.layout != torch.strided or given.is_quantized:
            raise DataError(f"{what}: the tensor is sparse or quantised; give x.to_dense() or x.dequantize()")
        given = given.clone() if given.is_inference() and not torch.is_inference_mode_enabled() else given
        return given.long() if given.dtype in _HARDLY_COMPUTED else given
    kind = type(given).__name__
    expected = f"{what} must be an array of numbers, such as images.x_test of an ImageSet. Got {kind}"
    if np.ma.is_masked(given):
        raise DataError(f"{what}: some values are masked; leave those presentations out, or fill them")
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):
        raise DataError(f"{expected}, which is not an array, or has lists of unequal length") from None
    if array.dtype.kind not in "biuf":
        complaint = _WAYS_OUT.get(array.dtype.kind, f"has dtype {array.dtype}; give numbers")
        raise DataError(f"{expected}, which {complaint}")
    return torch.as_tensor(_of_torch(array))


def _of_torch(array: np.ndarray) -> np.ndarray:
    """The same values in a dtype, byte order and layout that torch supports."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    elif array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64 if array.dtype.itemsize < 8 or _small(array) else np.float64)
    native = array.dtype.newbyteorder("=")
    array = np.ascontiguousarray(array, dtype=native) if array.ndim else array.astype(native)
    return array if array.flags.writeable else array.copy()


def _small(array: np.ndarray) -> bool:
    return not array.size or int(array.max()) <= np.iinfo(np.int64).max


@uncompiled
def require_finite(what: str, values: Tensor, name: str) -> None:
    """Raise `DataError` where values are not finite at the precision ``name``."""
    if torch.isfinite(values.detach().sum()):  # if the sum is not finite, it may just have overflowed
        return
    finite = torch.isfinite(values.detach()).flatten(1).all(1)
    if not finite.all():
        first = int((~finite).nonzero()[0])
        raise DataError(
            f"{what} hold NaN or infinite values at precision {name}, first in presentation {first}; leave "
            "that presentation out or repair it"
        )


def looks(tensor: Tensor, look: bool | None) -> bool:
    """Whether to check values: True always, False except where it would stall an accelerator, None never."""
    exported = torch.compiler.is_exporting()
    return not exported and look is not None and (look or tensor.device.type == "cpu")


def stimulus_tensor(
    x: Any, population: Population, precision: str, device: torch.device, look: bool | None = True
) -> Tensor:
    """Stimuli of a population as (presentation, *shape) on the device.

    Raises
    ------
    DataError
        If there is no presentation, a presentation does not fit the stimulated population, axes are in
        another order, or (where ``look``, or on the CPU) a value is not finite.
    """
    shape = population.shape
    tensor = as_tensor("stimuli", x)
    _require_shape(population, tuple(tensor.shape))
    check = looks(tensor, look)
    if tensor.dtype == torch.uint8:
        tensor = tensor.to(device, torch.float64 if precision == "64" else torch.float32) / 255
    tensor = tensor.to(device, PRECISIONS[precision]).reshape(-1, *shape)
    if check and tensor.is_floating_point():
        require_finite("stimuli", tensor, precision)
    return tensor


def _require_shape(stimulated: Population, given: tuple[int, ...]) -> None:
    shape = stimulated.shape
    population, expected = f"population {stimulated.name}", f"(presentation, {', '.join(map(str, shape))})"
    if len(given) >= 2 and given[0] > 0 and keeps_order(given[1:], shape):
        return
    if given and math.prod(given) == math.prod(shape):
        raise DataError(
            f"stimuli have shape {given}, which is one presentation for {population} without its axis; give "
            f"x[None], of shape {expected}"
        )
    if len(given) >= 2 and same_axes_in_another_order(given[1:], shape):
        raise DataError(
            f"stimuli have presentations of shape {given[1:]}, but {population} has the same axes in another "
            f"order, {shape}, which would scramble every image; give {expected}, such as "
            "np.moveaxis(x, -1, 1) for images whose channels come last"
        )
    raise DataError(
        f"stimuli have shape {given}, but {population} expects {expected} with at least one presentation"
    )


def target_tensor(
    y: Any, top: Population, precision: str, device: torch.device, look: bool | None = True
) -> Tensor:
    """Labels (presentation,) or target rates (presentation, unit) of the top population on the device.

    Raises
    ------
    DataError
        If labels or target rates do not fit the top population.
    """
    tensor = as_tensor("targets", y)
    check = looks(tensor, look)
    units = top.size
    if tensor.dim() == 1 and not tensor.is_floating_point():
        tensor = tensor.long()
        if check:
            _require_labels(tensor, top.name, units)
        return tensor.to(device)
    if tensor.dim() != 2 or tensor.shape[1] != units:
        whole = " (from floats, y.astype(int))" if tensor.dim() == 1 else ""
        raise DataError(
            f"targets have shape {tuple(tensor.shape)}, but population {top.name} needs whole-number "
            f"labels (presentation,){whole} or rates (presentation, {units})"
        )
    tensor = tensor.to(device)
    if tensor.dtype == torch.bool:
        tensor = tensor.to(PRECISIONS[precision])
    if check and tensor.dtype == torch.uint8 and bool((tensor > 1).any()):
        raise DataError(
            f"targets of population {top.name} are 8-bit integers above 1, which could be grey levels or "
            "rates; give y / 255 for grey levels from 0 to 1, or y.astype(float) for rates"
        )
    if check and tensor.is_floating_point():
        require_finite("targets", tensor.to(PRECISIONS[precision]), precision)
    return tensor


@uncompiled
def _require_labels(labels: Tensor, top: str, units: int) -> None:
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if 0 <= low <= high < units:
        return
    if low == 1 and high == units:
        raise DataError(
            f"labels run from 1 to {units}, but the {units} units of population {top} are counted from 0; "
            f"subtract 1, to give labels from 0 to {units - 1}"
        )
    raise DataError(
        f"labels run from {low} to {high}, but population {top} has {units} units: give labels from 0 to "
        f"{units - 1}"
    )
