"""Run the accuracy studies and gather them into tables; continues where it stopped.

    python benchmarks/accuracy.py run gait_tower --data-dir ../shared/data
    python benchmarks/accuracy.py table gait_tower
    python benchmarks/accuracy.py page                 # every table of docs/results.md and of the overview

A study (``benchmarks/studies/NAME.yaml``) names a model, a data file, its seeds, its arms and the learning
rates that each arm may choose from; an arm may have its own ``seeds``. The choice is made on presentations
held out of the training set, seed 0, never on the test set; then every arm runs with its best rate and every
seed. Runs are directories of ``cortex-sim train`` under ``runs/``; results are kept in
``benchmarks/results/NAME.json``, each with the fingerprint of its settings and data: if these have changed,
the run is made again, which is reported. The command may run several times at once: each takes work that no
other has taken; run it again when they are done.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import angles
import rates
import subset
from scipy import stats

from cortex_sim import library, yaml_text
from cortex_sim.runs.results import OneFile
from cortex_sim.runs.sweep import Job, work
from cortex_sim.training import sweeping
from cortex_sim.training.settings import resolve

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "results.md"


def study(name: str) -> dict[str, Any]:
    """The study's description."""
    path = HERE / "studies" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        sys.exit(f"no study {name!r}; known: {known}")
    return yaml_text.read("study", path)


def results_path(name: str) -> Path:
    """Where the study's results are kept."""
    return HERE / "results" / f"{name}.json"


def load_results(name: str) -> dict[str, Any]:
    """Results so far: key of the run to its metrics."""
    return OneFile(results_path(name)).all()


def job(spec: dict[str, Any], arm: str, rate: float, key: str, data_dir: Path, flags: dict[str, Any]) -> Job:
    """One run of an arm; data are identified by content, and a run may use a subset of presentations."""
    about, data = spec["arms"][arm], data_dir / spec["data"]
    settings = resolve(
        spec["model"],
        config=ROOT / about["config"] if "config" in about else None,
        assignments=[f"optimiser.lr={rate}"],
        flags={"data": str(data), "rule": about["rule"], **flags},
    )
    configuration = sweeping.configuration_of(settings)
    if "presentations" in spec:
        configuration["presentations"] = spec["presentations"]
    if "test" in spec:
        configuration["test"] = spec["test"]
    return Job(key, configuration, {"rule": settings.rule}, {"settings": settings.as_dict()})


def choices(spec: dict[str, Any], data_dir: Path, only: Sequence[str] = ()) -> list[Job]:
    """The runs that choose learning rates."""
    flags = {"epochs": spec["choose_epochs"], "seed": 0, "hold_out": spec["hold_out"]}
    return [
        job(spec, arm, rate, key, data_dir, flags)
        for key, arm, rate in grid_runs(spec)
        if (not only or arm in only) and len(spec["arms"][arm]["rates"]) > 1
    ]


def finals(
    spec: dict[str, Any], results: dict[str, Any], data_dir: Path, only: Sequence[str] = (), seeds: Any = None
) -> list[Job]:
    """Every seed of every arm whose rate is chosen."""
    made = []
    for seed in spec["seeds"] if seeds is None else seeds:
        for arm in spec["arms"]:
            rate = best_rate(spec, results, arm)
            wanted = seeds is not None or seed in seeds_of(spec, arm)
            if rate is not None and wanted and (not only or arm in only):
                flags = {"epochs": spec["epochs"], "seed": seed}
                made.append(job(spec, arm, rate, final_key(arm, rate, seed), data_dir, flags))
    return made


def seeds_of(spec: dict[str, Any], arm: str) -> list[int]:
    """Seeds of an arm: its own, or the study's."""
    seeds: list[int] = spec["arms"][arm].get("seeds", spec["seeds"])
    return seeds


def measured(job: Job, folder: Path) -> dict[str, Any]:
    """Metrics of a run, and its evaluations during training."""
    seen = job.configuration.get("presentations")
    if seen is not None:
        settings = dict(job.given["settings"])
        kept = job.configuration.get("test", subset.TEST)
        settings["data"] = str(subset.of(Path(settings["data"]), seen, folder.parent, kept))
        job = replace(job, given={"settings": settings})
    metrics = sweeping.trained(job, folder)
    return {**job.labels, **metrics, "over_training": angles.over_training(folder)}


def grid_runs(spec: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Key, arm and rate of every run that chooses a rate."""
    for name, arm in spec["arms"].items():
        for rate in arm["rates"]:
            yield choice_key(spec, name, rate), name, rate


def choice_key(spec: dict[str, Any], arm: str, rate: float) -> str:
    """Key of the run that tries a rate; it includes the number of epochs."""
    return f"choose-{spec['choose_epochs']}/{arm}/{rate:g}"


def final_key(arm: str, rate: float, seed: int) -> str:
    """Key of a run with the chosen rate."""
    return f"final/{arm}/{rate:g}/seed-{seed}"


def best_rate(spec: dict[str, Any], results: dict[str, Any], name: str) -> float | None:
    """The rate with the best held-out accuracy, or None while one is missing."""
    rates = spec["arms"][name]["rates"]
    if len(rates) == 1:
        return rates[0]
    found = {rate: results.get(choice_key(spec, name, rate)) for rate in rates}
    if any(metrics is None for metrics in found.values()):
        return None
    return max(rates, key=lambda rate: reached(found[rate] or {}) or 0.0)


def run(
    name: str, data_dir: Path, runs: Path, only: list[str], seeds: list[int] | None, processes: int = 1
) -> None:
    """Every run of a study that is not done yet: first the choice of rates, then all seeds."""
    spec, results = study(name), OneFile(results_path(name))
    if not (data_dir / spec["data"]).exists():
        sys.exit(f"no {spec['data']} in {data_dir}; give --data-dir")
    places = {
        "folder": runs / name,
        "results": results,
        "processes": processes,
        "report": say,
        "shown": shown,
    }
    ended = work(choices(spec, data_dir, only), measured, **places)
    ended += work(finals(spec, results.all(), data_dir, only, seeds), measured, **places)
    if any(end.failed for end in ended):
        sys.exit("some runs failed; the others are done")


def shown(metrics: Mapping[str, Any]) -> str:
    """One line about a run."""
    if "diverged" in metrics:
        return str(metrics["diverged"])
    return f"{reached(metrics):.2%} in {metrics['seconds']:.0f} s"


def say(text: str) -> None:
    """Print one line immediately."""
    print(text, flush=True)


def reached(metrics: Mapping[str, Any]) -> float | None:
    """Accuracy on the evaluated part: held-out presentations if any, else the test set."""
    held = metrics.get("validation_accuracy")
    return metrics.get("test_accuracy") if held is None else held


def table(name: str) -> str:
    """The study as Markdown: mean and spread over seeds, paired differences, how rates were chosen."""
    spec, results = study(name), load_results(name)
    if not spec["seeds"]:  # only rates were chosen
        return "\n".join(held_out(spec, results))
    against = {other: final_of(spec, results, other) for other in baselines(spec)}
    columns = ["arm", "rate", "test accuracy, mean ± sd (%)", "seeds"]
    columns += [f"difference from {other}, paired (points)" for other in against]
    lines = [_row(*columns, "seconds"), "|" + "---|" * (len(columns) + 1)]
    for arm, about in spec["arms"].items():
        if not _has_a_row(spec, results, arm):
            continue
        found = final_of(spec, results, arm)
        rate = best_rate(spec, results, arm)
        chosen = "–" if rate is None else rates.said(rate, about["rates"])
        if not found:
            lines.append(_row(arm, chosen, "–", 0, *["–"] * len(against), "–"))
            continue
        values = [100 * m["test_accuracy"] for m in found.values()]
        pairs = [_paired(found, there) if other != arm else "" for other, there in against.items()]
        seconds = statistics.median(m["seconds"] for m in found.values())
        lines.append(_row(arm, chosen, _spread(values), len(values), *pairs, f"{seconds:.0f}"))
    waiting = [arm for arm in spec["arms"] if len(final_of(spec, results, arm)) < len(seeds_of(spec, arm))]
    open_arms = f"Not finished yet: {', '.join(waiting)}." if waiting else ""
    return "\n".join([*lines, "", *held_out(spec, results), *([open_arms] if open_arms else [])])


def baselines(spec: dict[str, Any]) -> list[str]:
    """Arms that the others are compared with: the study's baseline, and any others that it names."""
    return [spec["baseline"], *spec.get("also_against", [])]


def _row(*cells: Any) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _paired(found: dict[int, dict[str, Any]], others: dict[int, dict[str, Any]]) -> str:
    """Mean difference over the seeds of both, with Student's 95 % interval from two seeds on."""
    pairs = [100 * (m["test_accuracy"] - others[s]["test_accuracy"]) for s, m in found.items() if s in others]
    if not pairs:
        return "–"
    said = f"{statistics.mean(pairs):+.2f}"
    if len(pairs) > 1:
        half = stats.t.ppf(0.975, len(pairs) - 1) * statistics.stdev(pairs) / len(pairs) ** 0.5
        said += f" [{statistics.mean(pairs) - half:+.2f}, {statistics.mean(pairs) + half:+.2f}]"
    return said


def held_out(spec: dict[str, Any], results: dict[str, Any]) -> list[str]:
    """How rates were chosen, as Markdown: the best of each arm is bold."""
    grids = {
        arm: about["rates"]
        for arm, about in spec["arms"].items()
        if len(about["rates"]) > 1 and _has_a_row(spec, results, arm)
    }
    if not grids:
        return []
    columns = sorted({rate for grid in grids.values() for rate in grid})
    lines = [
        f"Held-out accuracy (%) by rate, {spec['choose_epochs']} epoch{'s' * (spec['choose_epochs'] > 1)}, "
        f"{spec['hold_out']} training presentations held out{_of(spec)}, seed 0; "
        "the best of each arm in bold:",
        "",
        f"| arm | {' | '.join(f'{rate:g}' for rate in columns)} |",
        "|" + "---|" * (len(columns) + 1),
    ]
    for arm, grid in grids.items():
        best = best_rate(spec, results, arm)
        cells = [
            _tried(results.get(choice_key(spec, arm, r)), r == best) if r in grid else "" for r in columns
        ]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return [*lines, ""]


def _has_a_row(spec: dict[str, Any], results: dict[str, Any], arm: str) -> bool:
    """Whether a table has a row for the arm; one that has seeds of its own gets a row with its first run."""
    return "seeds" not in spec["arms"][arm] or any(f"/{arm}/" in key for key in results)


def _of(spec: dict[str, Any]) -> str:
    return f" of {spec['presentations']}" if "presentations" in spec else ""


def _tried(metrics: dict[str, Any] | None, best: bool) -> str:
    if metrics is None:
        return "–"
    if "diverged" in metrics:
        return "diverged"
    accuracy = f"{100 * (reached(metrics) or 0.0):.2f}"
    return f"**{accuracy}**" if best else accuracy


def angle_table(name: str) -> str:
    """Angles to backpropagation over training: of the runs that chose the rate, then of the final ones.

    Only of runs whose evaluations were kept.
    """
    spec, results = study(name), load_results(name)
    chosen, final = {}, {}
    for arm in spec["arms"]:
        rate = best_rate(spec, results, arm)
        found = [] if rate is None else [results.get(choice_key(spec, arm, rate), {})]
        chosen[arm] = [m["over_training"] for m in found if m.get("over_training")]
        found = final_of(spec, results, arm).values()
        final[arm] = [m["over_training"] for m in found if m.get("over_training")]
    upward = [p.name for p in library.model(spec["model"]).bottom_ups]
    if not any(len(a["rates"]) > 1 for a in spec["arms"].values()):
        return "\n".join(angles.table(final, upward))
    return "\n".join([*angles.table(chosen, upward), "", *angles.table(final, upward)])


TABLES = {"study": table, "angles": angle_table}


def page(text: str) -> str:
    """``docs/results.md`` with each table between its two markers."""

    def filled(match: re.Match[str]) -> str:
        what, name = match.groups()
        return f"<!-- {what} {name} -->\n\n{TABLES[what](name)}\n\n<!-- end {what} {name} -->"

    return re.sub(r"<!-- (study|angles) (\w+) -->.*?<!-- end \1 \2 -->", filled, text, flags=re.S)


def final_of(spec: dict[str, Any], results: dict[str, Any], arm: str) -> dict[int, dict[str, Any]]:
    """Metrics of the arm's runs at its best rate, by seed."""
    rate = best_rate(spec, results, arm)
    if rate is None:
        return {}
    found = {seed: results.get(final_key(arm, rate, seed)) for seed in spec["seeds"]}
    return {seed: m for seed, m in found.items() if m and m.get("test_accuracy") is not None}


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.2f}" + (
        f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["run", "table", "page"])
    parser.add_argument("study", nargs="?")
    parser.add_argument("--data-dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "accuracy")
    parser.add_argument("--arm", action="append", default=[], help="only this arm; repeatable")
    parser.add_argument("--seed", action="append", type=int, help="only this seed; repeatable")
    parser.add_argument("--jobs", type=int, default=1, help="runs in parallel")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if given.what == "page":
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        import overview  # which makes its tables with this module

        overview.write()
    elif given.study is None:
        parser.error(f"{given.what} needs a study")
    elif given.what == "run":
        data_dir, runs = given.data_dir.resolve(), given.runs.resolve()
        run(given.study, data_dir, runs, given.arm, given.seed, given.jobs)
    else:
        print(table(given.study))


if __name__ == "__main__":
    main()
