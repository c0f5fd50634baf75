"""Diagnostics of a learning network, computed at evaluations.

An undefined value is None, and the log gives the reason.
"""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from torch import Tensor

from cortex_sim.backends.torch import changes
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import only_looking
from cortex_sim.backends.torch.orthogonality import deviation
from cortex_sim.backends.torch.penalties import gradients
from cortex_sim.regularisers import HardOrthogonality

_log = logging.getLogger(__name__)

Readings = dict[str, float | None]


def angle_deg(a: Tensor, b: Tensor) -> float | None:
    """Angle between two updates in degrees, in float64; None where one is zero or not finite.

    From ‖a/|a| − b/|b|‖, which is accurate near 0, where the arc cosine loses half of its digits.
    """
    u, v = a.double().flatten(), b.double().flatten()
    floor = torch.finfo(a.dtype).tiny * u.numel() ** 0.5
    lengths = float(u.norm()), float(v.norm())
    if not all(math.isfinite(length) and length > floor for length in lengths):
        return None
    difference = float((u / lengths[0] - v / lengths[1]).norm())
    total = float((u / lengths[0] + v / lengths[1]).norm())
    return math.degrees(2 * math.atan2(difference, total))


def angles_to_backprop(model: Core, x: Any, y: Any) -> Readings:
    """Angle between each plastic projection's update and backpropagation's, in degrees.

    Same weights, same batch, same precision; before optimiser and regulariser.
    """
    if model.net.objective_function is None:
        return _undefined(model, "the network has no objective")
    ours, theirs = changes.updates(model, x, y), changes.backprop_updates(model, x, y)
    angles: Readings = {}
    for name, update in theirs.items():
        angles[name] = angle_deg(ours[name], update)
        if angles[name] is None:
            _log.warning("%s: no angle to backpropagation, since an update is zero or not finite", name)
    return angles


def _undefined(model: Core, why: str) -> Readings:
    names = [p.name for p in model.net.driving if p.plasticity is not None]
    _log.warning("no angle to backpropagation: %s", why)
    return dict.fromkeys(names)


def orthogonality_deviations(model: Core) -> Readings:
    """‖G/s² − I‖_F/√n of every bottom-up projection with weights, G its Gram matrix; 0 is orthogonal."""
    found: Readings = {}
    for p in (p for p in model.net.driving if p.name in model.weights):
        name = p.name
        value = deviation(model.net.operator(p).blocks(model.matrix(name)))
        found[name] = value if math.isfinite(value) else None
        if found[name] is None:
            _log.warning("%s: no orthogonality deviation, since its weights are zero or not finite", name)
    return found


def credit_norms(model: Core, x: Any, y: Any) -> Readings:
    """Root mean square over presentations of ‖c‖ of each population; 0 where no credit arrives."""
    if model.net.objective_function is None:
        return {name: 0.0 for name in model.routes.order if name not in model.sources}
    credits = changes.credits(model, x, y)
    return {
        name: float(credits[name].flatten(1).norm(dim=1).square().mean().sqrt()) if name in credits else 0.0
        for name in model.routes.order
        if name not in model.sources
    }


@torch.no_grad()
@only_looking
def dead_units(model: Core, x: Any) -> Readings:
    """Share of each population's units whose rate is the same in every presentation."""
    _, rates = model.settle(model.presentations(x), credit=False)
    steps = 1 if model.unrolled is None else model.unrolled.steps
    return {
        name: float((r == r[:1]).reshape(len(r) * steps, -1).all(0).double().mean()) if len(r) > 1 else None
        for name, r in rates.items()
        if name not in model.sources
    }


def regulariser_shares(model: Core, x: Any, y: Any) -> Readings:
    """Regularisers' part of the gradient, ‖penalty‖ / (‖penalty‖ + ‖rule‖), by regularised projection.

    Hard orthogonality acts after the step and is not included.
    """
    soft = [p for p in model.net.driving if any(not isinstance(r, HardOrthogonality) for r in p.regularisers)]
    if not soft:
        return {}
    updates = changes.updates(model, x, y)
    shares: Readings = {}
    for p in soft:
        own = model.weights[p.name]
        pairs = gradients(p, model.net.operator(p), model.weights, model.feedback, model.noise)
        penalty = sum((g for w, g in pairs if w is own), torch.zeros_like(own))
        rule = updates[p.name].norm() if p.name in updates else torch.zeros(())
        both = float(penalty.norm() + rule)
        shares[p.name] = float(penalty.norm()) / both if both > 0 else None
    return shares


def diagnose(model: Core, x: Any, y: Any) -> dict[str, Readings]:
    """All diagnostics on one held-out batch, by name."""
    return {
        "angle_to_bp_deg": angles_to_backprop(model, x, y),
        "orthogonality_deviation": orthogonality_deviations(model),
        "credit_norm": credit_norms(model, x, y),
        "dead_units": dead_units(model, x),
        "regulariser_share": regulariser_shares(model, x, y),
    }
