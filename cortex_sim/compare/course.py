"""Responses in time bins, on either side of a comparison, and which bins are compared with which."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from cortex_sim.compare.from_recordings import by_time_bin
from cortex_sim.compare.responses import Dissimilarities, Responses, matched
from cortex_sim.errors import DataError

TimeBin = tuple[float, float]  # start and end, in ms


@dataclass(frozen=True, eq=False)
class Course:
    """Responses to the same stimuli, or their RDMs, in each of several time bins.

    Parameters
    ----------
    name : str
    bins : tuple of (start, end)
        In ms, in order; each once.
    each : tuple of Responses or of Dissimilarities
        One for each bin; of a model `Responses`.
    """

    name: str
    bins: tuple[TimeBin, ...]
    each: tuple[Responses | Dissimilarities, ...]

    def __post_init__(self) -> None:
        if not self.bins or len(set(self.bins)) < len(self.bins) or len(self.bins) != len(self.each):
            raise DataError(
                f"{self.name}: over time, give each time bin once, as (start, end) in ms, and responses for "
                f"each. Got {len(self.each)} for {list(self.bins)}"
            )

    def at(self, time: TimeBin) -> Responses | Dissimilarities:
        """Responses, or RDMs, in this bin."""
        return self.each[self.bins.index(time)]


def time_bins(recording: xr.Dataset) -> tuple[TimeBin, ...]:
    """Start and end of each time bin, in ms to the nearest ns; none where there is no time."""
    if "time_bin" not in recording.dims:
        return ()
    if not {"time_bin_start", "time_bin_end"} <= set(recording.coords):
        raise DataError(
            f"{recording.attrs.get('name', 'recording')}: has time bins without time_bin_start and "
            f"time_bin_end in ms; add both as coordinates of time_bin"
        )
    starts, ends = recording["time_bin_start"].values.tolist(), recording["time_bin_end"].values.tolist()
    return tuple((round(start, 6), round(end, 6)) for start, end in zip(starts, ends, strict=True))


def to_course(
    recording: xr.Dataset, *, name: str, population: str | None = None, session: str | None = None
) -> Course:
    """A recording's responses, bin by bin."""
    each = by_time_bin(recording, name=name, population=population, session=session)
    return Course(name, time_bins(recording), tuple(each))


def span(bins: tuple[TimeBin, ...]) -> str:
    """The range and width of time bins, in words."""
    return f"{bins[0][0]:g} to {bins[-1][1]:g} ms, {bins[0][1] - bins[0][0]:g} ms each"


def compared_bins(
    name: str, model: tuple[TimeBin, ...], data: str, neural: tuple[TimeBin, ...]
) -> tuple[TimeBin, ...]:
    """Bins that are compared: those of the side that has time, those in common where both have.

    Parameters
    ----------
    name, data : str
        For the error.
    model, neural : tuple of (start, end)
        Empty without time.

    Raises
    ------
    DataError
        If both have time and no bin in common.
    """
    if not model or not neural:
        return model or neural
    common = tuple(one for one in neural if one in model)
    if not common:
        raise DataError(
            f"{name} and {data}: no time bin in common ({span(model)}; {span(neural)}); use the same bins "
            f"(--bin-ms, in recordings every_ms), or average the model's over --model-window-ms START END"
        )
    return common


def aligned(
    model: Responses | Course, neural: Responses | Dissimilarities | Course
) -> list[tuple[TimeBin | None, Responses, Responses | Dissimilarities]]:
    """Pairs to compare, with stimuli matched, after their time bin, which is None if neither side has time.

    A side without time is compared with every bin of the other.
    """
    own = model.bins if isinstance(model, Course) else ()
    theirs = neural.bins if isinstance(neural, Course) else ()
    times = compared_bins(model.name, own, neural.name, theirs)
    found: list[tuple[TimeBin | None, Responses, Responses | Dissimilarities]] = []
    for time in times or (None,):
        data = neural.at(time) if isinstance(neural, Course) and time is not None else neural
        source = model.at(time) if isinstance(model, Course) and time is not None else model
        assert isinstance(source, Responses) and not isinstance(data, Course)
        found.append((time, matched(source, data)[0], data))
    return found
