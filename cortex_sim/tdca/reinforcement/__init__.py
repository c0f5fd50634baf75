"""Reinforcement learning by inner runs: environments in batches, policies, credit from returns."""
