"""Two eyes as two sources: normalised together they compete, and closing one moves ocular dominance."""

import numpy as np
import pytest

import cortex_sim as cs

EYES = ("left", "right")
TOGETHER = cs.RowNorm(4.0, "subtractive", over=[f"{eye}->V1" for eye in EYES])
EACH = cs.RowNorm(2.0, "subtractive")
DRAW = np.random.default_rng(0)
SCENES = {eye: DRAW.uniform(0, 1, size=(50, 8)) for eye in EYES}
CLOSED = {**SCENES, "left": 0.2 * SCENES["left"]}  # a closed lid lets a fifth of the light through
BACKENDS = [cs.torch, pytest.param(cs.brian2, marks=pytest.mark.slow)]


def two_eyes(norm, links=None):
    net = cs.Network("two eyes")
    v1 = net.population("V1", 6, bias=False)
    for eye in EYES:
        link = cs.Dense(cs.Uniform(0.2, 0.3)) if links is None else cs.Dense(links[eye])
        limits = [cs.Bounds(0, 0.5), norm]
        net.bottom_up(net.population(eye, 8), v1, link, plasticity="hebbian", constraint=limits)
    return net


def reared(net, drive, backend=cs.torch):
    """Weights from each eye before and after, (snapshot, cell, unit)."""
    see = cs.Phase("see", 100, drive=drive, plasticity=True)
    record = cs.Record(weights=True, weights_every=50)
    protocol = cs.Protocol(see, trials=50, eta_per_s=0.15, record=record)
    recording = backend.run(cs.Experiment(net, {"reared": protocol}), progress=False)
    return [cs.recording.weights_of(recording, p.name)[1] for p in net.bottom_ups]


def dominance(left, right):
    """(L − R)/(L + R) of each cell, before and after."""
    left, right = left.sum(2), right.sum(2)
    return (left - right) / (left + right)


@pytest.mark.parametrize("backend", BACKENDS)
def test_closing_one_eye_moves_dominance_to_the_other(backend):
    before, after = dominance(*reared(two_eyes(TOGETHER), CLOSED, backend))
    assert np.abs(before).max() < 0.1
    assert after.max() < -0.75
    _, both_open = dominance(*reared(two_eyes(TOGETHER), SCENES, backend))
    assert np.abs(both_open).max() < 0.3


@pytest.mark.parametrize("backend", BACKENDS)
def test_eyes_that_are_normalised_one_by_one_cannot_compete(backend):
    found = dominance(*reared(two_eyes(EACH), CLOSED, backend))
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_two_sources_are_as_one_source_with_both_eyes():
    left, right = reared(two_eyes(TOGETHER), CLOSED)
    one = cs.Network("one source")
    v1 = one.population("V1", 6, bias=False)
    first = cs.Dense(np.concatenate([left[0], right[0]], axis=1))
    limits = [cs.Bounds(0, 0.5), cs.RowNorm(4.0, "subtractive")]
    one.bottom_up(one.population("eyes", 16), v1, first, plasticity="hebbian", constraint=limits)
    (both,) = reared(one, {"eyes": np.concatenate(list(CLOSED.values()), axis=1)})
    np.testing.assert_allclose(both[-1], np.concatenate([left[-1], right[-1]], axis=1), atol=1e-12)
