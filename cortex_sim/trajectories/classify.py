"""Which rule produced a trajectory: classifiers tested on architectures that they were not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cortex_sim.checks import look_up
from cortex_sim.errors import DataError
from cortex_sim.trajectories.evidence import Features

if TYPE_CHECKING:
    import xarray as xr

Names = NDArray[np.str_]


def random_forest(runs: int, seed: int = 0, trees: int = 100) -> Any:
    """Random forest, which does not depend on monotone transforms of features; ``runs`` has no effect."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=trees, random_state=seed, n_jobs=1)


def linear(runs: int, seed: int = 0) -> Any:
    """Multinomial logistic regression (C = 0.1) on quantiles (0 to 1) of each feature in the training runs.

    Quantiles limit how far an unseen architecture can lie outside the training runs.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer

    quantiles = QuantileTransformer(n_quantiles=min(50, runs), random_state=seed)
    return make_pipeline(quantiles, LogisticRegression(C=0.1, max_iter=500))


#: Functions from the number of training runs, and settings, to a classifier of scikit-learn.
CLASSIFIERS: dict[str, Callable[..., Any]] = {"random_forest": random_forest, "linear": linear}


@dataclass(frozen=True)
class Outcome:
    """Predictions for runs that were held out, each of shape (run,).

    Parameters
    ----------
    rule, predicted : array of str
    group : array
        Architecture of each run, whatever was held out.
    seed : array
        Runs of one architecture and seed share initial weights, so they are not independent: intervals
        resample architectures, then seeds within each.
    """

    rule: Names
    predicted: Names
    group: Names
    seed: NDArray[np.int_]

    @property
    def rules(self) -> list[str]:
        """Rules in order of appearance."""
        return list(dict.fromkeys(self.rule.tolist()))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each run's rule was identified."""
        return self.rule == self.predicted

    @property
    def accuracy(self) -> float:
        """Share of runs whose rule was identified; rules have equal weight, whatever their number of runs."""
        return float(np.mean([self.correct[self.rule == rule].mean() for rule in self.rules]))

    @property
    def chance(self) -> float:
        """1 / number of rules."""
        return 1.0 / len(self.rules)

    def confusion(self) -> NDArray[np.float64]:
        """Share of runs of each rule (row) that were assigned to each rule (column); rows sum to 1."""
        rows = [[np.mean(self.predicted[self.rule == a] == b) for b in self.rules] for a in self.rules]
        return np.array(rows)

    def confusion_rows(self) -> list[dict[str, str | float]]:
        """`confusion` as a table: a row for each rule, a column for each answer."""
        shares = self.confusion().round(4).tolist()
        return [
            {"rule": rule, **dict(zip(self.rules, row, strict=True))}
            for rule, row in zip(self.rules, shares, strict=True)
        ]

    def confused_pairs(self) -> list[tuple[str, str, float]]:
        """Pairs of rules with the share of runs taken for the other rule, mean of both, largest first."""
        matrix, rules = self.confusion(), self.rules
        pairs = [
            (rules[i], rules[j], float(matrix[i, j] + matrix[j, i]) / 2)
            for i in range(len(rules))
            for j in range(i + 1, len(rules))
        ]
        return sorted(pairs, key=lambda pair: -pair[2])

    def by_group(self) -> dict[str, float]:
        """Share of runs that are right, by architecture."""
        return {str(g): float(self.correct[self.group == g].mean()) for g in dict.fromkeys(self.group)}

    def interval(self, **settings: Any) -> tuple[float, float]:
        """Interval of the share of runs that are right; see `clustered_interval`."""
        return clustered_interval(self.correct.astype(float), self.group, self.seed, **settings)

    def gain_over(self, other: Outcome, **settings: Any) -> tuple[float, float, float]:
        """Gain in the share of correct runs over another outcome of the same runs, with its interval.

        Paired: both are resampled together.
        """
        if not (np.array_equal(self.rule, other.rule) and np.array_equal(self.group, other.group)):
            raise DataError("outcomes: only those of the same runs can be compared; classify the same study")
        gain = self.correct.astype(float) - other.correct
        return float(gain.mean()), *clustered_interval(gain, self.group, self.seed, **settings)


def clustered_interval(
    values: Features, group: Names, seed: Any, resamples: int = 2000, level: float = 0.95, draws: int = 0
) -> tuple[float, float]:
    """Percentile interval of a mean over runs, by a two-stage bootstrap.

    Groups are drawn with replacement, then seeds within each; all runs of a group and seed stay together.
    With few groups such an interval is somewhat too narrow.

    Parameters
    ----------
    values, group, seed : arrays of shape (run,)
    resamples : int, default 2000
    level : float, default 0.95
    draws : int, default 0
        Seed of the bootstrap.
    """
    clusters = [[(group == g) & (seed == s) for s in np.unique(seed[group == g])] for g in np.unique(group)]
    available = np.array([len(members) for members in clusters])
    runs, total = np.zeros((2, len(clusters), available.max()))
    for g, members in enumerate(clusters):
        runs[g, : available[g]] = [m.sum() for m in members]
        total[g, : available[g]] = [values[m].sum() for m in members]
    rng = np.random.default_rng(draws)
    groups = rng.integers(len(clusters), size=(resamples, len(clusters)))
    offered = available[groups][..., None]
    chosen = (rng.random((*groups.shape, available.max())) * offered).astype(int)
    counts = np.arange(available.max()) < offered  # a group with fewer seeds draws fewer
    at = groups[..., None], chosen
    means = (total[at] * counts).sum((1, 2)) / (runs[at] * counts).sum((1, 2))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Fitted:
    """One classifier for every group of runs, trained on all other groups.

    Parameters
    ----------
    study : xarray.Dataset
    members : tuple of arrays of shape (run,)
        Which runs each classifier may be tested on.
    classifiers : tuple of classifiers
    """

    study: xr.Dataset
    members: tuple[NDArray[np.bool_], ...]
    classifiers: tuple[Any, ...]

    def tested(self, features: Features) -> Outcome:
        """Predictions for every run by the classifier that was not trained on its group.

        Parameters
        ----------
        features : array of shape (run, feature)
            Those of the training, or the same features under another condition.
        """
        study = self.study
        rule = study["rule"].values.astype(str)
        _check(features, rule)
        predicted = np.empty_like(rule)
        for members, classifier in zip(self.members, self.classifiers, strict=True):
            predicted[members] = classifier.predict(features[members])
        return Outcome(rule, predicted, study["architecture"].values.astype(str), study["seed"].values)


def fit(
    study: xr.Dataset,
    features: Features,
    classifier: str = "random_forest",
    by: str = "architecture",
    **settings: Any,
) -> Fitted:
    """Train a classifier for every group of runs, on the runs of all other groups.

    Parameters
    ----------
    study : xarray.Dataset
        Of as many runs as ``features`` has rows.
    features : array of shape (run, feature)
    classifier : {"random_forest", "linear"}
    by : str, default "architecture"
        Coordinate of runs whose values are held out in turn.
    **settings
        Settings of the classifier.

    Raises
    ------
    DataError
        If there are fewer than two groups or rules, or features are not finite.
    """
    make = look_up("classifier", classifier, CLASSIFIERS, DataError)
    rule, group = (study[name].values.astype(str) for name in ("rule", by))
    for name, values in (("rules", rule), (f"values of {by}", group)):
        if len(np.unique(values)) < 2:
            raise DataError(f"classifier: needs at least two {name}. Got {np.unique(values).tolist()}")
    _check(features, rule)
    members = tuple(group == held for held in np.unique(group))
    trained = (make(int((~m).sum()), **settings).fit(features[~m], rule[~m]) for m in members)
    return Fitted(study, members, tuple(trained))


def held_out(
    study: xr.Dataset, features: Features, classifier: str = "random_forest", **settings: Any
) -> Outcome:
    """Predict every run's rule from those of all other architectures; see `fit` for the arguments."""
    return fit(study, features, classifier, **settings).tested(features)


def _check(features: Features, rule: Names) -> None:
    if features.ndim != 2 or len(features) != len(rule):
        raise DataError(
            f"classifier: needs one row of features for each of {len(rule)} runs. Got shape {features.shape}"
        )
    if not np.isfinite(features).all():
        raise DataError("classifier: features must be finite; leave out runs that diverged")


def permuted(study: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    """The study with rules permuted among runs of one architecture, seed and rate.

    If trajectories carried no information on rules, all these permutations would be equally likely.
    """
    blocks = [study[name].values.astype(str) for name in ("architecture", "seed", "rate")]
    _, block = np.unique(np.stack(blocks), axis=1, return_inverse=True)
    rule = study["rule"].values.copy()
    for number in np.unique(block):
        members = np.flatnonzero(block == number)
        rule[members] = rule[rng.permutation(members)]
    return study.assign_coords(rule=("run", rule))


def permutation_accuracies(
    study: xr.Dataset, features: Features, permutations: int, seed: int = 0, **settings: Any
) -> NDArray[np.float64]:
    """Held-out accuracies of classifiers trained and tested on permuted rules, (permutation,)."""
    rng = np.random.default_rng(seed)
    return np.array(
        [held_out(permuted(study, rng), features, **settings).accuracy for _ in range(permutations)]
    )
