"""Neural data with a known truth: a population's responses, and single presentations of it with noise."""

import numpy as np

from cortex_sim.compare.responses import Responses


def population(rng, stimuli, neuroids):
    """Responses whose axes have variances 1, 1/2, 1/3, …, in a random basis, on different baselines."""
    axes = np.linalg.qr(rng.normal(size=(neuroids, neuroids)))[0]
    values = rng.normal(size=(stimuli, neuroids)) * np.arange(1, neuroids + 1) ** -0.5 @ axes
    return values / values.std() + rng.normal(size=neuroids)


def planted(seed, stimuli=60, neuroids=40, repeats=10, noise=1.5, missing=0.0):
    """(truth, data): noise is the standard deviation of one presentation over that of the signal.

    It differs between neuroids. A share ``missing`` of the presentations is NaN, for all neuroids at once.
    """
    rng = np.random.default_rng(seed)
    true = population(rng, stimuli, neuroids)
    spread = noise * rng.uniform(0.3, 1.7, size=neuroids)
    single = true + rng.normal(size=(repeats, stimuli, neuroids)) * spread
    lost = rng.random((repeats, stimuli)) < missing
    lost[: min(4, repeats)] = False
    single[lost] = np.nan
    names = [f"image {i}" for i in range(stimuli)]
    return (
        Responses("truth", names, true),
        Responses("data", names, np.nanmean(single, axis=0), single),
    )


def unrelated(data, seed, neuroids=53):
    """Another population, which has nothing to do with the data."""
    values = population(np.random.default_rng(seed), len(data), neuroids)
    return Responses("unrelated", data.stimuli, values)
