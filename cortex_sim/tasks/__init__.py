"""Tasks as closed loops: environments of gymnasium and trials of neurogym, neither of which is imported."""

from cortex_sim.tasks.environment import environment
from cortex_sim.tasks.trial_task import TaskTrials, trial_task

__all__ = ["TaskTrials", "environment", "trial_task"]
