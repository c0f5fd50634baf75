"""Responses of trained networks to stimuli of their runs' data: dissimilarities, statistics of rates."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cortex_sim.errors import CortexSimError
from cortex_sim.html_report.content import Row, Section, Table, number
from cortex_sim.html_report.svg import picture
from cortex_sim.html_report.training_runs import TrainingRun

if TYPE_CHECKING:
    import xarray as xr

    from cortex_sim.compare.responses import Dissimilarities

COLUMNS = ("population", "neuroids", "mean rate", "sd over stimuli", "silent neuroids")
SAID = (
    "Panels are representational dissimilarity matrices, 1 − correlation of the rates to two stimuli, as "
    "percentiles: stimuli in the order of their labels, light where responses differ most."
)


def responses(runs: Sequence[TrainingRun], present: int) -> Section:
    """How each network responds to stimuli of the test (or validation) part.

    Parameters
    ----------
    present : int
        Stimuli of each run; 0 presents none.
    """
    section = Section("responses", "Responses")
    if not present:
        section.sentences.append("No stimuli were presented for this page.")
        return section
    refused: dict[str, list[str]] = {}
    for i, run in enumerate(runs):
        try:
            recording, part = _presented(run, present)
        except CortexSimError as exception:
            refused.setdefault(str(exception), []).append(run.name)
            continue
        _add(section, run.name, recording, part, f"responses-{i}")
    section.sentences += [f"{', '.join(names)}: no responses. {why}." for why, names in refused.items()]
    if section.pictures:
        section.sentences.insert(0, SAID)
    return section


def _presented(run: TrainingRun, count: int) -> tuple[xr.Dataset, str]:
    """Rates to the first stimuli of the part on which the run was evaluated, sorted by label; its name."""
    from cortex_sim.responding import candidate, respond_to
    from cortex_sim.responding.labelled import labelled

    shown = candidate(run.path)
    part = "validation" if "validation_loss" in run.last else "test"
    stimuli = labelled(shown, None, part)
    some = stimuli[: min(count, len(stimuli))]
    if some.labels is not None:
        some = some[np.argsort(some.labels, kind="stable")]
    recording = respond_to(shown, some, variables=["rate"])
    return recording, part


def _add(section: Section, name: str, recording: xr.Dataset, part: str, figure: str) -> None:
    from cortex_sim.viz.matrices import rdm_panels
    from cortex_sim.viz.panels import named

    count = recording.sizes["presentation"]
    rows = []
    for i, population in enumerate(named(recording, "population")):
        rates = _rates(recording, population)
        silent = int((rates == 0).all(axis=0).sum())
        sd = float(rates.std(axis=0).mean())
        values = (rates.shape[1], float(rates.mean()), sd, silent)
        rows.append(Row(population, tuple(number(value) for value in values)))
        try:
            found = _dissimilarities(rates, population)
        except CortexSimError as exception:
            logging.getLogger(__name__).debug("%s", exception)
            section.sentences.append(f"{name} {population}: no dissimilarities. {exception}.")
            continue
        title = f"{name}, {population}"
        said = f"Representational dissimilarities of {count} stimuli in population {population} of {name}"
        draw = lambda found=found: rdm_panels({"": found})  # noqa: E731
        section.pictures.append(picture(draw, title, said, f"{figure}-{i}"))
    title = f"Rates of {name} to {count} stimuli of the {part} part"
    section.tables.append(Table(title, COLUMNS, tuple(rows)))


def _rates(recording: xr.Dataset, population: str) -> np.ndarray:
    """Rates of one population, (presentation, neuroid); over time their mean."""
    from cortex_sim.recording import select

    rates = select(recording, population=population)["rate"]
    rates = rates.mean("time_bin") if "time_bin" in rates.dims else rates
    return np.asarray(rates.transpose("presentation", "neuroid").values)


def _dissimilarities(rates: np.ndarray, population: str) -> Dissimilarities:
    from cortex_sim.compare.rdms import rdm
    from cortex_sim.compare.responses import Responses

    return rdm(Responses(population, list(map(str, range(len(rates)))), rates))
