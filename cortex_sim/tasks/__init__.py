"""Tasks: closed loops with environments of gymnasium and trials of neurogym, and sequences as arrays.

Neither package is imported.
"""

from cortex_sim.tasks.environment import environment
from cortex_sim.tasks.sequences import by_rows, delayed_match, pattern_generation
from cortex_sim.tasks.spike_trains import poisson_spikes
from cortex_sim.tasks.trial_task import TaskTrials, trial_task

__all__ = ["TaskTrials", "by_rows", "delayed_match", "environment", "pattern_generation", "poisson_spikes"]
__all__ += ["trial_task"]
