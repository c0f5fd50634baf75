"""Interleaved blocks: who runs when, what counts, and what the ratio is."""

import statistics

import pytest

from cortex_sim.bench import timing
from cortex_sim.bench.parts import Parts
from cortex_sim.bench.timing import Side, Timed, clock, interleaved


@pytest.fixture
def hand(monkeypatch):
    """A clock that stands still unless it is moved."""
    at = {"now": 0.0}
    monkeypatch.setattr(timing, "seconds_of", lambda name: lambda: at["now"])
    monkeypatch.setattr("cortex_sim.bench.parts.seconds_of", lambda name: lambda: at["now"])
    return at


def takes(at, seconds, calls, name):
    def step():
        at["now"] += seconds
        calls.append(name)

    return step


def test_sides_take_turns_and_the_first_one_rotates(hand):
    calls = []
    sides = {name: Side(takes(hand, 1.0, calls, name), length) for name, length in [("a", 2), ("b", 4)]}
    timed = interleaved(sides, blocks=2, threads=1, warm_up=1)
    assert "".join(calls) == "bbabba" + "babbab" + "bbabba"
    assert timed.seconds == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_a_step_is_timed_and_the_warm_up_does_not_count(hand):
    slow = iter([9.0] * 4 + [3.0] * 8)  # the first block of four steps
    sides = {"ours": Side(lambda: hand.update(now=hand["now"] + next(slow)), 4)}
    assert interleaved(sides, blocks=2, threads=1).seconds == {"ours": [3.0, 3.0]}


def test_ratio_is_that_of_medians_with_the_quartiles_of_pairs():
    timed = Timed({"ours": [2.0, 4.0, 9.0], "plain": [1.0, 2.0, 2.0]})
    found = timed.over("ours", "plain")
    assert found["ratio"] == 2.0
    assert found["ratio_quartiles"] == statistics.quantiles([2.0, 2.0, 4.5], n=4)
    assert (found["ours_s"], found["baseline_s"], found["blocks"]) == (4.0, 2.0, 3)


def test_one_thread_is_timed_by_its_own_processor_time():
    assert (clock(1), clock(2)) == ("cpu", "wall")


def test_parts_inside_another_are_taken_from_it(hand):
    class Model:
        def renew(self):
            hand["now"] += 5

    parts, model = Parts(threads=1), Model()
    parts.around(model, "renew", "renewal")

    def optimise():
        hand["now"] += 1
        model.renew()
        hand["now"] += 2

    for _ in range(2):
        parts.timed("optimiser", optimise)
        parts.steps += 1
    assert parts.means()["optimiser"] == 3
    assert parts.means()["renewal"] == 5
    parts.reset()
    assert sum(parts.means().values()) == 0
