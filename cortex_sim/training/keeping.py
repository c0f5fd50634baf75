"""States that a run writes beside its checkpoint: the best evaluation's, and the averaged weights."""

from __future__ import annotations

from pathlib import Path

from cortex_sim.backends.torch import weights
from cortex_sim.backends.torch.training import Trainer
from cortex_sim.training.choosing import Lines, best
from cortex_sim.training.settings import Settings

BEST, AVERAGED = "best.safetensors", "averaged.safetensors"


def keep(settings: Settings, out: Path, trainer: Trainer, lines: Lines, measure: str) -> None:
    """Write the averaged weights, and the weights of the newest evaluation if it is the best so far.

    Both are states, which `cortex_sim.load` reads. A run resumed from a checkpoint before an evaluation
    repeats it and writes the same states.
    """
    model, average = trainer.model, trainer.average
    if average is not None:
        average.state(model).save(out / AVERAGED)
    if settings.keep_best and best(lines, measure) == len(lines) - 1:
        averaged = average is not None and measure.startswith("ema_")
        state = average.state(model) if averaged and average is not None else weights.state(model)
        state.save(out / BEST)
