"""Warnings about a learning curve: a loss that grew, nothing learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_GREW = 10.0
_WAY_OUT = "try a lower learning rate, an orthogonality regulariser, or more epochs"

Curve = Sequence[Mapping[str, Any]]


def growth(curve: Curve, part: str) -> str | None:
    """Warning if the objective grew to over ten times its first value; else None."""
    losses = [line.get(f"{part}_loss") for line in curve]
    known = [(n, loss) for n, loss in enumerate(losses) if loss is not None]
    if not known or not known[0][1] > 0:
        return None
    first = known[0][1]
    for number, loss in known[1:]:
        if loss > _GREW * first:
            return (
                f"the {_said(part)} objective grew from {first:.3g} to {loss:.3g} by epoch "
                f"{curve[number].get('epoch', number)}; {_WAY_OUT}"
            )
    return None


def learned(curve: Curve, part: str, chance: float | None, presentations: int) -> str | None:
    """Warning if the end of a curve is no better than its beginning, or than chance; else None.

    Parameters
    ----------
    curve : list of dict
        Evaluations, from before the first update to the end.
    part : str
        Part of the data that its ``PART_loss`` and ``PART_accuracy`` belong to.
    chance : float or None
        Accuracy of the best constant answer; see `chance_of`.
    presentations : int
        Number of presentations behind the accuracy.
    """
    accuracy = curve[-1].get(f"{part}_accuracy")
    if chance is not None and accuracy is not None:
        spread = 2 * (chance * (1 - chance) / presentations) ** 0.5
        if accuracy <= chance + spread:
            return (
                f"nothing was learned: the {_said(part)} accuracy, {accuracy:.1%}, is at chance level, "
                f"{chance:.1%}, or within two standard deviations of it; {_WAY_OUT}"
            )
    first, last = curve[0].get(f"{part}_loss"), curve[-1].get(f"{part}_loss")
    if len(curve) > 1 and first is not None and last is not None and last >= first:
        return (
            f"nothing was learned: the {_said(part)} objective, {last:.4g}, is not below the {first:.4g} "
            f"before training; {_WAY_OUT}"
        )
    return None


def chance_of(y: Any) -> float | None:
    """Accuracy of always answering with the most frequent class; None where there are no classes."""
    labels = np.asarray(y)
    labels = labels if labels.ndim == 1 else labels.argmax(1)
    if not len(labels):
        return None
    share = float(np.unique(labels, return_counts=True)[1].max()) / len(labels)
    return share if share < 1 else None


def _said(part: str) -> str:
    return "training" if part == "train" else part
