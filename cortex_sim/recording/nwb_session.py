"""What an NWB file states about its session: when it was, what was recorded from, by whom."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from cortex_sim.checks import counted, listed
from cortex_sim.errors import DataError

# An entry of NCBI's taxonomy for what is artificial.
SYNTHETIC = "http://purl.obolibrary.org/obo/NCBITaxon_32630"
UNKNOWN_AGE = "P0D/"  # ISO 8601 with NWB's extension for ranges: 0 days or older


@dataclass(frozen=True)
class Session:
    """What a user states about a session; what is left out follows from the recording."""

    session_description: str | None = None
    identifier: str | None = None
    start: datetime | None = None
    subject: Mapping[str, str] | None = None
    experimenter: str | Sequence[str] | None = None
    institution: str | None = None

    @property
    def given(self) -> list[str]:
        """Names of what was given."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]


def new_file(recording: xr.Dataset, session: Session) -> Any:
    """An NWB file, in memory, that holds nothing but what is known about the session.

    Raises
    ------
    DataError
        If a given value is not valid in the format.
    """
    from pynwb import NWBFile

    source, count = source_of(recording), recording.sizes["presentation"]
    start, subject = _start(session.start), _subject(recording, session.subject)
    try:
        return NWBFile(
            session_description=session.session_description
            or f"Responses of {source} to {counted(count, 'presentation')}.",
            identifier=session.identifier or str(uuid.uuid4()),
            session_start_time=start,
            experiment_description=f"Recording of {source}: responses to every presentation.",
            experimenter=session.experimenter,
            institution=session.institution,
            keywords=["responses to stimuli", "rates", *_different(recording, "population")],
            subject=subject,
            was_generated_by=[["cortex_sim", version("cortex-sim")]],
        )
    except (TypeError, ValueError) as exception:
        raise DataError(f"NWB file: {' '.join(str(exception).split())}") from None


def source_of(recording: xr.Dataset) -> str:
    """What was recorded from, for descriptions."""
    network = recording.attrs.get("network")
    return f"the network {network}" if network else "recorded units"


def _start(start: object) -> datetime:
    if start is None:
        return datetime.now(UTC)
    if not isinstance(start, datetime):
        raise DataError(
            f"NWB file: start must be a datetime, such as datetime(2025, 3, 1, 14, 30). Got {start!r}"
        )
    aware = start.astimezone() if start.tzinfo is None else start
    if aware > datetime.now(UTC):
        raise DataError(f"NWB file: start must not be in the future. Got {start.isoformat()}")
    return aware


def _subject(recording: xr.Dataset, given: Mapping[str, str] | None) -> Any:
    """The subject that is given, else the one animal of the recording, else a synthetic one."""
    from pynwb.file import Subject

    known = {argument["name"] for argument in Subject.__init__.__docval__["args"]}
    unknown = set(given or {}) - known
    if unknown:
        raise DataError(f"NWB file: a subject has no field {listed(unknown)}; give some of {listed(known)}")
    try:
        return Subject(**{**_default_subject(recording, given or {}), **(given or {})})
    except (TypeError, ValueError) as exception:
        raise DataError(f"NWB file: subject: {' '.join(str(exception).split())}") from None


def _default_subject(recording: xr.Dataset, given: Mapping[str, str]) -> dict[str, str]:
    unknown = {"age": UNKNOWN_AGE, "sex": "U"}
    if "subject_id" in given:
        return unknown
    animals = _different(recording, "animal")
    if len(animals) > 1:
        raise DataError(
            f"NWB file: it has one subject, but this recording has the animals {listed(animals)}; "
            "select one, or give subject={'subject_id': …}"
        )
    if animals:
        return {"subject_id": animals[0].replace("/", "_"), **unknown}
    network = str(recording.attrs.get("network") or "network").replace("/", "_")
    about = "Simulated: no animal, so age and sex have no meaning."
    return {"subject_id": network, "species": SYNTHETIC, "description": about, **unknown}


def _different(recording: xr.Dataset, name: str) -> list[str]:
    if name not in recording.coords:
        return []
    values = np.atleast_1d(recording[name].values).astype(str)
    return [value for value in dict.fromkeys(values.tolist()) if value]
