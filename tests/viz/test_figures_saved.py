"""Figures are saved whole, with the numbers behind them; what is not there is named."""

import csv
import subprocess
import sys

import numpy as np
import pytest
from recorded_arms import recorded

import cortex_sim as cs
from cortex_sim.errors import CortexSimError, DataError

# -- files and refusals ---------------------------------------------------------------------------

EVERY = {
    "raster": lambda r, path: cs.viz.raster(r, path=path),
    "time_course": lambda r, path: cs.viz.time_course(r, path=path),
    "weight_trajectories": lambda r, path: cs.viz.weight_trajectories(r, path=path),
    "tuning_curves": lambda r, path: cs.viz.tuning_curves(r, [1, 2, 3], path=path),
    "compare_arms": lambda r, path: cs.viz.compare_arms(r, path=path),
}


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_saved_whole_or_not_at_all(draw, timed, settled, tmp_path):
    for recording, name in ((timed, "a.png"), (settled, "b.svg"), (recorded(arms=["one"]), "c.pdf")):
        draw(recording, tmp_path / name)
    figures = {p.name for p in tmp_path.iterdir() if p.suffix != ".csv"}
    assert figures == {"a.png", "b.svg", "c.pdf"}
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match=r"a.txt: the suffix must be one of .png, .svg, .pdf"):
        draw(timed, tmp_path / "a.txt")
    with pytest.raises(DataError, match="no folder"):
        draw(timed, tmp_path / "nowhere" / "a.png")


def test_numbers_behind_a_figure_are_saved_beside_it(timed, tmp_path):
    cs.viz.time_course(timed, population="IT", path=tmp_path / "course.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["course.csv", "course.png"]
    with (tmp_path / "course.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    of_units = timed.rate.values[10:, 4:].mean(axis=0)
    cut = {
        kind: [float(r["y"]) for r in rows if (r["series"], r["kind"]) == ("cut", kind)]
        for kind in ("line", "low")
    }
    np.testing.assert_array_equal(cut["line"], of_units.mean(axis=0))
    np.testing.assert_array_equal(cut["low"], of_units.mean(axis=0) - of_units.std(axis=0))
    assert {r["y axis"] for r in rows} == {"IT rate"}
    cs.viz.raster(timed, path=tmp_path / "raster.png")  # an image, whose numbers are the recording's own
    assert not (tmp_path / "raster.csv").exists()


WRONG = {
    "variable": (
        lambda r: cs.viz.raster(r, variable="rat"),
        r"'rat' \(did you mean 'rate'\?\); known: credit, rate",
    ),
    "presentation": (lambda r: cs.viz.raster(r, presentation=20), "must be from 0 to 19. Got 20"),
    "population": (lambda r: cs.viz.time_course(r, population="V1"), "no population 'V1'; known: retina, IT"),
    "neuroid": (lambda r: cs.viz.time_course(r, neuroids=["IT/3"]), "no neuroid 'IT/3'"),
    "projection": (lambda r: cs.viz.weight_trajectories(r, "IT->V1"), "unknown recorded projection 'IT->V1'"),
    "synapse": (
        lambda r: cs.viz.weight_trajectories(r, synapses=[(3, 0)]),
        r"synapses \(post, pre\) of retina->IT must be from \(0, 0\) to \(2, 3\). Got \(3, 0\)",
    ),
    "no weights": (
        lambda r: cs.viz.weight_trajectories(r.drop_vars("weight:retina->IT")),
        r"no weights in the recording; record them: cs.Record\(weights=True\)",
    ),
    "too few values": (lambda r: cs.viz.tuning_curves(r, [1, 2]), "nothing given for stimulus '2'"),
    "statistic": (lambda r: cs.viz.compare_arms(r, "rates"), "unknown statistic of compare_arms 'rates'"),
    "no presentation": (
        lambda r: cs.viz.compare_arms(r.isel(presentation=[])),
        "compare_arms: nothing to draw, since the recording holds no presentation; record or select",
    ),
    "no bin": (
        lambda r: cs.viz.time_course(r.isel(time_bin=[])),
        "time_course: nothing to draw.*no time_bin",
    ),
    "no neuroid": (lambda r: cs.viz.raster(r.isel(neuroid=[])), "raster: nothing to draw.*no neuroid"),
    "no one to tune": (
        lambda r: cs.viz.tuning_curves(r.isel(presentation=[]), [1]),
        "tuning_curves: nothing",
    ),
    "no snapshot": (lambda r: cs.viz.weight_trajectories(r.isel(snapshot=[])), "holds no snapshot"),
    "no synapse": (lambda r: cs.viz.weight_trajectories(r, synapses=[]), "synapses is empty"),
    "condition": (lambda r: cs.viz.compare_arms(r, by="angle"), "by='angle' is not a coordinate of the pr"),
    "half of the conditions": (
        lambda r: cs.viz.compare_arms(r, by={"0": "left"}),
        "compare_arms: by: nothing given for stimulus '1'",
    ),
    "window": (lambda r: cs.viz.compare_arms(r, window=0), "window must be a whole number of at least 1"),
    "no labels": (lambda r: cs.viz.compare_arms(r, "accuracy"), "accuracy: needs labels"),
}


@pytest.mark.parametrize("draw, said", WRONG.values(), ids=WRONG)
def test_what_is_not_there_is_named(draw, said, timed):
    with pytest.raises(CortexSimError, match=said):
        draw(timed)


def test_figures_are_found_twice_and_after_their_module():
    """A module called as its figure would take its place once it is imported."""
    program = "import cortex_sim as cs; assert all(callable(getattr(cs.viz, n)) for n in cs.viz.__all__ * 2)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=cs.__path__[0] + "/..")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        cs.viz.nonsense  # noqa: B018
