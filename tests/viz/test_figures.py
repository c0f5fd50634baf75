"""Figures of recordings: the numbers that are drawn are those that were recorded."""

import numpy as np
import pytest
import xarray as xr
from recorded_arms import ARMS, recorded

import cortex_sim as cs
from cortex_sim.viz.arms import running_mean
from cortex_sim.viz.tuning import tuning


def unlike_respond(recording):
    """As `model.respond` gives it: no arms, stages or phases."""
    return recording.drop_vars(["arm", "stage", "snapshot_arm", "snapshot_trial", "weight:retina->IT"])


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.get_lines()}


# -- raster ---------------------------------------------------------------------------------------


def images(figure):
    return [axes.get_images()[0] for axes in figure.axes if axes.get_images()]


def test_raster_shows_every_neuroid_of_every_population(timed):
    figure = cs.viz.raster(timed, presentation=7)
    retina, it = images(figure)
    np.testing.assert_array_equal(retina.get_array(), timed.rate.values[7, :4])
    np.testing.assert_array_equal(it.get_array(), timed.rate.values[7, 4:])
    assert list(it.get_extent()) == [0.0, 50.0, 2.5, -0.5]
    low, high = it.get_clim()
    assert low == -high == -np.abs(timed.rate.values[7, 4:]).max()
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["retina", "IT"]


def test_raster_of_several_is_their_mean(timed):
    (shown, _) = images(cs.viz.raster(timed, variable="credit"))
    np.testing.assert_allclose(shown.get_array(), timed.credit.values[:, :4].mean(axis=0))


def test_raster_names_phases_where_they_are(timed):
    figure = cs.viz.raster(timed)
    strips = figure.axes[0].child_axes
    assert [strip.texts[0].get_text() for strip in strips] == ["settle", "learn", "interval"]
    dashed = [line.get_xdata()[0] for line in figure.axes[0].get_lines()]
    assert dashed == [20.0, 40.0]


def test_raster_without_time_is_over_presentations(settled):
    for recording in (settled, unlike_respond(settled)):
        _, it = images(cs.viz.raster(recording))
        np.testing.assert_array_equal(it.get_array(), settled.rate.values[:, 4:].T)


def test_raster_from_zero_where_nothing_is_negative(settled):
    settled["rate"] = abs(settled.rate)
    retina, _ = images(cs.viz.raster(settled))
    assert retina.get_clim() == (0.0, settled.rate.values[:, :4].max())


# -- time course ----------------------------------------------------------------------------------


def test_time_course_is_the_mean_over_presentations_and_neuroids(timed):
    figure = cs.viz.time_course(timed)
    assert [axes.get_ylabel() for axes in figure.axes] == ["retina\nrate", "IT\nrate"]
    drawn = lines(figure.axes[1])
    for number, arm in enumerate(ARMS):
        of_arm = timed.rate.values[10 * number : 10 * number + 10, 4:]
        expected = np.column_stack([[10, 20, 30, 40, 50], of_arm.mean(axis=(0, 1))])
        np.testing.assert_allclose(drawn[arm], expected)


def test_time_course_band_is_the_spread_among_neuroids(timed):
    axes = cs.viz.time_course(timed, population="IT").axes[0]
    band = axes.collections[1].get_paths()[0].vertices  # of the second arm
    of_units = timed.rate.values[10:, 4:].mean(axis=0)
    upper = of_units.mean(axis=0) + of_units.std(axis=0)
    at_30 = band[np.isclose(band[:, 0], 30.0), 1]
    assert at_30.max() == pytest.approx(upper[2])
    assert at_30.min() == pytest.approx(2 * of_units.mean(axis=0)[2] - upper[2])


def test_time_course_shades_every_second_phase(timed):
    axes = cs.viz.time_course(timed, population="IT").axes[0]
    (shaded,) = axes.patches
    assert (shaded.get_x(), shaded.get_x() + shaded.get_width()) == (20.0, 40.0)
    assert [text.get_text() for text in axes.texts] == ["settle", "learn", "interval"]


def test_time_course_of_single_neuroids(timed, settled):
    drawn = lines(cs.viz.time_course(timed, variable="credit", neuroids=["IT/2", "retina/0"]).axes[0])
    assert set(drawn) == {"IT/2, intact", "IT/2, cut", "retina/0, intact", "retina/0, cut"}
    np.testing.assert_allclose(drawn["IT/2, cut"][:, 1], timed.credit.values[10:, 6].mean(axis=0))
    drawn = lines(cs.viz.time_course(unlike_respond(settled), neuroids="IT/1").axes[0])
    np.testing.assert_array_equal(drawn["IT/1"][:, 1], settled.rate.values[:, 5])


# -- weights --------------------------------------------------------------------------------------


def test_trajectories_of_chosen_synapses_and_norms(settled):
    figure = cs.viz.weight_trajectories(settled, synapses=[(2, 1), (0, 3)])
    intact, cut, norms = figure.axes
    weights = settled["weight:retina->IT"].values
    for axes, part in ((intact, weights[:4]), (cut, weights[4:])):
        drawn = lines(axes)
        assert set(drawn) == {"retina/1→IT/2", "retina/3→IT/0"}
        np.testing.assert_array_equal(drawn["retina/1→IT/2"], np.column_stack([[0, 2, 4, 6], part[:, 2, 1]]))
    np.testing.assert_allclose(lines(norms)["cut"][:, 1], [np.sqrt((w**2).sum()) for w in weights[4:]])
    dashed = [line for line in norms.get_lines() if line.get_linestyle() == "--"]
    moved = [np.sqrt(((w - weights[4]) ** 2).sum()) for w in weights[4:]]
    np.testing.assert_allclose(dashed[1].get_ydata(), moved)


def test_trajectories_take_those_that_moved_most(settled):
    still = settled["weight:retina->IT"].copy()
    still[:] = 0.0
    still[6, 1, 2], still[1, 0, 0] = -5.0, 1.0
    settled["weight:retina->IT"] = still
    figure = cs.viz.weight_trajectories(settled, "retina->IT", synapses=2)
    assert list(lines(figure.axes[0])) == ["retina/2→IT/1", "retina/0→IT/0"]


# -- tuning ---------------------------------------------------------------------------------------


def test_tuning_by_hand(settled):
    angles = [90.0, 0.0, 45.0]  # of stimuli "0", "1", "2"
    one = cs.recording.select(settled, arm="cut", population="IT")
    x, mean, error = tuning(one, angles)
    assert x.tolist() == [0.0, 45.0, 90.0]
    rates = one.rate.values
    at_0 = [1, 3, 6, 9]  # presentations of stimulus "1"
    assert one.stimulus_id.values[at_0].tolist() == ["1"] * 4
    np.testing.assert_allclose(mean[0], rates[at_0].mean(axis=0))
    np.testing.assert_allclose(error[0], rates[at_0].std(axis=0, ddof=1) / 2)
    np.testing.assert_allclose(mean[1], rates[[4, 7]].mean(axis=0))


def test_tuning_error_of_one_presentation_is_zero(settled):
    one = settled.isel(presentation=slice(0, 2))
    _, mean, error = tuning(one, {"0": 3, "1": -3})
    assert not error.any()
    np.testing.assert_array_equal(mean, one.rate.values[::-1])


def test_tuning_curves_draw_a_panel_an_arm(timed):
    figure = cs.viz.tuning_curves(timed, [0, 1, 2], label="angle (deg)")
    assert [axes.get_title() for axes in figure.axes] == ARMS
    of_arm = cs.recording.select(timed, arm="cut", population="IT")
    _, mean, _ = tuning(of_arm, [0, 1, 2])
    drawn = figure.axes[1].get_lines()
    np.testing.assert_allclose([line.get_ydata() for line in drawn], mean.T)
    assert [t.get_text() for t in figure.axes[1].get_legend().get_texts()] == ["IT/0", "IT/1", "IT/2"]


def test_tuning_curves_take_the_widest_of_many():
    rates = np.zeros((3, 20))
    rates[1] = np.arange(20) % 7  # of 0 to 19: the widest are those of 4, 5 and 6
    many = xr.Dataset(
        {"rate": (("presentation", "neuroid"), rates)},
        {
            "stimulus_id": ("presentation", list("012")),
            "population": ("neuroid", ["V1"] * 20),
            "neuroid_id": ("neuroid", [f"V1/{i}" for i in range(20)]),
        },
    )
    figure = cs.viz.tuning_curves(many, [0, 1, 2])
    shown = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    assert shown == ["V1/4", "V1/5", "V1/6", "V1/11", "V1/12", "V1/13", "V1/18", "V1/19"]


# -- arms -----------------------------------------------------------------------------------------


def test_running_mean_by_hand():
    values = np.array([4.0, 0.0, 2.0, 6.0, 1.0])
    assert running_mean(values, 3).tolist() == [4.0, 2.0, 2.0, 8 / 3, 3.0]
    assert running_mean(values, 1).tolist() == values.tolist()


@pytest.mark.parametrize("make", [recorded, lambda: recorded(timed=False)], ids=["timed", "settled"])
def test_arms_by_credit_and_rate(make):
    recording = make()
    axis = (1, 2) if "time_bin" in recording.dims else 1
    by_unit = recording.credit.mean("time_bin") if axis != 1 else recording.credit
    expected = np.sqrt((by_unit.values[:, 4:] ** 2).mean(axis=1))
    drawn = lines(cs.viz.compare_arms(recording, window=2).axes[0])
    trials = expected[10:][2:8]
    smooth = [trials[0], *(trials[1:] + trials[:-1]) / 2]
    np.testing.assert_allclose(drawn["cut"][:, 1], smooth)
    np.testing.assert_allclose(drawn["probes"], [[0, expected[:2].mean()], [6, expected[8:10].mean()]])
    drawn = lines(cs.viz.compare_arms(recording, "rate", population="retina", window=1).axes[0])
    expected = recording.rate.values[:, :4].mean(axis=axis)
    np.testing.assert_allclose(drawn["intact"][:, 1], expected[2:8])


def test_arms_by_accuracy(settled):
    labels = {"0": 2, "1": 0, "2": 1}
    drawn = lines(cs.viz.compare_arms(settled, labels=labels, window=3).axes[0])
    right = [
        int(rates.argmax() == labels[str(s)])
        for rates, s in zip(settled.rate.values[:, 4:], settled.stimulus_id.values, strict=True)
    ]
    assert 0 < sum(right) < len(right)
    np.testing.assert_allclose(drawn["intact"][:, 1], running_mean(np.array(right[2:8], float), 3))


def test_arms_of_a_recording_without_any(settled):
    axes = cs.viz.compare_arms(unlike_respond(settled).drop_vars("credit"), window=1).axes[0]
    np.testing.assert_allclose(axes.get_lines()[1].get_ydata(), settled.rate.values[:, 4:].mean(axis=1))
    assert axes.get_legend() is None


# -- conditions, and what figures say of themselves ------------------------------------------------


def said_below(figure):
    return " ".join(figure._supxlabel.get_text().split())


def test_probes_have_their_standard_error_and_number(settled):
    figure = cs.viz.compare_arms(settled, "rate", window=2)
    of_unit = settled.rate.values[:, 4:].mean(axis=1)[10:]
    bars = figure.axes[0].collections[-1].get_segments()
    for bar, part in zip(bars, (of_unit[:2], of_unit[8:10]), strict=True):
        error = part.std(ddof=1) / np.sqrt(2)
        np.testing.assert_allclose(bar[:, 1], [part.mean() - error, part.mean() + error])
    said = said_below(figure)
    assert "bold: mean of the last 2 trials" in said
    assert "circles: mean of a probe ± standard error over its presentations, n = 2 presentations" in said


def test_conditions_of_probes_by_hand(settled):
    figure = cs.viz.compare_arms(settled, "credit", by={"0": "left", "1": "right"})
    assert [axes.get_title() for axes in figure.axes] == ["left (n = 1)", "right (n = 1)"]
    size = np.sqrt((settled.credit.values[:, 4:] ** 2).mean(axis=1))
    for axes, place in zip(figure.axes, (0, 1), strict=True):
        drawn = lines(axes)
        np.testing.assert_allclose(drawn["intact"], [[0, size[place]], [6, size[8 + place]]])
        np.testing.assert_allclose(drawn["cut"], [[0, size[10 + place]], [6, size[18 + place]]])


def test_conditions_of_trials_where_there_are_no_probes(settled):
    trials = cs.recording.select(settled, stage="trial")
    figure = cs.viz.compare_arms(trials, "rate", by="stimulus", window=3)
    rate = trials.rate.values[:, 4:].mean(axis=1)
    drawn = lines(figure.axes[2])["cut"]  # each stimulus comes once in three trials
    np.testing.assert_allclose(drawn, [[1.0, rate[6 + 2]], [4.0, rate[6 + 5]]])
    both = lines(cs.viz.compare_arms(trials, "rate", by="stimulus", window=6).axes[1])["intact"]
    np.testing.assert_allclose(both, [[2.5, (rate[1] + rate[4]) / 2]])


def test_time_course_says_what_its_band_is(timed, settled):
    said = said_below(cs.viz.time_course(timed))
    assert (
        said
        == "mean over 10 presentations; line: mean over neuroids, band: ± standard deviation over neuroids"
    )
    assert "mean over" not in said_below(cs.viz.time_course(settled)).partition("line:")[0]


def test_raster_says_what_its_colours_are(timed):
    assert "blue: below 0, white: 0, red: above" in said_below(cs.viz.raster(timed))
    assert "dark: 0, bright: the largest" in said_below(cs.viz.raster(abs(timed)))


def test_tuning_says_its_bars_and_its_number(settled):
    said = said_below(cs.viz.tuning_curves(settled, [0, 1, 1]))
    assert said.startswith("points: mean over presentations (n = 4 to 6 at each value), ")
    assert said.endswith("bars: ± standard error over presentations")


def test_synapses_are_named(settled):
    kernel = settled.copy()
    kernel["weight:retina->IT"] = kernel["weight:retina->IT"].assign_attrs(shape=[3, 1, 2, 2])
    figure = cs.viz.weight_trajectories(kernel, synapses=[(2, 3)])
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == [
        "retina 0→IT 2 at (1, 1)"
    ]
    assert "dashed ‖w − w(first snapshot)‖" in said_below(figure)
