"""A recording, simulated or of responses to stimuli, as its netCDF file holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cortex_sim.checks import counted

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording by name."""

    name: str
    path: Path
    recording: xr.Dataset
    notes: tuple[str, ...] = ()

    kind = "recording"

    @property
    def status(self) -> str:
        """Numbers of presentations and neuroids."""
        sizes = self.recording.sizes
        return f"{counted(sizes['presentation'], 'presentation')}, {counted(sizes['neuroid'], 'neuroid')}"


def read_recording(name: str, path: Path) -> Recorded:
    """Read a recording.

    Raises
    ------
    CortexSimError
        If it is damaged or not a recording.
    """
    from cortex_sim.recording import load

    return Recorded(name, path, load(path))
