"""Linear predictivity: how well a linear mapping of the model's responses predicts each neuroid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import listed, look_up, require_count, require_known
from cortex_sim.compare.ceilings import SPLITS, Reliability, known_split_half
from cortex_sim.compare.conventions import OURS, convention, explained_per_neuroid, why_above_one
from cortex_sim.compare.folds import FOLDS, Folds, RandomFolds
from cortex_sim.compare.held_out import HeldOut, Regression, cross_validated
from cortex_sim.compare.metric import Numbers
from cortex_sim.compare.pls import PLS
from cortex_sim.compare.reduction import WIDEST, coordinates
from cortex_sim.compare.representations import check_numbers
from cortex_sim.compare.responses import ROUNDING, Array, Dissimilarities, Responses
from cortex_sim.compare.ridge import PENALTIES, Ridge
from cortex_sim.errors import DataError


@dataclass(frozen=True, eq=False)
class PredictivityEvaluation:
    """Held-out predictions of every neuroid that was scored; see `Evaluation`.

    Parameters
    ----------
    held_out : HeldOut
        Predictions, responses and folds, with neuroids as in ``neuroids``.
    neuroids : array of shape (neuroid,)
        Numbers, in the neural data, of those that were scored.
    known : mapping of str to array of shape (neuroid,)
    convention : str
        Convention of `score`; "raw" where the data have no repeats, whichever was chosen.
    reliabilities : Reliability, optional
        Reliability of the neuroids that were scored.
    excluded : mapping of str to int
        Number of neuroids left out, by reason: "constant", "unreliable".
    notes : tuple of str
        What a reader of the score must know: fits, reductions, exclusions, scores above 1.
    """

    held_out: HeldOut
    neuroids: Numbers
    known: Mapping[str, NDArray[Any]]
    convention: str
    reliabilities: Reliability | None
    excluded: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def stimuli(self) -> int:
        """Number of stimuli."""
        return len(self.held_out.folds)

    @property
    def units(self) -> int:
        """Number of neuroids that were scored."""
        return len(self.neuroids)

    def score(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Return the score by the convention from held-out predictions; nothing is fitted again."""
        return convention(self.convention).score(*self._sampled(stimuli, units))

    def raw(self, stimuli: Numbers | None = None, units: Numbers | None = None) -> float:
        """Median over neuroids of Pearson r."""
        return convention("raw").score(*self._sampled(stimuli, units))

    def correlations(self, stimuli: Numbers | None = None) -> Array:
        """Pearson r of each neuroid, shape (neuroid,); NaN where its responses to these stimuli are equal."""
        return self.held_out.correlations(stimuli)

    def explained(self) -> Array | None:
        """sign(r) r²/ρ of each neuroid, shape (neuroid,); None without repeats."""
        if self.reliabilities is None:
            return None
        return explained_per_neuroid(self.correlations(), self.reliabilities.corrected)

    @property
    def ceiling(self) -> tuple[float, float] | None:
        """Median of √ρ, what a model that knows each stimulus's expected response would reach in `raw`."""
        if self.reliabilities is None:
            return None
        bound = float(np.median(np.sqrt(self.reliabilities.corrected)))
        return bound, bound

    @property
    def reliability(self) -> float | None:
        """Reliability over all neuroids that were scored, see `Reliability.overall`."""
        return None if self.reliabilities is None else self.reliabilities.overall

    def _sampled(self, stimuli: Numbers | None, units: Numbers | None) -> tuple[Array, Array]:
        """Correlations r and reliabilities ρ of sampled neuroids, without those that do not vary."""
        if stimuli is not None:
            check_numbers(stimuli, self.stimuli)
        r = self.correlations(stimuli)
        known = self.reliabilities
        reliability = np.ones_like(r) if known is None else known.corrected
        if units is not None:
            r, reliability = r[units], reliability[units]
        varies = np.isfinite(r)
        if not varies.any():
            raise DataError("predictivity: no neuroid's responses vary over this sample; take more stimuli")
        return r[varies], reliability[varies]


@dataclass(frozen=True)
class Predictivity:
    """Median over neuroids of how well a linear mapping of the model predicts held-out responses.

    Every stimulus is held out once; its responses are predicted by a mapping fitted to the other folds, from
    features that are centred and not scaled. A neuroid's r is the Pearson correlation, over all stimuli, of
    predicted and recorded responses (see `HeldOut.correlations`), and the score follows from r and the
    neuroids' reliability by a convention. Model populations with more than 1000 units are reduced to at
    most 1000 principal components of the training stimuli of each fold; `notes` says so.

    Parameters
    ----------
    regression : "ridge" or "pls"
        See `Ridge` and `PLS`.
    components : int, default 25
        Number of components of PLS.
    penalties : sequence of float
        Penalties of ridge, as multiples of the mean variance of the principal components.
    folds : Folds or str
        `RandomFolds` (10, by default), `GroupedFolds`, `BlockedFolds`, `AcrossRuns`, or "random", "grouped",
        "blocked", "across_runs".
    convention : str
        A name in `CONVENTIONS`. Without repeats the score falls back to "raw", and `notes` says so.
    min_reliability : float, default 0.1
        Neuroids with a lower reliability are left out and counted.
    splits : int, default 1000
        Splits of the repeats from which the reliability is computed.

    References
    ----------
    Yamins et al. (2014), PNAS 111, doi:10.1073/pnas.1403112111; Schrimpf et al. (2020), Neuron 108,
    doi:10.1016/j.neuron.2020.07.040.
    """

    name: ClassVar[str] = "predictivity"
    strictness: ClassVar[str] = (
        "forgives any linear mapping, a different one for each neuroid: very different models may score alike"
    )

    regression: str = "ridge"
    components: int = 25
    penalties: tuple[float, ...] = PENALTIES
    folds: Folds | str = field(default_factory=RandomFolds)
    convention: str = OURS
    min_reliability: float = 0.1
    splits: int = SPLITS

    def __post_init__(self) -> None:
        require_known("regression", self.regression, REGRESSIONS, DataError)
        object.__setattr__(self, "convention", convention(self.convention).name)
        if isinstance(self.folds, str):
            object.__setattr__(self, "folds", look_up("folds", self.folds, FOLDS, DataError)())
        if not callable(getattr(self.folds, "assign", None)):
            raise DataError(
                f"Predictivity: folds must be one of {listed(FOLDS)}, or an object such as RandomFolds(5). "
                f"Got {self.folds!r}"
            )
        require_count(self, splits=self.splits)
        if not 0 < self.min_reliability < 1:
            raise DataError(
                f"Predictivity: min_reliability must be above 0 and below 1, since scores are "
                f"divided by reliabilities. Got {self.min_reliability!r}"
            )
        self._regression(0)

    def evaluate(
        self, model: Responses, neural: Responses | Dissimilarities, *, seed: int = 0
    ) -> PredictivityEvaluation:
        """Fit by cross-validation once, for stimuli in the same order (`matched`).

        Parameters
        ----------
        model : Responses
            Features, such as the responses of one population.
        neural : Responses
            With repeats, for conventions that need a reliability.
        seed : int
            Draws folds and halves of the repeats.

        Raises
        ------
        DataError
            If the two differ in stimuli, there are too few for the folds, or no neuroid can be scored.
        """
        return self._evaluate(model, neural, None, seed)

    def refit(
        self,
        model: Responses,
        neural: Responses | Dissimilarities,
        stimuli: Numbers,
        *,
        seed: int = 0,
    ) -> PredictivityEvaluation:
        """Fit again to a bootstrap sample of stimuli; all copies of a stimulus share a fold.

        A sample has about 63 % of the stimuli, so mappings fitted to it predict worse than `evaluate`'s: use
        it to see how much a score depends on the stimuli used for the fit, and the evaluation's ``score``
        for intervals. Reliabilities and the choice of neuroids are those of the whole data.

        Parameters
        ----------
        stimuli : array of shape (sampled stimulus,)
            Numbers of stimuli, perhaps repeated.
        """
        return self._evaluate(model, neural, np.asarray(stimuli), seed)

    def _evaluate(
        self, model: Responses, neural: Responses | Dissimilarities, sample: Numbers | None, seed: int
    ) -> PredictivityEvaluation:
        require_count(self, minimum=0, seed=seed)
        neural = _comparable(model, neural)
        unique, same = np.unique(np.arange(len(neural)) if sample is None else sample, return_inverse=True)
        kept, reliabilities, excluded = self._scorable(neural, unique, seed)
        assert not isinstance(self.folds, str)
        fold_of = self.folds.assign(neural.take(unique), np.random.default_rng(seed))
        x = coordinates(model.values)[unique][same]
        y = neural.values[unique][same][:, kept]
        held_out = cross_validated(x, y, fold_of[same], self._regression(model.neuroids), same)
        known = convention(self.convention)
        evaluation = PredictivityEvaluation(
            held_out,
            kept,
            {key: np.asarray(of)[kept] for key, of in neural.units.items()},
            known.name if reliabilities is not None else "raw",
            reliabilities,
            excluded,
        )
        return replace(evaluation, notes=tuple(self._notes(model, evaluation)))

    def _regression(self, features: int) -> Regression:
        most = WIDEST if features > WIDEST else None
        found: Regression = REGRESSIONS[self.regression](self, most)
        return found

    def _scorable(
        self, neural: Responses, unique: Numbers, seed: int
    ) -> tuple[Numbers, Reliability | None, dict[str, int]]:
        """Numbers of neuroids that vary and are reliable, their reliability, and how many are left out."""
        values = neural.values[unique]
        varies = np.ptp(values, axis=0) > ROUNDING * np.abs(values).max(axis=0)
        if not varies.any():
            raise DataError(
                f"responses {neural.name}: no neuroid's response varies over the {len(unique)} stimuli, so "
                f"there is nothing to predict; leave out these data"
            )
        excluded = {"constant": int((~varies).sum())}
        if neural.repeats is None:
            return np.flatnonzero(varies), None, excluded
        found = known_split_half(neural, self.splits, seed)
        reliable = found.corrected >= self.min_reliability
        kept = np.flatnonzero(varies & reliable)
        excluded["unreliable"] = int((varies & ~reliable).sum())
        if not len(kept):
            raise DataError(
                f"responses {neural.name}: no neuroid reaches the reliability {self.min_reliability} (the "
                f"highest is {found.corrected[varies].max():.3f}); lower min_reliability, or leave out "
                f"these data"
            )
        return kept, found.take(kept), excluded

    def _notes(self, model: Responses, evaluation: PredictivityEvaluation) -> list[str]:
        fold_sizes = np.unique(evaluation.held_out.folds, return_counts=True)[1]
        assert not isinstance(self.folds, str)
        notes = [
            f"{self.regression}, {len(fold_sizes)} {self.folds.name} folds; features centred, not scaled",
            *_reduced(model, evaluation.stimuli - int(fold_sizes.max())),
            *FITS[self.regression](evaluation.held_out),
            *(
                f"neuroids left out: {count}, whose {EXCLUDED[why].format(self.min_reliability)}"
                for why, count in evaluation.excluded.items()
                if count
            ),
        ]
        if evaluation.reliabilities is None:
            if convention(self.convention).ceiled:
                notes.append(f"no repeats, so no reliability: raw r is given in place of {self.convention}")
            return notes
        single = evaluation.reliabilities.left_out
        if single:
            notes.append(f"stimuli left out of the reliability, having a single repeat: {single}")
        explained = evaluation.explained()
        assert explained is not None
        above = why_above_one(
            evaluation.convention, evaluation.score(), int((explained > 1).sum()), evaluation.units
        )
        return [*notes, above] if above else notes


EXCLUDED = {
    "constant": "response is the same to all stimuli",
    "unreliable": "reliability is below {}",
}


def _comparable(model: Responses, neural: Responses | Dissimilarities) -> Responses:
    if not isinstance(neural, Responses):
        raise DataError(f"{neural.name}: predictivity needs responses of neuroids, not RDMs; use rsa")
    if model.stimuli != neural.stimuli:
        raise DataError(
            f"{model.name} and {neural.name}: the stimuli or their order differ; use matched(model, "
            f"neural) first"
        )
    if not (np.ptp(model.values, axis=0) > 0).any():
        raise DataError(
            f"responses {model.name}: the model's response is the same to all {len(model)} stimuli, so "
            f"nothing can be predicted from it; check its preprocessing, or choose another population"
        )
    return neural


def _reduced(model: Responses, smallest: int) -> list[str]:
    """A note where a wide population was reduced; ``smallest`` is the size of the smallest training set."""
    if model.neuroids <= WIDEST:
        return []
    return [
        f"{model.name}: {model.neuroids} features reduced to at most {min(WIDEST, smallest - 1)} principal "
        f"components, fitted to the training stimuli of each fold"
    ]


def _ridge_fits(held_out: HeldOut) -> list[str]:
    share = float(np.mean([fit.at_edge.mean() for fit in held_out.fitted]))
    if share <= Ridge().share:
        return []
    grids = np.concatenate([fit.grid for fit in held_out.fitted])
    return [
        f"ridge: for {share:.0%} of neuroids the best penalty is at the edge of the widened grid, "
        f"{grids.min():.0e} to {grids.max():.0e}; beyond it the fits do not change"
    ]


def _pls_fits(held_out: HeldOut) -> list[str]:
    found = sorted({fit.components for fit in held_out.fitted})
    return ["pls: " + " to ".join(str(count) for count in {found[0]: 0, found[-1]: 0}) + " components"]


#: How each regression is built from the metric's settings, and the notes on its fits.
REGRESSIONS: dict[str, Callable[[Predictivity, int | None], Any]] = {
    "ridge": lambda metric, most: Ridge(tuple(metric.penalties), most=most),
    "pls": lambda metric, most: PLS(metric.components, most=most),
}
FITS: dict[str, Callable[[HeldOut], list[str]]] = {"ridge": _ridge_fits, "pls": _pls_fits}
