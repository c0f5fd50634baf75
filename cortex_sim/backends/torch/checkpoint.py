"""Checkpoints: safetensors, no pickle, written whole or not at all.

Tensors: weights, buffers (inverses, rule state) and optimiser state. Metadata, as JSON: where the run
stands, the optimiser's settings, the schedule, and the network as data. Data order and noise are pure
functions of seed, epoch and update, so there is no generator state to keep.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cortex_sim.backends.torch.model import Model
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.declaration_yaml import from_dict, to_dict
from cortex_sim.errors import DeclarationError, RunError
from cortex_sim.network import Network
from cortex_sim.runs.files import read_tensors, write_tensors

FORMAT = 1
_KEYS = {
    "step",
    "first_epoch",
    "epochs_done",
    "seed",
    "precision",
    "optimiser",
    "schedule",
    "network",
    "extra",
}


def save(path: Path, trainer: Trainer, extra: dict[str, Any]) -> None:
    """Write a checkpoint of ``trainer`` with ``extra`` JSON data; whole, with a checksum, or not at all."""
    model = trainer.model
    tensors = {f"model/{k}": _array(v) for k, v in model.state_dict().items()}
    plain: dict[str, dict[str, Any]] = {}
    state = trainer.optimiser.state_dict()
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimiser/{index}/{key}"] = _array(value)
            else:
                plain.setdefault(str(index), {})[key] = value
    metadata = {
        "format": FORMAT,
        "step": trainer.step,
        "first_epoch": trainer.first_epoch,
        "epochs_done": model.epochs_done,
        "losses": trainer.losses if trainer.step % trainer.steps_per_epoch else [],
        "seed": model.seed,
        "precision": model.precision,
        "optimiser": {"groups": state["param_groups"], "state": plain},
        "schedule": _schedule_state(trainer),
        "network": to_dict(model.net),
        "extra": extra,
    }
    write_tensors(path, tensors, metadata)


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


def _schedule_state(trainer: Trainer) -> dict[str, Any] | None:
    if trainer.schedule is None:
        return None
    state = trainer.schedule.state_dict()
    return {k: v for k, v in state.items() if _survives_json(v)}


def _survives_json(value: Any) -> bool:
    """What does not (MultiStepLR's milestones, functions) is the same in a newly made schedule."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except TypeError:
        return False


def read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and tensors of a checkpoint.

    Raises
    ------
    RunError
        If the file is missing, damaged, or no checkpoint of this package.
    """
    metadata, arrays = read_tensors(path, "checkpoint")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT or _KEYS - set(metadata):
        raise RunError(f"checkpoint {path}: not a checkpoint of this version of cortex-sim")
    return metadata, {name: torch.tensor(array) for name, array in arrays.items()}


def restore(trainer: Trainer, path: Path) -> dict[str, Any]:
    """Bring a new trainer to where the checkpoint stands; returns its extra data."""
    metadata, tensors = read(path)
    _load_model(trainer.model, tensors, path)
    saved = metadata["optimiser"]
    state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in saved["state"].items()}
    for name, tensor in tensors.items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    trainer.optimiser.load_state_dict({"state": state, "param_groups": saved["groups"]})
    if trainer.schedule is not None and metadata["schedule"] is not None:
        trainer.schedule.load_state_dict(metadata["schedule"])
    trainer.step = trainer.model.steps_done = int(metadata["step"])
    trainer.first_epoch = int(metadata["first_epoch"])
    trainer.model.epochs_done = int(metadata["epochs_done"])
    trainer.losses = list(metadata.get("losses", []))
    return metadata["extra"]


def _load_model(model: Model, tensors: dict[str, torch.Tensor], path: Path) -> None:
    state = {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise RunError(f"checkpoint {path}: does not fit network {model.net.name} ({first})") from None


def load_network(path: Path) -> Network:
    """Network that a checkpoint holds, as data: no file is run."""
    return _network(read(path)[0], path)


def _network(metadata: dict[str, Any], path: Path) -> Network:
    try:
        net = from_dict(metadata["network"])
        net.check()
    except DeclarationError as error:
        raise RunError(f"checkpoint {path}: {error}") from None
    return net


def load_model(path: Path, device: str = "cpu") -> Model:
    """Model rebuilt from a checkpoint alone: the network comes from its data, no file is run."""
    metadata, tensors = read(path)
    net = _network(metadata, path)
    model = Model(net, int(metadata["seed"]), metadata["precision"], torch.device(device))
    _load_model(model, tensors, path)
    model.steps_done = int(metadata["step"])
    model.epochs_done = int(metadata["epochs_done"])
    return model
