"""Figures of comparisons: what they hold, and what they refuse."""

import numpy as np
import pytest

import cortex_sim as cs
from cortex_sim.compare.responses import Dissimilarities
from cortex_sim.errors import DataError


def rows(metric="rsa", convention="raw", **more):
    row = {"recording": "backprop", "population": "V1", "data": "V4", "metric": metric, "score": 0.4}
    row |= {"ci_low": 0.3, "ci_high": 0.5, "ceiling": 0.75, "control_shifted": 0.02, "convention": convention}
    return [{**row, **more}, {**row, "recording": "gait_prop", "score": 0.2, "ci_low": 0.1, **more}]


def drawn(axes):
    return {
        line.get_label() for line in [*axes.containers, *axes.collections, *axes.patches] if line.get_label()
    }


def test_scores_have_intervals_controls_and_the_ceiling_of_their_scale(tmp_path):
    figure = cs.viz.comparison_scores([*rows(), *rows("ridge", "signed")], tmp_path / "scores.png")
    raw, ceiled = (axes for axes in figure.axes if axes.get_visible())
    assert {"backprop", "gait_prop", "shifted by one stimulus", "ceiling"} <= drawn(raw)
    band = [
        p.get_extents().transformed(axes.transData.inverted()) for axes in (raw, ceiled) for p in axes.patches
    ]
    assert band[0].ymin < 0.75 < band[0].ymax and band[1].ymin < 1 < band[1].ymax
    points = [c.lines[0].get_ydata().tolist() for c in raw.containers]
    assert points == [[0.4], [0.2]]
    assert (tmp_path / "scores.png").stat().st_size > 5000


def test_an_unknown_ceiling_or_interval_is_not_drawn():
    figure = cs.viz.comparison_scores(rows(ceiling=None, ci_low=None, ci_high=None))
    assert "ceiling" not in drawn(figure.axes[0])
    with pytest.raises(DataError, match="figure of scores: no rows"):
        cs.viz.comparison_scores([])


def test_a_model_called_like_a_control_keeps_its_entry_in_the_legend():
    names = ["untrained", "before training", "ceiling", "shifted by one stimulus"]
    models = [{**rows(control_untrained=0.1)[0], "recording": name} for name in names]
    (legend,) = cs.viz.comparison_scores([*models, *rows("ridge", control_untrained=0.1)]).legends
    shown = [text.get_text() for text in legend.get_texts()]
    controls = ["before training", "ceiling", "shifted by one stimulus"]
    assert sorted(shown) == sorted([*names, *controls, "backprop", "gait_prop"])


def test_more_models_than_colours_are_told_apart_by_their_marker():
    models = [{**rows()[0], "recording": f"model {i}"} for i in range(12)]
    (axes,) = cs.viz.comparison_scores(models).axes
    drawn = [(bar.lines[0].get_color(), bar.lines[0].get_marker()) for bar in axes.containers]
    assert len(drawn) == 12 and len(set(drawn)) == 12


def test_rdms_are_shown_as_ranks_of_their_mean():
    values = np.array([[1.0, 5.0, 2.0], [2.0, 9.0, 4.0]])
    figure = cs.viz.rdm_panels({"IT": Dissimilarities("IT", "abc", values)})
    shown = np.asarray(figure.axes[0].images[0].get_array().filled(-1))
    np.testing.assert_allclose(shown[[0, 0, 1], [1, 2, 2]], [0, 100, 50])
    np.testing.assert_array_equal(shown, shown.T)
    with pytest.raises(DataError, match="none given"):
        cs.viz.rdm_panels({})


def test_recovery_marks_what_was_not_recovered():
    figure = cs.viz.recovery_matrix([[0.9, 0.1], [0.4, 0.6]], ["a", "b"], level=0.8)
    assert [text.get_text() for text in figure.axes[0].texts] == [".90", ".10", ".40", ".60*"]
    assert "no winner" in figure.axes[0].get_title()
    with pytest.raises(DataError, match="one row and column for each of 2 models"):
        cs.viz.recovery_matrix([[1.0]], ["a", "b"])


def test_neuroids_and_time_courses():
    figure = cs.viz.neuroid_scatter([0.1, 0.3], [0.2, 0.4], ("a", "b"), reliability=[0.5, 0.9])
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets(), [[0.1, 0.2], [0.3, 0.4]])
    with pytest.raises(DataError, match=r"two values per neuroid"):
        cs.viz.neuroid_scatter([0.1], [0.2, 0.4], ("a", "b"))
    bins = [{"bin": b, "score": s, "ceiling_low": 0.5} for b, s in ((0, 0.1), (10, None), (20, 0.3))]
    lines = cs.viz.scores_over_time({"IT": bins}).axes[0].lines
    np.testing.assert_allclose(lines[0].get_xydata(), [[0, 0.1], [10, np.nan], [20, 0.3]])
    assert [line.get_label() for line in lines[:2]] == ["IT", "ceiling"]


def test_a_time_course_is_broken_where_bins_are_missing():
    """No score was computed between 20 and 40 ms, so that no line leads across."""
    course = [
        {"bin": start + 10, "time_bin_start": start, "time_bin_end": start + 20, "score": 0.1,
         "ci_low": 0.0, "ci_high": 0.2, "control_shifted": 0.01, "ceiling_low": 0.5,
         "interval": "95%: bootstrap over stimuli"}
        for start in (0, 40, 60)
    ]  # fmt: skip
    axes = cs.viz.scores_over_time({"IT": course}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[10, 0.1], [30, np.nan], [50, 0.1], [70, 0.1]])
    assert np.isnan(axes.lines[1].get_ydata()).tolist() == [False, True, False, False]
    assert "band: 95% interval" in axes.get_legend_handles_labels()[1]
