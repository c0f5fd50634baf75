"""Answers are kept question by question, and found again only for the same data."""

import numpy as np
import pytest
from small_trajectories import planted

from cortex_sim.trajectories import answers as room
from cortex_sim.trajectories.ablations import Effort, Row
from cortex_sim.trajectories.answers import answers, digest


@pytest.fixture
def asked(monkeypatch):
    """Two cheap questions, and how often each was asked."""
    counts = {"one": 0, "two": 0}

    def question(name):
        def ask(study, effort):
            counts[name] += 1
            yield Row(name, "all", "x", "random_forest", 0.1 + effort.trees / 1000, 0.0, 1.0, 0.5, 36)

        return ask

    monkeypatch.setattr(room, "QUESTIONS", {name: question(name) for name in counts})
    return counts


def test_a_study_that_was_killed_between_questions_continues(asked, tmp_path):
    study = planted()
    first = answers(study, tmp_path)
    next(first)
    first.close()
    assert asked == {"one": 1, "two": 0}
    rows = list(answers(study, tmp_path))
    assert asked == {"one": 1, "two": 1} and [row.question for row in rows] == ["one", "two"]
    assert list(answers(study, tmp_path)) == rows and asked == {"one": 1, "two": 1}


def test_other_data_or_effort_are_asked_again(asked, tmp_path):
    study = planted()
    list(answers(study, tmp_path))
    rows = list(answers(study, tmp_path, Effort(trees=7)))
    assert rows[0].accuracy == pytest.approx(0.107)
    list(answers(study, tmp_path))
    assert asked == {"one": 3, "two": 3}
    other = study.copy(deep=True)
    other["value"][3, 1, 2, 5] += 1e-6
    list(answers(other, tmp_path))
    assert asked == {"one": 4, "two": 4}


def test_the_digest_reads_labels_too():
    study = planted()
    swapped = study.assign_coords(rule=("run", np.roll(study["rule"].values, 1)))
    assert digest(study) == digest(study.copy(deep=True)) != digest(swapped)
