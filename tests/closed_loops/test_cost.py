"""What closing a loop costs: a closed trial takes at most 1.2 times an open one, on the smallest network."""

import time

import numpy as np
import pytest
from closed_loops import observer, staircase_protocol

import cortex_sim as cs


@pytest.mark.slow
@pytest.mark.parametrize("average", [False, True])
def test_a_closed_trial_costs_at_most_a_fifth_more(average):
    closed = staircase_protocol(average, trials=20)
    drive = {"retina": cs.Sum(0.5, [0.0, 0.1, 0.2])}
    open_ = closed.replace(phases=[closed.phases[0], cs.Phase("look", 60, drive=drive)], batch=1)
    sim = cs.brian2.build(observer(), seed=0)
    took = {"closed": [], "open": []}
    for _ in range(40):
        for name, protocol in (("closed", closed), ("open", open_)):
            began = time.process_time()
            sim.run(protocol, progress=False)
            took[name].append(time.process_time() - began)
    # Runs side by side find the machine in the same state, however busy it is.
    ratio = np.median(np.divide(took["closed"], took["open"]))
    print(f"closed / open: {ratio:.3f}, {1e3 * np.median(took['open']) / 20:.2f} ms a trial")
    assert ratio <= 1.2
