"""Sessions and animals: the variance of the level that is drawn, once, with counts beside scores."""

from __future__ import annotations

import numpy as np
import pytest
from planted_scores import Mean, responses

from cortex_sim.compare.pooling import Session, pooled
from cortex_sim.errors import DataError


def recorded(rng, animals=3, sessions=4, neuroids=5, stimuli=12, effects=(1.0, 0.5, 0.3)):
    """Sessions of animals: score = effect of animal + of session + noise of stimuli and neuroids."""
    of_animal, of_session, noise = effects
    found = []
    for a in range(animals):
        animal = of_animal * rng.normal()
        for s in range(sessions):
            values = animal + of_session * rng.normal() + noise * rng.normal(size=(stimuli, neuroids))
            found.append(Session(f"{s}", Mean(values), f"animal {a}", neuroids, stimuli, 10))
    return found


@pytest.mark.parametrize("over", ["animals", pytest.param("sessions", marks=pytest.mark.slow)])
def test_the_variance_is_that_of_means_at_the_level_that_is_drawn(over):
    given = recorded(np.random.default_rng(0))
    found = pooled(given, over=over, resamples=5_000)
    scores = np.reshape(found.scores, (3, 4))
    assert found.score == pytest.approx(scores.mean())
    expected = {
        "animals": scores.mean(1).var(ddof=1) / 3,
        "sessions": (scores.var(axis=1, ddof=1) / 4).sum() / 9,
    }
    assert found.interval.error**2 == pytest.approx(expected[over], rel=0.05)
    assert found.interval.freedom == {"animals": 2, "sessions": 9}[over]


def test_animals_weigh_the_same_however_many_sessions_they_have():
    sessions = [
        Session("1", Mean(np.zeros((9, 2))), "a"),
        *(Session(f"{i}", Mean(np.ones((9, 2))), "b") for i in range(5)),
    ]
    assert pooled(sessions, over="animals").score == 0.5


def test_over_animals_covers_what_a_bootstrap_of_every_level_would_count_twice():
    """Truth: σ_A²/a + σ_S²/(a s) + σ²/(a s n k); drawing all levels adds the last two again."""
    rng, found = np.random.default_rng(1), []
    effects = (0.3, 1.0, 1.0)
    truth = 0.3**2 / 5 + 1 / 10 + 1 / (10 * 12 * 4)
    for seed in range(60):
        given = recorded(rng, animals=5, sessions=2, neuroids=4, effects=effects)
        found.append(pooled(given, over="animals", resamples=100, seed=seed).interval.error ** 2)
    assert np.mean(found) == pytest.approx(truth, rel=0.25)


def test_within_sessions_neuroids_and_stimuli_vary():
    """Each session has the variance of a crossed design; three of equal weight a third of their mean."""
    rng, found = np.random.default_rng(2), []
    truth = (1 / 12 + 1 / 7 + 1 / 84) / 3
    for seed in range(30):
        given = []
        for s in range(3):
            values = rng.normal(size=(12, 1)) + rng.normal(size=(1, 7)) + rng.normal(size=(12, 7))
            given.append(Session(f"{s}", Mean(values)))
        found.append(pooled(given, over="neuroids", resamples=100, seed=seed).interval.error ** 2)
    assert np.mean(found) == pytest.approx(truth, rel=0.25)


def test_shared_stimuli_are_crossed_with_sessions():
    rng, plain, crossed = np.random.default_rng(3), [], []
    truth = 1 / 10 + 0.5**2 / 5
    for seed in range(50):
        common = rng.normal(size=(10, 1))
        given = [Session(f"{s}", Mean(common + 0.5 * rng.normal())) for s in range(5)]
        plain.append(pooled(given, resamples=100, seed=seed).interval.error ** 2)
        crossed.append(pooled(given, resamples=100, seed=seed, shared_stimuli=True).interval.error ** 2)
    assert np.mean(crossed) == pytest.approx(truth, rel=0.25)
    assert np.mean(plain) < 0.6 * truth


def test_counts_stand_beside_every_score():
    neural = responses(np.ones((9, 4)) * np.arange(9)[:, None], repeats=np.ones((3, 9, 4)))
    table = Mean(np.random.default_rng(4).normal(size=(9, 4)))
    sessions = [Session.of(name, table, neural, "m1") for name in ("201025", "210325")]
    rows = pooled(sessions).rows()
    assert rows[0] == {
        "session": "201025", "animal": "m1", "score": table.score(), "neuroids": 4, "stimuli": 9,
        "repeats": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    "keep, settings, said",
    [
        (slice(0, 4), {"over": "animals"}, "over animals: there is only one; use over='sessions'"),
        (slice(0, 5), {"over": "sessions"}, "of every animal, but there is only one of animal 1"),
        (slice(0, 0), {}, "sessions with unique names. Got none"),
        (slice(0, 4), {"over": "monkeys"}, "unknown over 'monkeys'"),
        (slice(0, 4), {"over": "neuroids", "shared_stimuli": True}, "give all neuroids as one session"),
    ],
)
def test_too_few_to_draw_from_is_refused(keep, settings, said):
    with pytest.raises(DataError, match=said):
        pooled(recorded(np.random.default_rng(5))[keep], **settings)


def test_the_same_session_twice_is_refused():
    one = recorded(np.random.default_rng(6))[0]
    with pytest.raises(DataError, match="unique names. Got 0, 0"):
        pooled([one, one])
