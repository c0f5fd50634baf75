"""Weights to and from plain torch: a module of the same architecture, layer by layer.

A layer's ``weight``, ``bias``, ``running_mean`` and ``running_var``, as torch names them, are here a
projection's weights, its post population's biases, and that population's normaliser's gain and statistics.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cortex_sim.backends.torch import weights
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import only_looking
from cortex_sim.checks import listed, require_known
from cortex_sim.errors import RunError
from cortex_sim.sources import only_source
from cortex_sim.state import State

_PRESENTATIONS = 4  # on which outputs are compared
_OF_NORMALISER = {"gain": "weight", "mean": "running_mean", "variance": "running_var"}
_COUNTS = ("num_batches_tracked",)  # counts in torch's layers that do not affect their outputs
_TOLERANCE = {"32": 1e-4, "64": 1e-9, "bf16": 0.1}


@dataclass(frozen=True)
class Layer:
    """What one layer of the plain module holds, and where that is in a `State`.

    Parameters
    ----------
    name : str
        Projection ("V1->V2"), or population whose normaliser it is ("V2").
    parts : dict of str to (str, str, str)
        From a name in the layer to the field of the state, its key, and for normalisers the variable.
    """

    name: str
    parts: dict[str, tuple[str, str, str]]


def to_state_dict(
    model: Core, module: nn.Module, *, names: Mapping[str, str] | None = None, check: bool = True
) -> dict[str, Tensor]:
    """State dict for a plain module of the same architecture, with this model's weights.

    Parameters
    ----------
    model : Model
    module : nn.Module
        The architecture in plain torch, such as an ``nn.Sequential``; it is not changed.
    names : mapping of str to str, optional
        From each projection ("retina->V1") or, for normalisers, population ("V1") to a layer of the module,
        such as "features.0". By default the module's layers with parameters are taken, in their order, as
        projections in the order in which rates flow, each followed by its post population's normaliser.
    check : bool, default True
        Whether to compare the outputs of both on random stimuli.

    Returns
    -------
    dict of str to Tensor
        A new state dict, with the names and precision of the module's.

    Raises
    ------
    RunError
        Naming the layer that does not fit, or if the module's outputs differ.

    Examples
    --------
    >>> import torch
    >>> import cortex_sim as cs
    >>> model = cs.torch.build(cs.model("digits_mlp", hidden=11).with_rule("gait_prop"))
    >>> plain = torch.nn.Sequential(torch.nn.Linear(64, 11), torch.nn.LeakyReLU(0.1), torch.nn.Linear(11, 10))
    >>> plain.load_state_dict(cs.torch.to_state_dict(model, plain))
    <All keys matched successfully>
    """
    state = weights.state(model)
    found = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    for layer, place in _matched(model, state, found, names):
        for part, array in _arrays(layer, state).items():
            key = _key(found, place, part, array, layer)
            found[key] = torch.from_numpy(array.copy()).to(found[key])
        for key in _more(found, place, layer):
            found[key] = torch.zeros_like(found[key])  # a bias that this projection lacks
    if check:
        twin = copy.deepcopy(module)
        twin.load_state_dict(found)
        _compare(model, twin)
    return found


def from_state_dict(
    model: Core,
    given: nn.Module | Mapping[str, Tensor],
    *,
    names: Mapping[str, str] | None = None,
    check: bool = True,
) -> None:
    """Load the weights of a plain module of the same architecture.

    Parameters
    ----------
    model : Model
        Its weights, biases and normalisers are overwritten, and feedback that depends on them is recomputed.
    given : nn.Module or mapping of str to Tensor
        The module, or its state dict, with layers in the order of its keys.
    names, check
        As for `to_state_dict`; outputs cannot be compared with a state dict alone.

    Raises
    ------
    RunError
        Naming the layer that does not fit, or if the module's outputs differ; the model is then unchanged.
    """
    theirs = dict(given.state_dict() if isinstance(given, nn.Module) else given)
    before = weights.state(model)
    changed: dict[str, Any] = {
        "weights": dict(before.weights),
        "biases": dict(before.biases),
        "normalisers": {n: dict(kept) for n, kept in before.normalisers.items()},
    }
    for layer, place in _matched(model, before, theirs, names):
        for part, array in _arrays(layer, before).items():
            values = theirs[_key(theirs, place, part, array, layer)].detach().cpu().numpy()
            field, key, variable = layer.parts[part]
            held = changed[field][key] if variable else changed[field]
            held[variable or key] = values
        for key in _more(theirs, place, layer):
            if theirs[key].any():
                raise RunError(
                    f"layer {place}: has a bias that is not 0, but {layer.name} has none; give its "
                    "population bias=True, or fold the bias into another layer"
                )
    weights.load_state(model, replace(before, **changed))
    if check and isinstance(given, nn.Module):
        try:
            _compare(model, copy.deepcopy(given))
        except RunError:
            weights.load_state(model, before)
            raise


def layers_of(model: Core, state: State) -> list[Layer]:
    """The layers that a plain module must have, in the order in which rates flow."""
    found = []
    for step in model.steps:
        population = step.name
        links = [link for link in step.inputs if link.operator.weighted]
        bias = {"bias": ("biases", population, "")} if population in state.biases else {}
        normaliser = state.normalisers.get(population)
        for number, link in enumerate(links):
            own = {"weight": ("weights", link.name, "")}
            found.append(Layer(link.name, own | (bias if number == 0 and normaliser is None else {})))
        if normaliser is not None:
            kept = {_OF_NORMALISER[v]: ("normalisers", population, v) for v in normaliser}
            found.append(Layer(population, kept | bias))
    return found


def _matched(
    model: Core, state: State, theirs: Mapping[str, Tensor], names: Mapping[str, str] | None
) -> list[tuple[Layer, str]]:
    """Layers of this model, in order, with the prefix of the module's."""
    ours = {layer.name: layer for layer in layers_of(model, state)}
    places = list(dict.fromkeys(key.rpartition(".")[0] for key in theirs))
    if names is not None:
        for name in ours:
            require_known("names: layer", name, names, RunError)
        for name, place in names.items():
            require_known(f"names: layer of {model.net.name}", name, ours, RunError)
            require_known("names: layer of the module", place, dict.fromkeys(places), RunError)
        return [(layer, names[name]) for name, layer in ours.items()]
    if len(places) != len(ours):
        raise RunError(
            f"network {model.net.name}: the number of layers with parameters is {len(ours)} in the network "
            f"({', '.join(ours)}), but {len(places)} in the module ({', '.join(places)}); give a module of "
            "the same architecture"
        )
    return list(zip(ours.values(), places, strict=True))


def _arrays(layer: Layer, state: State) -> dict[str, np.ndarray]:
    """The arrays of a layer, by their names in torch."""
    found = {}
    for part, (field, key, variable) in layer.parts.items():
        held = getattr(state, field)[key]
        found[part] = np.asarray(held[variable] if variable else held)
    return found


def _key(theirs: Mapping[str, Tensor], place: str, part: str, array: np.ndarray, layer: Layer) -> str:
    """The key of a part in the module's state dict.

    Raises
    ------
    RunError
        If the state dict lacks it, or it has another shape.
    """
    key = f"{place}.{part}" if place else part
    if key not in theirs:
        if part == "bias":
            raise RunError(f"layer {place}: has no bias, but {layer.name} has one; give the layer bias=True")
        raise RunError(
            f"layer {place}: has no {part}, which {layer.name} needs; say by names={{{layer.name!r}: ...}} "
            "which layer has it"
        )
    if tuple(theirs[key].shape) != array.shape:
        raise RunError(
            f"layer {place}: its {part} has shape {tuple(theirs[key].shape)}, but {layer.name} has "
            f"{array.shape}; give the module the same architecture, or names={{{layer.name!r}: ...}}"
        )
    return key


def _more(theirs: Mapping[str, Tensor], place: str, layer: Layer) -> list[str]:
    """Keys of biases that the module's layer has and this model's layer does not.

    Raises
    ------
    RunError
        If the module's layer has anything else that this model's layer lacks.
    """
    start = f"{place}." if place else ""
    more = [key for key in theirs if key.rpartition(".")[0] == place]
    more = [key for key in more if key.removeprefix(start) not in layer.parts]
    unknown = [key for key in more if key.removeprefix(start) not in ("bias", *_COUNTS)]
    if unknown:
        raise RunError(
            f"layer {place}: {layer.name} has no counterpart of {listed(unknown)}; say by "
            f"names={{{layer.name!r}: ...}} which layer it is"
        )
    return [key for key in more if key.removeprefix(start) == "bias"]


@torch.no_grad()
@only_looking
def _compare(model: Core, module: nn.Module) -> None:
    """Raise `RunError` where outputs on random stimuli differ."""
    source = model.net.populations[
        only_source(model.net, "plain torch takes one source", "leave check out: check=False")
    ]
    drawn = np.random.default_rng(0).normal(size=(_PRESENTATIONS, *source.shape))
    x = torch.from_numpy(drawn).to(model.device, model.compute)
    ours = model.top_rates(model.presentations(x)).double()
    kept = {p.dtype for p in module.parameters()}  # the module's precision may be lower
    tolerance = _TOLERANCE["32" if model.precision == "64" and kept != {torch.float64} else model.precision]
    module = module.to(model.device, model.compute).eval()
    try:
        theirs = module(x).double().flatten(1)
    except RuntimeError as exception:
        raise RunError(
            f"module {type(module).__name__}: does not take stimuli {tuple(x.shape)} ({exception}); give one "
            f"for shape {source.shape}, or check=False"
        ) from None
    off = float((ours - theirs).abs().max()) if ours.shape == theirs.shape else float("inf")
    allowed = tolerance * max(1.0, float(ours.abs().max()))
    if not off <= allowed:
        raise RunError(
            f"module {type(module).__name__}: with the same weights its outputs {tuple(theirs.shape)} differ "
            f"from those of network {model.net.name}, {tuple(ours.shape)}, by {off:.2g}; make its "
            "activations (LeakyReLU's slope is 0.1 here), padding and order of layers the same, or give "
            "check=False"
        )
