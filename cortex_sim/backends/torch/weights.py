"""Weights, biases and the whole state of a model: set by name, read, and restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.slow import normalisers
from cortex_sim.checks import look_up
from cortex_sim.errors import BuildError
from cortex_sim.state import State


def set_weights(model: Core, weights: Mapping[str, Any]) -> None:
    """Overwrite weights by the name of their projection: all that are given, or none if one is wrong."""
    owners = dict(model.weights.items()) | model.feedback.free
    new = _checked("projection", "weights", weights, owners)
    for name, values in new.items():
        if model.net.projection(name).is_lateral and values.diagonal().any():
            raise BuildError(
                f"projection {name}: lateral weights must be zero on the diagonal, since no unit projects to "
                "itself; set their diagonal to 0"
            )
    model.constrained.require(new, owners)
    _overwrite(owners, new)
    model.constrained.enforce(owners, new)
    model.renew_feedback()


def set_biases(model: Core, biases: Mapping[str, Any]) -> None:
    """Overwrite biases by the name of their population: all that are given, or none if one is wrong."""
    owners = dict(model.biases.items())
    _overwrite(owners, _checked("population", "biases", biases, owners))


def state(model: Core) -> State:
    """Everything that a model has learned, as arrays."""
    return State(
        network=model.net.copy(),
        weights={n: _array(w) for n, w in model.weights.items()},
        biases={n: _array(b) for n, b in model.biases.items()},
        feedback={n: _array(b) for n, b in model.feedback.free.items()},
        rule_state={n: {v: _array(s) for v, s in model.local.of(n).items()} for n in model.local.state},
        auxiliary={n: _array(a) for n, a in model.feedback.auxiliary.items()},
        transfers={n: {v: _array(x) for v, x in kept.items()} for n, kept in model.transfer_values().items()},
        normalisers={n: {v: _array(x) for v, x in kept.items()} for n, kept in _normalisers(model).items()},
        readings={n: _reading(one) for n, one in model.presynaptic.of.items()},
        preprocessing=model.preprocessing,
        origin=origin(model),
    )


def origin(model: Core) -> dict[str, Any]:
    """Provenance of a model's state, and the counts from which order and noise continue."""
    from cortex_sim import __version__

    return {
        "backend": "torch",
        "seed": model.seed,
        "updates": model.steps_done,
        "draws": model.clock.draws,
        "epochs": model.epochs_done,
        "precision": model.precision,
        **({} if model.unrolled is None else {"unrolled": asdict(model.unrolled)}),
        "cortex_sim_version": __version__,
    }


def load_state(model: Core, given: State) -> None:
    """Load a state; feedback is recomputed from the new weights.

    Raises
    ------
    BuildError
        If the state is that of another network.
    """
    found = given.fitted_to(model.net, model.seed)
    set_weights(model, {**found.weights, **found.feedback})
    set_biases(model, found.biases)
    auxiliary = {n: a for n, a in found.auxiliary.items() if n in model.feedback.auxiliary}
    owners = dict(model.feedback.auxiliary.items())
    _overwrite(owners, _checked("projection", "auxiliary units", auxiliary, owners))
    for name, variables in found.rule_state.items():
        kept = model.local.of(name)
        _overwrite(kept, _checked(f"projection {name}: variable", "state", variables, kept))
    for name, given_reading in found.readings.items():
        reading: Any = model.presynaptic.of[name]
        arrays = {v: x for v, x in given_reading.items() if v != "count"}
        kept = reading.state()
        _overwrite(kept, _checked(f"projection {name}: reading", "state", arrays, kept))
        reading.count = int(given_reading["count"])
    for name, kept in model.transfer_values().items():
        given_here = found.transfers.get(name, {})
        _overwrite(kept, _checked(f"population {name}: parameter", "values", given_here, kept))
    for name, kept in _normalisers(model).items():
        given_here = found.normalisers.get(name, {})
        _overwrite(kept, _checked(f"population {name}: normaliser", "values", given_here, kept))
    model.preprocessing = found.preprocessing
    # Order and noise continue from there, so that no draw is repeated.
    model.epochs_done = int(found.origin.get("epochs", 0))
    model.clock.updates = int(found.origin.get("updates", 0))
    model.clock.draws = int(found.origin.get("draws", model.clock.updates))
    model.renew_feedback()


def _normalisers(model: Core) -> dict[str, dict[str, Tensor]]:
    return {name: one.kept() for name, one in normalisers(model.populations).items()}


def _checked(kind: str, what: str, given: Any, owners: Mapping[str, Tensor]) -> dict[str, Tensor]:
    if not isinstance(given, Mapping):
        example = next(iter(owners), "V1->IT" if kind == "projection" else "V1")
        raise BuildError(
            f"{what}: give a mapping from {kind} to array, such as {{{example!r}: array}}. "
            f"Got {type(given).__name__}"
        )
    found = {}
    for name, values in given.items():
        target = look_up(f"{kind} with {what}", name, owners, BuildError, exact=True)
        try:
            array = (
                values.detach().cpu().double().numpy() if isinstance(values, Tensor) else np.asarray(values)
            )
            new = torch.from_numpy(np.array(array, dtype=np.float64)).to(target.dtype)
        except (TypeError, ValueError, RuntimeError) as exception:
            raise BuildError(f"{kind} {name}: {what} must be an array of numbers ({exception})") from None
        if new.shape != target.shape:
            raise BuildError(
                f"{kind} {name}: {what} must have shape {tuple(target.shape)}. Got {tuple(new.shape)}"
            )
        if array.dtype.kind not in "biuf":
            raise BuildError(f"{kind} {name}: {what} must be real numbers. Got {array.dtype}")
        if not torch.isfinite(new).all():
            raise BuildError(f"{kind} {name}: {what} hold NaN or infinite values; give finite numbers")
        found[name] = new
    return found


@torch.no_grad()
def _overwrite(owners: Mapping[str, Tensor], new: Mapping[str, Tensor]) -> None:
    for name, values in new.items():
        owners[name].copy_(values)


def _reading(one: Any) -> dict[str, np.ndarray]:
    """State of one projection's reading, including its count."""
    return {**{v: _array(x) for v, x in one.state().items()}, "count": np.array(float(one.count))}


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().copy()
