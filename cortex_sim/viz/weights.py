"""Weight trajectories: chosen synapses over trials, and the change of all weights of a projection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex_sim.calling import known_arguments
from cortex_sim.checks import look_up
from cortex_sim.errors import DataError
from cortex_sim.viz import behind
from cortex_sim.viz.groups import SEED, SETTING, mean_and_sd, require_something
from cortex_sim.viz.panels import COLOURS, DASHES, finished, named, new_figure, note, plain

Synapse = tuple[int, int]


@known_arguments("cs.viz.weight_trajectories")
def weight_trajectories(
    recording: xr.Dataset,
    projection: str | Iterable[str] | None = None,
    *,
    synapses: int | Sequence[Synapse] = 10,
    path: str | Path | None = None,
) -> Figure:
    """Recorded weights against the number of trials before each snapshot.

    Parameters
    ----------
    recording : xarray.Dataset
        Of a protocol with ``cs.Record(weights=...)``.
    projection : str or list of str, optional
        One row of panels each; all recorded ones by default.
    synapses : int or list of (post, pre), default 10
        Synapses to draw individually; a number selects those that changed most in any arm.
    path : path, optional
        File to write (PNG, SVG, PDF).

    Returns
    -------
    matplotlib.figure.Figure
        One panel per arm with single synapses, named pre→post, and one in which the arms' norms are compared:
        ‖w‖ solid, the distance ‖w − w(first snapshot)‖ dashed. Of a sweep, synapses are means over seeds.

    Raises
    ------
    DataError
        If no weights were recorded, or no snapshot is left.
    """
    recorded = {
        str(n).removeprefix("weight:"): n for n in recording.data_vars if str(n).startswith("weight:")
    }
    if not recorded:
        raise DataError(
            "weight_trajectories: no weights in the recording; record them: cs.Record(weights=True)"
        )
    require_something(recording, "weight_trajectories", ("snapshot", SEED, SETTING))
    chosen = list(recorded) if projection is None else projection
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    arms = _arms(recording)
    if not isinstance(synapses, int) and not len(synapses):
        raise DataError("weight_trajectories: synapses is empty; give a number, or a list of (post, pre)")
    figure = new_figure(3.4 * (len(arms) + 1) + 1.2, 0.9 + 2.6 * len(chosen))
    grid = figure.subplots(len(chosen), len(arms) + 1, squeeze=False)
    for row, name in zip(grid, chosen, strict=True):
        variable = str(look_up("recorded projection", name, recorded, DataError))
        _row(row, arms, name, variable, synapses)
    grid[0, -1].legend(frameon=False, fontsize=8)
    note(figure, *_said(arms, synapses))
    return finished(figure, path, data=True)


@dataclass(frozen=True)
class _Arm:
    """Snapshots of one arm, once for each seed."""

    label: str
    seeds: tuple[xr.Dataset, ...]

    @property
    def trials(self) -> np.ndarray:
        return self.seeds[0]["snapshot_trial"].values

    def weights(self, variable: str) -> list[np.ndarray]:
        """(snapshot, post, pre) for each seed."""
        return [one[variable].values for one in self.seeds]


def _arms(recording: xr.Dataset) -> list[_Arm]:
    found = []
    for setting in range(recording.sizes.get(SETTING, 1)):
        part = recording.isel({SETTING: setting}) if SETTING in recording.dims else recording
        names = named(part, "snapshot_arm")
        for arm in names:
            mask = part["snapshot_arm"].values.astype(str) == arm
            of_arm = part.isel(snapshot=np.flatnonzero(mask))
            count = recording.sizes.get(SEED, 1)
            seeds = [of_arm.isel({SEED: i}) if SEED in of_arm.dims else of_arm for i in range(count)]
            several = recording.sizes.get(SETTING, 1) > 1
            said = str(recording[SETTING].values[setting]) if several else ""
            label = f"{arm}, {said}" if said and len(names) > 1 else said or arm
            found.append(_Arm(label, tuple(seeds)))
    return found


def _row(
    row: Sequence[Axes], arms: list[_Arm], name: str, variable: str, synapses: int | Sequence[Synapse]
) -> None:
    """Panels of one projection: single synapses of each arm, and the norms of all arms."""
    means = [mean_and_sd(arm.weights(variable))[0] for arm in arms]
    picked = _picked(name, means, synapses)
    called = _names(name, arms[0].seeds[0][variable], picked)
    for number, (arm, weights) in enumerate(zip(arms, means, strict=True)):
        _lines(row[number], arm.trials, weights, picked, called)
        row[number].set_title(f"{name}, {arm.label}" if arm.label else name, fontsize=9)
        _norms(row[-1], arm, arm.weights(variable), COLOURS[number % len(COLOURS)])
        row[number].sharey(row[0])
    last = row[len(arms) - 1]
    last.legend(frameon=False, fontsize=6.5, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
    row[-1].set_title(f"{name}, all synapses", fontsize=9)
    plain(row[-1], "trials", "‖w‖ (dashed: change)")
    row[-1].set_ylim(bottom=-0.03 * row[-1].get_ylim()[1])  # so that a change of 0 is visible


def _said(arms: list[_Arm], synapses: int | Sequence[Synapse]) -> list[str]:
    seeds = len(arms[0].seeds)
    which = "the synapses that changed most in any arm" if isinstance(synapses, int) else "chosen synapses"
    return [
        f"left: {which}" + (f", mean over {seeds} seeds" if seeds > 1 else ""),
        "right: solid ‖w‖, dashed ‖w − w(first snapshot)‖, over all synapses",
        f"bands: ± standard deviation over {seeds} seeds" if seeds > 1 else "",
    ]


def _picked(name: str, of_arms: list[np.ndarray], synapses: int | Sequence[Synapse]) -> list[Synapse]:
    post, pre = of_arms[0].shape[1:]
    if isinstance(synapses, int):
        moved = np.max([np.ptp(weights, axis=0) for weights in of_arms], axis=0).ravel()
        most = np.argsort(-moved, kind="stable")[:synapses]
        return [(int(i) // pre, int(i) % pre) for i in most]
    for i, j in synapses:
        if not (0 <= i < post and 0 <= j < pre):
            raise DataError(
                f"weight_trajectories: synapses (post, pre) of {name} must be from (0, 0) to "
                f"{(post - 1, pre - 1)}. Got {(i, j)}"
            )
    return list(synapses)


def _names(projection: str, weights: xr.DataArray, synapses: list[Synapse]) -> list[str]:
    """``V1/3→IT/2`` for a matrix; channels and position in the kernel for a convolution."""
    pre, _, post = projection.partition("->")
    kernel = [int(n) for n in weights.attrs.get("shape", ())]
    if kernel:
        of_group = kernel[0] // int(weights.attrs.get("groups", 1))  # post channels that read the same ones
        places = [np.unravel_index(j, kernel[1:]) for _, j in synapses]
        return [
            f"{pre} {i // of_group * kernel[1] + c}→{post} {i} at ({y}, {x})"
            for (i, _), (c, y, x) in zip(synapses, places, strict=True)
        ]
    return [f"{pre}/{j}→{post}/{i}" for i, j in synapses]


def _lines(
    axes: Axes, trials: np.ndarray, weights: np.ndarray, synapses: list[Synapse], names: list[str]
) -> None:
    for number, ((i, j), name) in enumerate(zip(synapses, names, strict=True)):
        style = DASHES[number // len(COLOURS) % len(DASHES)]
        axes.plot(
            trials, weights[:, i, j], color=COLOURS[number % len(COLOURS)], ls=style, lw=1.2, label=name
        )
    plain(axes, "trials", "weight")


def _norms(axes: Axes, arm: _Arm, of_seeds: list[np.ndarray], colour: str) -> None:
    flat = [weights.reshape(len(weights), -1) for weights in of_seeds]
    lengths = [np.linalg.norm(w, axis=1) for w in flat]
    moved = [np.linalg.norm(w - w[0], axis=1) for w in flat]
    for values, style, label in ((lengths, "-", arm.label or "all synapses"), (moved, "--", None)):
        mean, sd = mean_and_sd(values)
        axes.plot(arm.trials, mean, color=colour, ls=style, label=label)
        if sd is not None:
            behind.band(axes, arm.trials, mean, sd, colour, label=label or "change")
