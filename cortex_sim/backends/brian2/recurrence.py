"""Loops of rates: whether they can run away, and the eigenvalues of their Jacobian at an operating point.

A loop is a set of populations that drive one another. For large drives every activation is two straight
lines, f(a) → s₊a or s₋a, both flat where it is bounded. Rates can run away only where those lines are not
flat, along a direction in which τ da/dt = −a + W f(a) grows without end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.loops import LARGEST, Loop, loops_of
from cortex_sim.network import Network

_FAR = 1e8
_FLAT = 1e-3  # slope at large drives below which an activation counts as bounded: tanh has 1e-8
_STEPS, _SEEN, _STARTS = 600, 200, 40
_MARGIN = 1e-9  # tolerance of a growth rate times τ, so that an exact integrator is not refused


@dataclass(frozen=True)
class Escape:
    """How rates of a loop run away.

    Parameters
    ----------
    loop : Loop
        Loop of populations whose rates have no bound.
    per_s : float
        Rate at which activity grows, in 1/s.
    longest_ms : float or None
        Time step below which it does not grow; None if it grows with every time step.
    """

    loop: Loop
    per_s: float
    longest_ms: float | None


def escapes(net: Network, weights: Weights, dt_ms: float, method: str) -> list[Escape]:
    """Loops whose rates can grow without end with the present weights and time step."""
    slopes = {name: _slopes(weights, name) for loop in loops_of(net) for name in loop.populations}
    unbounded = {name for name, (up, down) in slopes.items() if max(np.max(up), np.max(down)) > _FLAT}
    found = []
    for loop in loops_of(net, unbounded) if unbounded else ():
        if loop.units(net) <= LARGEST and all(
            np.isfinite(weights.matrix[n]).all() for n in loop.weighted(net)
        ):
            escape = _escape(net, loop, weights, slopes, dt_ms, method)
            found += [] if escape is None else [escape]
    return found


def _slopes(weights: Weights, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Slopes of an activation far above and far below 0, of every unit."""
    rate = weights.transfer(name).rate
    far = np.full((1, weights.circuit.population(name).size), _FAR)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(rate(far))[0] / _FAR, np.asarray(rate(-far))[0] / -_FAR


def _escape(
    net: Network,
    loop: Loop,
    weights: Weights,
    slopes: Mapping[str, tuple[np.ndarray, np.ndarray]],
    dt_ms: float,
    method: str,
) -> Escape | None:
    w = loop.matrix(net, weights.matrix)
    tau = loop.by_unit(net, lambda name: net.populations[name].tau_ms)
    up, down = (np.concatenate([slopes[name][side] for name in loop.populations]) for side in (0, 1))
    if np.array_equal(up, down):
        return _linear(loop, w * up, tau, dt_ms, method)
    within_one = max(up.max(), down.max()) <= 1 and min(up.min(), down.min()) >= 0
    step = _step_of(method, dt_ms, tau)
    gentle = (
        np.linalg.eigvalsh((w + w.T) / 2)[-1] < 1
    )  # then τ-weighted energy falls, whichever units are active
    if within_one and gentle and (step <= 0.2).all():
        return None
    growth = _growth(w, up, down, step)
    if growth <= _MARGIN:
        return None
    fine = step * min(1.0, 0.1 / float(step.max()))
    if _growth(w, up, down, fine) <= _MARGIN:
        return Escape(loop, growth / dt_ms * 1e3, dt_ms * float(fine.max() / step.max()))
    return Escape(loop, growth / dt_ms * 1e3, None)


def _linear(loop: Loop, w: np.ndarray, tau: np.ndarray, dt_ms: float, method: str) -> Escape | None:
    """Linear units: exact, by the eigenvalues of the Jacobian."""
    values = np.linalg.eigvals((w - np.eye(len(w))) / tau[:, None])  # 1/ms
    fastest = float(values.real.max())
    if fastest * float(tau.max()) > _MARGIN:
        return Escape(loop, fastest * 1e3, None)
    longest = longest_step(values, w, tau, method)
    if dt_ms < longest:
        return None
    radius = float(np.abs(np.linalg.eigvals(_map(w, tau, dt_ms, method))).max())
    return Escape(loop, math.log(max(radius, 1.0)) / dt_ms * 1e3, longest)


def longest_step(values: np.ndarray, w: np.ndarray, tau: np.ndarray, method: str) -> float:
    """Longest stable dt in ms, from the eigenvalues (1/ms) of a Jacobian that does not grow."""
    settling = values[values.real < -_MARGIN / float(tau.max())]
    if not len(settling):
        return math.inf
    euler = float(np.min(-2 * settling.real / np.abs(settling) ** 2))
    if method == "euler":
        return euler
    low, high = euler, euler  # exponential Euler is stable for longer steps: 1 - exp(-dt/τ) < dt/τ
    for _ in range(60):
        if np.abs(np.linalg.eigvals(_map(w, tau, high, method))).max() > 1 + _MARGIN:
            break
        low, high = high, 1.2 * high
    else:
        return math.inf
    for _ in range(40):
        middle = (low + high) / 2
        stable = np.abs(np.linalg.eigvals(_map(w, tau, middle, method))).max() <= 1 + _MARGIN
        low, high = (middle, high) if stable else (low, middle)
    return low


def _map(w: np.ndarray, tau: np.ndarray, dt_ms: float, method: str) -> np.ndarray:
    """One step of a ← a + h(W a − a)."""
    step = _step_of(method, dt_ms, tau)[:, None]
    found: np.ndarray = np.eye(len(w)) + step * (w - np.eye(len(w)))
    return found


def _step_of(method: str, dt_ms: float, tau: np.ndarray) -> np.ndarray:
    return dt_ms / tau if method == "euler" else -np.expm1(-dt_ms / tau)


def _growth(w: np.ndarray, up: np.ndarray, down: np.ndarray, step: np.ndarray) -> float:
    """Largest growth per step of large drives, for which activations are straight, from several starts."""
    units = len(w)
    rng = np.random.default_rng(0)
    single = rng.permutation(units)[: _STARTS // 2]
    a = np.concatenate([np.ones((1, units)), np.eye(units)[single], rng.normal(size=(_STARTS // 2, units))])
    grown = np.zeros(len(a))
    for number in range(_STEPS):
        a = a + step * (np.where(a > 0, up * a, down * a) @ w.T - a)
        length = np.linalg.norm(a, axis=1, keepdims=True)
        grown += np.log(length[:, 0]) if number >= _STEPS - _SEEN else 0.0
        a = a / length
    return float(grown.max()) / _SEEN


def advice(learned: bool) -> str:
    """What to do about rates that run away."""
    bounded = 'a bounded activation such as "tanh" or "logistic"'
    if learned:
        return f"use a smaller eta_per_s, regulariser=Decay(...), or {bounded}"
    return f"use smaller weights, or {bounded}"
