"""A ring holds an angle and diffuses as predicted; rivals hold which input was the largest."""

import numpy as np
import pytest
from short_runs import both_engines, module, runs_on_disk, shortened

import cortex_sim as cs

NAME = "ring_attractor"


def short(ring, noise):
    """Its phases, with a short delay."""
    durations = {"cue": ring.CUE_MS, "delay": 200}
    return [cs.Phase(p.name, durations[p.name], drive=p.drive) for p in ring.protocol(noise, 0).phases]


def reference(ring):
    """Rates of ring and rivals without noise at the end of each bin, (bin, unit): Euler steps of 1 ms."""
    angle, evidence = (shown[0] for shown in ring.cued(0))
    apart = [[2 * np.pi * (i - j) / ring.UNITS for j in range(ring.UNITS)] for i in range(ring.UNITS)]
    w, cue = (-4 + 4 * np.cos(apart)) / ring.UNITS, 1 + np.cos(np.array(apart)[:, 0] - angle)
    a, b, found = np.zeros(ring.UNITS), np.zeros(ring.RIVALS), []
    for step in range(1, ring.CUE_MS + 200 + 1):
        shown = float(step <= ring.CUE_MS)
        r, s = np.maximum(a, 0), np.maximum(b, 0)
        a = a + (-a + w @ r + shown * cue + 1) / 10
        b = b + (-b - 1.5 * (s.sum() - s) + shown * evidence + 1) / 10
        if step % ring.BIN_MS == 0:
            found.append(np.maximum([*a, *b], 0))
    return np.array(found)


def test_equals_the_equations():
    ring = module(NAME)
    recording = cs.brian2.run(
        shortened(NAME, only=["no noise"], trials=1, phases=short(ring, 0.0)), progress=False
    )
    seen = np.hstack([ring.rates(recording, "no noise", name)[0] for name in ("ring", "rivals")])
    np.testing.assert_allclose(seen, reference(ring), atol=1e-9)


def test_both_engines_take_the_same_steps():
    ring = module(NAME)
    recording = both_engines(NAME, trials=1, phases=short(ring, ring.NOISE))
    assert ring.figure(recording).axes
    assert set(ring.statistics(recording)) == set(ring.RECURRENCE)


def test_the_bump_is_a_fixed_point_wherever_it_is():
    ring = module(NAME)
    w = np.array(ring.network(4.0, 1.5).initial_weights(0)["ring->ring recurrent"])
    for angle in (0.0, 0.3, 2.0):
        bump = np.pi / 4 * np.cos(ring.ANGLES - angle)  # the closed form is that of a continuous ring
        np.testing.assert_allclose(w @ np.maximum(bump, 0) + ring.BACKGROUND, bump, atol=5e-3)


def test_decoding_of_closed_forms():
    ring = module(NAME)
    bumps = [np.maximum(np.cos(ring.ANGLES - angle), 0) for angle in (0.7, -3.0)]
    angle, contrast = ring.decoded(np.array([*bumps, np.ones(ring.UNITS)]))
    np.testing.assert_allclose(angle[:2], [0.7, -3.0], atol=2e-3)
    np.testing.assert_allclose(contrast, [np.pi / 4, np.pi / 4, 0], atol=2e-3)
    np.testing.assert_allclose(
        ring.between(np.array([3.1, 0.1]), np.array([-3.1, 0.0])), [-4.766, 5.730], atol=1e-3
    )


def test_torch_settles_where_the_cue_leads():
    ring = module(NAME)
    cue = cs.Phase("cue", 600, drive=ring.protocol(0.0, 0).phases[0].drive)
    once = cs.Protocol(cue, trials=3, batch=3, record=cs.Record(populations=["ring", "rivals"]))
    held = cs.Experiment(ring.network(4.0, 1.5), {"cue": once})
    in_time, settled = (run(held, progress=False)["rate"].values for run in (cs.brian2.run, cs.torch.run))
    np.testing.assert_allclose(in_time, settled, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed, tmp_path):
    found = runs_on_disk(NAME, tmp_path, seed)
    still, noisy, weak = (found[arm] for arm in ("no noise", "noise", "weaker recurrence"))
    assert still["mean error, °"] < 1 and still["drift, °"] < 1
    assert noisy["drift, °"] == pytest.approx(noisy["predicted drift, °"], rel=0.2)  # four standard errors
    for arm in (still, noisy):
        assert arm["contrast"] == pytest.approx(np.pi / 4, abs=0.01)
        assert arm["right winner"] == 1 and arm["next rate"] == 0
        assert arm["winner's rate"] == pytest.approx(1, abs=0.01)
    assert still["highest rate"] == pytest.approx(np.pi / 4, abs=0.01)
    assert weak["contrast"] < 0.1 and 75 < weak["mean error, °"] < 105
    assert weak["right winner"] < 0.4 and weak["next rate"] > 0.9 * weak["winner's rate"]
