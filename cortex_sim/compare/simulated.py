"""Noisy recordings simulated from a model, with the data's numbers of neuroids and repeats, and noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cortex_sim.checks import look_up, require_count
from cortex_sim.compare.ceilings import split_half
from cortex_sim.compare.rdms import Measure, measure_named, rdm
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.compare.ridge import Ridge
from cortex_sim.errors import DataError

SPLITS = 100  # of the repeats, for the reliability of the data
INNER = 10  # folds in which the penalty of a fitted readout is chosen
MEASURES = {
    "correlation": "correlation",
    "1 - r": "correlation",
    "euclidean": "euclidean",
}  # as data name them


@dataclass(frozen=True, eq=False)
class Noise:
    """How unreliable recordings are.

    Parameters
    ----------
    reliability : array of shape (neuroid,)
        Share of signal in the variance of each neuroid's mean over repeats, 0 to 1.
    present : array of bool of shape (repeat, stimulus, neuroid)
        Which repeats there are.
    residuals : array of shape (presentation, neuroid)
        Deviations of single presentations from their stimulus's mean, of unit variance per neuroid; noise is
        drawn from these, so that it is shared among neuroids as in the data. Empty where the data have no
        complete repeats: noise is then Gaussian and independent.
    repeated : bool
        Whether simulated recordings hold repeats, or only their means, like the data.
    """

    reliability: Array
    present: Array
    residuals: Array
    repeated: bool = True


def noise_of(
    neural: Responses, *, reliability: ArrayLike | None = None, repeats: int | None = None, seed: int = 0
) -> Noise:
    """The noise of neural data, or that of ``repeats`` repeats of each stimulus in the same experiment.

    Parameters
    ----------
    neural : Responses
    reliability : float or array of shape (neuroid,), optional
        Reliability of the mean over the data's repeats; needed where the data hold only means. By default
        split-half over repeats with the Spearman-Brown correction.
    repeats : int, optional
        Another number of repeats; the reliability follows by Spearman-Brown.
    seed : int
        Seed of the splits.

    Raises
    ------
    DataError
        If the reliability is unknown, or not between 0 and 1.
    """
    own, there = _own_reliability(neural, reliability, seed), _present(neural)
    if repeats is not None:
        require_count("simulated recording", repeats=repeats)
        if neural.repeats is None:
            raise DataError(
                f"responses {neural.name}: hold means over an unknown number of repeats, so another number "
                f"of repeats cannot be simulated; give Responses(repeats=...), or the reliability that they "
                f"would have"
            )
        factor = repeats * _mean_inverse(there)
        own = factor * own / (1 + (factor - 1) * own)
        there = np.ones((repeats, *there.shape[1:]), bool)
    return Noise(own, there, _residuals(neural), neural.repeats is not None)


def _own_reliability(neural: Responses, given: ArrayLike | None, seed: int) -> Array:
    if given is None:
        if neural.repeats is None:
            raise DataError(
                f"responses {neural.name}: no repeats, so their noise is unknown; give "
                f"Responses(repeats=...), or reliability=, such as that of another session"
            )
        return split_half(neural, splits=SPLITS, seed=seed).corrected
    own = np.broadcast_to(np.asarray(given, dtype=np.float64), (neural.neuroids,)).copy()
    if not ((own >= 0) & (own <= 1)).all():
        raise DataError(
            f"responses {neural.name}: reliability must lie between 0 and 1. Got {own.min():g} to "
            f"{own.max():g}"
        )
    return own


def _present(neural: Responses) -> Array:
    return np.ones((1, *neural.values.shape), bool) if neural.repeats is None else np.isfinite(neural.repeats)


def _mean_inverse(there: Array) -> Array:
    """Mean over stimuli of 1/R for R repeats: the noise of means relative to that of one presentation."""
    return np.asarray((1 / there.sum(axis=0)).mean(axis=0))


def _residuals(neural: Responses) -> Array:
    """Single presentations minus their stimulus's mean, of unit variance; only those of all neuroids."""
    none = np.empty((0, neural.neuroids))
    if neural.repeats is None:
        return none
    count = np.isfinite(neural.repeats).sum(axis=0)
    mean = np.nansum(neural.repeats, axis=0) / count
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (neural.repeats - mean) * np.sqrt(count / (count - 1))
    complete = left[np.isfinite(left).all(axis=2)]
    size = complete.std(axis=0) if len(complete) > 1 else np.zeros(neural.neuroids)
    return complete / size if (size > 0).all() else none


def tuned_like(
    model: Responses, neural: Responses, readout: str, rng: np.random.Generator, neuroids: int | None = None
) -> Array:
    """Responses without noise of neuroids that read out a model, shape (stimulus, neuroid).

    Parameters
    ----------
    model : Responses
        Possibly with more stimuli than the data; tuning is returned for all.
    neural : Responses
    readout : {"fitted", "random", "contrasts", "units"}
        "fitted": the linear readout that predicts each recorded neuroid best (ridge, penalty by
        cross-validation), of zero mean and unit variance. The simulated data then resemble the real ones as
        closely as this model allows, and the question is the same as for the real data. "random": Gaussian
        weights, which preserve distances between stimuli on average. "contrasts": Gaussian weights that sum
        to 0 for each neuroid, which preserve correlations between stimuli over units. "units": single units,
        which preserve the population's axes as well. A metric without a fit (RSA, CKA) compares what the last
        three preserve; a fitted readout changes it, so that another candidate may score higher even without
        noise.
    rng : numpy.random.Generator
    neuroids : int, optional
        Number of neuroids, by default as many as were recorded.
    """
    signal = look_up("readout", readout, READOUTS, DataError)(model, neural, rng, neuroids)
    mean, size = signal.mean(axis=0), signal.std(axis=0)
    flat = size <= 1e-12 * np.abs(signal).max()
    if flat.all():
        raise DataError(
            f"responses {model.name}: no readout of this population varies over stimuli, so no recording can "
            f"be simulated from it; leave it out"
        )
    if readout == "fitted":
        return np.where(flat, 0.0, (signal - mean) / np.where(flat, 1.0, size))
    return np.where(flat, mean, signal)


def _fitted(model: Responses, neural: Responses, rng: np.random.Generator, neuroids: int | None) -> Array:
    if not neural.neuroids:
        raise DataError("readout fitted: needs the neuroids that were recorded; use readout random")
    at = {stimulus: i for i, stimulus in enumerate(model.stimuli)}
    known = [at[stimulus] for stimulus in neural.stimuli]
    inner = rng.permutation(np.arange(len(known)) % min(INNER, len(known)))
    mapping = Ridge().fit(model.values[known], neural.values, inner)
    which = slice(None) if neuroids is None else rng.integers(neural.neuroids, size=neuroids)
    return np.asarray(mapping.predict(model.values)[:, which])


def _random(model: Responses, neural: Responses, rng: np.random.Generator, neuroids: int | None) -> Array:
    return np.asarray(model.values @ rng.normal(size=(model.neuroids, neuroids or neural.neuroids)))


def _contrasts(model: Responses, neural: Responses, rng: np.random.Generator, neuroids: int | None) -> Array:
    return _random(without_mean_over_units(model), neural, rng, neuroids)


def without_mean_over_units(model: Responses) -> Responses:
    """Each stimulus's pattern less its mean over units, to which correlations of patterns are insensitive."""
    return replace(model, values=model.values - model.values.mean(axis=1, keepdims=True), repeats=None)


def _units(model: Responses, neural: Responses, rng: np.random.Generator, neuroids: int | None) -> Array:
    count = neuroids or neural.neuroids
    varying = np.flatnonzero(np.ptp(model.values, axis=0) > 0)
    if not len(varying):
        return np.zeros((len(model), count))
    return model.values[:, rng.choice(varying, size=count, replace=count > len(varying))]


#: How neuroids read out a model, by name.
READOUTS: dict[str, Callable[..., Array]] = {
    "fitted": _fitted,
    "random": _random,
    "contrasts": _contrasts,
    "units": _units,
}


def recorded(
    model: Responses, tuning: Array, noise: Noise, rng: np.random.Generator, like: Responses
) -> Responses:
    """Noisy repeats of responses with this tuning, with each neuroid's reliability.

    A neuroid's mean over repeats has ρ of its variance from the signal, and 1 − ρ from noise, on average over
    stimuli; its mean over stimuli stays that of its tuning.
    """
    present = _fitting(noise.present, len(tuning), rng)
    mean, size = tuning.mean(axis=0), tuning.std(axis=0)
    scale = np.where(size > 0, size, np.median(size[size > 0]) if size.any() else 1.0)
    signal = np.sqrt(noise.reliability) * (tuning - mean)
    spread = scale * np.sqrt((1 - noise.reliability) / _mean_inverse(present))
    if len(noise.residuals):
        drawn = noise.residuals[rng.integers(len(noise.residuals), size=present.shape[:2])]
    else:
        drawn = rng.normal(size=present.shape)
    repeats = np.where(present, mean + signal + spread * drawn, np.nan)
    means = np.nansum(repeats, axis=0) / present.sum(axis=0)
    return Responses(
        f"simulated from {model.name}", model.stimuli, means, repeats if noise.repeated else None, like.units,
        groups=like.groups if len(model) == len(like) else None,
    )  # fmt: skip


def _fitting(present: Array, stimuli: int, rng: np.random.Generator) -> Array:
    """Pattern of missing repeats for another number of stimuli, drawn at random from the data's stimuli."""
    if present.shape[1] == stimuli:
        return present
    return present[:, rng.integers(present.shape[1], size=stimuli)]


def simulated(
    model: Responses,
    neural: Responses,
    *,
    readout: str = "fitted",
    noise: Noise | None = None,
    rng: np.random.Generator,
) -> Responses:
    """A recording as if the neuroids read out this model, with the data's neuroids, repeats and reliability.

    Parameters
    ----------
    model : Responses
        With the stimuli of the neural data first, or only these.
    neural : Responses
    readout : {"fitted", "random", "contrasts", "units"}
        See `tuned_like`.
    noise : Noise, optional
        By default `noise_of` the data.
    rng : numpy.random.Generator

    Returns
    -------
    Responses
        For all stimuli of the model.
    """
    noise = noise_of(neural) if noise is None else noise
    return recorded(model, tuned_like(model, neural, readout, rng), noise, rng, neural)


def simulated_rdms(
    model: Responses,
    data: Dissimilarities,
    *,
    agreement: float | None = None,
    neuroids: int = 100,
    rng: np.random.Generator,
) -> Dissimilarities:
    """RDMs of subjects whose neuroids read out this model, as different from each other as the data's.

    Every subject's neuroids are random readouts that preserve the model's RDM on average. Noise is added to
    the responses, so much that RDMs of two subjects have the same mean correlation as in the data.

    Parameters
    ----------
    model : Responses
    data : Dissimilarities
    agreement : float, optional
        Mean Pearson correlation between RDMs of different subjects; needed where there is only one RDM.
    neuroids : int, default 100
        Number in each subject, which RDMs do not reveal.
    rng : numpy.random.Generator

    Raises
    ------
    DataError
        If the agreement is unknown, or cannot be reached with this model even without noise.
    """
    wanted = _agreement(data) if agreement is None else agreement
    measure = measure_named(MEASURES.get(data.measure, "correlation"), "identity")
    subjects = max(2, len(data.values))
    clean = [_readout(model, measure, neuroids, rng) for _ in range(subjects)]
    white = [rng.normal(size=one.shape) for one in clean]

    def of(share: float) -> Array:
        noisy = [share**0.5 * one + (1 - share) ** 0.5 * two for one, two in zip(clean, white, strict=True)]
        each = [rdm(replace(model, values=one, repeats=None, units={}), measure).values[0] for one in noisy]
        return np.stack(each)

    values = of(_share_for(wanted, of, model.name))
    return Dissimilarities(
        f"simulated from {model.name}", model.stimuli, values[: len(data.values)], data.units, data.measure
    )


def _readout(model: Responses, measure: Measure, neuroids: int, rng: np.random.Generator) -> Array:
    """Random readouts that preserve the measure's RDM on average, with unit variance over the population."""
    kept = without_mean_over_units(model) if measure.name == "correlation" else model
    values = kept.values - (0.0 if measure.name == "correlation" else kept.values.mean(axis=0))
    signal = values @ rng.normal(size=(model.neuroids, neuroids))
    size = float(np.sqrt(((signal - signal.mean(axis=0)) ** 2).mean()))
    if not size:
        raise DataError(f"responses {model.name}: do not vary over stimuli; leave this population out")
    return np.asarray(signal / size)


def _agreement(data: Dissimilarities) -> float:
    if len(data.values) < 2:
        raise DataError(
            f"RDMs {data.name}: there is only one, so its noise is unknown; give agreement=, the correlation "
            f"between RDMs of two subjects, or the responses themselves"
        )
    return _mean_correlation(data.values[:, np.isfinite(data.values).all(axis=0)])


def _mean_correlation(rdms: Array) -> float:
    found = np.corrcoef(rdms)
    return float(found[np.triu_indices(len(found), 1)].mean())


def _share_for(wanted: float, of: Callable[[float], Array], name: str) -> float:
    """Share of signal at which RDMs correlate as wanted, by bisection."""
    if not 0 < wanted < 1:
        raise DataError(f"simulated RDMs: the agreement must lie between 0 and 1. Got {wanted:g}")
    reached = _mean_correlation(of(1.0))
    if reached < wanted:
        raise DataError(
            f"simulated RDMs: those of {name} have a correlation of at most {reached:.2f} between subjects, "
            f"less than the data's {wanted:.2f}; simulate more neuroids"
        )
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if _mean_correlation(of(middle)) < wanted else (low, middle)
    return high
