"""Training runs as the jobs of a sweep: rules × settings × seeds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cortex_sim
from cortex_sim.errors import RunError
from cortex_sim.runs.directory import RUN
from cortex_sim.runs.sweep import Job

_FREE = ("threads", "device")  # what does not belong to a configuration


def grid(assignments: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of ``name=a,b,c``, as words ``name=value``; commas in brackets do not divide."""
    axes = []
    for word in assignments:
        name, equals, values = word.partition("=")
        if not equals or not name:
            raise RunError(f"--set {word}: give name=value, or name=a,b,c to try each")
        axes.append([f"{name}={value}" for value in re.split(r",(?![^\[{]*[\]}])", values)])
    return list(itertools.product(*axes))


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
        configuration = {
            "settings": {k: v for k, v in settings.as_dict().items() if k not in _FREE},
            "cortex_sim": cortex_sim.__version__,
        }
        named = "-".join([settings.rule or "declared", *words, f"seed={seed}"])
        labels = {"rule": settings.rule or "declared", **dict(w.split("=", 1) for w in words), "seed": seed}
        made.append(Job(re.sub(r"[^\w.=+-]", "_", named), configuration, labels))
    return made


def trained(job: Job, folder: Path) -> Mapping[str, Any]:
    """Metrics of one training run, gone on with where it was interrupted; a divergence is a result."""
    from cortex_sim import library
    from cortex_sim.backends.torch.training import Diverged
    from cortex_sim.training.run import train
    from cortex_sim.training.settings import Settings, is_code

    settings = Settings(**job.configuration["settings"])
    if is_code(settings.model):
        library.model(settings.model, **settings.model_settings)  # registers rules of the user's own
    try:
        metrics = train(settings, folder, resume=(folder / RUN).is_file())
    except Diverged as error:
        return {"test_accuracy": None, "diverged": str(error)}
    found = {name: value for name, value in metrics.items() if name not in ("model", "rule")}
    for name, between in (("regulariser", " + "), ("warnings", "; ")):
        found[name] = between.join(found.get(name) or [])
    return found
