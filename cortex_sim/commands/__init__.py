"""Commands of the command line, one file a family; importing them registers them."""

from cortex_sim.commands import bench, demo, look, respond, simulate, train

__all__ = ["bench", "demo", "look", "respond", "simulate", "train"]
