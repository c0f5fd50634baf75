"""Tables of the study: every question is asked, of the right evidence."""

import numpy as np
import pytest
from small_trajectories import planted

from cortex_sim.trajectories import ablations
from cortex_sim.trajectories.ablations import ACCESS, WITHOUT, Effort
from cortex_sim.trajectories.classify import CLASSIFIERS, held_out
from cortex_sim.trajectories.drawing import figure
from cortex_sim.trajectories.evidence import Evidence

FAST = Effort(trees=6, permutations=3)
FEW = (
    "activity_mean",
    "activity_kurtosis",
    "weights_rms",
    "weights_sparsity",
    "credit_rms",
    "credit_sparsity",
)


@pytest.fixture(scope="module")
def study():
    """Rules are marked in the rms of credit alone, before learning too."""
    whole = planted(rules=("a", "b"), shift=9.0, names=("credit_rms",), seeds=2)
    return whole.isel(statistic=np.isin(whole["statistic"].values, FEW))


@pytest.fixture(scope="module")
def rows(study):
    return [row for ask in ablations.QUESTIONS.values() for row in ask(study, FAST)]


def found(rows, **wanted):
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def test_access_finds_the_mark_where_it_is(rows):
    settings = {(r.evidence, r.setting, r.classifier) for r in found(rows, question="access")}
    assert len(settings) == (len(ACCESS) + len(WITHOUT)) * 2 * len(CLASSIFIERS)
    for row in found(rows, question="access", classifier="random_forest"):
        marked = (
            row.evidence in ("all", "credit", "all but activity", "all but weights")
            and row.setting == "all statistics"
        )
        assert (row.accuracy > 0.9) == marked
        assert row.chance == 0.5 and row.runs == 16


def test_single_statistics_are_asked_one_by_one(rows):
    accuracy = {row.evidence: row.accuracy for row in found(rows, question="statistic")}
    assert set(accuracy) == set(FEW)
    assert max(accuracy, key=accuracy.get) == "credit_rms"


def test_conditions_are_asked_in_both_ways(rows):
    for question in ("condition", "condition, trained exactly"):
        assert {r.evidence for r in found(rows, question=question, setting="noisy")} == set(ACCESS)


def test_snapshots_end_with_the_last(rows, study):
    assert {r.setting for r in found(rows, question="snapshots")} == {"1", "2", "3", "4"}
    last = held_out(study, Evidence(snapshots=(3,)).features(study), trees=6)
    one = found(rows, question="snapshots", evidence="all", setting="1")[0]
    assert one.accuracy == last.accuracy


def test_controls(rows):
    controls = {
        (r.evidence, r.setting): r for r in found(rows, question="controls", classifier="random_forest")
    }
    assert controls["accuracy and loss", "learning curve alone"].accuracy == 0.5  # the same for all runs
    assert controls["credit", "before learning"].accuracy > 0.9
    assert controls["weights", "before learning"].accuracy < 0.9
    assert controls["credit", "at matched accuracy"].accuracy > 0.9
    permuted = controls["all", "permuted rules"]
    assert permuted.low <= permuted.accuracy <= permuted.high < 0.95 and permuted.p == 1 / 4
    assert {("all", "seed held out"), ("all", "activation held out")} <= set(controls)


def test_gain_over_the_learning_curve(rows):
    gain = {r.evidence: r for r in found(rows, question="gain")}
    assert gain["credit"].accuracy > 0.4 and gain["credit"].low > 0
    assert abs(gain["weights"].accuracy) < 0.4


def test_pairs_are_asked_for_where_the_study_has_them(study, rows):
    assert not found(rows, question="pair")
    named = {"a": "backprop", "b": "gait_prop"}
    other = study.assign_coords(rule=("run", [named[rule] for rule in study["rule"].values]))
    pairs = list(ablations.by_pair(other, FAST))
    assert {r.setting for r in pairs} == {"backprop or gait_prop"}
    assert {r.evidence for r in pairs} == {*ACCESS, "net0", "net1", "net2", "net3"}


def test_a_study_too_short_to_match_says_so(study, caplog):
    short = study.isel(snapshot=[0, 1])
    assert not found(list(ablations.controls(short, FAST)), setting="at matched accuracy")
    assert "no comparison at matched accuracy: study: no run passes accuracies" in caplog.text


def test_the_figure_draws_every_question(study, rows):
    outcome = held_out(study, Evidence().features(study), trees=6)
    panels = figure(study, outcome, rows).axes
    assert [len(axes.lines) > 0 for axes in panels[2:]] == [True] * 4
    assert len(panels[1].patches) == 14 + len(found(rows, question="controls", classifier="random_forest"))
