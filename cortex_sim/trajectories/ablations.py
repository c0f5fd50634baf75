"""Identification of rules with less evidence (observables, units, snapshots) or more noise; and controls."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cortex_sim.errors import DataError
from cortex_sim.trajectories.classify import CLASSIFIERS, Outcome, fit, held_out, permutation_accuracies
from cortex_sim.trajectories.evidence import Evidence, at_matched_accuracy, learning_curve
from cortex_sim.trajectories.measuring import FULL
from cortex_sim.trajectories.statistics import OBSERVABLES

if TYPE_CHECKING:
    import xarray as xr

_log = logging.getLogger(__name__)

LEVELS = (0.3, 0.5, 0.7, 0.85)  # accuracies at which runs are compared when they are matched

#: Rules that are the same on orthogonal weights, and rules that are the same until feedback has learned.
PAIRS = (("backprop", "gait_prop"), ("feedback_alignment", "kolen_pollack"))

#: Selections of observables, by name.
ACCESS: dict[str, tuple[str, ...]] = {"all": OBSERVABLES, **{name: (name,) for name in OBSERVABLES}}

#: Selections with one observable missing.
WITHOUT = {f"all but {name}": tuple(o for o in OBSERVABLES if o != name) for name in OBSERVABLES}


@dataclass(frozen=True)
class Effort:
    """Number of trees in every random forest, and of permutations in the control."""

    trees: int = 100
    permutations: int = 49

    @property
    def forest(self) -> dict[str, Any]:
        """Settings of the random forest."""
        return {"trees": self.trees}

    def of(self, classifier: str) -> dict[str, Any]:
        """Settings of a classifier."""
        return self.forest if classifier == "random_forest" else {}


THOROUGH, QUICK = Effort(), Effort(trees=20, permutations=5)


@dataclass(frozen=True)
class Row:
    """One classification: its evidence, its classifier, and how often it was right.

    ``question`` groups rows of one table or curve; ``low`` and ``high`` bound the 95 % interval; ``p`` is
    that of the permutation test where one was made, else None.
    """

    question: str
    evidence: str
    setting: str
    classifier: str
    accuracy: float
    low: float
    high: float
    chance: float
    runs: int
    p: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data, one entry a column."""
        return asdict(self)


def row(
    question: str, evidence: str, setting: str, classifier: str, outcome: Outcome, p: float | None = None
) -> Row:
    """Summary of an outcome."""
    low, high = outcome.interval()
    runs = len(outcome.rule)
    return Row(question, evidence, setting, classifier, outcome.accuracy, low, high, outcome.chance, runs, p)


def by_access(study: xr.Dataset, effort: Effort = THOROUGH) -> Iterator[Row]:
    """All observables, each alone, each left out; also with scale-free statistics; by both classifiers."""
    for name, observables in {**ACCESS, **WITHOUT}.items():
        for scale_free in (False, True):
            features = Evidence(observables, scale_free=scale_free).features(study)
            for classifier in CLASSIFIERS:
                setting = "scale-free" if scale_free else "all statistics"
                outcome = held_out(study, features, classifier, **effort.of(classifier))
                yield row("access", name, setting, classifier, outcome)


def by_condition(study: xr.Dataset, effort: Effort = THOROUGH) -> Iterator[Row]:
    """Fewer units and noise: trained under the same condition, and trained on exact observations."""
    for name, observables in ACCESS.items():
        exact = Evidence(observables)
        trained_exactly = fit(study, exact.features(study), **effort.forest)
        for condition in study["condition"].values.tolist():
            features = replace(exact, condition=condition).features(study)
            outcome = held_out(study, features, **effort.forest)
            yield row("condition", name, condition, "random_forest", outcome)
            shifted = trained_exactly.tested(features)
            yield row("condition, trained exactly", name, condition, "random_forest", shifted)


def by_snapshots(study: xr.Dataset, effort: Effort = THOROUGH) -> Iterator[Row]:
    """Fewer snapshots, evenly spaced over the schedule and always with the last."""
    last = study.sizes["snapshot"] - 1
    for count in sorted({1, 2, 3, 5, last + 1} & set(range(1, last + 2))):
        chosen = [last] if count == 1 else sorted({round(i) for i in np.linspace(0, last, count)})
        for name, observables in ACCESS.items():
            features = Evidence(observables, snapshots=chosen).features(study)
            outcome = held_out(study, features, **effort.forest)
            yield row("snapshots", name, str(len(chosen)), "random_forest", outcome)


def controls(study: xr.Dataset, effort: Effort = THOROUGH) -> Iterator[Row]:
    """What could identify a rule without its trajectory, and what should not.

    Learning curves alone; all observables where runs have reached the same accuracies; activity and weights
    before learning, which are the same under every rule; permuted rules; and, for comparison, an easier test
    that holds out seeds of known architectures, and a harder one that holds out an activation function.
    """
    forest = "random_forest"
    everything = Evidence().features(study)
    curves = {c: held_out(study, learning_curve(study), c, **effort.of(c)) for c in CLASSIFIERS}
    for classifier, outcome in curves.items():
        yield row("controls", "accuracy and loss", "learning curve alone", classifier, outcome)
    for name, observables in ACCESS.items():
        outcome = held_out(study, Evidence(observables).features(study), **effort.forest)
        found = outcome.gain_over(curves[forest])
        yield Row("gain", name, "over the learning curve", forest, *found, 0.0, len(outcome.rule))
    yield from _matched(study, effort)
    for name in OBSERVABLES:
        features = Evidence((name,), snapshots=(0,)).features(study)
        outcome = held_out(study, features, **effort.forest)
        yield row("controls", name, "before learning", forest, outcome)
    yield _permutation_row(study, everything, effort)
    for by in ("seed", "activation"):
        if len(np.unique(study[by].values)) > 1:
            outcome = held_out(study, everything, by=by, **effort.forest)
            yield row("controls", "all", f"{by} held out", forest, outcome)


def _matched(study: xr.Dataset, effort: Effort) -> Iterator[Row]:
    """Every selection of observables at equal accuracies; a warning where too few runs reach them."""
    for name, observables in ACCESS.items():
        try:
            features, reached = at_matched_accuracy(study, Evidence(observables), LEVELS)
            outcome = held_out(study.isel(run=np.flatnonzero(reached)), features, **effort.forest)
        except DataError as exception:
            _log.warning("no comparison at matched accuracy: %s", exception)
            return
        yield row("controls", name, "at matched accuracy", "random_forest", outcome)


def _permutation_row(study: xr.Dataset, features: Any, effort: Effort) -> Row:
    """Mean accuracy and 95 % range under permuted rules, and how often they match or exceed the true ones.

    All with half the trees, the true rules included.
    """
    permutations, trees = effort.permutations, effort.trees // 2
    observed = held_out(study, features, trees=trees)
    found = permutation_accuracies(study, features, permutations, trees=trees)
    p = (1 + int((found >= observed.accuracy).sum())) / (1 + permutations)
    low, high = np.quantile(found, [0.025, 0.975])
    return Row(
        "controls",
        "all",
        "permuted rules",
        "random_forest",
        float(found.mean()),
        float(low),
        float(high),
        observed.chance,
        len(features),
        p,
    )


def by_pair(study: xr.Dataset, effort: Effort = THOROUGH) -> Iterator[Row]:
    """Two rules that are close by construction, by observable; with all observables also by architecture."""
    for pair in PAIRS:
        both = study.isel(run=np.flatnonzero(np.isin(study["rule"].values, pair)))
        if len(np.unique(both["rule"].values)) < 2:
            continue
        for name, observables in ACCESS.items():
            outcome = held_out(both, Evidence(observables).features(both), **effort.forest)
            yield row("pair", name, " or ".join(pair), "random_forest", outcome)
            if name == "all":
                for net, share in outcome.by_group().items():
                    runs = int((outcome.group == net).sum())
                    yield Row("pair", net, " or ".join(pair), "random_forest", share, share, share, 0.5, runs)


def by_statistic(study: xr.Dataset, effort: Effort = THOROUGH) -> Iterator[Row]:
    """Every statistic alone, over all snapshots and populations."""
    for name in study["statistic"].values.tolist():
        features = Evidence(statistics=(name,)).features(study)
        outcome = held_out(study, features, **effort.forest)
        yield row("statistic", name, FULL.name, "random_forest", outcome)


QUESTIONS: dict[str, Callable[..., Iterator[Row]]] = {
    "access": by_access,
    "condition": by_condition,
    "snapshots": by_snapshots,
    "controls": controls,
    "pair": by_pair,
    "statistic": by_statistic,
}
