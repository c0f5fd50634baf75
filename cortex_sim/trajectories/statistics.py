"""Statistics of one population at one moment of learning, as an experimenter could compute them.

Every observable of a population is a matrix x of shape (sample, unit): the rates of its units over
presentations, the credit they receive, or their incoming weights over inputs, which is Wᵀ. `NAMED` holds
the statistics of one such matrix, each a number; `JOINT` those of two observables together.

No statistic refers to the network's gradient: an angle to backpropagation would identify the rule, but cannot
be measured in an experiment.

References
----------
Nayebi, Srivastava, Ganguli & Yamins (2020), arXiv 2010.11765: norm, mean, median, third quartile, variance,
nonparametric skewness and kurtosis of weights and activations, of their squares and absolute values. Spectra,
correlations, sparsity and changes between snapshots are added here; the square's statistics are left out, as
they are functions of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortex_sim.errors import DataError

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class History:
    """One observable at a snapshot, the snapshot before it, and the first; each of shape (sample, unit).

    At the first snapshot all three are the same, so changes are 0.
    """

    now: Matrix
    before: Matrix
    first: Matrix

    @property
    def change(self) -> Matrix:
        """Difference from the previous snapshot."""
        return self.now - self.before


@dataclass(frozen=True)
class Statistic:
    """A number of a `History`; ``scale_free`` if it is the same in whatever units x is measured."""

    of: Callable[[History], float]
    scale_free: bool = False


def ratio(above: float, below: float) -> float:
    """Quotient, or 0 where both are 0, as for a silent population."""
    return float(above / below) if below > 0 else 0.0


def cosine(a: Matrix, b: Matrix) -> float:
    """Cosine Σab / (‖a‖‖b‖) of two matrices as vectors; 0 if one of them is zero."""
    return ratio(float(np.vdot(a, b)), float(np.linalg.norm(a) * np.linalg.norm(b)))


def skewness(x: Matrix) -> float:
    """Third standardised moment ⟨(x − ⟨x⟩)³⟩ / sd³ over all entries; 0 if they are all equal."""
    d = x - x.mean()
    return ratio(float((d * d * d).mean()), float((d * d).mean() ** 1.5)) if np.ptp(x) > 0 else 0.0


def kurtosis(x: Matrix) -> float:
    """Excess kurtosis ⟨(x − ⟨x⟩)⁴⟩ / sd⁴ − 3 over all entries, 0 if normal; 0 if all are equal."""
    d = (x - x.mean()) ** 2
    return ratio(float((d * d).mean()), float(d.mean() ** 2)) - 3.0 if np.ptp(x) > 0 else 0.0


def nonparametric_skewness(x: Matrix) -> float:
    """Pearson's second coefficient, 3(mean − median) / sd; 0 if all entries are equal."""
    return ratio(3.0 * float(x.mean() - np.median(x)), float(x.std())) if np.ptp(x) > 0 else 0.0


def sparsity(x: Matrix) -> float:
    """(1 − ⟨|x|⟩² / ⟨x²⟩) / (1 − 1/n) over all n entries: 0 if all |x| are equal, 1 if only one is not 0.

    Rolls & Tovee (1995), doi:10.1152/jn.1995.73.2.713; normalised as by Vinje & Gallant (2000),
    doi:10.1126/science.287.5456.1273, and of |x|, since rates and credit may be negative.
    """
    sizes = np.abs(x)
    return (1.0 - ratio(float(sizes.mean() ** 2), float((sizes**2).mean()))) / (1.0 - 1.0 / x.size)


def participation_ratio(x: Matrix) -> float:
    """Effective dimension (Σλ)² / Σλ² of the units' covariance, λ its eigenvalues; 0 if nothing varies.

    Between 1 and the smaller of the number of units and samples − 1. From traces: no eigenvalue is computed.
    """
    centred = _centred(x)
    small = centred if x.shape[0] <= x.shape[1] else centred.T
    gram = small @ small.T
    return ratio(float(np.trace(gram)) ** 2, float(np.vdot(gram, gram)))


def relative_dimension(x: Matrix) -> float:
    """`participation_ratio` over its largest possible value, min(units, samples − 1)."""
    return participation_ratio(x) / max(1, min(x.shape[1], x.shape[0] - 1))


def mean_correlation(x: Matrix) -> float:
    """Mean Pearson correlation over pairs of units; a pair with a constant unit counts as 0.

    With z the standardised columns, k of them: (‖Σ_j z_j‖² − Σ_j‖z_j‖²) / (k(k − 1) samples).
    """
    units, centred = x.shape[1], _centred(x)
    spread = np.sqrt((centred**2).mean(0))
    z = centred / np.where(spread > 0, spread, 1.0)
    total, own = float((z.sum(1) ** 2).sum()), float((z**2).sum())
    return (total - own) / (units * (units - 1) * len(x))


def spread_over_units(x: Matrix) -> float:
    """Coefficient of variation over units of their norms ‖x_j‖: 0 if all norms are equal."""
    norms = np.linalg.norm(x, axis=0)
    return ratio(float(norms.std()), float(norms.mean()))


def spectral_norm(x: Matrix) -> float:
    """Largest singular value, from the smaller Gram matrix."""
    from scipy.linalg import eigh

    small = x if x.shape[0] <= x.shape[1] else x.T
    last = len(small) - 1
    largest = eigh(small @ small.T, eigvals_only=True, subset_by_index=(last, last), check_finite=False)
    return float(max(largest[0], 0.0) ** 0.5)


def frobenius_norm(x: Matrix) -> float:
    """√Σx²."""
    return float(np.linalg.norm(x))


def stable_rank(x: Matrix) -> float:
    """‖x‖²_F / ‖x‖₂²: 1 for one outer product, at most the rank; 0 if x is zero."""
    return ratio(frobenius_norm(x) ** 2, spectral_norm(x) ** 2)


#: Statistics of one observable.
NAMED: dict[str, Statistic] = {
    "mean": Statistic(lambda h: float(h.now.mean())),
    "mean_abs": Statistic(lambda h: float(np.abs(h.now).mean())),
    "median": Statistic(lambda h: float(np.median(h.now))),
    "median_abs": Statistic(lambda h: float(np.median(np.abs(h.now)))),
    "third_quartile": Statistic(lambda h: float(np.quantile(h.now, 0.75))),
    "variance": Statistic(lambda h: float(h.now.var())),
    "rms": Statistic(lambda h: frobenius_norm(h.now) / h.now.size**0.5),
    "frobenius_norm": Statistic(lambda h: frobenius_norm(h.now)),
    "spectral_norm": Statistic(lambda h: spectral_norm(h.now)),
    "skewness": Statistic(lambda h: skewness(h.now), scale_free=True),
    "nonparametric_skewness": Statistic(lambda h: nonparametric_skewness(h.now), scale_free=True),
    "kurtosis": Statistic(lambda h: kurtosis(h.now), scale_free=True),
    "sparsity": Statistic(lambda h: sparsity(h.now), scale_free=True),
    "participation_ratio": Statistic(lambda h: participation_ratio(h.now), scale_free=True),
    "relative_dimension": Statistic(lambda h: relative_dimension(h.now), scale_free=True),
    "stable_rank": Statistic(lambda h: stable_rank(h.now), scale_free=True),
    "mean_correlation": Statistic(lambda h: mean_correlation(h.now), scale_free=True),
    "spread_over_units": Statistic(lambda h: spread_over_units(h.now), scale_free=True),
    "mean_abs_change": Statistic(lambda h: float(np.abs(h.change).mean())),
    "relative_change": Statistic(
        lambda h: ratio(frobenius_norm(h.change), frobenius_norm(h.before)), scale_free=True
    ),
    "cosine_to_before": Statistic(lambda h: cosine(h.now, h.before), scale_free=True),
    "cosine_to_first": Statistic(lambda h: cosine(h.now, h.first), scale_free=True),
    "change_along_before": Statistic(lambda h: cosine(h.change, h.before), scale_free=True),
    "change_stable_rank": Statistic(lambda h: stable_rank(h.change), scale_free=True),
}

#: Statistics of activity and credit together; experimenters need both.
JOINT: dict[str, Callable[[History, History], float]] = {
    "cosine_to_activity": lambda activity, credit: cosine(credit.now, activity.now),
    "activity_change_along": lambda activity, credit: cosine(activity.change, credit.before),
}

OBSERVABLES = ("activity", "weights", "credit")


def names() -> list[str]:
    """Names of all statistics, "OBSERVABLE_STATISTIC", in the order of `statistics`."""
    single = [f"{observable}_{name}" for observable in OBSERVABLES for name in NAMED]
    return [*single, *(f"credit_{name}" for name in JOINT)]


def observable_of(name: str) -> str:
    """The observable that a statistic of `names` needs; for a joint one, credit."""
    return name.split("_", 1)[0]


def is_scale_free(name: str) -> bool:
    """Whether a statistic of `names` is the same in whatever units the observable is measured."""
    own = name.split("_", 1)[1]
    return own in JOINT or NAMED[own].scale_free


def statistics(histories: dict[str, History]) -> Matrix:
    """All statistics of a population at one snapshot.

    Parameters
    ----------
    histories : dict
        A `History` for each of `OBSERVABLES`; activity and credit of the same presentations and units.

    Returns
    -------
    array of shape (statistic,)
        In the order of `names`.

    Raises
    ------
    DataError
        If values are not finite, or a matrix has fewer than two samples or units.
    """
    for observable in OBSERVABLES:
        _check(observable, histories[observable])
    found = [s.of(histories[observable]) for observable in OBSERVABLES for s in NAMED.values()]
    found += [joint(histories["activity"], histories["credit"]) for joint in JOINT.values()]
    return np.array(found)


def _check(observable: str, history: History) -> None:
    for x in (history.now, history.before, history.first):
        if x.ndim != 2 or min(x.shape) < 2:
            raise DataError(
                f"statistics of {observable}: need a matrix (sample, unit) of at least 2 by 2. Got shape "
                f"{x.shape}; observe more units or presentations"
            )
        if x.shape != history.now.shape:
            raise DataError(
                f"statistics of {observable}: snapshots must have one shape. Got {x.shape} and "
                f"{history.now.shape}; observe the same units throughout"
            )
        if not np.isfinite(x).all():
            raise DataError(
                f"statistics of {observable}: values must be finite; leave out runs that diverged"
            )


def _centred(x: Matrix) -> Matrix:
    """Columns minus their means; exactly 0 where a unit is constant, whatever its mean rounds to."""
    return np.where(np.ptp(x, axis=0) > 0, x - x.mean(0), 0.0)
