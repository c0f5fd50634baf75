"""Angular Procrustes shape distance: how far two populations are apart after the best rotation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.neuroid_evaluation import NeuroidEvaluation
from cortex_sim.compare.repeat_halves import noisy_copies
from cortex_sim.compare.representations import (
    check_convention,
    check_stimuli,
    counts,
    require_responses,
    varying,
)
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.errors import DataError


def cosine(x: Array, y: Array) -> float:
    """Cosine of the angle between centred X (stimulus, p) and Y (stimulus, q).

    ‖XᵀY‖_* / (‖X‖ ‖Y‖), ‖·‖_* the nuclear norm, the sum of singular values.
    """
    overlap = np.linalg.svd(_coordinates(x).T @ _coordinates(y), compute_uv=False).sum()
    return float(min(1.0, overlap / (np.linalg.norm(x) * np.linalg.norm(y))))


def shape_distance(x: Array, y: Array) -> float:
    """Angle θ in radians, 0 to π/2, between X (stimulus, p) and Y (stimulus, q); a metric.

    θ = arccos max_Q ⟨X, YQ⟩ / (‖X‖ ‖Y‖) over orthogonal Q, for centred X and Y, the narrower one padded with
    zeros. It is 0 between populations that differ by rotation, reflection, scale and offset.
    """
    x, y = (np.asarray(a, dtype=np.float64) - np.mean(a, axis=0) for a in (x, y))
    if not (np.linalg.norm(x) and np.linalg.norm(y)):
        raise DataError(
            "shape distance: the response of one population is the same to all stimuli; choose another"
        )
    return float(np.arccos(cosine(x, y)))


def _coordinates(values: Array) -> Array:
    """The responses rotated into at most as many columns as there are stimuli."""
    if values.shape[1] <= values.shape[0]:
        return values
    return np.asarray(np.linalg.qr(values.T, mode="r")).T


@dataclass(frozen=True)
class ShapeDistance:
    """Cosine of the Procrustes angle between two populations; higher is more alike, 1 the same shape.

    The distance itself, in radians, is the evaluation's ``angle``. The rotation is fitted to the stimuli on
    which it is scored. Unrelated populations are therefore not at 0 but closer to 1 the more units there are
    per stimulus (docs/metrics/shape-distance.md has a table): compare with shuffled stimuli, never with 0.

    Parameters
    ----------
    splits : int
        Random halves of the repeats, for the ceiling.
    convention : {"raw", "over_ceiling"}
        The score as it is, or divided by the ceiling.

    References
    ----------
    Williams, Kunz, Kornblith & Linderman (2021), NeurIPS, arXiv 2110.14739.
    """

    splits: int = 20
    convention: str = "raw"
    name: ClassVar[str] = "shape-distance"
    readout: ClassVar[str] = "random"  # for model recovery: preserves the shape
    strictness: ClassVar[str] = (
        "forgives rotation, reflection and one scale of the population, but no reweighting of its axes"
    )

    def __post_init__(self) -> None:
        check_convention(self.convention)
        require_count(self, splits=self.splits)

    def evaluate(
        self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0
    ) -> ShapeEvaluation:
        """Rotate the model onto the data; see `cortex_sim.compare.metric.Metric`. Units are neuroids."""
        neural = require_responses(self.name, neural)
        check_stimuli(self.name, model, neural)
        model, dead = varying(self.name, model)
        neural, flat = varying(self.name, neural)
        centred = model.values - model.values.mean(axis=0)
        return ShapeEvaluation(
            convention=self.convention,
            splits=self.splits,
            model=_coordinates(centred),
            neural=neural,
            excluded={"model": dead, "neural": flat},
            seed=seed,
        )


#: Share of the squared responses below which their variance is rounding error.
_ALIKE = 1e-12


@dataclass(frozen=True, eq=False, kw_only=True)
class ShapeEvaluation(NeuroidEvaluation):
    """The fitted rotation: see `cortex_sim.compare.metric.Evaluation`.

    Resampled stimuli are scored with the rotation fitted to all stimuli, since a fit to a sample with copies,
    which has fewer distinct stimuli, scores higher than the data themselves. To first order the maximum over
    rotations changes like the score at a fixed rotation. For resampled neuroids the rotation is fitted again
    to all stimuli, with one singular value decomposition each.
    """

    model: Array  # centred, in no more columns than stimuli

    @property
    def angle(self) -> float:
        """The distance in radians, 0 to π/2."""
        return float(np.arccos(self.raw()))

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Cosine of the angle."""
        rotated, y = self._whole if units is None else self._rotated(units)
        w = counts(stimuli, self.stimuli)
        overlap = _weighted_product(rotated, y, w)
        spreads = [_weighted_product(x, x, w) for x in (self.model, y)]
        sizes = [float(w @ np.einsum("ij,ij->i", x, x)) for x in (self.model, y)]
        if not all(spread > _ALIKE * size for spread, size in zip(spreads, sizes, strict=True)):
            raise DataError(
                f"shape-distance: the response of the model or of {self.neural.name} is the same to all "
                f"these stimuli; give more stimuli"
            )
        return float(min(1.0, overlap / np.sqrt(spreads[0] * spreads[1])))

    @cached_property
    def _whole(self) -> tuple[Array, Array]:
        return self._rotated(None)

    def _rotated(self, units: Numbers | None) -> tuple[Array, Array]:
        """The model on the axes of the neural data, and these data, centred."""
        y = self.neural.values if units is None else self.neural.values[:, units]
        y = _coordinates(y - y.mean(axis=0))
        left, _, right = np.linalg.svd(self.model.T @ y, full_matrices=False)
        return (self.model @ left) @ right, y

    def _reached_by_truth(self, data: Responses) -> float:
        """Cosine between a surrogate of the true responses and the same with noise.

        See `cortex_sim.compare.repeat_halves.noisy_copies`. The cosine between halves of the repeats,
        corrected by Spearman-Brown, would be too high where noise is large (docs/metrics/shape-distance.md).
        """
        pairs = noisy_copies(data, self.splits, self.seed)
        return float(np.mean([cosine(truth, noisy) for truth, noisy in pairs]))


def _weighted_product(x: Array, y: Array, w: Array) -> float:
    """Sum over stimuli of w_i (x_i − x̄)·(y_i − ȳ), the means weighted as well."""
    return float(w @ np.einsum("ij,ij->i", x, y) - (w @ x) @ (w @ y) / w.sum())
