"""Eigenvalues of a network's loops at its present state: whether it settles, and dt is short enough."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from cortex_sim.backends.brian2.built import BuiltCircuit
from cortex_sim.errors import RunError
from cortex_sim.loops import LARGEST, Loop, loops_of

_log = logging.getLogger(__name__)
_LOOKED_AT = 8  # presentations that are analysed after a run


@dataclass(frozen=True)
class OperatingPoint:
    """A loop at the state that a simulation is in.

    Parameters
    ----------
    populations : tuple of str
        Populations that drive one another.
    eigenvalue_per_s : complex array of shape (presentation,)
        Eigenvalue of the Jacobian of drives (and gains) with the largest real part, in 1/s. If that is
        negative, activity settles (without a loop it is −1000/τ_ms); if positive, activity moves away.
    settles : bool
        Whether all real parts are negative.
    step_follows : bool
        Whether the time step is short enough for every mode: Euler's method does not alternate where the
        equations settle. Otherwise use a shorter ``dt_ms``.
    """

    populations: tuple[str, ...]
    eigenvalue_per_s: np.ndarray
    settles: bool
    step_follows: bool


def operating_points(built: BuiltCircuit, presentations: int | None = None) -> list[OperatingPoint]:
    """Every loop of a network at the present state of its first ``presentations``, or all.

    Raises
    ------
    RunError
        Before the first run.
    """
    net = built.circuit.net
    if not any(unit.view["alive"].any() for unit in built.units.values()):
        raise RunError(
            f"network {net.name}: nothing has been run, so there is no operating point; run a protocol "
            'first, such as cs.Protocol(cs.Phase("rest", 1)) for the state at rest'
        )
    found = []
    for loop in loops_of(net, gains=True):
        if loop.units(net) > LARGEST:
            _log.info(
                "%s: %d units are too many for the eigenvalues of its loop", loop.called, loop.units(net)
            )
            continue
        shown = built.presentations if presentations is None else min(presentations, built.presentations)
        values = np.array([np.linalg.eigvals(_jacobian(built, loop, row)) for row in range(shown)])  # 1/ms
        leading = values[np.arange(shown), values.real.argmax(axis=1)]
        settles = bool((leading.real < 0).all())
        moved = 1 + built.setup.dt_ms * values[values.real < 0]
        follows = built.setup.method != "euler" or bool((np.abs(moved) <= 1).all())
        found.append(OperatingPoint(loop.populations, 1e3 * leading, settles, follows))
    return found


def report(built: BuiltCircuit) -> None:
    """Log the eigenvalues of all loops after a run, and warn of a step that is too long for one."""
    for point in operating_points(built, _LOOKED_AT):
        fastest = point.eigenvalue_per_s[point.eigenvalue_per_s.real.argmax()]
        names = " and ".join(point.populations)
        _log.info("loop of %s: leading eigenvalue %.4g/s at the operating point", names, fastest)
        if not point.step_follows:
            _log.warning(
                "loop of %s: dt_ms=%g is too long at the operating point: activity alternates from step to "
                "step instead of settling; use a shorter dt_ms",
                names,
                built.setup.dt_ms,
            )


def _jacobian(built: BuiltCircuit, loop: Loop, row: int) -> np.ndarray:
    net = built.circuit.net
    scales = {p.name: _scale(built, p.name, p.post) for p in loop.projections}
    slopes = [built.units[name].slopes() for name in loop.populations]
    by_drive, by_gain = (np.concatenate([pair[side][row] for pair in slopes]) for side in (0, 1))
    return loop.jacobian(net, built.weights.matrix, scales, by_drive, by_gain)


def _scale(built: BuiltCircuit, name: str, post: str) -> float:
    gate, view = built.circuit.var("gate", name), built.units[post].view
    return float(view[gate][0]) if gate in view else 1.0  # delayed or noisy ones have no gate
