"""Tasks from plain settings, as in a configuration file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from cortex_sim.checks import listed, look_up, require_known
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks.batch import Distribution, Fixed
from cortex_sim.tdca.tasks.function_tasks import FunctionTasks
from cortex_sim.tdca.tasks.image_tasks import ImageTasks
from cortex_sim.tdca.tasks.regression import SmoothFunctions
from cortex_sim.tdca.tasks.sources import load_source
from cortex_sim.tdca.tasks.teacher import Teachers

DataDir = str | Path | None
READING = {"side", "validation", "limit"}


def tasks_from(settings: Mapping[str, Any], data_dir: DataDir = None) -> Distribution:
    """The distribution of tasks that settings describe; image sets are read here.

    Parameters
    ----------
    settings : mapping
        ``kind`` is images, regression or teacher; ``number``, and perhaps ``seed``, make it a fixed number of
        tasks, see `Fixed`. The other settings depend on the kind. For images: ``sources``, a list of names or
        paths; ``side``, ``validation`` and ``limit`` as in `load_source`, where ``limit`` may be
        ``{name: presentations}``; and those of `ImageTasks`. For regression: those of `SmoothFunctions`. For
        teacher: those of `Teachers`. For the last two also ``tested``, as in `FunctionTasks`.
    data_dir : str or Path, optional
        Folder of named data sets, see `cortex_sim.data.named.find`.

    Examples
    --------
    >>> tasks = tasks_from({"kind": "images", "sources": ["digits"], "side": 8, "classes": 5})
    >>> tasks.inputs, tasks.outputs, tasks.objective
    (64, 5, 'cross_entropy')
    """
    if not isinstance(settings, Mapping):
        raise DeclarationError(f"tasks must be settings such as kind: images. Got {settings!r}")
    rest = dict(settings)
    if "kind" not in rest:
        raise DeclarationError(f"tasks have no kind; give one of {listed(KINDS)}")
    make, known, needed = look_up("kind of tasks", rest.pop("kind"), KINDS)
    number, seed = rest.pop("number", None), rest.pop("seed", 0)
    for setting in rest:
        require_known(
            f"setting of {settings['kind']} tasks", setting, dict.fromkeys(known | {"number", "seed"})
        )
    for setting in needed:
        if setting not in rest:
            raise DeclarationError(f"tasks of kind {settings['kind']} need the setting {setting}; give it")
    if number is None and "seed" in settings:
        raise DeclarationError(
            f"tasks: seed={seed!r} chooses a fixed number of tasks, but number is not given; "
            "give number too, or leave seed out"
        )
    distribution = make(rest, data_dir)
    return distribution if number is None else Fixed(distribution, number, seed)


def _images(settings: dict[str, Any], data_dir: DataDir) -> Distribution:
    names = settings.pop("sources")
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise DeclarationError(f"tasks: sources must be a list of names or paths. Got {names!r}")
    reading = {key: settings.pop(key) for key in READING & settings.keys()}
    limits = reading.pop("limit", None)
    if isinstance(limits, Mapping):
        for name in limits:
            require_known("source in limit", name, dict.fromkeys(names))
    else:
        limits = dict.fromkeys(names, limits)
    sources = [load_source(name, data_dir, limit=limits.get(name), **reading) for name in names]
    return ImageTasks(sources, **settings)


def _regression(settings: dict[str, Any], _: DataDir) -> Distribution:
    tested = {key: settings.pop(key) for key in {"tested"} & settings.keys()}
    return FunctionTasks(SmoothFunctions(**settings), **tested)


def _teacher(settings: dict[str, Any], _: DataDir) -> Distribution:
    tested = {key: settings.pop(key) for key in {"tested"} & settings.keys()}
    return FunctionTasks(Teachers(**settings), **tested)


def _settings(cls: Any) -> set[str]:
    return {field.name for field in fields(cls)}


def _needed(cls: Any) -> set[str]:
    return {f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING}


Maker = Callable[[dict[str, Any], DataDir], Distribution]
KINDS: dict[str, tuple[Maker, set[str], set[str]]] = {  # how to make it, known settings, required settings
    "images": (_images, _settings(ImageTasks) | READING, _needed(ImageTasks)),
    "regression": (_regression, _settings(SmoothFunctions) | {"tested"}, _needed(SmoothFunctions)),
    "teacher": (_teacher, _settings(Teachers) | {"tested"}, _needed(Teachers)),
}
