"""``cortex-sim evolve``: an outer loop in its run directory, started, interrupted, resumed, tested."""
