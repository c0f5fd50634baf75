"""Training runs as the jobs of a sweep: rules × settings × seeds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cortex_sim
from cortex_sim.errors import RunError
from cortex_sim.runs import identity
from cortex_sim.runs.directory import CHECKPOINT, RUN
from cortex_sim.runs.sweep import Job

if TYPE_CHECKING:
    from cortex_sim.training.settings import Settings

_FREE = ("threads", "device", "workers")  # do not affect the result
ADDED: dict[str, Any] = {
    "start": None,
    "settling": None,
    "augmentation": None,
    "view": None,
    "workers": 0,
    "accumulate": 1,
    "clip_norm": None,
    "ema_decay": None,
    "evaluate_every": 0,
    "early_stopping": None,
    "keep_best": False,
    "best_by": None,
    "compile": False,
    "channels_last": False,
}  # settings added later, see `cortex_sim.runs.identity`
ADDED_TO_FEEDBACK: dict[str, Any] = {"keeps": "gram"}  # those of feedback


def grid(assignments: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of ``name=a,b,c``, as words ``name=value``; commas in brackets do not separate."""
    axes = [[f"{name}={value}" for value in values] for name, values in map(values_of, assignments)]
    return list(itertools.product(*axes))


def values_of(word: str) -> tuple[str, list[str]]:
    """Name and values of ``name=a,b,c``; commas in brackets do not separate."""
    name, equals, values = word.partition("=")
    if not equals or not name:
        raise RunError(f"--set {word}: give name=value, or name=a,b,c to try each")
    return name, re.split(r",(?![^\[{]*[\]}])", values)


def jobs(
    model: str, rules: Sequence[str | None], seeds: int, assignments: Sequence[str], flags: Mapping[str, Any]
) -> list[Job]:
    """A job for each rule, combination of settings, and seed from 0.

    Raises
    ------
    RunError
        If a setting is unknown or of the wrong kind.
    """
    from cortex_sim.training.settings import resolve

    made = []
    for rule, words, seed in itertools.product(rules, grid(assignments), range(seeds)):
        settings = resolve(model, assignments=list(words), flags={**flags, "rule": rule, "seed": seed})
        configuration = {"settings": configuration_of(settings), "cortex_sim": cortex_sim.__version__}
        named = "-".join([settings.rule or "declared", *words, f"seed={seed}"])
        labels = {"rule": settings.rule or "declared", **dict(w.split("=", 1) for w in words), "seed": seed}
        key = re.sub(r"[^\w.=+-]", "_", named)
        made.append(Job(key, configuration, labels, {"settings": settings.as_dict()}))
    return made


def configuration_of(settings: Settings) -> dict[str, Any]:
    """Everything that affects the result of a training run; data and code enter by their content."""
    from cortex_sim.training.settings import is_code

    decides = identity.settings_of(settings.as_dict(), _FREE, ADDED)
    if settings.feedback:
        decides["feedback"] = identity.settings_of(settings.feedback, (), ADDED_TO_FEEDBACK)
    decides["data"] = identity.of_data(settings.data)
    if is_code(settings.model):
        file, _, function = settings.model.rpartition(":")
        decides["model"] = {**identity.content(Path(file)), "function": function}
    if settings.credit is not None and Path(settings.credit).is_file():
        decides["credit"] = identity.content(Path(settings.credit))
    if settings.start is not None:
        place = Path(settings.start)
        decides["start"] = identity.content(place / CHECKPOINT if place.is_dir() else place)
    return decides


def trained(job: Job, folder: Path) -> Mapping[str, Any]:
    """Metrics of one training run, continued if it was interrupted; divergence counts as a result."""
    from cortex_sim import library
    from cortex_sim.backends.torch.training import Diverged
    from cortex_sim.training.run import train
    from cortex_sim.training.settings import Settings, is_code

    settings = Settings(**job.given["settings"])
    if is_code(settings.model):
        library.model(settings.model, **settings.model_settings)  # registers user-defined rules
    try:
        metrics = train(settings, folder, resume=(folder / RUN).is_file())
    except Diverged as exception:
        return {"test_accuracy": None, "diverged": str(exception)}
    found = {name: value for name, value in metrics.items() if name not in ("model", "rule")}
    for name, between in (("regulariser", " + "), ("warnings", "; ")):
        found[name] = between.join(found.get(name) or [])
    return found
