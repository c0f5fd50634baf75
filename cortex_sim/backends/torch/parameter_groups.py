"""Parameter groups of an optimiser: weights of projections, and the rest, which by custom does not decay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from cortex_sim.backends.torch.core import Core
from cortex_sim.checks import require_known
from cortex_sim.errors import RunError

#: What weight decay acts on: every parameter, as torch does, or weights of projections alone.
DECAYS = ("all", "weights")


@dataclass(frozen=True)
class Parameters:
    """Trainable parameters of a model.

    Parameters
    ----------
    every : list of Parameter
        In the model's order.
    weights : list of Parameter
        Those of projections, bottom-up, lateral and top-down, and of auxiliary units.
    rest : list of Parameter
        All others: biases, gains and offsets.
    """

    every: list[nn.Parameter]
    weights: list[nn.Parameter]
    rest: list[nn.Parameter]


def parameters_of(model: Core) -> Parameters:
    """Trainable parameters of a model, weights of projections separately.

    Raises
    ------
    RunError
        If nothing learns.
    """
    every = [p for p in model.parameters() if p.requires_grad]
    if not every:
        raise RunError(
            f"network {model.net.name}: nothing to train, no projection has plasticity; give one a rule, or "
            "use net.with_rule(...)"
        )
    holders = (model.weights, model.feedback.learned, model.feedback.auxiliary)
    ours = {id(p) for holder in holders for p in holder.values()}
    return Parameters(every, [p for p in every if id(p) in ours], [p for p in every if id(p) not in ours])


def groups(found: Parameters, decay: Any, owner: str, settings: Mapping[str, Any], cls: Any) -> list[Any]:
    """Parameters for a torch optimiser: as a list, or in two groups of which the second does not decay.

    Raises
    ------
    RunError
        If ``decay`` is unknown, or the optimiser has no weight decay.
    """
    require_known(f"{owner}: decay", decay, dict.fromkeys(DECAYS), RunError)
    if decay == "all":
        return list(found.every)
    import inspect

    known = inspect.signature(cls).parameters
    if "weight_decay" not in known:
        raise RunError(f"{owner}: has no weight_decay, so decay={decay} has no effect; leave it out")
    if not settings.get("weight_decay", known["weight_decay"].default):
        raise RunError(
            f"{owner}: decay={decay}, but weight_decay is 0; give weight_decay, or leave decay out"
        )
    exempt = [{"params": found.rest, "weight_decay": 0.0}] if found.rest else []
    return [{"params": found.weights}, *exempt]
