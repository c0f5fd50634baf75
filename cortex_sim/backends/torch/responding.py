"""`Model.respond`: show stimuli, record every population."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr

from cortex_sim.backends.torch.model import Model
from cortex_sim.recording import make_recording
from cortex_sim.registry import registered_name


def respond(model: Model, x: Any, y: Any = None, *, batch: int = 256) -> xr.Dataset:
    """Settled rates and drives of every population, and with labels its credit.

    Parameters
    ----------
    model : Model
    x : array of shape (presentation, *stimulus)
    y : array of labels (presentation,) or target rates (presentation, unit), optional
        With them the recording has the variable ``credit``.
    batch : int, default 256
        Presentations settled at a time.

    Returns
    -------
    xarray.Dataset
        See `cortex_sim.recording.make_recording`. The stimulus's own drive is its rate.

    Raises
    ------
    DataError
        If the stimuli or labels do not fit the network.
    """
    stimuli = model.stimulus_tensor(x)
    goals = None if y is None else model.target_tensor(y)
    parts: dict[str, dict[str, list[np.ndarray]]] = {"rate": {}, "drive": {}}
    for start in range(0, len(stimuli), batch):
        part = stimuli[start : start + batch]
        with torch.no_grad():
            drives, rates = model.settle(part, credit=False)
        found = {"rate": rates, "drive": {model.stimulus: part, **drives}}
        if goals is not None:
            found["credit"] = model.credits(part, goals[start : start + batch])
        for variable, by_population in found.items():
            for name, values in by_population.items():
                kept = parts.setdefault(variable, {}).setdefault(name, [])
                kept.append(_numpy(values))
    ordered = list(model.net.populations)
    gathered = {
        variable: {n: np.concatenate(by_population[n]) for n in ordered if n in by_population}
        for variable, by_population in parts.items()
    }
    return make_recording(model.net, gathered, attributes=attributes(model))


def _numpy(values: torch.Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()


def attributes(model: Model) -> dict[str, Any]:
    """What made a recording: network, rules, seed, backend, version."""
    from cortex_sim import __version__

    rules = {registered_name("rule", p.plasticity) for p in model.net.bottom_ups if p.plasticity}
    return {
        "network": model.net.name,
        "rule": ", ".join(sorted(rules)) or "none",
        "seed": model.seed,
        "backend": "torch",
        "updates": model.steps_done,
        "cortex_sim_version": __version__,
    }
