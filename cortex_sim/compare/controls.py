"""Controls: what the metric says where the model cannot have a point, or has not learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.compare.bootstrap import interval, quantile
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.paired import Difference, paired
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.compare.shifted import shifted
from cortex_sim.errors import DataError

STRICT = 0.99  # level at which a control counts as away from chance
FAR = 0.05  # chance level from which a reader must be warned


@dataclass(frozen=True)
class Control:
    """One control.

    Parameters
    ----------
    name : str
        "permuted", "shifted" or "untrained".
    score : float
        Permuted and untrained: the mean over permutations or networks.
    low, high : float
        Permuted: the range at the level that single permutations reach; else the interval of the score.
    chance : float, optional
        Difference from the mean over permutations, in standard deviations of these.
    """

    name: str
    score: float
    low: float
    high: float
    chance: float | None = None


@dataclass(frozen=True)
class Controls:
    """The controls of one score, and what they say against it.

    Parameters
    ----------
    model : Control
        The score itself, for comparison.
    permuted, shifted : Control
    untrained : Control, optional
    gain : Difference, optional
        Of the model over the untrained network.
    warnings : tuple of str
        One sentence for each control that is not where it should be; empty if all are.
    """

    model: Control
    permuted: Control
    shifted: Control
    untrained: Control | None
    gain: Difference | None
    warnings: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What the controls say, in plain words."""
        parts = [
            f"score {self.model.score:.3f}; with permuted stimuli {self.permuted.score:.3f} "
            f"({self.permuted.low:.3f} to {self.permuted.high:.3f}), shifted {self.shifted.score:.3f}"
        ]
        parts.append(
            "no untrained network was given"
            if self.untrained is None
            else f"untrained {self.untrained.score:.3f}"
        )
        return ", ".join(parts) + ". " + (" ".join(self.warnings) or "No control speaks against the score.")


def controls(
    metric: Metric,
    model: Responses,
    neural: Responses | Dissimilarities,
    *,
    untrained: Responses | Sequence[Responses] | None = None,
    evaluation: Evaluation | None = None,
    permutations: int = 20,
    shift: int = 1,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Controls:
    """Evaluate the metric with permuted and shifted stimuli, and for untrained networks.

    Permuted: the model's responses in random order, which gives the chance level of this metric for
    this population and these data; it is not 0 for metrics that are fitted to the stimuli on which they are
    scored. Shifted: each at the place of the stimulus before; away from chance where neighbouring stimuli are
    alike, in time or because stimuli are sorted, and then random folds leak. Untrained: what architecture and
    preprocessing alone give.

    Parameters
    ----------
    metric : Metric
    model, neural : Responses, Responses or Dissimilarities
        The same stimuli in the same order (`matched`), best that of presentation.
    untrained : Responses, or sequence of them, optional
        The same population of untrained networks, with the same stimuli at the training resolution, in the
        same mode and by the same preprocessing.
    evaluation : Evaluation, optional
        That of the model, if it was already computed with this seed.
    permutations : int, default 20
        Each evaluates, and fits, once.
    shift : int, default 1
    level : float, default 0.95
        Of intervals.
    resamples : int
        For the intervals.
    seed : int
        Of the metric, and for the permutations.
    """
    require_count("controls", minimum=5, permutations=permutations)
    networks = [untrained] if isinstance(untrained, Responses) else list(untrained or [])
    found = metric.evaluate(model, neural, seed=seed) if evaluation is None else evaluation
    chance = _permuted(metric, model, neural, permutations, seed)
    moved = metric.evaluate(shifted(model, shift), neural, seed=seed)
    naive = [metric.evaluate(network, neural, seed=seed) for network in networks]
    gain = None
    if naive:
        gain = paired(
            {"model": found, "untrained": naive}, over="stimuli", level=level, resamples=resamples, seed=seed
        ).differences[0]
    seen = [
        _control("model", [found], chance, level, resamples, seed),
        _spread(chance, level),
        _control("shifted", [moved], chance, level, resamples, seed),
        _control("untrained", naive, chance, level, resamples, seed) if naive else None,
    ]
    own, permuted, by_shift, without = seen
    assert own is not None and permuted is not None and by_shift is not None
    warnings = tuple(_warnings(own, permuted, by_shift, without, gain, permutations))
    return Controls(own, permuted, by_shift, without, gain, warnings)


def permuted(model: Responses, rng: np.random.Generator) -> Responses:
    """The model's responses with its stimuli in random order, under the ids of the old one."""
    order = rng.permutation(len(model))
    return replace(
        model,
        name=f"{model.name} permuted",
        values=model.values[order],
        repeats=None if model.repeats is None else model.repeats[:, order],
    )


def _permuted(
    metric: Metric, model: Responses, neural: Responses | Dissimilarities, permutations: int, seed: int
) -> list[float]:
    rng = np.random.default_rng(seed)
    return [metric.evaluate(permuted(model, rng), neural, seed=seed).score() for _ in range(permutations)]


def _spread(chance: Sequence[float], level: float) -> Control:
    mean, reach = float(np.mean(chance)), float(np.std(chance, ddof=1)) * quantile(level, len(chance) - 1)
    return Control("permuted", mean, mean - reach, mean + reach, 0.0)


def _control(
    name: str,
    evaluations: Sequence[Evaluation],
    chance: Sequence[float],
    level: float,
    resamples: int,
    seed: int,
) -> Control:
    found = interval(list(evaluations), over="stimuli", level=level, resamples=resamples, seed=seed)
    size = float(np.std(chance, ddof=1)) * (1 + 1 / len(chance)) ** 0.5
    if size == 0:
        raise DataError(
            "controls: the metric gives one score for every permutation of the stimuli, so that chance is "
            "unknown; give more stimuli"
        )
    return Control(name, found.score, found.low, found.high, (found.score - float(np.mean(chance))) / size)


def _warnings(
    model: Control,
    permuted: Control,
    shifted: Control,
    untrained: Control | None,
    gain: Difference | None,
    permutations: int,
) -> list[str]:
    far = quantile(STRICT, permutations - 1)
    assert model.chance is not None and shifted.chance is not None
    found = []
    if abs(permuted.score) > FAR and not permuted.low <= 0 <= permuted.high:
        found.append(
            f"Chance is at {permuted.score:.3f} here, not at 0: read all scores of this metric against it."
        )
    if model.chance < far:
        found.append(
            f"The model's score, {model.score:.3f}, is not clearly above that of permuted stimuli "
            f"({permuted.low:.3f} to {permuted.high:.3f}): it shows no likeness."
        )
    if abs(shifted.chance) > far:
        found.append(
            f"With stimuli shifted by one the score is {shifted.score:.3f}, away from chance "
            f"({permuted.low:.3f} to {permuted.high:.3f}): neighbouring stimuli are alike, in time or "
            f"because they are sorted; use grouped or blocked folds, and read the score against this one."
        )
    if shifted.score >= model.score:
        found.append(
            f"The shifted control, {shifted.score:.3f}, is not below the model, {model.score:.3f}: the score "
            f"does not depend on which stimulus was presented."
        )
    if untrained is not None and gain is not None and gain.low <= 0:
        how = "above" if gain.difference < 0 else "not clearly below"
        found.append(
            f"The untrained network, {untrained.score:.3f}, is {how} the model, {model.score:.3f} "
            f"(difference {gain.low:.3f} to {gain.high:.3f}): the score owes nothing certain to learning."
        )
    return found
