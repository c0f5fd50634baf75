"""What holds for every registered rule class, at its equation: on numpy, on torch, and in time."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import cortex_sim as cs
from cortex_sim.registry import find, names
from cortex_sim.rules.in_time import InTime

# -- every registered rule class, at its equation --------------------------------------------------


def own_change():
    """Rules that say their change as an array equation, made with defaults (or beside "A->B")."""
    for name in names("rule"):
        cls = find("rule", name)
        if hasattr(cls, "change"):
            needs_partner = "of" in getattr(cls, "__dataclass_fields__", {})
            yield pytest.param(cls("A->B") if needs_partner else cls(), id=name)


every_change = pytest.mark.parametrize("rule", list(own_change()))


def _lateral(rule):
    return getattr(rule, "lateral", False)


def synapses(rule, count=5, post=3, pre=2, seed=0):
    """w, r_pre (or u_pre), r_post and a state of the declared shapes."""
    rng = np.random.default_rng(seed)
    pre = post if _lateral(rule) else pre
    given = [rng.normal(size=s) for s in ((post, pre), (count, pre), (count, post))]
    if not getattr(rule, "state", {}):
        return given
    shapes = {cs.PerPost: (post,), cs.PerPre: (pre,), cs.PerSynapse: (post, pre), cs.Global: ()}
    return [*given, {n: rng.random(size=shapes[type(k)]) for n, k in rule.state.items()}]


def only_change(rule, given):
    return rule.change(*given)[0] if getattr(rule, "state", {}) else rule.change(*given)


@every_change
def test_change_means_over_presentations(rule):
    w, pre, post, *state = synapses(rule)
    together = only_change(rule, [w, pre, post, *state])
    alone = [only_change(rule, [w, pre[i : i + 1], post[i : i + 1], *state]) for i in range(len(pre))]
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-12)


@every_change
def test_change_is_the_same_on_torch(rule):
    given = synapses(rule)
    as_tensors = [
        {n: torch.as_tensor(v) for n, v in part.items()} if isinstance(part, dict) else torch.as_tensor(part)
        for part in given
    ]
    np.testing.assert_allclose(only_change(rule, as_tensors), only_change(rule, given), atol=1e-12)


@every_change
def test_change_is_pure(rule):
    given, again = synapses(rule), synapses(rule)
    rule.change(*given)
    for part, same in zip(given, again, strict=True):
        np.testing.assert_equal(part, same)


@every_change
def test_change_relabels(rule):
    if isinstance(rule, cs.Sanger):
        pytest.skip("its units have an order: tests/rules/test_sanger.py")
    w, pre, post, *state = synapses(rule)
    rows = [2, 0, 1]
    columns = rows if _lateral(rule) else [1, 0]
    moved = [
        {n: _relabelled_state(rule.state[n], v, rows, columns) for n, v in part.items()} for part in state
    ]
    after = only_change(rule, [w[rows][:, columns], pre[:, columns], post[:, rows], *moved])
    before = only_change(rule, [w, pre, post, *state])
    np.testing.assert_allclose(after, before[rows][:, columns], atol=1e-12)


def _relabelled_state(kind, values, rows, columns):
    match kind:
        case cs.PerPost():
            return values[rows]
        case cs.PerPre():
            return values[columns]
        case cs.PerSynapse():
            return values[rows][:, columns]
        case _:
            return values


@every_change
def test_growth_and_change_agree(rule):
    """``growth`` is one synapse at one moment; its mean over presentations is ``change``."""
    if callable(rule.growth):
        pytest.skip("its growth is an array equation")
    w, pre, post, *state = synapses(rule)
    kinds, text = getattr(rule, "state", {}), rule.growth
    expected = np.zeros_like(w)
    for presentation, i, j in np.ndindex(len(pre), *w.shape):
        reads = {
            "w": w[i, j],
            "r_post": post[presentation, i],
            "r_pre": pre[presentation, j],
            "u_pre": pre[presentation, j],
            "reconstruction_post": w[i] @ pre[presentation],
            **{field.name: getattr(rule, field.name) for field in fields(rule)},
            **{n: values[_synapse(kinds[n], i, j)] for part in state for n, values in part.items()},
        }
        if getattr(rule, "reads_credit", False):
            del reads["r_pre"]
        if not (_lateral(rule) and i == j):
            one = text if isinstance(text, str) else text["w"]
            expected[i, j] += eval(one, {"__builtins__": {}}, reads) / len(pre)
    np.testing.assert_allclose(only_change(rule, [w, pre, post, *state]), expected, atol=1e-12)


def _synapse(kind, i, j):
    return {cs.PerPost: (i,), cs.PerPre: (j,), cs.PerSynapse: (i, j), cs.Global: ()}[type(kind)]


with_time = pytest.mark.parametrize("rule", [p for p in own_change() if getattr(p.values[0], "state", {})])


@with_time
def test_state_moves_alike_in_presentations_and_in_time(rule):
    """One presentation of ``window`` is one ``tau_ms`` / ``window`` of time, to first order."""
    many = 1e6
    slow = replace(rule, window=many, tau_ms=1000.0)
    w, pre, post, state = synapses(slow)
    after = slow.change(w, pre[:1], post[:1], state)[1]
    in_time = InTime(slow)
    moved = in_time(w, state, r_pre=pre[:1], r_post=post[:1])[1]
    for name, values in state.items():
        expected = moved.get(name, np.zeros_like(values)) * (1.0 / many)  # tau is one second
        np.testing.assert_allclose(after[name] - values, expected, rtol=1e-5, atol=1e-15)
