"""Whether a time step is short enough, checked before anything runs and when weights have changed."""

from __future__ import annotations

import logging
import math

import numpy as np

from cortex_sim.backends.brian2.circuit import Apical, Circuit, CreditSource
from cortex_sim.backends.brian2.recurrence import advice, escapes
from cortex_sim.backends.brian2.weights import Weights
from cortex_sim.errors import BuildError, RunError

_log = logging.getLogger(__name__)

#: Largest share of a time constant that a step can be and still follow the time course.
COARSE = 0.2


def largest_step(tau_ms: float, eigenvalue: float, damping: float, method: str) -> float:
    """Longest stable dt in ms of τ ċ = −αc − λc, λ the loop's largest eigenvalue.

    Euler multiplies c by 1 − (dt/τ)(λ + α) at every step; exponential Euler integrates the decay
    exactly and leaves the loop explicit: e⁻ˣ − (1 − e⁻ˣ)λ/α, x = α dt/τ.
    """
    if method == "euler" or not damping:
        return 2 * tau_ms / (eigenvalue + damping) if eigenvalue + damping else math.inf
    if eigenvalue <= damping:
        return math.inf
    return 2 * tau_ms / damping * math.atanh(damping / eigenvalue)


def check(circuit: Circuit, weights: Weights, dt_ms: float, method: str, *, learned: bool = False) -> None:
    """Raise where a population, a loop or a lateral projection would not settle.

    Raises
    ------
    BuildError, RunError
        Naming the projection, its largest eigenvalue and the largest time step that works; the
        second where weights have ``learned`` since.
    """
    exception_type = RunError if learned else BuildError
    if not learned and method == "euler":
        _check_time_constants(circuit, dt_ms)
    for p in circuit.apicals:
        if p.source is CreditSource.INVERSE and p.up is not None:
            _check_loop(p, weights, dt_ms, method, exception_type)
    _check_loops(circuit, weights, dt_ms, method, exception_type)
    for plastic in circuit.plastic():
        _check_finite(plastic.name, weights, exception_type)


def warn_where_coarse(circuit: Circuit, dt_ms: float) -> None:
    """Log a warning where a step is stable, but too long to follow the time course."""
    owner, tau = min(_time_constants(circuit), key=lambda one: one[1], default=("", math.inf))
    if dt_ms > COARSE * tau * (1 + 1e-9):
        _log.warning(
            "%s: a time step of %g ms is stable for its time constant of %g ms, but too long to follow the "
            "time course; use dt_ms of at most %g (a tenth of the time constant is usual)",
            owner,
            dt_ms,
            tau,
            COARSE * tau,
        )


def _time_constants(circuit: Circuit) -> list[tuple[str, float]]:
    """Populations and compartments without a loop, and their time constants in ms."""
    slow = [
        (f"population {n}", p.tau_ms) for n, p in circuit.net.populations.items() if n not in circuit.sources
    ]
    slow += [(f"population {n}", p.tau_ms) for n, p in circuit.net.credit_populations.items()]
    slow += [
        (f"projection {p.name}", p.tau_ms) for p in circuit.apicals if p.source is not CreditSource.INVERSE
    ]
    return slow


def _check_time_constants(circuit: Circuit, dt_ms: float) -> None:
    for owner, tau in _time_constants(circuit):
        if dt_ms >= 2 * tau:
            raise BuildError(
                f"{owner}: a time step of {dt_ms:g} ms is too long for a time constant of {tau:g} ms; "
                f"use dt_ms below {2 * tau:g} (a tenth of the time constant is usual)"
            )


def _check_loop(
    p: Apical, weights: Weights, dt_ms: float, method: str, exception_type: type[Exception]
) -> None:
    assert p.up is not None
    w = weights.matrix[p.up.name]
    _check_finite(p.up.name, weights, exception_type)
    groups = np.split(w, p.operator.groups)
    grams = (one @ one.T if one.shape[0] <= one.shape[1] else one.T @ one for one in groups)
    largest = max(float(np.linalg.eigvalsh(g)[-1]) for g in grams)
    longest = largest_step(p.tau_ms, largest, p.damping, method)
    if dt_ms >= longest:
        raise exception_type(
            f"projection {p.name}: its loop is unstable at dt_ms={dt_ms:g}: the largest squared singular "
            f"value of {p.up.name} is {largest:.4g}, damping {p.damping:g}, time constant {p.tau_ms:g} ms; "
            f"use dt_ms below {longest:.4g}, or a longer apical_tau_ms"
        )


def _check_finite(name: str, weights: Weights, exception_type: type[Exception]) -> None:
    if not np.isfinite(weights.matrix[name]).all():
        raise exception_type(f"projection {name}: its weights are no longer finite; use a smaller eta_per_s")


def _check_loops(
    circuit: Circuit, weights: Weights, dt_ms: float, method: str, exception_type: type[Exception]
) -> None:
    """Raise where the rates of unbounded populations would grow without end."""
    for p in circuit.net.laterals:
        _check_finite(p.name, weights, exception_type)
    for escape in escapes(circuit.net, weights, dt_ms, method):
        who = escape.loop.called
        if escape.longest_ms is not None:
            raise exception_type(
                f"{who}: its recurrence is unstable at dt_ms={dt_ms:g}; use dt_ms below "
                f"{escape.longest_ms:.4g}"
            )
        kinds = {type(circuit.population(name).activation).__name__ for name in escape.loop.populations}
        unbounded = f"{' and '.join(sorted(kinds))} {'has' if len(kinds) == 1 else 'have'} no bound"
        raise exception_type(
            f"{who}: its recurrence is unstable, activity grows at {escape.per_s:.3g}/s and "
            f"{unbounded}; {advice(exception_type is RunError)}"
        )
