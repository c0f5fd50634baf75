"""Weight trajectories: chosen synapses over trials, and the change of all weights of a projection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cortex_sim.checks import look_up
from cortex_sim.errors import DataError
from cortex_sim.viz.panels import COLOURS, finished, named, new_figure, plain

if TYPE_CHECKING:
    import xarray as xr

Synapse = tuple[int, int]


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
        Which to draw one by one; a number selects those that changed most in any arm.
    path : path, optional
        File to write (PNG, SVG, PDF).

    Returns
    -------
    matplotlib.figure.Figure
        One panel per arm with single synapses, and one in which the arms' norms are compared: ‖w‖ solid,
        the distance ‖w − w(first snapshot)‖ dashed.
    """
    recorded = {
        str(n).removeprefix("weight:"): n for n in recording.data_vars if str(n).startswith("weight:")
    }
    if not recorded:
        raise DataError(
            "weight_trajectories: no weights in the recording; record them: cs.Record(weights=True)"
        )
    chosen = list(recorded) if projection is None else projection
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    arms = named(recording, "snapshot_arm")
    figure = new_figure(3.2 * (len(arms) + 1), 0.5 + 2.5 * len(chosen))
    grid = figure.subplots(len(chosen), len(arms) + 1, squeeze=False)
    for row, name in zip(grid, chosen, strict=True):
        weights = recording[look_up("recorded projection", name, recorded, DataError)].values
        of_arms = [recording["snapshot_arm"].values.astype(str) == arm for arm in arms]
        picked = _picked(name, [weights[of_arm] for of_arm in of_arms], synapses)
        for number, (arm, of_arm) in enumerate(zip(arms, of_arms, strict=True)):
            trials = recording["snapshot_trial"].values[of_arm]
            _lines(row[number], trials, weights[of_arm], picked)
            row[number].set_title(f"{name}, {arm}" if arm else name, fontsize=9)
            _norms(row[-1], trials, weights[of_arm], COLOURS[number % len(COLOURS)], arm)
            row[number].sharey(row[0])
        row[-1].set_title(f"{name}, all synapses", fontsize=9)
        plain(row[-1], "trials", "‖w‖, and dashed its change")
        row[-1].set_ylim(bottom=-0.03 * row[-1].get_ylim()[1])  # so that a change of 0 is visible
    grid[0, -1].legend(frameon=False, fontsize=8)
    return finished(figure, path)


def _picked(name: str, of_arms: list[np.ndarray], synapses: int | Sequence[Synapse]) -> list[Synapse]:
    post, pre = of_arms[0].shape[1:]
    if isinstance(synapses, int):
        moved = np.max([np.ptp(weights, axis=0) for weights in of_arms], axis=0).ravel()
        most = np.argsort(-moved, kind="stable")[:synapses]
        return [(int(i) // pre, int(i) % pre) for i in most]
    for i, j in synapses:
        if not (0 <= i < post and 0 <= j < pre):
            raise DataError(
                f"weight_trajectories: {name} has synapses (post, pre) below ({post}, {pre}). Got {(i, j)}"
            )
    return list(synapses)


def _lines(axes: Axes, trials: np.ndarray, weights: np.ndarray, synapses: list[Synapse]) -> None:
    for number, (i, j) in enumerate(synapses):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(trials, weights[:, i, j], color=colour, lw=1.2, label=f"({i}, {j})")
    plain(axes, "trials", "weight")


def _norms(axes: Axes, trials: np.ndarray, weights: np.ndarray, colour: str, arm: str) -> None:
    flat = weights.reshape(len(weights), -1)
    axes.plot(trials, np.linalg.norm(flat, axis=1), color=colour, label=arm or "all synapses")
    axes.plot(trials, np.linalg.norm(flat - flat[0], axis=1), color=colour, ls="--")
