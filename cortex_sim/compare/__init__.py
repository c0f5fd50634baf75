"""Comparing simulated responses with neural data: metrics, ceilings, inference, model recovery."""
