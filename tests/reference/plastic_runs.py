"""Parallel inner runs under rules whose top-down weights learn, and what their tests share."""

import numpy as np
import torch

from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort, start

RUNS, PRESENTATIONS = 3, 5
#: Off their start, so that no number is 0 or 1 by chance.
TRAINED = {"log_gain": 0.4, "log_decay_up": -2.5, "log_decay_down": -3.0, "log_scale": -0.7}


def cohort_of(net, rule, step, runs=RUNS):
    """Inner runs without a schedule, seeds 0, 1, …"""
    cohort = Cohort(architecture(net), rule, step, runs, dtype=torch.float64)
    cohort.begin(torch.ones(runs, dtype=torch.bool), torch.arange(runs), torch.full((runs,), 1e12))
    return cohort


def parameters_of(rule, step, body):
    """Outer parameters at their start, but those of `TRAINED`."""
    named = {name: torch.as_tensor(p) for name, p in start(rule, step, 0, body).items()}
    trained = {name: torch.tensor(value, dtype=torch.float64) for name, value in TRAINED.items()}
    return named | {name: value for name, value in trained.items() if name in named}


def presented(net, number):
    """Stimuli and one-hot targets of all runs."""
    rng = np.random.default_rng(number)
    inputs, outputs = net.populations["retina"].size, net.populations["IT"].size
    x = rng.normal(size=(RUNS, PRESENTATIONS, inputs))
    return torch.as_tensor(x), torch.eye(outputs, dtype=torch.float64)[rng.integers(0, outputs, x.shape[:2])]


def softmax(a):
    """Of each presentation."""
    e = np.exp(a - a.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
