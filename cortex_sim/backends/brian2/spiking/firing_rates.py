"""Regularisation of firing rates: synapses keep their unit near a target rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_positive


@known_settings
@dataclass(frozen=True)
class FiringRates:
    """Regularisation E_f = ½ λ Σ_i (f_i − f*)², f_i the mean firing rate of a unit in a batch of trials.

    Its change is added to that of the objective: Δw_ij = η λ (f* − f_i) ⟨mean over steps of e_ij⟩/dt, with e
    the eligibility trace before the readout's leak. Since f_i is the mean over the batch, the change of a
    batch is not the mean of its trials' changes.

    Parameters
    ----------
    target_hz : float, default 10.0
        f*, in spikes/s; positive.
    strength : float, default 1e-4
        λ, per (spikes/s)²; positive.

    References
    ----------
    Bellec et al. (2020), doi:10.1038/s41467-020-17236-y, Methods, "Firing-rate regularization".
    """

    target_hz: float = 10.0
    strength: float = 1e-4

    def __post_init__(self) -> None:
        require_positive("FiringRates", target_hz=self.target_hz, strength=self.strength)

    def change(self, spikes: np.ndarray, eligibility: np.ndarray, dt_ms: float) -> np.ndarray:
        """Δw/η (post, …), from spikes (step, trial, post) and means over trials of Σ_t e (post, …)."""
        per_second = 1000 / (dt_ms * len(spikes))
        rate = spikes.mean(1).sum(0) * per_second
        short = (self.target_hz - rate).reshape(-1, *(1,) * (eligibility.ndim - 1))
        return np.asarray(self.strength * short * eligibility * per_second)
