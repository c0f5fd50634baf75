"""Trajectories of learning: statistics of populations over training, and inference of the rule from them."""
