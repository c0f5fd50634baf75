"""Dynamic inversion relaxes to the damped inverse, as fast as the smallest singular value allows."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk

import cortex_sim as cs
from cortex_sim.experiments.finding import experiment

NAME = "gait_relaxation"
SLOW_WAYS = [case for case in module(NAME).CASES if case != (1.0, 1.0)]


def test_both_engines_take_the_same_steps():
    ends = ("spread 1, gain 1", "spread 4, gain 1", "spread 1, gain 2")
    arms = [f"{feedback}, {case}" for feedback in ("inverse", "transpose") for case in ends]
    phases = [cs.Phase("demand", 12, nudge={"IT": np.ones((1, 8))})]
    recording = both_engines(NAME, only=arms, phases=phases, batch=1)
    assert abs(recording["credit"].values).max() > 0


@pytest.mark.parametrize("case", module(NAME).CASES)
def test_weights_have_the_singular_values_they_claim(case):
    spread, gain = case
    values = np.linalg.svd(module(NAME).weights(*case, seed=4), compute_uv=False)
    assert values[0] == pytest.approx(gain) and values[0] / values[-1] == pytest.approx(spread)


def test_fixed_points_solve_their_equations():
    protocol = module(NAME)
    w, u = protocol.weights(2.8, 1.0, 0), protocol.demands(0)
    c = protocol.fixed_point("inverse", 2.8, 1.0, 0)
    np.testing.assert_allclose((u - c @ w.T) @ w, protocol.DAMPING * c, atol=1e-12)
    np.testing.assert_allclose(protocol.fixed_point("transpose", 2.8, 1.0, 0), [w.T @ one for one in u])


def test_time_to_a_level_is_exact_on_an_exponential():
    times = np.arange(4.0, 100, 4)
    assert module(NAME).time_to(times, np.exp(-times / 7), 0.01) == pytest.approx(7 * np.log(100))
    assert module(NAME).time_to(times, np.exp(-times / 0.5), 0.01) == pytest.approx(0.5 * np.log(100))
    assert module(NAME).time_to(times, np.full(len(times), 0.5), 0.01) == np.inf


def test_torch_is_where_credit_settles():
    protocol, made = module(NAME), experiment(NAME)
    for way in protocol.WAYS:
        arm = made.arms[protocol.name_of(way, 4.0, 1.0)]
        once = arm.protocol.replace(record=cs.Record(variables=["credit"], populations=["V1"]))
        found = cs.torch.run(cs.Experiment(arm.network, {"one": once}), progress=False)["credit"].values
        np.testing.assert_allclose(found, protocol.fixed_point(way, 4.0, 1.0, 0), atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    protocol, found = module(NAME), runs_on_disk(NAME, tmp_path, seed)
    for case in protocol.CASES:
        inverse = found[protocol.name_of("inverse", *case)]
        assert inverse["from the inverse at the end"] < 1e-5
        step = (
            0.25 * inverse["predicted rate, 1/s"] / 1000
        )  # explicit Euler is this much faster, at first order
        assert 1 <= inverse["late rate, 1/s"] / inverse["predicted rate, 1/s"] < 1.05 + step / 2
        assert 0.75 < inverse["ms to 1 %"] / inverse["predicted, at most"] <= 1
        if case[0] == 1.0:  # one singular value: the bound is the time
            assert inverse["predicted, at most"] - inverse["ms to 1 %"] < 0.7
        transpose = found[protocol.name_of("transpose", *case)]
        assert transpose["ms to 1 %"] == pytest.approx(45.47, abs=0.1)
    for case in SLOW_WAYS:
        assert found[protocol.name_of("transpose", *case)]["from the inverse at the end"] > 0.3
