"""How often 95 % intervals contain the mean score over experiments: the table of docs/metrics/inference.md.

    python benchmarks/coverage.py run --simulations 200                  # all, resumes where it was stopped
    python benchmarks/coverage.py run --only rsa ridge --settings near   # some
    python benchmarks/coverage.py table

An experiment draws 60 stimuli from an unlimited pool and records 20 neuroids, 4 repeats each. A neuroid
gets a share s of its variance from the model's 30 features and 1 − s from features that the model lacks:
"near" s = .8, "far" s = .2, "none" s = 0. Model and neuroids are the same in all experiments; stimuli and
noise are not. An interval covers if it contains the mean score over all experiments. Experiment i draws from
seed i.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from cortex_sim.compare.bootstrap import interval, refitting
from cortex_sim.compare.cka import Cka
from cortex_sim.compare.metric import Evaluation, Metric
from cortex_sim.compare.predictivity import Predictivity
from cortex_sim.compare.responses import Responses
from cortex_sim.compare.rsa import Rsa
from cortex_sim.compare.shape_distance import ShapeDistance
from cortex_sim.compare.soft_matching import SoftMatching

RESULTS = Path(__file__).parent / "results" / "inference" / "coverage.json"
STIMULI, FEATURES, NEUROIDS, REPEATS = 60, 30, 20, 4
SETTINGS = {"near": 0.8, "far": 0.2, "none": 0.0}
RESAMPLES, SPLITS = 400, 10
FIT = {"splits": 50}  # of the repeats, for reliabilities

METRICS: dict[str, Metric] = {
    "rsa": Rsa(comparator="pearson"),
    "ridge": Predictivity(**FIT),
    "rsa-rho-a": Rsa(comparator="rho-a"),
    "cka": Cka(),
    "pls": Predictivity(regression="pls", components=5, **FIT),
    "shape-distance": ShapeDistance(),
    "soft-matching": SoftMatching(),
}
FITTED = {"ridge", "pls", "shape-distance", "soft-matching"}
CEILED = {"ridge", "pls"}  # their raw scores are measured as well


def experiment(alike: float, seed: int) -> tuple[Responses, Responses]:
    """Model and neural responses of the same populations to new stimuli, with new noise."""
    fixed, rng = np.random.default_rng(2024), np.random.default_rng([7, seed])
    spread = np.arange(1, FEATURES + 1) ** -0.5
    seen, unseen = (fixed.normal(size=(FEATURES, NEUROIDS)) for _ in range(2))
    model = rng.normal(size=(STIMULI, FEATURES)) * spread
    other = rng.normal(size=(STIMULI, FEATURES)) * spread
    unit = (spread**2).sum() ** 0.5
    signal = (alike**0.5 * model @ seen + (1 - alike) ** 0.5 * other @ unseen) / unit
    each = signal + 1.5 * rng.normal(size=(REPEATS, STIMULI, NEUROIDS))
    names = [f"s{i}" for i in range(STIMULI)]
    return Responses("model", names, model), Responses("neural", names, each.mean(0), each)


def percentile(read: Callable[[Any], float], seed: int) -> tuple[float, float]:
    """The plain bootstrap's percentiles, for comparison."""
    rng = np.random.default_rng([8, seed])
    scores = [read(rng.integers(STIMULI, size=STIMULI)) for _ in range(RESAMPLES)]
    return float(np.quantile(scores, 0.025)), float(np.quantile(scores, 0.975))


def measured(name: str, alike: float, seed: int) -> dict[str, dict[str, Any]]:
    """Score of one experiment and its intervals by method, ceiled and raw."""
    metric, (model, neural) = METRICS[name], experiment(alike, seed)
    found, again = metric.evaluate(model, neural, seed=seed), refitting(metric, model, neural, seed=seed)
    fits: dict[bytes, Evaluation] = {}

    def refit(half: Any) -> Evaluation:
        """Each half, computed once: both scores use the same ones."""
        key = half.tobytes()
        if key not in fits:
            fits[key] = again(half)
        return fits[key]

    rows = {}
    for raw in (False, True) if name in CEILED else (False,):
        settings: dict[str, Any] = {"resamples": RESAMPLES, "seed": seed, "raw": raw}
        given = interval(found, **settings)
        read = found.raw if raw else found.score
        row = {"score": read(), "default": (given.low, given.high), "percentile": percentile(read, seed)}
        if name in FITTED:
            wider = interval(found, **settings, refit=refit, splits=SPLITS)
            row["refit"] = (wider.low, wider.high)
        key = f"{name}, raw" if raw else name
        rows[key] = {what: np.round(value, 6).tolist() for what, value in row.items()}
    return rows


def load() -> dict[str, dict[str, Any]]:
    """Kept results: {metric/setting: {seed: row}}."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}


def save(results: dict[str, dict[str, Any]]) -> None:
    """Whole or not at all; one line for each metric and setting."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(key)}: {json.dumps(rows)}" for key, rows in sorted(results.items())]
    part = RESULTS.with_suffix(".part")
    part.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    part.replace(RESULTS)


def run(simulations: int, only: Sequence[str], settings: Sequence[str], say: Callable[[str], None]) -> None:
    """Make the experiments that are not kept yet."""
    results = load()
    for name in only:
        for setting in settings:
            for seed in range(simulations):
                if str(seed) not in results.get(f"{name}/{setting}", {}):
                    for key, row in measured(name, SETTINGS[setting], seed).items():
                        results.setdefault(f"{key}/{setting}", {})[str(seed)] = row
                    if seed % 10 == 9:
                        save(results)
            save(results)
            say(line(f"{name}/{setting}", results[f"{name}/{setting}"]))


def line(key: str, rows: dict[str, Any]) -> str:
    """One line of the table."""
    scores = np.array([row["score"] for row in rows.values()])
    truth, spread = scores.mean(), scores.std(ddof=1)
    cells = [key.replace("/", " | "), f"{len(rows)}", f"{truth:.3f} ± {spread:.3f}"]
    for method in ("default", "refit", "percentile"):
        ends = np.array([row[method] for row in rows.values() if method in row])
        if len(ends):
            inside = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
            cells.append(f"{100 * inside:.1f} ({np.mean(np.diff(ends)) / spread / 3.92:.2f})")
        else:
            cells.append("")
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """Coverage in %, and in brackets the mean width relative to 3.92 standard deviations of the score."""
    head = (
        "| metric | likeness | experiments | score | default | fitted again | percentile |\n"
        + "|---" * 7
        + "|"
    )
    return "\n".join([head, *(line(key, rows) for key, rows in load().items() if len(rows) > 1)])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=METRICS, default=list(METRICS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    given = parser.parse_args()
    if given.what == "run":
        with threadpool_limits(1):
            run(given.simulations, given.only, given.settings, lambda said: print(said, flush=True))
    print(table())


if __name__ == "__main__":
    main()
