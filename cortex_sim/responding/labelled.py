"""Part of a labelled data set, to be presented to a candidate: its run's own, or another."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from cortex_sim.checks import require_known
from cortex_sim.data.images import PARTS
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.responding.candidates import Candidate

log = logging.getLogger(__name__)


def labelled(shown: Candidate, data: str | None, part: str = "test") -> StimulusSet:
    """One part of a data set, as stored.

    Parameters
    ----------
    shown : Candidate
    data : str, optional
        Name or path; by default the data set of the candidate's run.
    part : {"train", "validation", "test"}
        "validation" is what the run held out.

    Raises
    ------
    DataError
        If there is no such data set or part, it does not fit, or the candidate has no data of its own.
    """
    from cortex_sim.training.run import load_data, saved_settings
    from cortex_sim.training.settings import Settings

    require_known("--split", part, dict.fromkeys(PARTS), DataError)
    if data is None and shown.run is None:
        raise DataError(
            f"{shown.name}: holds no run (no run.yaml), so no data of its own; give --data or --stimuli"
        )
    settings = Settings() if shown.run is None else saved_settings(shown.run)
    if data is not None:
        held = settings.hold_out if part == "validation" else 0
        settings = replace(settings, data=data, hold_out=held)
    return load_data(settings, shown.net, standardise=False).part(part)


def in_order_of_training(stimuli: StimulusSet, shown: Candidate) -> StimulusSet:
    """Labels by the names of classes: each is the unit that was trained on the class of that name.

    Classes of a set that holds some of them, or in another order, have other numbers there. Where no name is
    known, as of numbers alone, the order counts.

    Raises
    ------
    DataError
        If some classes have names of the training, and others not.
    """
    names, trained = tuple(stimuli.classes), shown.classes
    if stimuli.labels is None or not names or not trained or names == trained[: len(names)]:
        return stimuli
    unknown = [name for name in names if name not in trained]
    if len(unknown) == len(names):
        log.warning(
            "data %s: has none of the class names that %s was trained on; %s count as %s, in this order",
            *(stimuli.name, shown.name, ", ".join(names[:3]), ", ".join(trained[:3])),
        )
        return stimuli
    if unknown:
        raise DataError(
            f"data {stimuli.name}: holds classes, such as {unknown[0]!r}, that are not among the "
            f"{len(trained)} that {shown.name} was trained on, such as {trained[0]!r}; give data of these"
        )
    unit = np.array([trained.index(name) for name in names])
    return replace(stimuli, x=stimuli.pixels, labels=unit[stimuli.labels], classes=trained)
