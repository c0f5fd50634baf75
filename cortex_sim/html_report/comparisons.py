"""A comparison with neural data as ``cortex-sim compare --out`` wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_sim.checks import counted
from cortex_sim.errors import RunError
from cortex_sim.report.studying import REPORT

NEEDED = ("recording", "population", "data", "metric", "score", "ci_low", "ci_high")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a folder of a comparison holds.

    Parameters
    ----------
    name : str
    path : Path
    rows : tuple of dict
        The table, one row for each model, population, data set and metric.
    comparisons : tuple of dict
        Models against each other.
    warnings : tuple of str
        What must be known before a score is believed.
    notes : tuple of str
    """

    name: str
    path: Path
    rows: tuple[Mapping[str, Any], ...]
    comparisons: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    kind = "comparison"

    @property
    def status(self) -> str:
        """Number of scores."""
        return counted(len(self.rows), "score")


def read_comparison(name: str, path: Path) -> Comparison:
    """Read the folder of a comparison.

    Raises
    ------
    RunError
        If its report.json is damaged.
    """
    file = path / REPORT
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = tuple(content["scores"])
        for row in rows:
            [row[key] for key in NEEDED]
    except (OSError, ValueError, KeyError, TypeError):
        raise RunError(f"{file}: damaged, or not of a comparison; run compare again") from None
    return Comparison(
        name, path, rows, tuple(content.get("comparisons", ())), tuple(content.get("warnings", ()))
    )
