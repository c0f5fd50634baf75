"""For eyes: networks as tables and drawings, recordings as figures; each is loaded when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# No module may be called as a figure is: importing it would put it in the figure's place.
_FIGURES = {
    "compare_arms": "arms",
    "keep": "keeping",
    "raster": "rasters",
    "time_course": "time_courses",
    "tuning_curves": "tuning",
    "weight_trajectories": "weights",
}

__all__ = ["compare_arms", "keep", "raster", "time_course", "tuning_curves", "weight_trajectories"]


def __getattr__(name: str) -> Any:
    if name in _FIGURES:
        return getattr(import_module(f"cortex_sim.viz.{_FIGURES[name]}"), name)
    raise AttributeError(f"module 'cortex_sim.viz' has no attribute {name!r}")
