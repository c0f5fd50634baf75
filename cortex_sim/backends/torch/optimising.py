"""Optimisers and schedules of torch, by name with their settings, or as objects."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from cortex_sim.backends.torch import inner_step, muon
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.parameter_groups import groups, parameters_of
from cortex_sim.checks import listed, look_up, spelled
from cortex_sim.errors import RunError

Setting = str | Mapping[str, Any]
Optimiser = Setting | torch.optim.Optimizer

# Those that need a closure, sparse gradients, functions or other schedules cannot be given as settings.
_NOT_OFFERED = {"Optimizer", "LBFGS", "SparseAdam", "LRScheduler", "ReduceLROnPlateau"}
_NOT_OFFERED |= {"LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler"}
_OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    name: cls
    for name, cls in vars(torch.optim).items()
    if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and name not in _NOT_OFFERED
}
_SCHEDULES: dict[str, Any] = {
    name: cls
    for name, cls in vars(torch.optim.lr_scheduler).items()
    if isinstance(cls, type)
    and issubclass(cls, torch.optim.lr_scheduler.LRScheduler)
    and name not in _NOT_OFFERED
    and not name.startswith("_")
}
_EXAMPLES = {
    "optimiser": '"Adam", {"name": "SGD", "lr": 0.1}, or an optimiser that holds the model\'s parameters',
    "schedule": '"OneCycleLR", or {"name": "StepLR", "step_size": 100}',
}
#: What schedules write into the groups of an optimiser.
_SCHEDULED = ("lr", "initial_lr", "max_lr", "min_lr", "momentum", "betas", "max_momentum", "base_momentum")
_LENGTHS = ("total_steps", "T_max", "total_iters")


def make_optimiser(
    model: Core, optimiser: Optimiser | None, updates: int | None = None
) -> torch.optim.Optimizer:
    """Any optimiser of torch.optim by name with its settings, or as an object; attached to the model.

    Parameters
    ----------
    optimiser : str, dict, torch.optim.Optimizer or None
        "Adam", ``{"name": "SGD", "lr": 0.1, "momentum": 0.9}``, an optimiser of the model's parameters, or
        "inner_step" (``cortex_sim.backends.torch.inner_step``). None means "inner_step" if the network has a
        trained step, else "Adam". With ``decay="weights"``, weight decay acts only on the weights of
        projections, not on biases, gains and offsets. "Muon" has a setting ``others``, the optimiser of all
        parameters that are not matrices, by default ``{"name": "AdamW", "lr": 0.001, "weight_decay": 0}``.
    updates : int, optional
        Number of updates in the training.

    Raises
    ------
    RunError
        If the optimiser or a setting is unknown, or it does not fit the model.
    """
    if optimiser is None:
        optimiser = "Adam" if model.net.step is None else inner_step.NAME
    if isinstance(optimiser, torch.optim.Optimizer):
        return _own(model, optimiser, updates)
    settings = _settings("optimiser", optimiser)
    known = {**_OPTIMISERS, inner_step.NAME: inner_step.inner_step}
    name = spelled(settings.pop("name"), known)
    cls: Any = look_up("optimiser", name, known, RunError)
    if cls is not inner_step.inner_step:
        by_name = _muon if name == muon.NAME else _of_torch
        made = by_name(model, f"optimiser {name}", cls, settings)
        model.attach(made)
        return made
    _known_settings(f"optimiser {name}", cls, settings)
    made = cls(model, settings.pop("horizon", None), **settings, updates=updates)
    require_length(made, updates)
    model.attach(made)
    return made


def _of_torch(model: Core, owner: str, cls: Any, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """An optimiser of torch over the model's trainable parameters."""
    decay = settings.pop("decay", "all")
    _known_settings(owner, cls, settings, {"decay"})
    return _made(owner, cls, groups(parameters_of(model), decay, owner, settings, cls), settings)


def _muon(model: Core, owner: str, cls: Any, settings: dict[str, Any]) -> torch.optim.Optimizer:
    """Muon for all matrices of weights, a second optimiser for the rest."""
    others = settings.pop("others", None)
    second = dict(muon.OTHERS) if others is None else _settings("optimiser", others)
    _known_settings(owner, cls, settings, {"others"})
    name = spelled(second.pop("name"), _OPTIMISERS)
    if name == muon.NAME:
        raise RunError(
            f"{owner}: others is for parameters that are not matrices, which {name} cannot update; give AdamW"
        )
    theirs = look_up(f"{owner}: others", name, _OPTIMISERS, RunError)
    _known_settings(f"{owner}: others {name}", theirs, second)
    found = parameters_of(model)
    matrices = [w for w in found.weights if w.dim() >= 2]
    if not matrices:
        raise RunError(
            f"{owner}: network {model.net.name} has no matrix of weights that learns; give another optimiser"
        )
    held = {id(w) for w in matrices}
    rest = [p for p in found.every if id(p) not in held]
    second_one = _made(f"{owner}: others {name}", theirs, rest, second) if rest else None
    return _made(owner, partial(muon.Muon, rest=second_one), matrices, {"settings": settings})


def _made(owner: str, cls: Any, parameters: Any, settings: Mapping[str, Any]) -> Any:
    try:
        return cls(parameters, **settings)
    except (TypeError, ValueError, IndexError, RuntimeError) as exception:
        raise RunError(f"{owner}: {exception}") from None


def require_length(optimiser: torch.optim.Optimizer, updates: int | None) -> None:
    """Raise `RunError` if an optimiser with its own schedule cannot make this many further updates."""
    if updates is not None and isinstance(optimiser, inner_step.InnerStep):
        optimiser.require(updates)


def _own(model: Core, optimiser: torch.optim.Optimizer, updates: int | None) -> torch.optim.Optimizer:
    name = type(optimiser).__name__
    if isinstance(optimiser, torch.optim.LBFGS):
        raise RunError(
            "optimiser LBFGS: needs the objective several times per update; give another, such as Adam"
        )
    own = {id(p) for p in model.parameters()}
    if any(id(p) not in own for group in optimiser.param_groups for p in group["params"]):
        raise RunError(
            f"network {model.net.name}: optimiser {name} has parameters that are not this model's; make it "
            "with model.parameters() of the model that is trained, or give its name and settings"
        )
    require_length(optimiser, updates)
    model.attach(optimiser)
    return optimiser


def make_schedule(optimiser: torch.optim.Optimizer, schedule: Setting | None, steps: int) -> Any:
    """Any schedule of torch.optim.lr_scheduler by name, stepped after every update; or None.

    The number of updates (``total_steps``, ``T_max``) and the peak rate (``max_lr``) are filled in if absent.
    """
    if schedule is None:
        return None
    if isinstance(optimiser, inner_step.InnerStep):
        raise RunError(
            f"optimiser {inner_step.NAME}: brings its own schedule; leave the schedule out, "
            "or schedule=null on the command line"
        )
    settings = _settings("schedule", schedule)
    name = spelled(settings.pop("name"), _SCHEDULES)
    cls = look_up("schedule", name, _SCHEDULES, RunError)
    known = _known_settings(f"schedule {name}", cls, settings)
    rates = [group["lr"] for group in optimiser.param_groups]
    for key, value in (*((length, steps) for length in _LENGTHS), ("max_lr", rates[0])):
        said_otherwise = key in settings or (key == "total_steps" and "epochs" in settings)
        if key in known and not said_otherwise:
            settings[key] = value
    if len(set(rates)) > 1:  # groups with different rates keep their ratio to the first
        for key in {"max_lr", "base_lr"} & settings.keys():
            first = settings[key]
            if isinstance(first, (int, float)):
                settings[key] = [first * rate / rates[0] for rate in rates]
    try:
        made = cls(optimiser, **settings)
    except ZeroDivisionError:  # OneCycleLR where pct_start is just one update
        raise RunError(
            f"schedule {name}: needs more updates than this training makes ({steps}); train longer, or give "
            "schedule=null"
        ) from None
    except (TypeError, ValueError, IndexError) as exception:
        raise RunError(f"schedule {name}: {exception}") from None
    if getattr(made, "total_steps", steps) < steps:
        raise RunError(
            f"schedule {name}: ends at update {made.total_steps}, but the run at {steps}; leave its length "
            "out, which is then filled in"
        )
    return made


@contextmanager
def rates_restored(optimiser: Any, schedule: Any) -> Iterator[None]:
    """Give an optimiser of the user's the rates and momenta again that a schedule changes meanwhile.

    Else the next schedule would begin where this one ended, with hardly any rate.
    """
    own = schedule is not None and isinstance(optimiser, torch.optim.Optimizer)
    groups = optimiser.param_groups if own else []
    before = [{name: _copy(group[name]) for name in _SCHEDULED if name in group} for group in groups]
    try:
        yield
    finally:
        for group, kept in zip(groups, before, strict=True):
            for name in _SCHEDULED:
                group.pop(name, None)
            group.update(kept)


def _copy(value: Any) -> Any:
    """A rate may be a tensor, which schedules fill anew."""
    return value.clone() if isinstance(value, torch.Tensor) else value


def schedule_remarks(schedule: Any, steps: int) -> list[str]:
    """Warnings about a schedule that does not fit the number of updates; usually none."""
    if schedule is None:
        return []
    name = type(schedule).__name__
    lengths = [getattr(schedule, key) for key in _LENGTHS if hasattr(schedule, key)]
    said = []
    for length in lengths[:1]:
        if length > steps:
            said.append(
                f"schedule {name}: would end at update {length}, but the run ends at {steps}; leave its "
                "length out, which is then filled in"
            )
        elif length < steps:
            said.append(
                f"schedule {name}: ends at update {length}, but the run at {steps}; leave its length out to "
                "spread it over the run"
            )
    changes = [*getattr(schedule, "milestones", ()), *_first_change(schedule)]
    late = sorted(int(change) for change in changes if change >= steps)
    if late:
        said.append(
            f"schedule {name}: would change the rate at update {late[0]}, but the run ends at {steps}; "
            "schedules count updates, not epochs"
        )
    return said


def _first_change(schedule: Any) -> list[int]:
    """Update at which a schedule first changes the rate, if its steps have a fixed length."""
    return [getattr(schedule, key) for key in ("step_size", "T_0") if hasattr(schedule, key)]


def _settings(kind: str, given: Setting) -> dict[str, Any]:
    if isinstance(given, str):
        return {"name": given}
    if not isinstance(given, Mapping):
        raise RunError(f"{kind} must be {_EXAMPLES[kind]}. Got {given!r}")
    if "name" not in given:
        raise RunError(f"{kind} needs a name: give {_EXAMPLES[kind]}. Got {dict(given)!r}")
    return dict(given)


def _known_settings(
    owner: str, cls: Any, settings: Mapping[str, Any], extra: Set[str] = frozenset()
) -> set[str]:
    signature = inspect.signature(cls).parameters
    known = (set(signature) | extra) - {"self", "params", "optimizer", "model", "updates"}
    for setting, value in settings.items():
        if setting not in known:
            raise RunError(f"{owner}: unknown setting {setting!r}; known: {listed(known)}")
        number = isinstance(signature[setting].default, (int, float)) or setting in _NUMBERS
        if number and isinstance(value, str):
            raise RunError(f"{owner}: {setting} must be a number, such as 0.001. Got {value!r}")
    return known


_NUMBERS = {"lr", "max_lr", "base_lr", "step_size", "gamma", *_LENGTHS}
