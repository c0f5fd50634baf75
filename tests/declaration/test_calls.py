"""Calls with arguments that do not fit end with one sentence, and nothing else in the traceback."""

import pytest

import cortex_sim as cs


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cs.Protocol(phases=[1]), r"give phases one after another without names, as in Protocol\(f"),
        (lambda: cs.Phase("stimulus", duration=100), r"unknown setting of Phase 'duration' \(did you mean"),
        (lambda: cs.Phase(), "Phase: name is missing"),
        (lambda: cs.Network("n").population("V1", 3, sise=3), "unknown setting of net.population 'sise'"),
    ],
    ids=["by name", "misspelt", "missing", "of a method"],
)
def test_one_sentence(call, says):
    with pytest.raises(cs.DeclarationError, match=says) as found:
        call()
    assert found.value.__context__ is None and found.value.__cause__ is None


def test_a_part_given_by_place_or_by_name_is_the_same():
    assert cs.Bounds(0, 1) == cs.Bounds(low=0, high=1)
