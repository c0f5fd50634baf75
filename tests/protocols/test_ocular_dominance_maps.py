"""Eyes segregate into columns under subtractive normalisation, as wide as linear theory predicts."""

from dataclasses import replace

import numpy as np
import pytest
from short_runs import module

import cortex_sim as cs
from cortex_sim.experiments.finding import experiment as found

NAME = "ocular_dominance_maps"


@pytest.fixture
def small(monkeypatch):
    """The protocol on a sheet of 6 × 6, with two updates of six presentations."""
    columns = module(NAME)
    for name, value in {"SIDE": 6, "ARBOR": 1.5, "BATCH": 6, "UPDATES": 2, "IMAGES": 12}.items():
        monkeypatch.setattr(columns, name, value)
    return columns


def only(arm, **settings):
    """The experiment with one arm, its weights recorded at every update."""
    made = found(NAME)
    chosen = made.arms[arm]
    record = cs.Record(populations=["V1"], weights=True, weights_every=6)
    protocol = chosen.protocol.replace(record=record, **settings)
    return replace(made, network=chosen.network, arms={arm: replace(chosen, protocol=protocol)})


def normalised(row, total, subtractive):
    """The row within 0 and 2, shifted or scaled by what bisection finds."""
    low, high = (-3.0, 3.0) if subtractive else (0.0, 50.0)
    for _ in range(100):
        t = (low + high) / 2
        tried = np.clip(row - t if subtractive else row * t, 0, 2)
        if (tried.sum() > total) == subtractive:
            low = t
        else:
            high = t
    return tried


@pytest.mark.parametrize("arm", ["subtractive", "multiplicative", "no interaction"])
def test_an_update_is_the_published_equation(small, arm):
    """Δw = η⟨r xᵀ⟩ within arbors, r = w x + M r, then rows normalised; M and arbors pair by pair."""
    recording = cs.torch.run(only(arm), progress=False)
    _, weights = cs.recording.weights_of(recording, small.PROJECTION, arm)
    method, correlation, width = small.ARMS[arm]
    places = [(i, j) for i in range(6) for j in range(6)]
    apart = np.array([[np.hypot(*(min(abs(a - b), 6 - abs(a - b)) for a, b in zip(p, q, strict=True)))
                       for q in places] for p in places])  # fmt: skip
    inhibition = np.zeros_like(apart)
    if width is not None:
        for s, sign in ((width, 1), (2 * width, -1)):
            bump = np.exp(-(apart**2) / (2 * s * s))
            inhibition += sign * small.STRENGTH * bump / bump[0].sum()
    exists = np.hstack([apart <= 1.5] * 2)
    shown = small.images(correlation, 0).reshape(2, 6, 72)
    for x, before, after in zip(shown, weights, weights[1:], strict=False):
        r = np.linalg.solve(np.eye(36) - inhibition, before @ x.T)
        grown = before + 0.2 * 0.1 * (r @ x / 6) * exists
        for row, wired, expected in zip(grown, exists, after, strict=True):
            assert not expected[~wired].any() and expected.sum() == pytest.approx(18)
            np.testing.assert_allclose(
                expected[wired], normalised(row[wired], 18, method == "subtractive"), atol=1e-9
            )


def test_time_turns_weights_the_same_way(small):
    settle = cs.Phase("settle", 200, drive={"eyes": small.images(0.5, 0)})
    learn = replace(settle, name="see", plasticity=True)
    experiment = only("subtractive", phases=(settle, learn), eta_per_s=0.004)
    moved = []
    for backend in (cs.brian2, cs.torch):
        recording = backend.run(experiment, progress=False)
        _, weights = cs.recording.weights_of(recording, small.PROJECTION, "subtractive")
        moved.append((weights[-1] - weights[0]).ravel())
    assert np.linalg.norm(moved[0] - moved[1]) < 0.01 * np.linalg.norm(moved[1])


def test_eyes_are_exchanged_in_every_second_image():
    columns = module(NAME)
    left, right = np.split(columns.images(0.5, 0), 2, axis=1)
    np.testing.assert_array_equal(left[::2], right[1::2])
    np.testing.assert_array_equal(right[::2], left[1::2])
    assert np.mean(left * left) == pytest.approx(1, abs=0.05)
    assert np.mean(left * right) == pytest.approx(0.5, abs=0.05)


def test_growth_is_the_largest_eigenvalue_of_the_whole_sheet(small, monkeypatch):
    monkeypatch.setattr(small, "ARBOR", 1.0)
    hat, smooth = small.everywhere(small.hat(0.92)), small.everywhere(small.gaussian(small.SMOOTH))
    interaction, alike = np.linalg.inv(np.eye(36) - hat), smooth @ smooth
    alike *= 0.5 / alike[0, 0]
    exists = cs.Arbor(radius=1, wrap=True).wiring("", (1, 6, 6), (1, 6, 6))
    cell, place = np.nonzero(exists)
    whole = interaction[np.ix_(cell, cell)] * alike[np.ix_(place, place)]
    largest = np.linalg.eigvalsh(whole)[-1]
    assert small.growth("subtractive").max() == pytest.approx(largest)
    assert small.growth("subtractive", 1).max() == pytest.approx(3 * largest)


def test_maps_and_wavelengths_of_closed_forms():
    columns = module(NAME)
    side = columns.SIDE
    stripes = np.sign(np.sin(2 * np.pi * (np.arange(side) + 0.5) / 6))  # three cycles on 18 units
    left = np.repeat(stripes[:, None] > 0, side, axis=1).ravel()[:, None] * np.eye(side**2)
    weights = np.hstack([left, np.eye(side**2) - left])
    np.testing.assert_array_equal(columns.dominance(weights), np.repeat(stripes[:, None], side, axis=1))
    assert columns.wavelength(abs(np.fft.fft2(columns.dominance(weights))) ** 2) == 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_known_result(seed):
    columns = module(NAME)
    recording = cs.torch.run(found(NAME, seed), seed, progress=False)
    rows = columns.statistics(recording)
    assert columns.figure(recording).axes
    after = {arm: row["monocularity after"] for arm, row in rows.items()}
    assert all(row["monocularity before"] < 0.02 for row in rows.values())
    assert after["subtractive"] > 0.7 and after["wider interaction"] > 0.5
    assert after["multiplicative"] < 0.01 and after["multiplicative, anticorrelated"] > 0.9
    for arm, grows in (("multiplicative", False), ("multiplicative, anticorrelated", True)):
        row = rows[arm]
        assert (row["fastest growth of L − R"] > row["growth of a uniform L + R"]) == grows
    for arm, units in (("subtractive", 6), ("wider interaction", 9)):
        assert rows[arm]["wavelength"] == rows[arm]["predicted wavelength"] == units
    assert abs(rows["no interaction"]["correlation of neighbours"]) < 0.2
    assert min(rows[arm]["correlation of neighbours"] for arm in ("subtractive", "wider interaction")) > 0.5
