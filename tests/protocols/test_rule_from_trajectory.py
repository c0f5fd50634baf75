"""Which rule made this trajectory: the protocol from end to end, in small."""

import csv
import logging

import numpy as np
import pytest
from short_runs import module
from small_trajectories import TINY

from cortex_sim.experiments.finding import command_of, names
from cortex_sim.trajectories.ablations import THOROUGH, Effort
from cortex_sim.trajectories.design import RULES, SMALL, STUDY
from cortex_sim.trajectories.study import load

NAME = "rule_from_trajectory"


def test_it_is_listed_with_its_command():
    assert NAME in names()
    assert command_of(NAME) == f"python protocols/{NAME}.py"


@pytest.mark.slow
def test_the_whole_study_in_small(tmp_path, caplog):
    caplog.set_level(logging.ERROR, logger="cortex_sim")
    rows = module(NAME).main(TINY, tmp_path, effort=Effort(trees=2, permutations=1))
    trajectories = load(tmp_path / f"{NAME}.nc")
    assert trajectories["value"].sizes["run"] == 4 and not trajectories["value"].isnull().any()
    with (tmp_path / f"{NAME}.csv").open(encoding="utf-8") as opened:
        table = list(csv.DictReader(opened))
    assert [row["accuracy"] for row in table] == [str(row.accuracy) for row in rows]
    confusion = (tmp_path / f"{NAME}_confusion.csv").read_text("utf-8").splitlines()
    assert confusion[0] == "rule,backprop,feedback_alignment" and len(confusion) == 3
    assert (tmp_path / f"{NAME}.png").stat().st_size > 10_000
    before = {r.evidence: r.accuracy for r in rows if r.setting == "before learning"}
    assert before["activity"] == before["weights"] == 0.5  # equal under every rule before learning


def test_the_study_is_large_enough():
    assert len(STUDY.architectures) >= 4 and len(STUDY.seeds) >= 3 and len(STUDY.rates) >= 3
    assert set(STUDY.rules) == set(RULES) and "tdca" in RULES
    assert len(STUDY.runs) == 432 and len(SMALL.runs) == 24
    assert THOROUGH.permutations >= 19  # or p could not be 0.05


@pytest.mark.slow
def test_known_result(tmp_path):
    """Credit identifies the rule on new architectures, and activity alone does better than chance."""
    design = STUDY.replace(
        rules=("backprop", "gait_prop", "feedback_alignment", "tdca"),
        rates=(0.06,),
        seeds=(0, 1),
        steps=STUDY.steps[:-1],
        conditions=STUDY.conditions[:3],
    )
    rows = module(NAME).main(design, tmp_path, effort=Effort(trees=50, permutations=19))
    accuracy = {(r.evidence, r.setting): r for r in rows if r.classifier == "random_forest"}
    assert accuracy["credit", "all statistics"].low > 0.25
    assert accuracy["activity", "all statistics"].low > 0.25
    assert accuracy["activity", "before learning"].accuracy == 0.25
    assert np.isclose(accuracy["all", "permuted rules"].p, 1 / 20)
