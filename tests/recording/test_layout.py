"""Time bins against a count step by step; fingerprints against every change that matters."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_session import network, protocol

from cortex_sim.protocol.plan import PhasePlan, Shown
from cortex_sim.protocol.planning import plan
from cortex_sim.recording.fingerprint import fingerprint
from cortex_sim.recording.layout import time_bins


@given(
    steps=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    every=st.integers(1, 12),
    dt_ms=st.sampled_from([1.0, 0.1, 0.5]),
)
def test_bins_are_those_of_a_walk_through_the_trial(steps, every, dt_ms):
    """Walk step by step; after every ``every``-th step a bin ends, in the phase of that step."""
    phases = tuple(PhasePlan(f"p{i}", n * dt_ms) for i, n in enumerate(steps))
    expected = []
    phase_of_step = [p.name for p, n in zip(phases, steps, strict=True) for _ in range(n)]
    for step in range(len(phase_of_step)):
        if (step + 1) % every == 0:
            expected.append(((step + 1 - every) * dt_ms, (step + 1) * dt_ms, phase_of_step[step]))
    if not expected:
        return
    start, end, phase = time_bins(Shown(0, "trial", 1, (0,), (0,), phases), every * dt_ms)
    np.testing.assert_allclose(start, [e[0] for e in expected], atol=1e-9)
    np.testing.assert_allclose(end, [e[1] for e in expected], atol=1e-9)
    assert phase.tolist() == [e[2] for e in expected]


@pytest.fixture(scope="module")
def made():
    return plan(protocol(), network(), 3)


def test_equal_plans_have_one_fingerprint(made):
    assert fingerprint(plan(protocol(), network(), 3)) == fingerprint(made)


CHANGES = {
    "a pixel": lambda p: _with_image(p, lambda v: v + 1e-12 * (np.arange(v.size) == 7).reshape(v.shape)),
    "shape": lambda p: _with_image(p, lambda v: v.reshape(2, -1)),
    "type": lambda p: _with_image(p, lambda v: v.astype(np.float32)),
    "order": lambda p: replace(p, shown=p.shown[::-1]),
    "length": lambda p: replace(p, shown=p.shown[:-1]),
    "recorded": lambda p: replace(p, wanted=replace(p.wanted, every_ms=1.0)),
    "stimuli": lambda p: replace(p, stimulus_id=("x", *p.stimulus_id[1:])),
    "rate": lambda p: _with_phase(p, eta={"retina->V1": 0.2}),
    "projection": lambda p: _with_phase(p, eta={"retina->V2": 0.1}),
    "silent": lambda p: _with_phase(p, errors_silenced=frozenset({"V1->retina"})),
    "reset": lambda p: replace(p, shown=(replace(p.shown[0], reset=False), *p.shown[1:])),
}


def _with_phase(made, **changed):
    shown = made.shown[-1]
    phases = (*shown.phases[:-1], replace(shown.phases[-1], **changed))
    return replace(made, shown=(*made.shown[:-1], replace(shown, phases=phases)))


def _with_image(made, change):
    shown = made.shown[-1]
    image = shown.phases[0].drive["retina"]
    first = replace(shown.phases[0], drive={"retina": replace(image, values=change(image.values))})
    return replace(made, shown=(*made.shown[:-1], replace(shown, phases=(first, *shown.phases[1:]))))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_changes_the_fingerprint(change, made):
    assert fingerprint(change(made)) != fingerprint(made)


def test_sets_and_mappings_have_no_order():
    assert fingerprint({"a": 1, "b": 2.0}) == fingerprint({"b": 2.0, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.0})
    names = [f"n{i}" for i in range(20)]
    assert fingerprint(frozenset(names)) == fingerprint(frozenset(names[::-1]))
