"""Oja's rule finds the first principal component; Hebb's has no bound."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk, shortened

import cortex_sim as cs

NAME = "oja_principal_component"


def test_both_engines_take_the_same_steps():
    recording = both_engines(NAME, trials=20)
    assert module(NAME).figure(recording).axes
    assert set(module(NAME).statistics(recording)) == {"Oja", "Hebb"}


def test_one_trial_is_the_rule_at_equilibrium():
    experiment = shortened(NAME, trials=1, record=cs.Record(weights=True))
    recording = cs.brian2.run(experiment)
    _, (before, after) = cs.recording.weights_of(recording, "retina->V1", "Oja")
    x = module(NAME).images(0)[0]
    y = before[0] @ x
    expected = 0.05 * 0.02 * y * (x - y * before[0])
    np.testing.assert_allclose((after - before)[0], expected, rtol=0.02, atol=1e-3 * abs(expected).max())


def test_torch_comes_to_the_same_weights():
    experiment = shortened(NAME, trials=50)
    for arm in experiment.arms:
        (_, time), (_, equilibrium) = (
            cs.recording.weights_of(backend.run(experiment), "retina->V1", arm)
            for backend in (cs.brian2, cs.torch)
        )
        moved = np.linalg.norm(time[-1] - time[0])
        assert moved > 0 and np.linalg.norm(time[-1] - equilibrium[-1]) < 0.02 * moved


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    assert found["Oja"]["cosine before"] < 0.5
    assert found["Oja"]["cosine after"] > 0.99 and abs(found["Oja"]["length after"] - 1) < 0.02
    assert found["Hebb"]["cosine after"] > 0.99 and found["Hebb"]["length after"] > 1e6
