"""Runs on the known session."""

from cortex_sim.experiments import running


def run(experiment, **settings):
    return running.run(experiment, "brian2", 3, progress=False, **settings)
