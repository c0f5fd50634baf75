"""Figure of a study: which rules are confused, and how identification falls with less evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.trajectories.ablations import ACCESS, Row
from cortex_sim.trajectories.classify import Outcome

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT = {
    "backprop": "backprop",
    "gait_prop": "GAIT-prop",
    "sign_symmetric": "sign-symmetric",
    "weight_mirror": "weight mirror",
    "kolen_pollack": "Kolen–Pollack",
    "feedback_alignment": "feedback alignment",
    "direct_feedback_alignment": "direct feedback al.",
    "tdca": "TDCA",
}


def figure(study: xr.Dataset, outcome: Outcome, rows: Sequence[Row]) -> Figure:
    """Six panels.

    Parameters
    ----------
    study : xarray.Dataset
    outcome : Outcome
        Classification from all evidence.
    rows : sequence of Row
        Answers to all questions.
    """
    from cortex_sim.viz.panels import new_figure

    drawn = new_figure(12, 7.4)
    panels = drawn.subplots(2, 3)
    _confusion(panels[0, 0], outcome)
    _bars(panels[0, 1], rows)
    _learning(panels[0, 2], study)
    _units(panels[1, 0], study, rows)
    _noise(panels[1, 1], study, rows)
    _snapshots(panels[1, 2], rows)
    return drawn


def _confusion(axes: Axes, outcome: Outcome) -> None:
    matrix, names = outcome.confusion(), [SHORT.get(rule, rule) for rule in outcome.rules]
    axes.imshow(matrix, vmin=0, vmax=1, cmap="Blues")
    for (i, j), share in np.ndenumerate(matrix):
        if round(100 * share):
            colour = "white" if share > 0.6 else "black"
            axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title("% of each rule's runs (row) by answer", fontsize=10)
    axes.set_ylabel("rule")


def _bars(axes: Axes, rows: Sequence[Row]) -> None:
    """Accuracy by evidence, with controls below."""
    chosen = [
        *(r for r in rows if r.question == "access" and r.classifier == "random_forest"),
        *(r for r in rows if r.question == "controls" and r.classifier == "random_forest"),
    ]
    place = np.arange(len(chosen))[::-1]
    colours = [_colour(r) for r in chosen]
    accuracy = np.array([r.accuracy for r in chosen])
    bounds = [
        np.maximum(accuracy - [r.low for r in chosen], 0),
        np.maximum([r.high for r in chosen] - accuracy, 0),
    ]
    axes.barh(place, accuracy, xerr=np.array(bounds), color=colours, height=0.7, error_kw={"lw": 1})
    axes.set_yticks(place, [_label(r) for r in chosen], fontsize=6.5)
    _chance(axes.axvline, chosen)
    axes.set(xlim=(0, 1), xlabel="accuracy of a random forest")
    axes.spines[["top", "right"]].set_visible(False)


def _label(row: Row) -> str:
    return row.evidence if row.setting == "all statistics" else f"{row.evidence}: {row.setting}"


def _colour(row: Row) -> str:
    if row.question == "controls":
        return "0.75" if row.setting != "at matched accuracy" else "#E69F00"
    return "#0072B2" if row.setting == "all statistics" else "#56B4E9"


def _chance(line: Any, rows: Sequence[Row]) -> None:
    if rows:
        line(rows[0].chance, color="0.4", lw=1, ls=":")


def _learning(axes: Axes, study: xr.Dataset) -> None:
    """Accuracy over updates by rule, mean over its runs; step 0 is drawn at 1/2."""
    from cortex_sim.viz.panels import COLOURS, DASHES, plain

    step = np.maximum(study["step"].values.astype(float), 0.5)
    rules = list(dict.fromkeys(study["rule"].values.tolist()))
    for number, rule in enumerate(rules):
        mean = study["accuracy"].values[study["rule"].values == rule].mean(0)
        style = {"color": COLOURS[number % len(COLOURS)], "ls": DASHES[number % len(DASHES)]}
        axes.semilogx(step, mean, label=SHORT.get(rule, rule), **style)
    plain(axes, "updates", "test accuracy, mean over runs")
    axes.legend(frameon=False, fontsize=7)


def _curves(axes: Axes, rows: Sequence[Row], xs: dict[str, float], question: str, **style: Any) -> None:
    """One line for each selection of observables, over the settings that have a place on the axis."""
    from cortex_sim.viz.panels import COLOURS

    for colour, name in zip(COLOURS, ACCESS, strict=False):
        found = {
            r.setting: r for r in rows if r.question == question and r.evidence == name and r.setting in xs
        }
        chosen = sorted(found.values(), key=lambda r: xs[r.setting])
        x = [xs[r.setting] for r in chosen]
        axes.plot(x, [r.accuracy for r in chosen], color=colour, marker="o", ms=3, label=name, **style)
        if style.get("ls") != ":":
            axes.fill_between(
                x, [r.low for r in chosen], [r.high for r in chosen], color=colour, alpha=0.12, lw=0
            )


def _units(axes: Axes, study: xr.Dataset, rows: Sequence[Row]) -> None:
    from cortex_sim.viz.panels import plain

    units, snr = study["observed_units"].values, study["snr"].values
    names = study["condition"].values.tolist()
    xs = {n: float(u) for n, u, s in zip(names, units, snr, strict=True) if u and np.isinf(s)}
    everything = 2.0 * max(xs.values(), default=1.0)
    _curves(axes, [*rows, *_exact(rows, "full")], {**xs, "full": everything}, "condition")
    axes.set_xscale("log")
    axes.set_xticks([*xs.values(), everything], [*(f"{x:.0f}" for x in xs.values()), "all"], minor=False)
    axes.minorticks_off()
    plain(axes, "observed units of each population", "accuracy")
    _finish(axes, rows)


def _noise(axes: Axes, study: xr.Dataset, rows: Sequence[Row]) -> None:
    from cortex_sim.viz.panels import plain

    noisy = (study["noise"].values == "gaussian") & (study["observed_units"].values == 0)
    xs = {
        str(c): float(s)
        for c, s in zip(study["condition"].values[noisy], study["snr"].values[noisy], strict=True)
    }
    exact = 10.0 * max(xs.values(), default=1.0)
    everything = [*rows, *_exact(rows, "full"), *_exact(rows, "full", "condition, trained exactly")]
    _curves(axes, everything, {**xs, "full": exact}, "condition")
    _curves(axes, everything, {**xs, "full": exact}, "condition, trained exactly", ls=":")
    axes.set_xscale("log")
    axes.set_xticks([*xs.values(), exact], [*(f"{x:g}" for x in xs.values()), "exact"])
    axes.minorticks_off()
    plain(axes, "signal-to-noise ratio (dotted: trained on exact)", "accuracy")
    _finish(axes, rows)


def _exact(rows: Sequence[Row], setting: str, question: str = "condition") -> list[Row]:
    """Rows of the exact observation, as the end of a curve."""
    return [
        replace(r, question=question, setting=setting)
        for r in rows
        if r.question == "access" and r.setting == "all statistics" and r.classifier == "random_forest"
    ]


def _snapshots(axes: Axes, rows: Sequence[Row]) -> None:
    from cortex_sim.viz.panels import plain

    counts = {r.setting: float(r.setting) for r in rows if r.question == "snapshots"}
    _curves(axes, rows, counts, "snapshots")
    plain(axes, "snapshots, the last among them", "accuracy")
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.13), ncols=2)
    _finish(axes, rows)


def _finish(axes: Axes, rows: Sequence[Row]) -> None:
    _chance(axes.axhline, rows)
    axes.set_ylim(0, 1)
