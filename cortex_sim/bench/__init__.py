"""Benchmarks: one question per file, each against plain idiomatic torch, side by side in one run."""
