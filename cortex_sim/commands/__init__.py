"""Commands of the command line, one file per group; importing them registers them."""

from cortex_sim.commands import (
    bench,
    compare,
    demo,
    evaluate,
    evolve,
    look,
    report,
    respond,
    shard,
    simulate,
    sweep,
    train,
    watch,
)

__all__ = [
    "bench",
    "compare",
    "demo",
    "evaluate",
    "evolve",
    "look",
    "report",
    "respond",
    "shard",
    "simulate",
    "sweep",
    "train",
    "watch",
]
