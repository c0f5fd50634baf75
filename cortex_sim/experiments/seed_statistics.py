"""A sweep in numbers: mean and spread over seeds of every arm and setting, and paired tests between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.calling import known_arguments
from cortex_sim.checks import listed, look_up, require_count, short
from cortex_sim.errors import DataError

if TYPE_CHECKING:
    import xarray as xr

EXACT = 14  # seeds up to which all patterns of signs are tried
DRAWN = 20_000  # patterns drawn for more seeds


@dataclass(frozen=True)
class Pair:
    """One group against the reference, over the same seeds.

    Attributes
    ----------
    group : str
    difference : float
        Mean over seeds of group minus reference.
    low, high : float
        95 % confidence interval of the difference, by Student's t over seeds.
    p, adjusted : float
        Two-sided p value of the sign-flip test, and the same after Holm's correction for all pairs.
    """

    group: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float


@dataclass(frozen=True, eq=False)
class SeedStatistics:
    """One number per seed for every arm and setting; shows itself as text and as tables.

    Attributes
    ----------
    measured : str
        What was measured: statistic, population and trials.
    values : mapping of group to array of shape (seed,)
    pairs : tuple of Pair
        Every other group against the first; empty where there is one group or one seed.
    """

    measured: str
    values: Mapping[str, np.ndarray]
    pairs: tuple[Pair, ...]

    @property
    def reference(self) -> str:
        """The group that the others are compared with."""
        return next(iter(self.values))

    def rows(self) -> list[tuple[str, ...]]:
        """Group, number of seeds, mean, standard deviation, then difference, interval, p, adjusted p."""
        pairs = {pair.group: pair for pair in self.pairs}
        return [
            (name, str(len(v)), f"{v.mean():.4g}", _sd(v), *_compared(pairs.get(name)))
            for name, v in self.values.items()
        ]

    def to_csv(self, path: str | Path) -> None:
        """Write one line for each group and seed: group, position of the seed (from 0) and value."""
        from cortex_sim.runs.files import write_text

        lines = ["group,seed number,value"]
        for name, values in self.values.items():
            quoted = '"' + name.replace('"', '""') + '"'
            lines += [f"{quoted},{number},{float(value)!r}" for number, value in enumerate(values)]
        write_text(Path(path), "\n".join(lines) + "\n")

    def __str__(self) -> str:
        rows = [_columns(self.reference), *self.rows()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([self.measured, *lines])

    def _repr_html_(self) -> str:
        from cortex_sim.viz import html

        return html.page(
            html.heading(self.measured), html.table_with(list(_columns(self.reference)), self.rows())
        )


@known_arguments("cs.over_seeds")
def over_seeds(
    sweep: xr.Dataset,
    statistic: str | None = None,
    *,
    population: str | None = None,
    labels: Mapping[str, Any] | Sequence[Any] | None = None,
    last: int | None = None,
    measure: Callable[[xr.Dataset], float] | None = None,
) -> SeedStatistics:
    """Mean, spread and paired differences of one number per seed, arm and setting.

    Parameters
    ----------
    sweep : xarray.Dataset
        Result of `cortex_sim.sweep`.
    statistic : {"rate", "credit", "accuracy"}, optional
        As in `cs.viz.compare_arms`, for one population: the mean over the last probe or, without
        probes, over the last tenth of the trials.
    population : str, optional
        The last one by default.
    labels : mapping of stimulus_id to number, or list by stimulus number
        Classes, for the accuracy.
    last : int, optional
        Take the mean over this many trials at the end instead.
    measure : callable, optional
        Replaces the statistic: takes a plain recording of one arm and returns a number.

    Returns
    -------
    SeedStatistics
        Pairs share their seeds, hence initial weights, order and noise: differences are taken seed by seed.
        p is the share of all 2ⁿ patterns of signs (of 20 000 random ones for more than 14 seeds) under which
        the mean difference is at least as large; with n ≤ 14 seeds it cannot be below 2/2ⁿ.

    Raises
    ------
    DataError
        If there is no dimension ``seed``, or a measure is not a finite number.
    """
    from cortex_sim.viz.groups import SEED, groups

    dims = getattr(sweep, "dims", None)
    if dims is None or SEED not in dims:
        given = short(sweep) if dims is None else listed(map(str, dims))
        raise DataError(f"over_seeds: needs the dimension seed, of cs.sweep(...). Got {given}")
    said, of_one = (
        ("measure", measure) if measure is not None else _measure(sweep, statistic, population, labels, last)
    )
    values = {}
    for group in groups(sweep, "over_seeds"):
        found = np.asarray([float(of_one(one)) for one in group.seeds])
        if not np.isfinite(found).all():
            raise DataError(
                f"over_seeds: {said} of {group.label or 'the arm'} is not a finite number for every seed; "
                "leave out the seeds or arms where it is not, with sweep.isel or sweep.sel"
            )
        values[group.label or "all"] = found
    return SeedStatistics(said, values, _pairs(values))


def sign_flip(differences: np.ndarray) -> float:
    """Two-sided p value of the mean of ``differences`` (seed,) under independent random signs.

    References
    ----------
    Fisher (1935), The Design of Experiments, section 21.
    """
    n = len(differences)
    if n <= EXACT:
        signs = np.asarray(list(itertools.product((1.0, -1.0), repeat=n)))
        reached = np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-12)
        return float(reached.mean())
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(DRAWN, n))
    reached = np.abs(signs @ differences) >= abs(differences.sum()) * (1 - 1e-12)
    return float((1 + reached.sum()) / (1 + DRAWN))  # the pattern that was observed counts


def _measure(
    sweep: xr.Dataset, statistic: str | None, population: str | None, labels: Any, last: int | None
) -> tuple[str, Callable[[xr.Dataset], float]]:
    from cortex_sim.recording import select
    from cortex_sim.viz.panels import named
    from cortex_sim.viz.statistics import SAID, STATISTICS, is_probe, statistic_for

    chosen = statistic_for(sweep, statistic, labels)
    of_each = look_up("statistic of over_seeds", chosen, STATISTICS, DataError)
    name = population or named(sweep, "population")[-1]
    if last is not None:
        require_count("over_seeds", last=last)
    probed = last is None and "stage" in sweep.coords and "probe" in named(sweep, "stage")

    def measured(recording: xr.Dataset) -> float:
        part = select(recording, population=name)
        values, probes = of_each(part, labels), is_probe(part)
        if probed:
            begins = np.flatnonzero(~probes)[-1] + 1 if not probes.all() else 0
            return float(values[begins:].mean())
        trials = values[~probes]
        return float(trials[-(last or max(1, len(trials) // 10)) :].mean())

    at = "last probe" if probed else f"last {last} trials" if last else "last tenth of the trials"
    return f"{SAID[chosen]}, {name}, {at}", measured


def _pairs(values: Mapping[str, np.ndarray]) -> tuple[Pair, ...]:
    from scipy.stats import t

    from cortex_sim.compare.multiple import holm

    reference, *others = values.items()
    n = len(reference[1])
    if not others or n < 2:
        return ()
    differences = {name: of - reference[1] for name, of in others}
    p = np.asarray([sign_flip(d) for d in differences.values()])
    half = t.ppf(0.975, n - 1) / np.sqrt(n)
    return tuple(
        Pair(
            name,
            float(d.mean()),
            float(d.mean() - half * d.std(ddof=1)),
            float(d.mean() + half * d.std(ddof=1)),
            float(raw),
            float(corrected),
        )
        for (name, d), raw, corrected in zip(differences.items(), p, holm(p), strict=True)
    )


def _sd(values: np.ndarray) -> str:
    return f"{values.std(ddof=1):.3g}" if len(values) > 1 else ""


def _columns(reference: str) -> tuple[str, ...]:
    return ("", "seeds", "mean", "sd", f"minus {reference}", "95 % interval", "p", "p (Holm)")


def _compared(pair: Pair | None) -> tuple[str, ...]:
    if pair is None:
        return ("", "", "", "")
    interval = f"{pair.low:.3g} to {pair.high:.3g}"
    return (f"{pair.difference:.4g}", interval, f"{pair.p:.3g}", f"{pair.adjusted:.3g}")
