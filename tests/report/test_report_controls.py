"""The report's controls are those of `cortex_sim.compare.controls`, over all training seeds."""

import numpy as np
import pytest
from planted_scores import responses

import cortex_sim as cs
from cortex_sim.compare.controls import controls
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shifted import shifted
from cortex_sim.report.comparing import PERMUTATIONS


@pytest.mark.parametrize("metric", [Rsa(), Predictivity(splits=20)], ids=lambda m: m.name)
def test_a_row_and_controls_agree_over_all_seeds(metric):
    rng = np.random.default_rng(0)
    neural = responses(rng.normal(size=(40, 6)), "V4")
    late = responses(np.roll(neural.values, -1, 0), "late")  # responds to the next stimulus
    seeds = [late, responses(rng.normal(size=(40, 6)), "other"), responses(rng.normal(size=(40, 6)), "third")]
    row = cs.report.compare({"model": seeds}, neural, metrics=[metric], resamples=100).rows[0]
    known = controls(metric, seeds, neural, permutations=PERMUTATIONS, resamples=100)
    assert row["seeds"] == 3 and row["control_shifted"] == pytest.approx(known.shifted.score)
    assert (row["control_permuted"], row["permuted_sd"]) == (known.chance.permuted, known.chance.spread)
    one = [metric.evaluate(shifted(model), neural).raw() for model in seeds]
    assert one[0] > 0.9 and row["control_shifted"] == pytest.approx(np.mean(one), abs=0.1)
    assert any("responses to the preceding stimuli" in said for said in row["warnings"])
