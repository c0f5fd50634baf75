"""The responses and the intervals of presentations that an NWB file holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_sim.checks import listed, require_path
from cortex_sim.errors import DataError
from cortex_sim.neural.stored import one_line
from cortex_sim.recording.extras import imported, quiet_nwb

UNITS, ROIS, RECORDING = "spike times of units", "ROI response series", "recording"


@dataclass(frozen=True, eq=False)
class Source:
    """Responses in a file.

    Parameters
    ----------
    kind : str
        `UNITS`, `ROIS` or `RECORDING` (one that this package has written).
    path : str
        Names from the root of the file, such as "processing/ophys/DfOverF".
    containers : sequence
        The objects of pynwb: one, or the response series (one per plane) of a container.
    """

    kind: str
    path: str
    containers: Sequence[Any]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The content of an NWB file, whose arrays are read when used; nothing in the file is run.

    Raises
    ------
    DataError
        If pynwb or the file is missing, or it is not a valid NWB file.
    """
    pynwb = imported("pynwb", "nwb", "NWB files")
    if not require_path("neural data", path, DataError).is_file():
        what = "is a folder; NWB is read from HDF5 files" if Path(path).is_dir() else "no such file"
        raise DataError(f"neural data {path}: {what}")
    with quiet_nwb():
        io, content = _read(pynwb, path)
        try:
            yield content
        except (OSError, RuntimeError) as exception:
            raise DataError(
                f"neural data {path}: damaged ({one_line(exception)}); use another copy"
            ) from None
        finally:
            io.close()


def _read(pynwb: Any, path: Path) -> tuple[Any, Any]:
    io = None
    try:
        io = pynwb.NWBHDF5IO(str(path), "r")
        return io, io.read()
    except Exception as exception:  # h5py and hdmf raise many kinds for files that are not valid
        if io is not None:
            io.close()
        why = one_line(exception) or type(exception).__name__
        raise DataError(f"neural data {path}: not a valid NWB file ({why})") from None


def sources(content: Any) -> list[Source]:
    """All responses in the file."""
    from pynwb.misc import Units
    from pynwb.ophys import RoiResponseSeries

    found, series = [], dict[str, list[Any]]()
    for container in content.objects.values():
        if isinstance(container, Units):
            found.append(Source(UNITS, path_of(container), [container]))
        elif isinstance(container, RoiResponseSeries):
            series.setdefault(path_of(container.parent), []).append(container)
        elif _is_neuroids(container):
            found.append(Source(RECORDING, path_of(container.parent), [container.parent]))
    # Sorted by name, since the file keeps no order.
    found += [Source(ROIS, path, sorted(held, key=path_of)) for path, held in series.items()]
    return sorted(found, key=lambda source: source.path)


def intervals(content: Any, found: Sequence[Source]) -> dict[str, Any]:
    """Tables of intervals by name: trials, epochs, …; not those of recordings that this package added."""
    from pynwb.epoch import TimeIntervals

    own = {f"{source.containers[0].name}_presentations" for source in found if source.kind == RECORDING}
    tables = [one for one in content.objects.values() if isinstance(one, TimeIntervals)]
    return {table.name: table for table in tables if table.name not in own | {"invalid_times"}}


def named(path: Path, key: str, found: Sequence[Source]) -> Source | None:
    """The responses that a key means: a container's name, a series' name, or a path; None if there are none.

    Raises
    ------
    DataError
        If it means several.
    """
    meant = []
    for source in found:
        if _ends_with(source.path, key):
            meant.append(source)
        elif source.kind == ROIS:
            one = [series for series in source.containers if _ends_with(path_of(series), key)]
            if one:
                meant.append(Source(ROIS, path_of(one[0]), one))
    if len(meant) > 1:
        raise DataError(
            f"neural data {path}: {key!r} may mean {listed(source.path for source in meant)}; give one"
        )
    return meant[0] if meant else None


def measured(path: Path, found: Sequence[Source]) -> Source:
    """The only responses in the file; measured ones rather than recordings that were added to it.

    Raises
    ------
    DataError
        If there are none, or several; the message lists them.
    """
    chosen = [source for source in found if source.kind != RECORDING] or list(found)
    if not chosen:
        raise DataError(
            f"neural data {path}: holds neither a Units table with spike times nor a RoiResponseSeries; give "
            f"a file with one of them"
        )
    if len(chosen) > 1:
        names = "; ".join(f"{source.path} ({source.kind})" for source in chosen)
        raise DataError(f"neural data {path}: holds several responses; give one of these as key: {names}")
    return chosen[0]


def path_of(container: Any) -> str:
    """Names from the root of the file, such as "processing/ophys/DfOverF"."""
    from pynwb import NWBFile, ProcessingModule

    names: list[str] = []
    while container is not None and not isinstance(container, NWBFile):
        names.insert(0, container.name)
        if isinstance(container, ProcessingModule):
            names.insert(0, "processing")
        container = container.parent
    return "/".join(names)


def _ends_with(path: str, key: str) -> bool:
    return f"/{path}".endswith(f"/{key.strip('/')}")


def _is_neuroids(container: Any) -> bool:
    from hdmf.common import DynamicTable

    return (
        isinstance(container, DynamicTable)
        and container.name == "neuroids"
        and {"series", "series_column"} <= set(container.colnames)
    )
