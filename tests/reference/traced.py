"""A rule with state of every kind, for tests of what is recorded and kept."""

from dataclasses import dataclass
from typing import ClassVar

import cortex_sim as cs


@dataclass(frozen=True)
class Traced:
    """State of every kind, and a rule that reads it."""

    state: ClassVar[dict] = {
        "mean": cs.PerPost(0.1), "seen": cs.PerPre(0.2), "trace": cs.PerSynapse(0.0),
        "modulator": cs.Global(1.0),
    }  # fmt: skip
    growth: ClassVar[dict] = {
        "w": "modulator * trace",
        "mean": "(r_post - mean) / (50 * ms)",
        "seen": "(r_pre - seen) / (50 * ms)",
        "trace": "(r_post * r_pre - trace) / (50 * ms)",
    }

    def change(self, w, r_pre, r_post, state):
        return state["modulator"] * state["trace"], dict(state)
