"""A recording of two arms, to draw."""

import numpy as np
import xarray as xr

ARMS, TRIALS, BINS = ["intact", "cut"], 6, 5
UNITS = {"retina": 4, "IT": 3}


def recorded(timed=True, seed=0, arms=ARMS):
    """Two arms of a probe of two presentations, six trials and a probe; snapshots after 0, 2, 4, 6 trials."""
    rng = np.random.default_rng(seed)
    stage = (["probe"] * 2 + ["trial"] * TRIALS + ["probe"] * 2) * len(arms)
    stimulus = ["0", "1", *(str(i % 3) for i in range(TRIALS)), "0", "1"] * len(arms)
    dims = ("presentation", "neuroid", "time_bin")[: 3 if timed else 2]
    shape = (len(stage), sum(UNITS.values()), BINS)[: len(dims)]
    coordinates = {
        "stimulus_id": ("presentation", stimulus),
        "arm": ("presentation", np.repeat(arms, len(stage) // len(arms))),
        "stage": ("presentation", stage),
        "population": ("neuroid", np.repeat(list(UNITS), list(UNITS.values()))),
        "neuroid_id": ("neuroid", [f"{name}/{i}" for name, n in UNITS.items() for i in range(n)]),
        "snapshot_arm": ("snapshot", np.repeat(arms, 4)),
        "snapshot_trial": ("snapshot", [0, 2, 4, 6] * len(arms)),
    }
    if timed:
        edges = 10.0 * np.arange(BINS + 1)
        coordinates |= {
            "time_bin_start": ("time_bin", edges[:-1]),
            "time_bin_end": ("time_bin", edges[1:]),
            "phase": ("time_bin", ["settle"] * 2 + ["learn"] * 2 + ["interval"]),
        }
    weights = ("snapshot", "post:retina->IT", "pre:retina->IT")
    return xr.Dataset(
        {
            "rate": (dims, rng.normal(size=shape)),
            "credit": (dims, rng.normal(size=shape)),
            "weight:retina->IT": (weights, rng.normal(size=(4 * len(arms), 3, 4))),
        },
        coordinates,
    )
