"""A lesion table: cutting a credit projection silences what lies below it, and nothing else."""

import numpy as np
import pytest
from short_runs import module, shortened

import cortex_sim as cs

NAME = "credit_lesions"
AREAS, UP, DOWN = (getattr(module(NAME), name) for name in ("AREAS", "UP", "DOWN"))


@pytest.fixture(scope="module", params=["batched", "synapses"])
def recording(request):
    """All arms, cut short: one digit, and a step of 1 ms."""
    settings = {"trials": 1, "batch": 1}
    return cs.brian2.run(shortened(NAME, request.param, **settings), progress=False)


@pytest.mark.parametrize("cut", DOWN)
def test_exactly_what_is_below_is_silent(recording, cut):
    lesion = module(NAME)
    above, below = cut.split("->")
    silent = AREAS[: AREAS.index(below) + 1]
    arm = f"{cut} cut"
    for name in AREAS:
        ours, intact = (lesion.credits(recording, which, name) for which in (arm, "intact"))
        assert np.abs(intact).max() > 0
        if name in silent:
            assert not ours.any()
        else:
            np.testing.assert_array_equal(ours, intact)
    for name in (*UP, *DOWN):
        pre, post = name.split("->")
        # A bottom-up synapse reads the credit of its post population, a top-down one that of its pre.
        forgets = (post if name in UP else pre) in silent
        moved, intact = (lesion.moved(recording, which, name) for which in (arm, "intact"))
        if forgets:
            start = cs.recording.weights_of(recording, name, arm)[1][0]
            rate = lesion.FORGETS_UP if name in UP else lesion.FORGETS_DOWN
            steps, dt = lesion.LEARN_MS, 1e-3
            expected = start * ((1 - lesion.ETA * rate * dt) ** steps - 1)
            np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-14)
        else:  # what is silenced below it moves no rates that it reads within the window
            np.testing.assert_allclose(moved, intact, rtol=0, atol=1e-2 * np.abs(intact).max())
    assert above not in silent
