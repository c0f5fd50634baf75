"""Random streams of a comparison, so that the draws made with one seed are independent of each other.

Folds draw from ``default_rng(seed)``, all else from ``default_rng([seed, STREAM, ...])``. numpy pads short
seeds with zeros, so no stream has number 0.
"""

CHOICE = 1  # halves on which a population is chosen: an interval must not halve the stimuli in the same way
RESAMPLES = 2  # of intervals and paired differences: folds must not be halved along their edges
PERMUTED = 3
SIMULATED = 4  # recordings, for recovery
POOLED = 5  # resamples of sessions and animals
