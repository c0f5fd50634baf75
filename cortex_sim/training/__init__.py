"""Training runs: settings, run directory, resuming."""
