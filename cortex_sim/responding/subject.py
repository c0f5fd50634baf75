"""A network as an experimental subject with Brain-Score's three methods, without depending on Brain-Score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.checks import listed, require_known, require_positive
from cortex_sim.data.fitting import View
from cortex_sim.data.limits import MAX_BYTES
from cortex_sim.data.pictures import Picture, decode
from cortex_sim.data.stimuli import StimulusSet
from cortex_sim.errors import DataError
from cortex_sim.responding.candidates import candidate
from cortex_sim.responding.presenting import respond_to

if TYPE_CHECKING:
    import xarray as xr

TimeBins = Sequence[tuple[float, float]]


class Subject:
    """A network that benchmarks can record from: ``visual_degrees``, ``start_recording``, ``look_at``.

    Parameters
    ----------
    model : path, str, Model, …
        Anything that `cortex_sim.responding.candidate` takes: a run directory, a file, a model.
    areas : mapping of str to str
        Population of each area that may be recorded from, such as ``{"V4": "V4", "IT": "IT"}``.
    degrees : float, default 8.0
        Visual angle of the network's field of view. Stimuli are taken to fill it, since benchmarks place
        them on the subject's screen beforehand.
    like, seed, rule :
        As for `cortex_sim.responding.candidate`.
    assembly : callable, optional
        Applied to what `look_at` returns, such as ``brainio.assemblies.NeuroidAssembly``.

    Raises
    ------
    DataError
        If an area's population is unknown.
    """

    def __init__(
        self,
        model: Any,
        areas: Mapping[str, str],
        *,
        degrees: float = 8.0,
        like: Any = None,
        seed: int | None = None,
        rule: str | None = None,
        assembly: Callable[[xr.DataArray], Any] | None = None,
    ) -> None:
        require_positive("Subject", degrees=degrees)
        self.candidate = candidate(model, rule=rule, seed=seed, like=like)
        known = self.candidate.net.populations
        self.areas = dict(areas)
        for area, population in self.areas.items():
            require_known(f"population of area {area}", population, known, DataError)
        self.degrees = degrees
        self.assembly = assembly
        self._area: str | None = None
        self._bins: tuple[tuple[float, float], ...] = ()

    @property
    def identifier(self) -> str:
        """Name of the network."""
        return self.candidate.name

    def visual_degrees(self) -> float:
        """Visual angle of the field of view, in degrees."""
        return self.degrees

    def start_recording(self, recording_target: str, time_bins: TimeBins) -> None:
        """Record from an area in these time bins, in ms after stimulus onset, from the next `look_at` on.

        A network at equilibrium has one response to a stimulus, which is returned for every time bin.
        """
        bins = tuple((float(start), float(end)) for start, end in time_bins)
        if not bins or any(end <= start for start, end in bins):
            raise DataError(
                f"subject {self.identifier}: time_bins must be pairs (start, end) in ms. Got {time_bins!r}"
            )
        require_known("area to record from", str(recording_target), self.areas, DataError)
        self._area, self._bins = str(recording_target), bins

    def look_at(self, stimuli: Any, number_of_trials: int = 1) -> Any:
        """Responses to stimuli, one for each; repeated trials would all be the same.

        Parameters
        ----------
        stimuli : stimulus set or sequence of paths
            A table with a column ``stimulus_id`` and a method ``get_stimulus(stimulus_id)`` that returns a
            path, whose other columns become coordinates; or paths of .png or .jpg files of one size.
        number_of_trials : int
            Accepted without effect, since these networks have no noise.

        Returns
        -------
        xarray.DataArray
            Dims (presentation, neuroid, time_bin), through ``assembly`` if there is one; coordinates
            ``stimulus_id``, ``neuroid_id``, ``region``, ``time_bin_start``, ``time_bin_end`` and others.

        Raises
        ------
        DataError
            If nothing is being recorded, or the stimuli cannot be read.
        """
        if self._area is None:
            raise DataError(f"subject {self.identifier}: call start_recording before look_at")
        ids, paths, columns = _listed(stimuli)
        pictures = [_picture(path) for path in paths]
        pixels = decode(f"stimuli of {self.identifier}", pictures, ["PNG", "JPEG"], max_bytes=MAX_BYTES)
        shown = StimulusSet(pixels, [f"{i}" for i in range(len(ids))], name="stimuli")
        view = View("centre", self.degrees, self.degrees)
        recording = respond_to(
            self.candidate, shown, populations=[self.areas[self._area]], variables=["rate"], view=view
        )
        array = self._assembled(recording["rate"], ids, columns)
        return array if self.assembly is None else self.assembly(array)

    def _assembled(self, rate: xr.DataArray, ids: list[str], columns: Mapping[str, Any]) -> xr.DataArray:
        import xarray as xr

        start, end = np.asarray(self._bins).T
        of_neuroids = {
            str(k): ("neuroid", v.values) for k, v in rate.coords.items() if v.dims == ("neuroid",)
        }
        return xr.DataArray(
            np.repeat(rate.values[..., None], len(start), axis=-1),
            dims=("presentation", "neuroid", "time_bin"),
            coords={
                **{name: ("presentation", np.asarray(values)) for name, values in columns.items()},
                "stimulus_id": ("presentation", np.asarray(ids, dtype=str)),
                **of_neuroids,
                "region": ("neuroid", np.full(rate.sizes["neuroid"], self._area)),
                "time_bin_start": ("time_bin", start),
                "time_bin_end": ("time_bin", end),
            },
            attrs={"model": self.identifier},
        )


def _picture(path: Path) -> Picture:
    return Picture(str(path), lambda: path.open("rb"))


def _listed(stimuli: Any) -> tuple[list[str], list[Path], dict[str, Any]]:
    """Ids, paths and further columns of the stimuli."""
    if hasattr(stimuli, "get_stimulus"):
        columns = {str(name): list(stimuli[name]) for name in stimuli.columns}
        if "stimulus_id" not in columns:
            raise DataError(
                f"stimuli: need a column stimulus_id, but have {listed(columns)}; rename the column of ids"
            )
        ids = [str(one) for one in columns.pop("stimulus_id")]
        paths = [Path(stimuli.get_stimulus(one)) for one in stimuli["stimulus_id"]]
    elif isinstance(stimuli, Sequence) and not isinstance(stimuli, str) and len(stimuli):
        paths, columns = [Path(one) for one in stimuli], {}
        ids = [path.name for path in paths]
    else:
        raise DataError(f"stimuli: give paths of pictures, or a set with get_stimulus. Got {stimuli!r}")
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"stimuli: no file {missing[0]}; give paths of pictures that exist")
    return ids, paths, columns
