"""Answers of a study, question by question; those kept for the same data are not computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.recording.fingerprint import fingerprint
from cortex_sim.runs.results import FINGERPRINT, FileEach
from cortex_sim.trajectories.ablations import QUESTIONS, THOROUGH, Effort, Row

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 1  # of classifiers and questions; with another number they are repeated


def answers(study: xr.Dataset, folder: str | Path, effort: Effort = THOROUGH) -> Iterator[Row]:
    """Rows of all questions, in order; kept in a file for each question, written whole or not at all.

    Parameters
    ----------
    study : xarray.Dataset
    folder : path
        Created if it is missing.
    effort : Effort
    """
    kept, data = FileEach(Path(folder)), digest(study)
    for question, ask in QUESTIONS.items():
        mine = fingerprint({"format": FORMAT, "question": question, "data": data, "effort": asdict(effort)})
        found = kept.get(question)
        if found is None or found.get(FINGERPRINT) != mine:
            found = {FINGERPRINT: mine, "rows": [row.as_dict() for row in ask(study, effort)]}
            kept.put(question, found)
        yield from (Row(**values) for values in found["rows"])


def digest(study: xr.Dataset) -> str:
    """Digest of everything that classifiers see: values, runs, rules, architectures, seeds, statistics."""
    text = hashlib.blake2b(digest_size=16)
    for name in sorted(str(name) for name in study.variables):
        values = study[name].values
        plain = values.astype(str) if values.dtype.kind in "OUS" else values
        text.update(f"{name} {plain.dtype.str} {plain.shape}".encode())
        text.update(np.ascontiguousarray(plain).tobytes())
    return text.hexdigest()
