"""Reinforcement learning by inner runs: batched environments, policies, and credit from actions and returns."""
