"""Part of a labelled data set, to be presented to a candidate: its run's own, or another."""

from __future__ import annotations

from dataclasses import replace

from cortex_sim.checks import require_known
from cortex_sim.data.images import PARTS
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.responding.candidates import Candidate


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
