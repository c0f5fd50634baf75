"""Check that a rule's ``change`` (training on torch) and ``growth`` (in time) are the same equation.

Both are evaluated on a few random numbers: Δw/η must be equal, and each state variable must change equally
when ``window`` presentations in training correspond to ``tau_ms`` in time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from cortex_sim.capabilities import rule_of
from cortex_sim.errors import DeclarationError
from cortex_sim.rules.in_time import InTime, by_array, growth_of

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

_POST, _PRE, _PRESENTATIONS = 3, 2, 4
_SLOW = 1e6  # presentations: long enough for one presentation to be a first-order step
_SAME, _SAME_STEP = 1e-6, 1e-3
_FOUND: set[tuple[Any, ...]] = set()  # rules that agree, by type and settings


def check_agreement(rule: Any) -> None:
    """Raise `DeclarationError` if ``change`` and ``growth`` of a rule disagree.

    A rule that lacks one of them passes. A rule that agreed once is not compared again.
    """
    declared = rule_of(rule)
    if declared.change is None or declared.growth is None or not is_dataclass(rule):
        return
    cls: Any = type(rule)
    key = (cls, cls.change, repr(declared.growth), repr(rule))
    if key in _FOUND:
        return
    with np.errstate(all="ignore"):  # both give NaN, for instance for the logarithm of a negative rate
        for draw in (_positive, _any_sign):
            _compare_weights(rule, draw)
            _compare_state(rule, draw)
    _FOUND.add(key)


def _compare_weights(rule: Any, draw: Draw) -> None:
    w, pre, post, state = _numbers(rule, _PRESENTATIONS, draw)
    change = _changed(rule, w, pre, post, state)[0]
    by_text = InTime(rule).growth_by_text(w, state, **_signals(rule, pre, post))
    if rule_of(rule).lateral:  # no unit has a synapse onto itself
        by_text = by_text - np.diag(np.diag(by_text))
    _require(rule, "w", change, by_text, _SAME)


def _compare_state(rule: Any, draw: Draw) -> None:
    """To first order, one presentation corresponds to a time of ``tau_ms`` / ``window``."""
    moving = set() if by_array(rule) else set(growth_of(rule)) - {"w"}
    w, pre, post, state = _numbers(rule, 1, draw)
    after = _changed(rule, w, pre, post, state)[1]
    for name in sorted(set(state) - moving):
        _require(rule, name, np.asarray(after.get(name, state[name])) - state[name], 0 * state[name], _SAME)
    if not moving or not {"window", "tau_ms"} <= {f.name for f in fields(rule) if f.init}:
        return
    slow = replace(rule, window=_SLOW, tau_ms=1000.0)
    after = _changed(slow, w, pre, post, state)[1]
    speed = InTime(slow)(w, state, **_signals(slow, pre, post))[1]
    for name in sorted(moving):
        moved = (np.asarray(after.get(name, state[name])) - state[name]) * _SLOW
        _require(rule, name, moved, speed[name], _SAME_STEP)


def _require(rule: Any, variable: str, change: Any, growth: Any, tolerance: float) -> None:
    change, growth = np.asarray(change, dtype=float), np.asarray(growth, dtype=float)
    if change.shape == growth.shape:
        if np.allclose(change, growth, rtol=tolerance, atol=tolerance, equal_nan=True):
            return
        apart, large = (np.nanmax(np.abs(values)) for values in (change - growth, growth))
        size = f"by {apart:.3g}, where growth is as large as {large:.3g}"
    else:
        size = f"in shape, {change.shape} and {growth.shape}"
    raise DeclarationError(
        f"rule {type(rule).__name__}: change and growth of {variable} disagree on random numbers {size}; "
        "torch learns by change and brian2 by growth, so write the same equation in both (sign, factors, "
        "time constant)"
    )


def _changed(rule: Any, w: np.ndarray, pre: np.ndarray, post: np.ndarray, state: Any) -> tuple[Any, Any]:
    try:
        return rule.change(w, pre, post, dict(state)) if state else (rule.change(w, pre, post), {})
    except (TypeError, AttributeError) as exception:
        raise DeclarationError(
            f"rule {type(rule).__name__}: its change fails on NumPy arrays of shape (post, pre), "
            f"(presentation, pre) and (presentation, post): {exception}; "
            "a rule with growth must work with both NumPy and torch"
        ) from exception


def _signals(rule: Any, pre: np.ndarray, post: np.ndarray) -> Mapping[str, np.ndarray]:
    sent = "u_pre" if rule_of(rule).reads_credit else "r_pre"
    return {sent: pre, "r_post": post}


def _positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.uniform(0.2, 0.9, size=shape))


def _any_sign(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(rng.normal(size=shape))


def _numbers(
    rule: Any, count: int, draw: Draw
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Random w, pre and post signals, and a state of the declared shapes."""
    rng = np.random.default_rng(0)
    inputs = _POST if rule_of(rule).lateral else _PRE
    w, pre, post = (draw(rng, shape) for shape in ((_POST, inputs), (count, inputs), (count, _POST)))
    start = InTime(rule).initial_state((_POST, inputs))
    return w, pre, post, {name: draw(rng, values.shape) for name, values in start.items()}
