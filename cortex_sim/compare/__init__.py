"""Comparing simulated responses with neural data: metrics, ceilings, inference, model recovery.

Everything here works on `Responses` and `Dissimilarities`, arrays with names; `cortex_sim.report.compare`
makes them from recordings, runs and files, and does all of it in one call.
"""

from cortex_sim.compare.baselines import gabor_responses, pixel_responses
from cortex_sim.compare.bootstrap import interval
from cortex_sim.compare.ceilings import split_half
from cortex_sim.compare.choosing import cross_fitted
from cortex_sim.compare.cka import Cka
from cortex_sim.compare.decoding import decode, decode_over_time
from cortex_sim.compare.folds import AcrossRuns, BlockedFolds, GroupedFolds, RandomFolds
from cortex_sim.compare.from_recordings import by_session, by_time_bin, to_dissimilarities, to_responses
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.recovery import recover
from cortex_sim.compare.responses import Dissimilarities, Responses, matched
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.separating import needed, verdict
from cortex_sim.compare.shape_distance import ShapeDistance
from cortex_sim.compare.soft_matching import SoftMatching

__all__ = [
    "AcrossRuns",
    "BlockedFolds",
    "Cka",
    "Dissimilarities",
    "GroupedFolds",
    "Predictivity",
    "RandomFolds",
    "Responses",
    "Rsa",
    "ShapeDistance",
    "SoftMatching",
    "by_session",
    "by_time_bin",
    "cross_fitted",
    "decode",
    "decode_over_time",
    "gabor_responses",
    "interval",
    "matched",
    "needed",
    "pixel_responses",
    "recover",
    "split_half",
    "to_dissimilarities",
    "to_responses",
    "verdict",
]
