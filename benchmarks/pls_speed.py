"""How long predictivity with 25 PLS components takes for a large recording, against scikit-learn's PLS.

    python benchmarks/pls_speed.py                 # 2000 images, 1000 features, 1000 neuroids, 10 folds
    python benchmarks/pls_speed.py --threads 1 --data noise --baseline

Three kinds of data, from easy to hard for the search for directions: ``spectrum``, features whose variance
falls as a power law, as a network's does; ``latent``, 60 shared dimensions; ``noise``, neither structure nor
relation, so that no direction stands out. With ``--baseline``, scikit-learn's `PLSRegression` is timed on one
fold, and its predictions are compared. Both wall-clock and CPU time (all threads) are given, since other work
on the machine lengthens mainly the first.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cortex_sim.compare.folds import RandomFolds
from cortex_sim.compare.pls import PLS
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Responses

Arrays = tuple[np.ndarray, np.ndarray]


def spectrum(rng: np.random.Generator, images: int, features: int, neuroids: int) -> Arrays:
    """Variance of component n falls as 1/n."""
    x = rng.normal(size=(images, features)) / np.sqrt(np.arange(1, features + 1))
    return x, x @ rng.normal(size=(features, neuroids)) + 3 * rng.normal(size=(images, neuroids))


def latent(rng: np.random.Generator, images: int, features: int, neuroids: int) -> Arrays:
    """60 dimensions shared by features, which the neuroids read, with noise on both."""
    x = rng.normal(size=(images, 60)) @ rng.normal(size=(60, features)) + rng.normal(size=(images, features))
    mapped = x @ rng.normal(size=(features, neuroids)) / np.sqrt(features)
    return x, mapped + 3 * rng.normal(size=mapped.shape)


def noise(rng: np.random.Generator, images: int, features: int, neuroids: int) -> Arrays:
    """Independent."""
    return rng.normal(size=(images, features)), rng.normal(size=(images, neuroids))


DATA: dict[str, Callable[..., Arrays]] = {one.__name__: one for one in (spectrum, latent, noise)}


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What ``work`` returns, wall-clock seconds, and CPU seconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def baseline(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> dict[str, float]:
    """Seconds of scikit-learn for one fold, with a tight tolerance, and the largest difference."""
    import warnings

    from sklearn.cross_decomposition import PLSRegression

    theirs = PLSRegression(25, scale=False, tol=1e-12, max_iter=5000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted, wall, cpu = timed(lambda: theirs.fit(x[~out], y[~out]))
    ours, own_wall, own_cpu = timed(lambda: PLS(25).fit(x[~out], y[~out]))
    predicted = fitted.predict(x[out])
    difference = np.abs(predicted - ours.predict(x[out])).max() / predicted.std()
    return {
        "sklearn_one_fold_s": round(wall, 1),
        "sklearn_one_fold_cpu_s": round(cpu, 1),
        "ours_one_fold_s": round(own_wall, 1),
        "ours_one_fold_cpu_s": round(own_cpu, 1),
        "sklearn_warnings": len(caught),
        "largest_difference": float(f"{difference:.1e}"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--neuroids", type=int, default=1000)
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", choices=DATA, default=None, help="one kind only")
    parser.add_argument("--regression", choices=("pls", "ridge"), default="pls")
    parser.add_argument("--baseline", action="store_true", help="time scikit-learn on one fold too")
    asked = parser.parse_args()
    metric = Predictivity(regression=asked.regression, folds=RandomFolds(asked.folds))
    for kind in [asked.data] if asked.data else DATA:
        x, y = DATA[kind](np.random.default_rng(0), asked.images, asked.features, asked.neuroids)
        names = [str(i) for i in range(len(x))]
        model, neural = Responses("features", names, x), Responses("neuroids", names, y)
        with threadpool_limits(asked.threads):
            evaluation, wall, cpu = timed(lambda m=model, n=neural: metric.evaluate(m, n))
            line = {"data": kind, "threads": asked.threads, "s": round(wall, 1), "cpu_s": round(cpu, 1)}
            line |= {"median_r": round(evaluation.raw(), 3), "load": os.getloadavg()[0]}
            if asked.baseline:
                line |= baseline(x, y, evaluation.held_out.folds == 0)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
