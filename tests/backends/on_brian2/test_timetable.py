"""A plan written out in steps: where pieces begin, what they show, and when the network is looked at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_sim.backends.brian2.timetable import timetable
from cortex_sim.errors import RunError
from cortex_sim.protocol.plan import PhasePlan, Plan, Series, Shown, Wanted


def plan_of(*trials, **wanted):
    shown = tuple(Shown(i, "trial", 1, (i,), (i,), tuple(phases)) for i, phases in enumerate(trials))
    return Plan(shown, Wanted(**wanted), ("one",))


def series(bins, bin_ms):
    return {"retina": Series(np.zeros((bins, 3)), bin_ms)}


def test_a_phase_is_a_piece_and_is_sampled_at_its_end():
    trial = [PhasePlan("settle", 60.0), PhasePlan("learn", 40.0)]
    found = timetable(plan_of(trial, trial, phase="settle"), dt_ms=2.0)
    assert [(p.start, p.steps, p.opens) for p in found.segments] == [
        (0, 30, True), (30, 20, False), (50, 30, True), (80, 20, False),
    ]  # fmt: skip
    assert found.samples == [[30], [80]]
    assert (found.steps, found.tick) == (100, 10)
    assert list(found.by_tick()) == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


def test_samples_count_from_the_beginning_of_their_trial():
    trial = [PhasePlan("settle", 7.0)]
    found = timetable(plan_of(trial, trial, every_ms=3.0), dt_ms=1.0)
    assert found.samples == [[3, 6], [10, 13]]
    assert found.tick == 1


@given(
    bins=st.integers(1, 6),
    bin_ms=st.sampled_from([0.3, 0.5, 1.0, 1.5, 7.0]),
    steps=st.integers(1, 40),
    dt_ms=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_pieces_of_a_series_show_the_bin_of_every_step(bins, bin_ms, steps, dt_ms):
    phase = PhasePlan("film", steps * dt_ms, drive=series(bins, bin_ms))
    found = timetable(plan_of([phase], [phase]), dt_ms)
    assert found.steps == 2 * steps
    for step in range(2 * steps):
        segment = found.segments[int(found.segment_at(np.array(step)))]
        tenths, bin_tenths = (step % steps) * round(10 * dt_ms), round(10 * bin_ms)  # in whole numbers
        assert segment.bins["retina"] == min(tenths // bin_tenths, bins - 1)
        assert segment.start <= step < segment.start + segment.steps
        assert segment.opens == (segment.start % steps == 0)


def test_a_duration_that_is_no_whole_number_of_steps_is_named():
    with pytest.raises(RunError, match="phase settle: duration_ms must be a multiple of dt_ms=2. Got 3"):
        timetable(plan_of([PhasePlan("settle", 3.0)]), dt_ms=2.0)
