"""Decorrelation makes rows orthogonal on white input, and GAIT-prop's update backpropagation's."""

import math

import numpy as np
import pytest
from short_runs import both_engines, found, module, runs_on_disk, shortened

import cortex_sim as cs

NAME = "decorrelation_orthogonality"
EVERY = cs.Record(populations=["V1"], phase="settle", weights=["retina->V1"])


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, trials=4, batch=1, record=EVERY)
    assert module(NAME).figure(recording).axes
    assert len(module(NAME).statistics(recording)) == 4


def test_cells_settle_and_learn_by_the_equations():
    recording = cs.brian2.run(shortened(NAME, trials=100, record=EVERY))
    for arm in ("correlated, lateral", "correlated, alone"):
        _, weights = cs.recording.weights_of(recording, "retina->V1", arm)
        w, lateral = weights[0], np.zeros((8, 8))
        images = module(NAME).images("correlated", 0)[:100].reshape(5, 20, 16)
        for x in images:
            y = np.linalg.solve(np.eye(8) + lateral, w @ x.T).T
            if arm.endswith("lateral"):
                together = y.T @ y / 20
                lateral = lateral + 0.02 * (together - np.diag(np.diag(together)))
            w = w + 0.01 * (y.T @ x / 20 - (y**2).mean(axis=0)[:, None] * w)
        seen = cs.recording.select(recording, arm=arm)["rate"].values[-20:]
        np.testing.assert_allclose(seen, y, atol=5e-3 * abs(y).max())  # settled, at the last weights but one
        # within a window weights move by a hundredth of themselves, which one step does not see
        assert np.linalg.norm(weights[-1] - w) < 0.03 * np.linalg.norm(w - weights[0])


def test_torch_comes_to_the_same_weights():
    experiment = shortened(NAME, trials=400, record=EVERY)
    arms = ["white, lateral", "correlated, lateral"]
    time, equilibrium = (backend.run(experiment, arms=arms) for backend in (cs.brian2, cs.torch))
    for arm in arms:
        (_, ours), (_, theirs) = (
            cs.recording.weights_of(run, "retina->V1", arm) for run in (time, equilibrium)
        )
        assert np.linalg.norm(ours[-1] - theirs[-1]) < 0.03 * np.linalg.norm(ours[-1] - ours[0])


def test_deviation_of_closed_forms():
    rng = np.random.default_rng(0)
    orthogonal = np.linalg.qr(rng.normal(size=(16, 8)))[0].T
    deviation = module(NAME).deviation
    assert deviation(3 * orthogonal) == pytest.approx(0, abs=1e-12)
    assert deviation(np.ones((8, 16))) == pytest.approx(math.sqrt(7))  # all rows alike: n(n − 1) ones off
    longer = orthogonal * np.sqrt([1, 1, 1, 1, 3, 3, 3, 3])[:, None]
    assert deviation(longer) == pytest.approx(0.5)


def test_angle_is_none_for_orthogonal_rows_of_one_length():
    rng = np.random.default_rng(0)
    orthogonal = np.linalg.qr(rng.normal(size=(16, 8)))[0].T
    angle = module(NAME).angle_below
    assert angle(orthogonal) < 1e-3 and angle(2 * orthogonal) < 1e-3
    assert angle(rng.normal(size=(8, 16))) > 10
    assert angle(orthogonal * np.linspace(0.3, 3, 8)[:, None]) > 10  # orthogonal is not enough: norms count


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    rows = runs_on_disk(NAME, tmp_path, seed)
    white = rows["white, lateral"]
    assert white["deviation before"] > 0.6 and white["angle before (deg)"] > 35
    assert white["deviation after"] < 0.1 and white["angle after (deg)"] < 5
    assert 0.99 < white["shortest row"] <= white["longest row"] < 1.01
    assert rows["white, alone"]["deviation after"] > 0.6 and rows["white, alone"]["angle after (deg)"] > 35
    correlated = rows["correlated, lateral"]
    assert correlated["correlation of rates"] < 0.05 and correlated["leading components"] > 0.9
    assert 0.4 < correlated["deviation after"] < 0.7  # uncorrelated rates, yet oblique rows
    assert 10 < correlated["angle after (deg)"] < correlated["angle before (deg)"]
    alone = rows["correlated, alone"]
    assert alone["deviation after"] == pytest.approx(math.sqrt(7), abs=0.01)  # all cells alike
    assert alone["angle after (deg)"] > 70


@pytest.mark.slow
def test_on_white_input_lateral_weights_are_no_longer_needed():
    arm = found(NAME).arms["white, lateral"]
    simulation = cs.brian2.build(arm.network)
    simulation.run(arm.protocol)
    assert np.sqrt((simulation.weights.outward("V1->V1") ** 2).mean()) < 0.05
