"""Warnings about a score that follow from its controls, in plain sentences."""

from __future__ import annotations

from cortex_sim.compare.chance import Chance
from cortex_sim.compare.paired import Difference

FAR = 0.05  # chance level from which a reader must be warned


def control_warnings(
    raw: float,
    chance: Chance | None = None,
    *,
    score: float | None = None,
    untrained: float | None = None,
    gain: Difference | None = None,
) -> list[str]:
    """One sentence for each control that is not where it should be; none if all are.

    Parameters
    ----------
    raw : float
        The model's raw score, which is compared with chance.
    chance : Chance, optional
    score : float, optional
        Score of the model, in the units of ``untrained``; by default ``raw``.
    untrained : float, optional
        Score of the same network before training.
    gain : Difference, optional
        Gain of the model over the untrained network; without it, means are compared.
    """
    found = [] if chance is None else _about_chance(raw, chance)
    if untrained is not None:
        found += _about_learning(raw if score is None else score, untrained, gain)
    return found


def _about_chance(raw: float, chance: Chance) -> list[str]:
    found = []
    level = f"{chance.permuted:.3f} ± {chance.spread:.3f} with permuted stimuli"
    if abs(chance.permuted) > FAR and abs(chance.permuted) > 2 * chance.spread:
        found.append(f"chance is not at 0 ({level}): read all scores of this metric against it")
    if chance.distance(raw) < chance.far:
        found.append(f"the raw score {raw:.3f} is not clearly above chance ({level}): no sign of similarity")
    if abs(chance.distance(chance.shifted)) > chance.far:
        found.append(
            f"responses to the preceding stimuli score {chance.shifted:.3f}, away from chance ({level}): "
            f"neighbouring stimuli are alike, in time or because they are sorted; use grouped or blocked "
            f"folds, and read the score against this one"
        )
    if chance.shifted >= raw:
        found.append(
            f"responses to the preceding stimuli score {chance.shifted:.3f}, no less than the model's "
            f"{raw:.3f}: the score does not depend on which stimulus was presented"
        )
    return found


def _about_learning(score: float, untrained: float, gain: Difference | None) -> list[str]:
    if gain is not None and gain.low <= 0 < gain.difference:
        return [
            f"the untrained network scores {untrained:.3f}, not clearly below the model's {score:.3f} "
            f"(difference {gain.low:.3f} to {gain.high:.3f}): no clear part of the score is due to learning"
        ]
    if untrained >= score:
        return [
            f"the untrained network scores {untrained:.3f}, no less than the model's {score:.3f}: training "
            f"did not make it more like these data"
        ]
    return []
