"""Protocols as YAML and back, without loss; reading them runs no code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cortex_sim import yaml_text
from cortex_sim.arrays import array_from_data, array_to_data, is_array_data
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol import loop_yaml, yaml_settings
from cortex_sim.protocol.closed_loop import LoopValue
from cortex_sim.protocol.inputs import Noise, Nudge, Stimuli, Sum, TimeSeries
from cortex_sim.protocol.per_trial import FromTrial, PerTrial
from cortex_sim.protocol.phase import Phase
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.record import Record
from cortex_sim.protocol.sequence import Sequence
from cortex_sim.protocol.values import same

#: An object of each class with all defaults: values that equal them are left out of the text.
_PLAIN = {
    Phase: Phase("phase", 1.0),
    Protocol: Protocol(Phase("phase", 1.0)),
    Record: Record(),
    Noise: Noise(0.0),
    TimeSeries: TimeSeries([0.0], 1.0),
    Stimuli: Stimuli("digits"),
    Nudge: Nudge([0.0]),
}
_ALWAYS = ("name", "duration_ms", "phases", "sd", "values", "bin_ms", "data", "split", "seed", "goal")
_INPUTS: dict[str, Any] = {
    "sd": Noise,
    "values": TimeSeries,
    "data": Stimuli,
    "goal": Nudge,
    "sum": Sum,
    "covariance": Noise,
}


def to_data(value: Any) -> Any:
    """A phase, a protocol or a part of one as plain data."""
    if isinstance(value, PerTrial):
        by = {} if value.by == "trial" else {"by": value.by}
        return {"per_trial": [to_data(item) for item in value.values], **by}
    if isinstance(value, FromTrial):
        return {"from_trial": {trial: to_data(item) for trial, item in value.values.items()}}
    if isinstance(value, LoopValue):
        return loop_yaml.to_data(value)
    if isinstance(value, Sequence):
        return {"sequence": [to_data(protocol) for protocol in value.protocols]}
    if isinstance(value, Sum):
        return {"sum": [to_data(part) for part in value.parts]}
    if type(value) in _PLAIN:
        plain = _PLAIN[type(value)]
        settings = {f.name: getattr(value, f.name) for f in fields(value)}
        return {
            name: to_data(item)
            for name, item in settings.items()
            if item is not None and (name in _ALWAYS or not same(item, getattr(plain, name)))
        }
    if isinstance(value, np.ndarray):
        return array_to_data(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return [to_data(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_data(item) for key, item in value.items()}
    return value


def write(value: Protocol | Sequence, path: str | Path | None = None) -> str:
    """YAML text of a protocol; also written to ``path``, whole or not at all."""
    return yaml_text.write(to_data(value), path)


T = TypeVar("T", Protocol, Sequence)


def from_yaml(cls: type[T], source: str | Path, seed: int = 0) -> T:
    """Protocol or sequence from YAML text, or from a file where ``source`` is a path.

    ``seed`` is used for data sets whose entry has none.
    """
    found = course_from_data(yaml_text.read("protocol", source), seed)
    if not isinstance(found, cls):
        other = type(found).__name__
        raise DeclarationError(f"{cls.__name__}: the YAML holds a {other}; read it with cs.{other}.from_yaml")
    return found


def course_from_data(data: Any, seed: int = 0) -> Protocol | Sequence:
    """Protocol, or ``sequence: [...]`` of protocols, from plain data."""
    if not isinstance(data, dict) or "sequence" not in data:
        return protocol_from_data(data, seed)
    given = yaml_settings.settings("sequence", data, ("sequence", "repeat"))
    protocols = given.pop("sequence")
    if not isinstance(protocols, list):
        raise DeclarationError(f"sequence: must be a list of protocols. Got {protocols!r}")
    return Sequence(*(course_from_data(one, seed) for one in protocols), **given)


def phase_from_data(data: Any, seed: int = 0) -> Phase:
    """Phase from plain data."""
    owner = f"phase {data.get('name', '')}".strip() if isinstance(data, dict) else "phase"

    def inputs(key: str, mapping: Any) -> Any:
        if not isinstance(mapping, dict):
            return mapping
        return {name: _input(f"{owner}: {key}", one, seed) for name, one in mapping.items()}

    given = class_settings(owner, data, Phase)
    for key, value in given.items():
        if key in ("drive", "nudge", "drive_credit"):
            given[key] = _differing(f"{owner}: {key}", value, partial(inputs, key))
        else:
            given[key] = _differing(f"{owner}: {key}", value, _plain)
    return Phase(**given)


def protocol_from_data(data: Any, seed: int = 0) -> Protocol:
    """Protocol from plain data."""
    given = class_settings("protocol", data, Protocol)
    phases = given.pop("phases")
    if not isinstance(phases, list):
        raise DeclarationError(f"protocol: phases must be a list of phases. Got {phases!r}")
    if given.get("record") is not None:
        given["record"] = Record(**class_settings("record", given["record"], Record))
    if given.get("probe") is not None:
        given["probe"] = protocol_from_data(given["probe"], seed)
    for key in ("interval_ms", "lesion", "eta_per_s"):
        if key in given:
            given[key] = _differing(f"protocol: {key}", given[key], _plain)
    return Protocol(*(phase_from_data(phase, seed) for phase in phases), **given)


def _differing(owner: str, data: Any, convert: Callable[[Any], Any]) -> Any:
    """A setting, or one that differs between trials: ``per_trial: [...]`` or ``from_trial: {trial: ...}``."""
    if not isinstance(data, dict):
        return convert(data)
    if "per_trial" in data:
        given = yaml_settings.settings(owner, data, ("per_trial", "by"))
        values = _plain(given.pop("per_trial"))
        if isinstance(values, list):
            values = [_differing(owner, one, convert) for one in values]
        return PerTrial(values, **given)
    if "from_trial" in data:
        given = yaml_settings.settings(owner, data, ("from_trial", "value"))
        start = given["from_trial"]
        if isinstance(start, dict):
            return FromTrial({k: _differing(owner, one, convert) for k, one in start.items()})
        return FromTrial(start, *(_differing(owner, given[k], convert) for k in ("value",) if k in given))
    return convert(data)


def _plain(data: Any) -> Any:
    """A setting from plain data: converts arrays, closed loops and entries that differ between trials."""
    if is_array_data(data):
        return array_from_data(data)
    if isinstance(data, dict) and "closed_loop" in data:
        return loop_yaml.from_data("closed loop", data)
    if isinstance(data, dict):
        return {key: _differing(str(key), value, _plain) for key, value in data.items()}
    return data


def _input(owner: str, data: Any, seed: int) -> Any:
    """A drive or nudge: a number, a list, an array's data, or a class recognised by its main key."""
    return _differing(owner, data, lambda one: _same_input(owner, one, seed))


def _same_input(owner: str, data: Any, seed: int) -> Any:
    if is_array_data(data):
        return array_from_data(data)
    if not isinstance(data, dict):
        return data
    for key, cls in _INPUTS.items():
        if key in data and cls is Sum:
            (parts,) = yaml_settings.settings(owner, data, ("sum",)).values()
            return Sum(
                *(_input(owner, part, seed) for part in (parts if isinstance(parts, list) else [parts]))
            )
        if key in data:
            given = class_settings(owner, data, cls)
            if cls is Stimuli:
                return Stimuli(**{"seed": seed, **given})
            return cls(**{name: _input(owner, value, seed) for name, value in given.items()})
    if "closed_loop" in data:
        return loop_yaml.from_data(owner, data)
    raise DeclarationError(
        f"{owner}: a mapping needs one of the keys {', '.join(_INPUTS)} (noise, a time series, a data set, "
        f"a nudge, a sum). Got {data!r}"
    )


def class_settings(owner: str, data: Any, cls: Any) -> dict[str, Any]:
    """Settings of a class by name; those without a default are required."""
    given = yaml_settings.settings(owner, data, tuple(f.name for f in fields(cls)))
    for f in fields(cls):
        if f.name not in given and f.default is MISSING and f.default_factory is MISSING:
            raise DeclarationError(f"{owner}: needs {f.name}; add it")
    return given
