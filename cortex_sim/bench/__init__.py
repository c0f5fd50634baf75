"""Benchmarks: one question a file, each against plain idiomatic torch, side by side in one run."""
