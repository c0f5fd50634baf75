"""Networks as tables and drawings, recordings as figures; each module is loaded when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

# No module may have the name of a figure: importing the module would replace the figure.
_FIGURES = {
    "compare_arms": "arms",
    "comparison_scores": "scores",
    "keep": "keeping",
    "neuroid_scatter": "scores",
    "overview": "overviews",
    "raster": "rasters",
    "rdm_panels": "matrices",
    "recovery_matrix": "matrices",
    "scores_over_time": "scores",
    "time_course": "time_courses",
    "tuning_curves": "tuning",
    "weight_trajectories": "weights",
}

__all__ = [
    "compare_arms",
    "comparison_scores",
    "keep",
    "neuroid_scatter",
    "overview",
    "raster",
    "rdm_panels",
    "recovery_matrix",
    "scores_over_time",
    "time_course",
    "tuning_curves",
    "weight_trajectories",
]


def __getattr__(name: str) -> Any:
    if name in _FIGURES:
        return getattr(import_module(f"cortex_sim.viz.{_FIGURES[name]}"), name)
    raise AttributeError(f"module 'cortex_sim.viz' has no attribute {name!r}")
