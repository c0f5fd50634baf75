"""Debiased linear CKA: how similar two populations' response geometries are, mainly on their largest axes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from cortex_sim.checks import require_count
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.neuroid_evaluation import NeuroidEvaluation
from cortex_sim.compare.repeat_halves import halves, mean_over_repeats
from cortex_sim.compare.representations import (
    check_convention,
    check_stimuli,
    counts,
    require_responses,
    varying,
)
from cortex_sim.compare.responses import Array, Dissimilarities, Responses
from cortex_sim.errors import DataError


def gram(values: Array) -> Array:
    """Inner products of centred responses (stimulus, neuroid), with zeros on the diagonal."""
    centred = values - values.mean(axis=0)
    products = centred @ centred.T
    np.fill_diagonal(products, 0.0)
    return np.asarray(products)


def hsic(x: Array, y: Array, weights: Array | None = None) -> float:
    """The unbiased Hilbert-Schmidt independence criterion HSIC₁ (Song et al. 2012), of a weighted sample.

    The mean of K_ij (L_ij + L_qr − 2 L_iq) over all quadruples of different stimuli i, j, q, r, each weighted
    with w_i w_j w_q w_r. With equal weights that is Song's

        [tr KL + (1ᵀK1)(1ᵀL1)/((n−1)(n−2)) − 2/(n−2) 1ᵀKL1] / (n (n−3)).

    For a bootstrap sample, w says how often each stimulus occurs. Quadruples of positions that hold copies of
    one stimulus then get no weight: their K_ii would enter as if two stimuli had coincided and make
    independent features look alike. Any weights that do not depend on the responses leave it unbiased.

    Parameters
    ----------
    x, y : array of shape (stimulus, stimulus)
        Gram matrices K and L with zeros on the diagonal.
    weights : array of shape (stimulus,), optional
        Non-negative; above 0 for at least four stimuli.
    """
    w = np.ones(len(x)) if weights is None else weights
    n, two, three, four = (float((w**power).sum()) for power in (1, 2, 3, 4))
    powers = np.stack([w, w**2], axis=1)
    xw, yw, both = x @ powers, y @ powers, np.einsum("ij,ij,jp->ip", x, y, powers)

    def edge(a: int, b: int) -> float:
        """Σ w_i^a w_j^b K_ij L_ij."""
        return float(w**a @ both[:, b - 1])

    def star(a: int, b: int, c: int) -> float:
        """Σ w_i^a w_j^b w_q^c K_ij L_iq over different i, j, q."""
        return float(w**a @ (xw[:, b - 1] * yw[:, c - 1])) - edge(b + c, a)

    same_pair = (n**2 - two) * edge(1, 1) - 4 * n * edge(2, 1) + 4 * edge(3, 1) + 2 * edge(2, 2)
    one_shared = n * star(1, 1, 1) - star(2, 1, 1) - star(1, 2, 1) - star(1, 1, 2)
    none_shared = (w @ xw[:, 0]) * (w @ yw[:, 0]) - 4 * (w**2 @ (xw[:, 0] * yw[:, 0])) + 2 * edge(2, 2)
    quadruples = n**4 - 6 * n**2 * two + 3 * two**2 + 8 * n * three - 6 * four
    return float((same_pair + none_shared - 2 * one_shared) / quadruples)


@dataclass(frozen=True)
class Cka:
    """Debiased linear centred kernel alignment.

    CKA = HSIC₁(K, L) / √(HSIC₁(K, K) HSIC₁(L, L)), K and L the Gram matrices of model and neural responses,
    with the estimator of `hsic`, which needs more than three stimuli. The squared covariances between all
    pairs of units are estimated without bias, so independent features are near 0 (and may be below), while
    biased CKA is near 1 for more units than stimuli: .96 for 92 stimuli and 2000 units.

    Parameters
    ----------
    splits : int
        Random halves of the repeats, for the ceiling.
    convention : {"raw", "over_ceiling"}
        The score as it is, or divided by the ceiling.

    References
    ----------
    Kornblith et al. (2019), ICML, arXiv 1905.00414; Song et al. (2012), JMLR 13, equation 5; Murphy,
    Zylberberg & Fyshe (2024), arXiv 2405.01012.
    """

    splits: int = 20
    convention: str = "raw"
    name: ClassVar[str] = "cka"
    readout: ClassVar[str] = "random"  # for model recovery: preserves what CKA compares
    strictness: ClassVar[str] = (
        "forgives rotation and one scale of the population; axes count with the square of their variance"
    )

    def __post_init__(self) -> None:
        check_convention(self.convention)
        require_count(self, splits=self.splits)

    def evaluate(
        self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0
    ) -> CkaEvaluation:
        """Compare Gram matrices; see `cortex_sim.compare.metric.Metric`. Units are neuroids."""
        neural = require_responses(self.name, neural)
        check_stimuli(self.name, model, neural, at_least=4)
        model, dead = varying(self.name, model)
        neural, flat = varying(self.name, neural)
        evaluation = CkaEvaluation(
            convention=self.convention,
            splits=self.splits,
            model=gram(model.values),
            gram=gram(neural.values),
            neural=neural,
            excluded={"model": dead, "neural": flat},
            seed=seed,
        )
        evaluation.raw()  # refuses populations that do not vary measurably before work starts
        return evaluation


@dataclass(frozen=True, eq=False, kw_only=True)
class CkaEvaluation(NeuroidEvaluation):
    """Two Gram matrices: see `cortex_sim.compare.metric.Evaluation`.

    Resampled stimuli weight quadruples of different stimuli (`hsic`), so independent features stay at 0.
    Resampled neuroids give another Gram matrix. There a neuroid that occurs twice counts as two that agree
    perfectly: with few neuroids the neural data look lower-dimensional than they are.
    """

    model: Array
    gram: Array

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Debiased CKA."""
        return self._whole if stimuli is None and units is None else self._raw(stimuli, units)

    @cached_property
    def _whole(self) -> float:
        return self._raw(None, None)

    def _raw(self, stimuli: Numbers | None, units: Numbers | None) -> float:
        times = counts(stimuli, self.stimuli)
        kept = np.flatnonzero(times)
        if len(kept) < 4:
            raise DataError(f"cka: needs at least 4 different stimuli. Got {len(kept)}")
        x, w = self.model, times[kept]
        y = self.gram if units is None else gram(self.neural.values[:, units])
        if len(kept) < len(times):
            x, y = x[np.ix_(kept, kept)], y[np.ix_(kept, kept)]
        xx, yy = hsic(x, x, w), hsic(y, y, w)
        for name, own in (("the model", xx), (self.neural.name, yy)):
            if own <= 0:
                raise DataError(
                    f"cka: the responses of {name} to {len(kept)} stimuli share no measurable variance among "
                    f"neuroids (HSIC {own:.2g}, not above 0), so CKA is not defined; give more stimuli"
                )
        return hsic(x, y, w) / float(np.sqrt(xx * yy))

    def _reached_by_truth(self, data: Responses) -> float:
        """CKA between the data and their true responses.

        Independent noise adds nothing to HSIC between two halves of the repeats, which thus estimates that of
        the true responses with themselves and with the data: √(HSIC₁(half, half) / HSIC₁(data, data)). No
        correction for the smaller number of repeats in a half is needed.
        """
        assert data.repeats is not None
        rng = np.random.default_rng(self.seed)
        both = (map(gram, map(mean_over_repeats, halves(data.repeats, rng))) for _ in range(self.splits))
        shared = float(np.mean([hsic(*pair) for pair in both]))
        whole = gram(mean_over_repeats(data.repeats))
        own = hsic(whole, whole)
        return float(np.sqrt(np.clip(shared / own, 0, 1))) if own > 0 else 0.0
