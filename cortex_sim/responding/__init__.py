"""Responses of a network to stimuli: trained or not, at equilibrium or in time, kept for the next call.

`respond_to` takes anything that has a state: a run directory, a checkpoint, a file of `cortex_sim.save`, a
model or simulation in memory; or, untrained, a network or a model's name.
"""

from cortex_sim.data.fitting import View
from cortex_sim.responding.candidates import Candidate, candidate
from cortex_sim.responding.in_time import InTime
from cortex_sim.responding.presenting import respond_to
from cortex_sim.responding.subject import Subject

__all__ = ["Candidate", "InTime", "Subject", "View", "candidate", "respond_to"]
