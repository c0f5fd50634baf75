"""Mistakes in phases and protocols, generated from the places that take a name, an array or a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from mistaken_parameters import experiment, local, network, phase
from mistakes import Mistake, near_misses, spoiled, wrong_shapes

import cortex_sim as cs

PHASE = "phase p"
IMAGES = np.linspace(0, 1, 14).reshape(2, 7)

#: Settings of a phase that name something: a name that exists, and a phase's settings with it.
NAMED: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "drive": ("retina", lambda n: {"drive": {n: 1.0}}),
    "nudge": ("IT", lambda n: {"nudge": {n: np.array([1.0, 0.0, 0.0])}}),
    "spontaneous": ("retina", lambda n: {"spontaneous": [n]}),
    "silence": ("retina", lambda n: {"silence": [n]}),
    "silence of a unit": ("retina/2", lambda n: {"silence": [n.replace("/2", "") + "/2"]}),
    "cut": ("retina->V1", lambda n: {"cut": [n]}),
    "scale": ("retina->V1", lambda n: {"scale": {n: 2.0}}),
    "delay_ms": ("retina->V1", lambda n: {"delay_ms": {n: 2.0}}),
    "noise": ("retina->V1", lambda n: {"noise": {n: 0.1}}),
    "plasticity": ("retina->V1", lambda n: {"plasticity": [n]}),
    "plasticity with a rate": ("retina->V1", lambda n: {"plasticity": {n: 1.0}}),
    "silence_error": ("IT->V1", lambda n: {"silence_error": [n]}),
}

#: Settings of a protocol or experiment that name something.
NAMED_ELSEWHERE: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "lesion": ("retina->V1", lambda n: experiment(phase(), lesion=[n]), "lesion"),
    "lesion of a unit": ("retina", lambda n: experiment(phase(), lesion=[f"{n}/1"]), "lesion"),
    "eta_per_s": ("retina->V1", lambda n: experiment(phase(), eta_per_s={n: 1.0}), "eta_per_s"),
    "populations": ("retina", lambda n: experiment(phase(), record=cs.Record(populations=[n])), "Record"),
    "weights": ("retina->V1", lambda n: experiment(phase(), record=cs.Record(weights=[n])), "Record"),
    "state": (
        "retina->V1:theta",
        lambda n: experiment(phase(), net=local, record=cs.Record(state=[n])),
        "Record",
    ),
    "variables": ("credit", lambda n: cs.Record([n]), "Record"),
    "phase of the record": (
        "settle",
        lambda n: experiment(phase("settle"), record=cs.Record(phase=n)),
        "Record",
    ),
    "apical_tau_ms": (
        "IT->V1",
        lambda n: cs.Experiment(network(), {"a": cs.Protocol(phase())}, apical_tau_ms={n: 5.0}),
        "apical_tau_ms",
    ),
    "noise of an experiment": (
        "retina",
        lambda n: cs.Experiment(network(), {"a": cs.Protocol(phase())}, noise={n: 0.1}),
        "noise",
    ),
    "reads": (
        "retina",
        lambda n: experiment(phase("look", drive={"retina": _loop(reads=[n])["level"]})),
        "follow",
    ),
    "phase of a loop": (
        "look",
        lambda n: experiment(phase("look", drive={"retina": _loop(phase=n)["level"]})),
        "follow",
    ),
    "variable of a loop": ("level", lambda n: _loop()[n], "follow"),
    "arm": ("intact", lambda n: _arms(n), "arm"),
    "arms alone": ("intact", lambda n: _arms(n, alone=True), "arm"),
    "equations": ("retina", lambda n: cs.brian2.build(network(), equations={n: "x = 1 : 1"}), "small"),
    "noise of a simulation": ("IT", lambda n: cs.brian2.build(network(), noise={n: 0.1}), "noise"),
    "tau of a simulation": (
        "IT->V1",
        lambda n: cs.brian2.build(network(), apical_tau_ms={n: 5.0}),
        "apical_tau_ms",
    ),
    "column": ("pause_ms", lambda n: cs.TrialTable({"pause_ms": [1, 2]})[n], "trial table"),
    "by": ("image", lambda n: cs.PerTrial([1, 2], by=n), "PerTrial"),
}


def _loop(**settings: Any) -> cs.ClosedLoop:
    def follow(seen, state, rng):
        return {}

    return cs.ClosedLoop(follow, **({"reads": ["V1"], "phase": "look", "state": {"level": 0.5}} | settings))


def _shown(settings: dict[str, Any]) -> Any:
    return experiment(phase(**settings))


def _run(make_of: Callable[[Any], Any], given: Any) -> Any:
    return cs.brian2.run(make_of(given), progress=False)


def _arms(name: str, alone: bool = False) -> Any:
    made = cs.Experiment(network(), {"intact": cs.Protocol(phase())})
    return cs.brian2.run(made, arms=name if alone else [name], progress=False)


def names() -> Iterator[Mistake]:
    for setting, (valid, settings) in NAMED.items():
        for wrong in near_misses(valid):
            made = settings(wrong)
            make = partial(_shown, made)
            yield Mistake("names", f"{setting} {wrong}", make, PHASE, wrong.partition("/")[0])
    for setting, (valid, make_of, about) in NAMED_ELSEWHERE.items():
        for wrong in near_misses(valid):
            yield Mistake("names", f"{setting} {wrong}", partial(make_of, wrong), about, wrong)
    for cls, given in SETTINGS.items():
        for valid in given:
            wrong = near_misses(valid)[0]
            make = partial(cls, **{wrong: 1})
            yield Mistake("names", f"setting {cls.__name__} {wrong}", make, cls.__name__, wrong)


SETTINGS: dict[Any, tuple[str, ...]] = {
    cs.Phase: ("duration_ms", "plasticity", "modulator"),
    cs.Protocol: ("lesion", "interval_ms", "eta_per_s"),
    cs.Sequence: ("repeat",),
    cs.Record: ("every_ms", "weights"),
    cs.PerTrial: ("values",),
    cs.FromTrial: ("value",),
    cs.Experiment: ("apical_tau_ms",),
    cs.Noise: ("hold_ms",),
    cs.TimeSeries: ("bin_ms",),
    cs.Stimuli: ("split",),
    cs.Nudge: ("strength",),
    cs.ClosedLoop: ("average",),
    cs.Arm: ("network",),
    cs.Network: ("name",),
    cs.Bcm: ("tau_ms", "window"),
    cs.GaitProp: ("gamma",),
    cs.Oja: ("norm",),
    cs.ThreeFactor: ("tau_ms",),
    cs.Dense: ("init", "mask"),
    cs.Conv2d: ("kernel", "padding"),
    cs.Sparse: ("probability",),
    cs.Arbor: ("radius",),
    cs.Bounds: ("low",),
    cs.RowNorm: ("total",),
    cs.Dale: ("inhibitory",),
    cs.Orthogonal: ("gain",),
    cs.Decay: ("rate",),
    cs.Inverse: ("damping",),
    cs.Random: ("scale",),
    cs.CrossEntropy: ("weight",),
    cs.LeakyRelu: ("slope",),
}

# -- shapes -----------------------------------------------------------------------------------------------

#: Where an array goes: a shape that fits, what takes it, and the object.
ARRAYS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any], str]] = {
    "drive for all": ((7,), lambda x: experiment(phase(drive={"retina": x})), "drive of retina"),
    "images": ((2, 7), lambda x: experiment(phase(drive={"retina": x})), "drive of retina"),
    "drive of V1": ((2, 5), lambda x: experiment(phase(drive={"V1": x})), "drive of V1"),
    "series": ((4, 7), lambda x: experiment(phase(drive={"retina": cs.TimeSeries(x, 2)})), "drive of retina"),
    "movie": (
        (2, 4, 7),
        lambda x: experiment(phase(drive={"retina": cs.TimeSeries(x, 2)})),
        "drive of retina",
    ),
    "in a sum": (
        (2, 7),
        lambda x: experiment(phase(drive={"retina": cs.Sum(x, cs.Noise(1))})),
        "drive of retina",
    ),
    "in one trial": (
        (7,),
        lambda x: experiment(phase(drive={"retina": cs.PerTrial([x, 0.5])})),
        "drive of retina",
    ),
    "covariance": (
        (7, 7),
        lambda x: experiment(phase(drive={"retina": cs.Noise(covariance=x)})),
        "covariance",
    ),
    "goal": ((2, 5), lambda x: experiment(phase(nudge={"V1": x})), "nudge of V1"),
    "goal with a strength": (
        (2, 5),
        lambda x: experiment(phase(nudge={"V1": cs.Nudge(x, 2)})),
        "nudge of V1",
    ),
    "goal for all": ((5,), lambda x: experiment(phase(nudge={"V1": x})), "nudge of V1"),
    "state of a loop": (
        (7,),
        lambda x: experiment(phase("look", drive={"retina": _loop(state={"level": x})["level"]})),
        "follow",
    ),
}


def shapes() -> Iterator[Mistake]:
    for place, (right, make_of, about) in ARRAYS.items():
        for shape in wrong_shapes(right):
            if place == "state of a loop" and shape == (7, 2):
                continue
            make = partial(make_of, np.full(shape, 0.5))
            yield Mistake("shapes", f"{place} {shape}", make, about, str(shape))
    images = {"retina": IMAGES}
    for count in (1, 3, 4):
        make = partial(_shown, {"drive": images, "nudge": {"V1": np.full((count, 5), 0.5)}})
        yield Mistake("shapes", f"{count} goals of 2 images", make, "nudge of V1 in phase p", str(count))


# -- NaN --------------------------------------------------------------------------------------------------


#: Places whose array is checked before its phase is known.
OWNERS = {
    "covariance": "Noise: covariance",
    "series": "TimeSeries: values",
    "movie": "TimeSeries: values",
    "in a sum": "Sum: part 0",
    "goal with a strength": "Nudge: goal",
}


def not_finite() -> Iterator[Mistake]:
    """NaN or infinity in every array."""
    for place, (right, make_of, about) in ARRAYS.items():
        for value, said in ((np.nan, "Got nan at index"), (-np.inf, "Got -inf at index")):
            make = partial(make_of, spoiled(np.full(right, 0.5), value))
            yield Mistake("NaN", f"{place} {value}", make, OWNERS.get(place, about), said)


# -- labels -----------------------------------------------------------------------------------------------

LABELS: dict[str, tuple[Any, str]] = {
    "from 1": ([1, 3], "3"),
    "negative": ([0, -1], "-1"),
    "of more classes": ([0, 9], "9"),
    "text": (["cat", "dog"], "cat"),
    "fractions": ([0.0, 1.5], "(2,)"),
    "whole, as floats": ([0.0, 2.0], "(2,)"),
    "too few": ([0], "1"),
    "too many": ([0, 1, 2], "3"),
    "one-hot, of more classes": (np.eye(4)[[0, 1]], "(2, 4)"),
    "a column": ([[0], [1]], "(2, 1)"),
    "one number": (2, "2"),
    "logical": ([True, False], "(2,)"),
    "missing": (None, "None"),
    "probabilities that exceed 1": ([[0.5, 0.5, 0.5]] * 2, "1.5"),
    "probabilities below 0": ([[-0.5, 0.5, 1.0]] * 2, "-0.5"),
    "with NaN": ([[np.nan, 0.5, 0.5]] * 2, "NaN"),
    "images instead": (IMAGES, "(2, 7)"),
}


def labels() -> Iterator[Mistake]:
    for called, (given, wrong) in LABELS.items():
        make = partial(_shown, {"drive": {"retina": IMAGES}, "nudge": {"IT": given}})
        yield Mistake("labels", called, make, "nudge of IT", wrong)
    elsewhere = lambda: experiment(phase(nudge={"V1": [0, 1]}))  # noqa: E731
    yield Mistake("labels", "at a hidden population", elsewhere, "nudge of V1", "(2,)")
    source = lambda: experiment(phase(nudge={"retina": [0, 1]}))  # noqa: E731
    yield Mistake("labels", "at a source", source, "nudge of retina", "retina")
    free = lambda: experiment(phase(nudge={"V1": [0, 1]}), net=local)  # noqa: E731
    yield Mistake("labels", "without an objective", free, "nudge of V1", "(2,)")


# -- times ------------------------------------------------------------------------------------------------

#: Where a time goes; run in steps of 1 ms.
TIMES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "duration_ms": (lambda t: experiment(phase(duration_ms=t)), PHASE),
    "duration_ms by trial": (lambda t: experiment(phase(duration_ms=[10, t])), PHASE),
    "duration_ms from a trial on": (
        lambda t: experiment(phase(duration_ms=cs.FromTrial({0: 10, 1: t})), trials=2),
        PHASE,
    ),
    "interval_ms": (lambda t: experiment(phase(), interval_ms=t), "interval"),
    "delay_ms": (lambda t: experiment(phase(delay_ms={"retina->V1": t})), "delay_ms"),
    "hold_ms": (lambda t: experiment(phase(drive={"retina": cs.Noise(1, hold_ms=t)})), "hold_ms"),
    "bin_ms": (lambda t: experiment(phase(drive={"retina": cs.TimeSeries([1, 2], t)})), "bin_ms"),
    "every_ms": (lambda t: experiment(phase(), record=cs.Record(every_ms=t)), "every_ms"),
}


def times() -> Iterator[Mistake]:
    for setting, (make_of, about) in TIMES.items():
        for called, wrong, said in (
            ("seconds", 0.005, "0.005"),
            ("between two steps", 2.5, "2.5"),
            ("negative", -5.0, "-5"),
            ("text", "5 ms", "5 ms"),
        ):
            make = partial(_run, make_of, wrong)
            yield Mistake("times", f"{setting}, {called}", make, about, said)
    long = lambda: experiment(phase(), record=cs.Record(every_ms=50))  # noqa: E731
    yield Mistake("times", "bins longer than a trial", long, "every_ms", "50")


# -- units ------------------------------------------------------------------------------------------------


def units() -> Iterator[Mistake]:
    """Times in another dimension, and everything that has none with one."""
    volts, hertz, siemens = 3 * brian2.mV, 3 * brian2.Hz, 3 * brian2.nS
    for setting, (make_of, about) in TIMES.items():
        for unit in (volts, hertz):
            yield Mistake("units", f"{setting} {unit}", partial(make_of, unit), about, "3")
    for place, (right, make_of, about) in ARRAYS.items():
        if place == "state of a loop":
            continue
        make = partial(make_of, np.full(right, 0.5) * volts)
        yield Mistake("units", f"{place} in V", make, OWNERS.get(place, about), "volt")
    for setting, (made, said) in {
        "scale": ({"scale": {"retina->V1": hertz}}, "hertz"),
        "noise": ({"noise": {"retina->V1": siemens}}, "siemens"),
        "modulator": ({"modulator": hertz}, "hertz"),
        "strength": ({"strength": volts}, "volt"),
        "spontaneous": ({"spontaneous": {"V1": hertz}}, "hertz"),
        "plasticity": ({"plasticity": {"retina->V1": volts}}, "volt"),
        "drive": ({"drive": {"retina": hertz}}, "hertz"),
        "nudge": ({"nudge": {"V1": np.ones(5) * hertz}}, "hertz"),
    }.items():
        yield Mistake("units", setting, partial(phase, **made), f"{PHASE}: {setting}", said)


def cases(folder: Path) -> Iterator[Mistake]:
    """All of them; ``folder`` is for files."""
    yield from names()
    yield from shapes()
    yield from not_finite()
    yield from labels()
    yield from times()
    yield from units()
