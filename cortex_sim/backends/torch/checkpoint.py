"""Checkpoints: safetensors, no pickle, written whole or not at all.

Tensors: weights, buffers (inverses, rule state) and optimiser state. Metadata, as JSON: the progress
of the run, the optimiser's settings, the schedule, and the network as data. Data order and noise are pure
functions of seed, epoch and update, so there is no generator state to keep.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.optimising import require_length
from cortex_sim.backends.torch.slow import normalisers
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.backends.torch.unrolling import Unrolled
from cortex_sim.backends.torch.weights import origin as origin_of
from cortex_sim.errors import RunError
from cortex_sim.preprocessing import from_data
from cortex_sim.runs.files import read_tensors, write_tensors
from cortex_sim.state import State, metadata_of

FORMAT = 2
_KEYS = {
    "first_epoch",
    "epochs_done",
    "step",
    "seed",
    "precision",
    "optimiser",
    "schedule",
    "network",
    "extra",
}


def _about(model: Core) -> State:
    """The metadata of this model's state, without arrays."""
    return State(model.net, {}, preprocessing=model.preprocessing, origin=origin_of(model))


def save(path: Path, trainer: Trainer, extra: dict[str, Any]) -> None:
    """Write a checkpoint of ``trainer``, with ``extra`` as JSON, in one atomic step.

    `cortex_sim.load` reads it as the state of the network.
    """
    trainer.require_inverses()
    model = trainer.model
    tensors = {f"model/{k}": v.detach().contiguous() for k, v in model.state_dict().items()}
    if trainer.average is not None:
        tensors |= {f"average/{k}": v.detach().contiguous() for k, v in trainer.average.tensors().items()}
    plain: dict[str, dict[str, Any]] = {}
    state = trainer.optimiser.state_dict()
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimiser/{index}/{key}"] = value.detach().contiguous()
            else:
                plain.setdefault(str(index), {})[key] = value
    metadata = {
        "format": FORMAT,
        "step": trainer.step,
        "steps_per_epoch": trainer.steps_per_epoch,
        "first_epoch": trainer.first_epoch,
        "epochs_done": model.epochs_done,
        "losses": trainer.losses if trainer.step % trainer.steps_per_epoch else [],
        "seed": model.seed,
        "precision": model.precision,
        "optimiser": {"groups": state["param_groups"], "state": plain},
        "schedule": _schedule_state(trainer),
        **metadata_of(_about(model)),
        "shared": _shared(model),
        "extra": extra,
    }
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    write_tensors(path, arrays, metadata)


def _shared(model: Core) -> dict[str, str]:
    """From the names of arrays in `cortex_sim.state` to those of the model's tensors."""
    names = {f"weight:{n}": f"weights.{n}" for n in model.weights}
    names |= {f"bias:{n}": f"biases.{n}" for n in model.biases}
    names |= {f"auxiliary:{n}": f"feedback.auxiliary.{n}" for n in model.feedback.auxiliary}
    for n in model.feedback.free:
        kind = "learned" if n in model.feedback.learned else "fixed"
        names[f"feedback:{n}"] = f"feedback.{kind}.{n}"
    for n, rule in model.local.state.items():
        names |= {f"rule:{n}:{v}": f"local.state.{n}.{v}" for v, _ in rule.named_buffers()}
    for n, reading in model.presynaptic.of.items():
        names |= {f"reading:{n}:{v}": f"presynaptic.of.{n}.{v}" for v, _ in reading.named_buffers()}
        names[f"reading:{n}:count"] = f"presynaptic.of.{n}._extra_state"
    for n, values in model.transfer_values().items():
        names |= {f"transfer:{n}:{v}": f"populations.{n}.transfer_{v}" for v in values}
    for n, normaliser in normalisers(model.populations).items():
        names |= {f"normaliser:{n}:{v}": f"populations.{n}.normaliser.{v}" for v in normaliser.kept()}
    return {ours: f"model/{theirs}" for ours, theirs in names.items()}


def _schedule_state(trainer: Trainer) -> dict[str, Any] | None:
    if trainer.schedule is None:
        return None
    state = trainer.schedule.state_dict()
    return {k: v for k, v in state.items() if _survives_json(v)}


def _survives_json(value: Any) -> bool:
    """Whether JSON keeps a value. A new schedule has the others (MultiStepLR's milestones, functions)."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except TypeError:
        return False


def read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Metadata and tensors of a checkpoint.

    Raises
    ------
    RunError
        If the file is missing, damaged, or not a checkpoint of this package.
    """
    metadata, arrays = read_tensors(path, "checkpoint")
    if metadata.get("format") != FORMAT or _KEYS - set(metadata):
        raise RunError(
            f"checkpoint {path}: not a checkpoint of this version of cortex-sim; give one that this version "
            "wrote"
        )
    return metadata, {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def restore(trainer: Trainer, path: Path) -> dict[str, Any]:
    """Set a new trainer to the state of the checkpoint; returns its extra data."""
    metadata, tensors = read(path)
    _require_same_steps(trainer.model, metadata.get("origin") or {}, path)
    _require_same_epochs(trainer, metadata.get("steps_per_epoch"), path)
    _load_model(trainer.model, tensors, path)
    saved = metadata["optimiser"]
    state: dict[int, dict[str, Any]] = {int(k): dict(v) for k, v in saved["state"].items()}
    for name, tensor in tensors.items():
        if name.startswith("optimiser/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    trainer.optimiser.load_state_dict({"state": state, "param_groups": saved["groups"]})
    if trainer.average is not None:
        prefix = "average/"
        found = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        if set(found) != set(trainer.average.tensors()):
            raise RunError(f"checkpoint {path}: has no averages of these weights; train without ema_decay")
        trainer.average.load(found)
    if trainer.schedule is not None and metadata["schedule"] is not None:
        trainer.schedule.load_state_dict(metadata["schedule"])
    trainer.step = int(metadata["step"])  # in this run; the model's clock counts earlier updates too
    require_length(trainer.optimiser, trainer.total_steps - trainer.step)
    trainer.model.trust_feedback()  # inverses that are recomputed every few updates stay as they were
    trainer.first_epoch = int(metadata["first_epoch"])
    trainer.model.epochs_done = int(metadata["epochs_done"])
    trainer.losses = list(metadata.get("losses", []))
    trainer.model.preprocessing = from_data(metadata.get("preprocessing"))
    return metadata["extra"]


def _require_same_steps(model: Core, origin: dict[str, Any], path: Path) -> None:
    found = origin.get("unrolled")
    saved = None if found is None else Unrolled(**found)
    if saved != model.unrolled:
        raise RunError(
            f"checkpoint {path}: its network was {'settled' if saved is None else 'unrolled'} in training, "
            f"but this model is {model.unrolled or 'settled'}; build it with settling=cs.torch."
            f"{'Settling()' if saved is None else saved!r}"
        )


def _require_same_epochs(trainer: Trainer, saved: int | None, path: Path) -> None:
    """Raise where another number of ranks, which leaves out another remainder, would make other updates."""
    if saved is not None and saved != trainer.steps_per_epoch:
        raise RunError(
            f"checkpoint {path}: updates per epoch were {saved} when the run started, and would now be "
            f"{trainer.steps_per_epoch} (ranks: {trainer.ranks}); resume it on as many ranks as at its start"
        )


def _load_model(model: Core, tensors: dict[str, torch.Tensor], path: Path) -> None:
    state = {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}
    try:
        model.load_state_dict(state)
    except RuntimeError as exception:
        first = str(exception).splitlines()[-1].strip()
        raise RunError(f"checkpoint {path}: does not fit network {model.net.name} ({first})") from None
