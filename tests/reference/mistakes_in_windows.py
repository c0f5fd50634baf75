"""Mistakes in plasticity windows and lesions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mistaken_parameters import experiment, phase
from mistakes import Mistake

import cortex_sim as cs

PHASE = "phase p"

# -- windows ----------------------------------------------------------------------------------------------


def no_rule() -> cs.Network:
    """Nothing learns."""
    net = cs.Network("fixed")
    net.population("retina", 7)
    net.population("V1", 5)
    net.bottom_up("retina", "V1")
    return net


WINDOWS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "of what does not learn": (lambda: experiment(phase(plasticity=["IT->V1"])), PHASE, "IT->V1"),
    "where nothing learns": (lambda: experiment(phase(plasticity=True), net=no_rule), PHASE, "True"),
    "of a population": (lambda: experiment(phase(plasticity=["V1"])), PHASE, "V1"),
    "with a negative rate": (lambda: experiment(phase(plasticity={"retina->V1": -1.0})), PHASE, "-1"),
    "a number": (lambda: experiment(phase(plasticity=0.5)), PHASE, "0.5"),
    "None": (lambda: experiment(phase(plasticity=None)), PHASE, "None"),
    "without a rate": (
        lambda: experiment(phase(plasticity=["retina->V1"]), eta_per_s={"V1->IT": 1.0}),
        PHASE,
        "retina->V1",
    ),
    "in a probe": (
        lambda: experiment(phase(), probe=cs.Protocol(phase(plasticity=True))),
        "Protocol",
        "phase p",
    ),
    "of spontaneous activity that no rule uses": (
        lambda: experiment(phase(plasticity=True, spontaneous=["V1"])),
        PHASE,
        "V1",
    ),
    "with the arrow reversed": (lambda: experiment(phase(plasticity=["V1->retina"])), PHASE, "V1->retina"),
    "with another arrow": (lambda: experiment(phase(plasticity=["retina-V1"])), PHASE, "retina-V1"),
    "by trial, too few": (
        lambda: experiment(phase(plasticity=cs.PerTrial([True, False])), trials=3),
        "plasticity of phase p",
        "2",
    ),
    "a learning rate below 0": (
        lambda: experiment(phase(plasticity=True), eta_per_s=-0.1),
        "Protocol",
        "-0.1",
    ),
    "a modulator that no rule has": (lambda: experiment(phase(modulator=2.0)), PHASE, "2"),
}

# -- lesions ----------------------------------------------------------------------------------------------

LESIONS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "a projection silenced": (lambda: experiment(phase(silence=["V1->IT"])), PHASE, "V1->IT"),
    "a population cut": (lambda: experiment(phase(cut=["V1"])), PHASE, "V1"),
    "a unit cut": (lambda: experiment(phase(cut=["V1/3"])), PHASE, "V1/3"),
    "a unit too many": (lambda: experiment(phase(silence=["V1/5"])), PHASE, "V1/5"),
    "a negative unit": (lambda: experiment(phase(silence=["V1/-1"])), PHASE, "V1/-1"),
    "a unit by a word": (lambda: experiment(phase(silence=["V1/first"])), PHASE, "V1/first"),
    "a range of units": (lambda: experiment(phase(silence=["V1/0:3"])), PHASE, "V1/0:3"),
    "an index": (lambda: experiment(phase(silence=[3])), PHASE, "3"),
    "a number": (lambda: experiment(phase(cut=1)), PHASE, "1"),
    "a mapping": (lambda: experiment(phase(silence={"V1": 0})), PHASE, "V1"),
    "of the protocol, a unit too many": (lambda: experiment(phase(), lesion=["V1/5"]), "lesion", "V1/5"),
    "of the protocol, unknown": (lambda: experiment(phase(), lesion=["V2"]), "lesion", "V2"),
    "of the protocol, a number": (lambda: experiment(phase(), lesion=3), "lesion", "3"),
    "reversed": (lambda: experiment(phase(cut=["V1->retina"])), PHASE, "V1->retina"),
    "of what is spontaneous": (lambda: experiment(phase(spontaneous=["V1"]), lesion=["V1"]), PHASE, "V1"),
    "spontaneous and silent": (lambda: phase(spontaneous=["V1"], silence=["V1"]), PHASE, "V1"),
    "an error population that is none": (
        lambda: experiment(phase(silence_error=["V1->IT"])),
        PHASE,
        "V1->IT",
    ),
    "from a negative trial on": (
        lambda: experiment(phase(), lesion=cs.FromTrial(-1, ["V1"])),
        "FromTrial",
        "-1",
    ),
    "from half a trial on": (
        lambda: experiment(phase(), lesion=cs.FromTrial(1.5, ["V1"])),
        "FromTrial",
        "1.5",
    ),
    "of single trials, with a probe": (
        lambda: experiment(phase(), trials=2, probe=cs.Protocol(phase()), lesion=cs.PerTrial([["V1"], []])),
        "lesion",
        "PerTrial",
    ),
}


def cases(folder: Path) -> Iterator[Mistake]:
    """All of them; ``folder`` is for files."""
    for kind, table in (("windows", WINDOWS), ("lesions", LESIONS)):
        for called, (make, about, wrong) in table.items():
            yield Mistake(kind, called, make, about, wrong)
