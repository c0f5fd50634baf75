"""Outputs of a protocol's ``main``: its recording, its figure, and its numbers on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cortex_sim.viz.panels import finished

if TYPE_CHECKING:
    import xarray as xr

Numbers = Mapping[str, Mapping[str, float]]


def keep(
    name: str, recording: xr.Dataset, figure: Figure, numbers: Numbers, folder: str | Path = "runs"
) -> None:
    """Write ``FOLDER/NAME.nc`` and ``FOLDER/NAME.png``, and print the numbers as a table.

    Parameters
    ----------
    name : str
        Name of the protocol.
    recording : xarray.Dataset
    figure : matplotlib.figure.Figure
    numbers : mapping of row to {column: number}
        One row per arm; all rows have the same columns.
    folder : path, default "runs"
        Created if it is missing.
    """
    from cortex_sim import recording as recordings

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    recordings.save(recording, place / f"{name}.nc")
    finished(figure, place / f"{name}.png")
    print(table(numbers))
    print(f"{place / name}.nc, {place / name}.png")


def table(numbers: Numbers) -> str:
    """Rows and columns as Markdown, with four digits per number.

    Examples
    --------
    >>> print(table({"intact": {"cosine": 0.99991}, "cut": {"cosine": 0.1}}))
    |  | cosine |
    |---|---|
    | intact | 0.9999 |
    | cut | 0.1 |
    """
    columns = list(next(iter(numbers.values())))
    lines = [f"|  | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for row, values in numbers.items():
        lines.append(f"| {row} | {' | '.join(f'{values[column]:.4g}' for column in columns)} |")
    return "\n".join(lines)
