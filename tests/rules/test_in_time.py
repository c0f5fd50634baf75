"""Growth of a whole projection against the text, one synapse and one presentation at a time."""

from dataclasses import dataclass
from math import exp, log, sqrt, tanh
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cortex_sim as cs
from cortex_sim.registry import find, names
from cortex_sim.rules.in_time import InTime, growth_of

SCALAR = {
    "exp": exp,
    "log": log,
    "tanh": tanh,
    "abs": abs,
    "sign": lambda v: int(v > 0) - int(v < 0),
    "sqrt": sqrt,
    "clip": lambda v, low, high: min(max(v, low), high),
    "int": int,
    "ms": 0.001,
}


@dataclass(frozen=True)
class Everything:
    """State of every kind and every name; no presentation enters linearly, so a mean taken first shows."""

    gain: float = 0.7
    tau_ms: float = 50.0
    state: ClassVar = {
        "theta": cs.PerPost(0.2),
        "usual": cs.PerPre(-0.1),
        "e": cs.PerSynapse(0.05),
        "level": cs.Global(0.5),
        "modulator": cs.Global(1.0),
    }
    growth: ClassVar = {
        "w": "modulator * e * gain",
        "theta": "(tanh(r_post)**2 - clip(theta, -1, 1) + level) / (tau_ms * ms)",
        "usual": "abs(r_pre) * exp(-usual) - int(r_pre > usual)",
        "e": "(r_post * r_pre**2 - e + theta * usual + w * sqrt(abs(u_post))"
        " + sign(u_pre) * log(2 + reconstruction_post**2)) / (tau_ms * ms)",
        "level": "-level / 0.3 + modulator",
    }

    def change(self, w, r_pre, r_post, state):
        return state["modulator"] * state["e"] * self.gain, state


def rules():
    yield pytest.param(Everything(), id="everything")
    for name in names("rule"):
        cls = find("rule", name)
        partner = "of" in getattr(cls, "__dataclass_fields__", {})
        if name != "sanger":  # whose growth is no text: tests/rules/test_sanger.py
            yield pytest.param(cls("A->B") if partner else cls(), id=name)


def kept(kind, post, pre):
    return {cs.PerPost: (post,), cs.PerPre: (pre,), cs.PerSynapse: (post, pre), cs.Global: ()}[type(kind)]


def drawn(rule, count, post, pre, seed):
    rng = np.random.default_rng(seed)
    signals = {n: rng.normal(size=(count, pre)) for n in ("r_pre", "u_pre")}
    signals |= {n: rng.normal(size=(count, post)) for n in ("r_post", "u_post")}
    state = {n: rng.random(size=kept(k, post, pre)) for n, k in getattr(rule, "state", {}).items()}
    return rng.normal(size=(post, pre)), state, signals


def one_synapse(rule, variable, i, j, b, w, state, signals):
    """The text of one variable, for synapse (i, j) and presentation b."""
    now = {n: v[b, j if n.endswith("pre") else i] for n, v in signals.items()}
    now |= {
        "w": w[i, j],
        "reconstruction_post": sum(w[i, k] * signals["r_pre"][b, k] for k in range(w.shape[1])),
    }
    for name, kind in getattr(rule, "state", {}).items():
        index = {cs.PerPost: (i,), cs.PerPre: (j,), cs.PerSynapse: (i, j), cs.Global: ()}[type(kind)]
        now[name] = state[name][index]
    settings = {n: getattr(rule, n) for n in rule.__dataclass_fields__}
    growth = getattr(rule, "growth", "u_post * r_pre")
    text = growth if isinstance(growth, str) else growth[variable]
    return eval(text, {"__builtins__": {}}, SCALAR | settings | now)


@pytest.mark.parametrize("rule", list(rules()))
@given(
    count=st.sampled_from([1, 3]),
    sizes=st.sampled_from([(2, 5), (5, 2), (1, 3)]),
    seed=st.integers(0, 100),
)
def test_equals_the_text_synapse_by_synapse(rule, count, sizes, seed):
    post, pre = (sizes[0], sizes[0]) if getattr(rule, "lateral", False) else sizes
    w, state, signals = drawn(rule, count, post, pre, seed)
    in_time = InTime(rule)
    growth, moved = in_time(w, state, **{n: signals[n] for n in in_time.reads - {"reconstruction_post"}})
    expected = np.zeros((post, pre))
    for b, i, j in np.ndindex(count, post, pre):
        if not (getattr(rule, "lateral", False) and i == j):
            expected[i, j] += one_synapse(rule, "w", i, j, b, w, state, signals) / count
    np.testing.assert_allclose(growth, expected, atol=1e-12)
    assert set(moved) == set(growth_of(rule)) - {"w"}
    for name, speed in moved.items():
        shape = kept(rule.state[name], post, pre)
        assert speed.shape == shape
        for index in np.ndindex(shape):
            place = {cs.PerPre: (0, *index), cs.Global: (0, 0)}.get(type(rule.state[name]), (*index, 0)[:2])
            mean = sum(one_synapse(rule, name, *place, b, w, state, signals) for b in range(count)) / count
            np.testing.assert_allclose(speed[index], mean, atol=1e-9)


def test_state_starts_as_declared():
    state = InTime(Everything()).initial_state((3, 2))
    assert {n: (v.shape, v.dtype, float(v.flat[0])) for n, v in state.items()} == {
        "theta": ((3,), float, 0.2),
        "usual": ((2,), float, -0.1),
        "e": ((3, 2), float, 0.05),
        "level": ((), float, 0.5),
        "modulator": ((), float, 1.0),
    }


def test_a_trace_forgets_with_its_time_constant():
    """No activity: e falls by the factor 1/e in one time constant."""
    in_time = InTime(Everything(tau_ms=200.0))
    state = in_time.initial_state((1, 1))
    quiet = {n: np.zeros((1, 1)) for n in ("r_pre", "r_post", "u_pre", "u_post")}
    state = {n: np.zeros_like(v) for n, v in state.items()} | {"theta": np.array([0.5])}
    for _ in range(2000):
        state["theta"] = state["theta"] + 1e-4 * in_time(np.zeros((1, 1)), state, **quiet)[1]["theta"]
    assert state["theta"][0] == pytest.approx(0.5 / np.e, rel=1e-3)


def test_state_per_synapse_needs_no_room_per_presentation():
    import tracemalloc

    count, post, pre = 200, 61, 59
    w, state, signals = drawn(Everything(), count, post, pre, 0)
    in_time = InTime(Everything())
    tracemalloc.start()
    in_time(w, state, **signals)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * count * post * pre / 4


def test_nothing_given_is_changed():
    w, state, signals = drawn(Everything(), 3, 2, 5, 0)
    again = drawn(Everything(), 3, 2, 5, 0)
    moved = InTime(Everything())(w, state, **signals)[1]
    for values in moved.values():
        values += 1.0
    np.testing.assert_equal((w, state, signals), again)


@pytest.mark.parametrize(
    ("growth", "says"),
    [
        ("r_post * r_per", "names 'r_per'.*may read .*r_pre"),
        ("r_post *", "is not an expression"),
        ("w = r_post", "is not an expression"),
        ("r_post.T", "contains Attribute"),
        ("r_post if w > 0 else 0", "contains IfExp"),
        ("0 < w < 1", "contains Compare"),
        ("'a' * w", "contains Constant"),
        ("clip(w, low=0)", "contains Call"),
        ("floor(w)", "names 'floor'.*functions abs, clip"),
        ("exp", "names 'exp'"),
        ({"theta": "r_post"}, 'no entry "w"'),
        (
            {"w": "r_post", "thta": "r_post"},
            "growth of 'thta', which is not a state of the rule; known: w, level, theta",
        ),
        ({"w": "r_post", "theta": "r_pre"}, "names 'r_pre'; a PerPost variable may read .*r_post"),
        ({"w": "r_post", "theta": "w"}, "names 'w'"),
        ({"w": "r_post", "theta": "usual"}, "names 'usual'"),
        ({"w": "r_post", "usual": "theta"}, "names 'theta'; a PerPre"),
        ({"w": "r_post", "level": "r_post"}, "names 'r_post'; a Global"),
    ],
)
def test_a_text_that_cannot_be_meant_is_refused(growth, says):
    @dataclass(frozen=True)
    class Wrong:
        state: ClassVar = {"theta": cs.PerPost(), "usual": cs.PerPre(), "level": cs.Global()}

        def change(self, w, r_pre, r_post, state):
            return w, state

    Wrong.growth = growth
    with pytest.raises(cs.DeclarationError, match=f"^rule Wrong: .*{says}"):
        InTime(Wrong())


def test_a_rule_without_growth_is_refused():
    @dataclass(frozen=True)
    class Silent:
        def change(self, w, r_pre, r_post):
            return w

    with pytest.raises(cs.DeclarationError, match="rule Silent: has no growth.*give the class the text"):
        InTime(Silent())
