"""Conventions: each equals its formula, neuroid by neuroid."""

from statistics import median

import numpy as np
import pytest

from cortex_sim.compare.conventions import CONVENTIONS, convention, explained_per_neuroid, why_above_one
from cortex_sim.errors import DataError

R = np.array([0.6, -0.5, 0.3, 0.9, 0.2])
RELIABILITY = np.array([0.5, 0.8, 0.9, 0.7, 0.4])


@pytest.mark.parametrize(
    "name, expected",
    [
        ("signed_r2_per_neuroid", median([0.72, -0.3125, 0.1, 0.81 / 0.7, 0.1])),
        ("brainscore_vision_2.4.2", 0.3**2 / 0.7),
        ("brainscore_before", (0.3 / 0.7) ** 2),
        ("raw", 0.3),
    ],
)
def test_formulas(name, expected):
    assert CONVENTIONS[name].score(R, RELIABILITY) == pytest.approx(expected, rel=1e-12)


def test_only_ours_keeps_the_sign():
    opposite = {name: one.score(-np.abs(R), RELIABILITY) for name, one in CONVENTIONS.items()}
    assert opposite["signed_r2_per_neuroid"] < 0 and opposite["raw"] < 0
    assert opposite["brainscore_vision_2.4.2"] > 0 and opposite["brainscore_before"] > 0


def test_a_perfect_model_reaches_one():
    """It knows the expected response, so r² = ρ; the convention before divided by ρ twice."""
    perfect = np.sqrt(RELIABILITY)
    assert CONVENTIONS["signed_r2_per_neuroid"].score(perfect, RELIABILITY) == pytest.approx(1)
    assert CONVENTIONS["brainscore_vision_2.4.2"].score(perfect, RELIABILITY) == pytest.approx(1)
    assert CONVENTIONS["brainscore_before"].score(perfect, RELIABILITY) == pytest.approx(1 / 0.7)
    np.testing.assert_allclose(explained_per_neuroid(perfect, RELIABILITY), 1)


def test_names_are_looked_up():
    assert convention("Brainscore-before").name == "brainscore_before"
    with pytest.raises(DataError, match="unknown convention 'brainscore'.*did you mean 'brainscore_before'"):
        convention("brainscore")


def test_a_score_above_one_has_a_reason():
    assert (
        why_above_one("raw", 2.0, 3, 5) is None and why_above_one("signed_r2_per_neuroid", 1.0, 0, 5) is None
    )
    text = why_above_one("signed_r2_per_neuroid", 1.3, 3, 5)
    assert text.startswith("score 1.30 is above 1 (3 of 5 neuroids above 1): the reliability is an estimate")
    assert "√ρ is the largest correlation" in why_above_one("brainscore_before", 1.3, 3, 5)
