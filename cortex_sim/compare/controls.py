"""Controls: scores of the metric with mismatched stimuli, and of untrained networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortex_sim.checks import require_count
from cortex_sim.compare.bootstrap import interval, quantile
from cortex_sim.compare.chance import PERMUTATIONS, Chance, moved, shares
from cortex_sim.compare.control_warnings import control_warnings
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.paired import Difference, paired
from cortex_sim.compare.responses import Dissimilarities, Responses
from cortex_sim.errors import DataError


@dataclass(frozen=True)
class Control:
    """One control. All scores are raw, since scores near 0 need not be divided by a ceiling.

    Parameters
    ----------
    name : str
        "model", "permuted", "shifted" or "untrained".
    score : float
        "permuted": the mean over permutations; otherwise the mean over networks.
    low, high : float
        "permuted": the range of single permutations at the level; otherwise the interval of the score.
    chance : float
        `Chance.distance` from the mean over permutations.
    """

    name: str
    score: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True)
class Controls:
    """The controls of one score, and what they say against it.

    Parameters
    ----------
    model : Control
        The raw score itself, for comparison.
    permuted, shifted : Control
    untrained : Control, optional
    gain : Difference, optional
        Gain of the model over the untrained network.
    chance : Chance
        What `shifted` and `permuted` were computed from.
    warnings : tuple of str
        One sentence for each control that is not where it should be; empty if all are.
    """

    model: Control
    permuted: Control
    shifted: Control
    untrained: Control | None
    gain: Difference | None
    chance: Chance
    warnings: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What the controls say, in plain words."""
        parts = [
            f"raw score {self.model.score:.3f}; with permuted stimuli {self.permuted.score:.3f} "
            f"({self.permuted.low:.3f} to {self.permuted.high:.3f}), shifted {self.shifted.score:.3f}",
            "no untrained network was given"
            if self.untrained is None
            else f"untrained {self.untrained.score:.3f}",
        ]
        said = "; ".join(self.warnings) or "no control speaks against the score"
        return f"{', '.join(parts)}; {said}"


def controls(
    metric: Metric,
    model: Responses | Sequence[Responses],
    neural: Responses | Dissimilarities,
    *,
    untrained: Responses | Sequence[Responses] | None = None,
    evaluation: Evaluation | Sequence[Evaluation] | None = None,
    permutations: int = PERMUTATIONS,
    shift: int = 1,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Controls:
    """Evaluate the metric with permuted and shifted stimuli, and for untrained networks.

    Permuted: stimuli in random order, which gives the chance level of this metric for this population and
    these data; it is not 0 for metrics that are fitted to the stimuli on which they are scored. Shifted: each
    response of the model replaced by that to the preceding stimulus; away from chance where neighbouring
    stimuli are alike, in time or because stimuli are sorted, and then random folds leak. Untrained: what
    architecture and preprocessing alone give. `cortex_sim.report.compare` reports the same numbers.

    Parameters
    ----------
    metric : Metric
    model : Responses, or sequence of them, one per training seed
    neural : Responses or Dissimilarities
        The same stimuli in the same order (`matched`), preferably the order of presentation.
    untrained : Responses, or sequence of them, optional
        The same population of untrained networks, with the same stimuli at the training resolution, in the
        same mode and with the same preprocessing.
    evaluation : Evaluation, or sequence of them, optional
        Evaluations of the model, if they were already computed with this seed.
    permutations : int, default 20
        Over all training seeds together; regressions are fitted once for all permutations of a network.
    shift : int, default 1
        Number of stimuli to shift by.
    level : float, default 0.95
        Confidence level of intervals.
    resamples : int
        Number of resamples for the intervals.
    seed : int
        Seed of the metric and of the permutations.
    """
    require_count("controls", minimum=5, permutations=permutations)
    models, networks = _listed(model), [] if untrained is None else _listed(untrained)
    if evaluation is None:
        found = [metric.evaluate(one, neural, seed=seed) for one in models]
    else:
        found = list(evaluation) if isinstance(evaluation, Sequence) else [evaluation]
    if len(found) != len(models) or not models:
        raise DataError(f"controls: give an evaluation for each model. Got {len(found)} for {len(models)}")
    each = [
        moved(metric, one, neural, own, permutations=share, shift=shift, seed=seed, network=number)
        for number, (one, own, share) in enumerate(
            zip(models, found, shares(permutations, len(models)), strict=True)
        )
    ]
    naive = [metric.evaluate(network, neural, seed=seed) for network in networks]
    chance = Chance.of([one.scores for one in each])

    def control(name: str, of: Sequence[Evaluation]) -> Control:
        known = interval(list(of), over="stimuli", level=level, resamples=resamples, seed=seed, raw=True)
        return Control(name, known.score, known.low, known.high, chance.distance(known.score))

    gain = None
    if naive:
        rules = {"model": found, "untrained": naive}
        gain = paired(
            rules, over="stimuli", level=level, resamples=resamples, seed=seed, raw=True
        ).differences[0]
    own, by_shift = control("model", found), control("shifted", [one.shifted for one in each])
    without = control("untrained", naive) if naive else None
    before = None if without is None else without.score
    said = control_warnings(own.score, chance, untrained=before, gain=gain)
    return Controls(own, _spread(chance, level), by_shift, without, gain, chance, tuple(said))


def _listed(given: Responses | Sequence[Responses]) -> list[Responses]:
    return [given] if isinstance(given, Responses) else list(given)


def _spread(chance: Chance, level: float) -> Control:
    reach = chance.spread * quantile(level, chance.permutations - 1)
    return Control("permuted", chance.permuted, chance.permuted - reach, chance.permuted + reach, 0.0)
