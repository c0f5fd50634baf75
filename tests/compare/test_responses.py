"""What `Responses` and `Dissimilarities` refuse, so that no metric meets it."""

from __future__ import annotations

import numpy as np
import pytest

from cortex_sim.compare.cka import Cka
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError

IDS = ["a", "b", "c"]
VALUES = np.arange(6.0).reshape(3, 2)
REPEATS = np.stack([VALUES, VALUES + 1])


def without(where, value=np.nan):
    repeats = REPEATS.copy()
    repeats[where] = value
    return repeats


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"values": VALUES.astype(str)}, "values must be numbers"),
        ({"values": VALUES.astype(complex)}, "values must be numbers"),
        ({"values": np.array([[None, 1.0]] * 3)}, "values must be numbers"),
        ({"values": np.where(VALUES == 3, np.inf, VALUES)}, "no finite response to stimulus 'b'"),
        ({"values": np.where(VALUES == 3, 1e200, VALUES)}, "no finite response to stimulus 'b'"),
        ({"repeats": VALUES}, "repeats must have shape"),
        ({"repeats": REPEATS.astype(object)}, "repeats must be numbers"),
        ({"repeats": without((slice(None), 1, 0))}, "neuroid 0 has no repeat of stimulus 'b'"),
        ({"repeats": without((1, 2, 1), np.inf)}, "neuroid 1 has an infinite repeat of stimulus 'c'"),
        ({"units": {"animal": np.array(["x"] * 3)}}, "animal must be given for each of 2 neuroids"),
        ({"groups": np.arange(2)}, "groups must be given for each of 3 stimuli"),
        ({"groups": np.arange(30)}, "groups must be given for each of 3 stimuli"),
    ],
)
def test_refuses(changed, said):
    given = {"name": "d", "stimuli": IDS, "values": VALUES, **changed}
    with pytest.raises(DataError, match=said) as refused:
        Responses(**given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"values": np.ones((2, 3, 3))}, r"must have shape \(rdm, pair\)"),
        ({"values": [1.0, np.inf, 2.0]}, "infinite"),
        ({"values": ["1", "2", "3"]}, "must be numbers"),
        ({"units": {"animal": np.array(["x", "y"])}}, "animal must be given for each of 1 RDMs"),
    ],
)
def test_rdms_refuse(changed, said):
    with pytest.raises(DataError, match=said):
        Dissimilarities(**{"name": "r", "stimuli": IDS, "values": [1.0, 2.0, 3.0], **changed})


def test_takes_lists_and_keeps_single_precision():
    found = Responses("d", IDS, VALUES.tolist(), REPEATS.astype(np.float32), groups=["x", "y", "x"])
    assert found.values.dtype == np.float64
    assert found.repeats.dtype == np.float32
    assert found.take(stimuli=[2, 1]).groups.tolist() == ["x", "y"]


def test_values_cannot_change_after_scores_were_kept():
    rng = np.random.default_rng(0)
    data = Responses("d", range(9), rng.normal(size=(9, 4)), rng.normal(size=(2, 9, 4)))
    Cka().evaluate(data, data)
    for array in (data.values, data.repeats, Dissimilarities("r", IDS, [1.0, 2, 3]).values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
