"""Run the accuracy studies and gather them into tables; goes on where it stopped.

    python benchmarks/accuracy.py run gait_tower --data-dir ../shared/data
    python benchmarks/accuracy.py table gait_tower
    python benchmarks/accuracy.py page                 # writes every table into docs/results.md

A study (``benchmarks/studies/NAME.yaml``) names a model, a data file, its arms and the rates that each
arm may choose from. The choice is made on presentations held back from the training set, seed 0,
never on the test set; then every arm runs with its best rate and every seed. Runs are directories of
``cortex-sim train`` under ``runs/``; results are kept in ``benchmarks/results/NAME.json``. The command may
run several times at once: each takes what no other is at; run it again when they are done.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import angles
import rates
import subset
from filelock import FileLock

from cortex_sim import yaml_text

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
    path = results_path(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def keep(name: str, key: str, metrics: dict[str, Any]) -> None:
    """Add one run's metrics; the file is written whole or not at all."""
    path = results_path(name)
    path.parent.mkdir(exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        results = load_results(name)
        results[key] = {k: v for k, v in metrics.items() if k not in ("model", "out")}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        part.replace(path)


def train(arguments: list[str], out: Path) -> dict[str, Any] | None:
    """Metrics of one training run: a new one, one gone on with, or a finished one read again.

    None where another worker is at it: several may be started beside each other, one a core.
    """
    command = [sys.executable, "-m", "cortex_sim", "train", *arguments, "--out", str(out), "--json"]
    if (out / "run.yaml").is_file():
        command.append("--resume")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if "another process is training there" in done.stderr:
        return None
    if done.returncode == 1:  # it diverged, which is a result too
        return {"diverged": done.stderr.strip().splitlines()[-1]}
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def arguments_of(plan: dict[str, Any], arm: dict[str, Any], data: Path, rate: float) -> list[str]:
    """Options that an arm's runs share."""
    given = [plan["model"], "--data", str(data), "--rule", arm["rule"], "--threads", "1"]
    if "config" in arm:
        given += ["--config", str(ROOT / arm["config"])]
    return [*given, "--set", f"optimiser.lr={rate}"]


def grid_runs(plan: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Key, arm and rate of every run that chooses a rate."""
    for name, arm in plan["arms"].items():
        for rate in arm["rates"]:
            yield choice_key(plan, name, rate), name, rate


def choice_key(plan: dict[str, Any], arm: str, rate: float) -> str:
    """Key of the run that tries a rate; the number of epochs belongs to it."""
    return f"choose-{plan['choose_epochs']}/{arm}/{rate:g}"


def best_rate(plan: dict[str, Any], results: dict[str, Any], name: str) -> float | None:
    """The rate with the best held-out accuracy, or None while one is missing."""
    rates = plan["arms"][name]["rates"]
    if len(rates) == 1:
        return rates[0]
    found = {rate: results.get(choice_key(plan, name, rate)) for rate in rates}
    if any(metrics is None for metrics in found.values()):
        return None
    return max(rates, key=lambda rate: found[rate].get("test_accuracy") or 0.0)  # type: ignore[union-attr]


def run(name: str, data_dir: Path, runs: Path, only: list[str], seeds: list[int] | None) -> None:
    """Every run of a study that is not done yet: first the choice of rates, then all seeds."""
    plan = study(name)
    data = data_dir / plan["data"]
    if "presentations" in plan:
        data = subset.of(data, plan["presentations"], runs / name)
    arms = {n: a for n, a in plan["arms"].items() if not only or n in only}
    held = [
        "--epochs",
        str(plan["choose_epochs"]),
        "--seed",
        "0",
        "--set",
        f"hold_out={plan['hold_out']}",
    ]
    for key, arm, rate in grid_runs(plan):
        if arm not in arms or len(arms[arm]["rates"]) == 1 or key in load_results(name):
            continue
        once(name, key, [*arguments_of(plan, arms[arm], data, rate), *held], runs)
    for seed in seeds if seeds is not None else plan["seeds"]:
        for arm in arms:
            rate = best_rate(plan, load_results(name), arm)
            if rate is None:
                continue
            key = f"final/{arm}/{rate:g}/seed-{seed}"
            if key in load_results(name):
                continue
            whole = ["--epochs", str(plan["epochs"]), "--seed", str(seed)]
            once(name, key, [*arguments_of(plan, arms[arm], data, rate), *whole], runs)


def once(name: str, key: str, arguments: list[str], runs: Path) -> None:
    """One run, its result kept and shown."""
    metrics = train(arguments, runs / name / key)
    if metrics is None:
        return
    keep(name, key, metrics | {"over_training": angles.over_training(runs / name / key)})
    accuracy = metrics.get("test_accuracy")
    said = metrics.get("diverged") or f"{accuracy:.2%} in {metrics['seconds']:.0f} s"
    print(f"{name} {key}: {said}", flush=True)


def table(name: str) -> str:
    """The study as Markdown: mean and spread over seeds, paired difference, how rates were chosen."""
    plan, results = study(name), load_results(name)
    lines = [
        "| arm | rate | test accuracy, mean ± sd (%) | seeds | difference to "
        f"{plan['baseline']}, paired (points) | seconds |",
        "|---|---|---|---|---|---|",
    ]
    baseline = _final(plan, results, plan["baseline"])
    for arm, about in plan["arms"].items():
        found = _final(plan, results, arm)
        rate = best_rate(plan, results, arm)
        chosen = "–" if rate is None else rates.said(rate, about["rates"])
        if not found:
            lines.append(f"| {arm} | {chosen} | – | 0 | – | – |")
            continue
        values = [100 * m["test_accuracy"] for m in found.values()]
        pairs = [
            100 * (found[s]["test_accuracy"] - baseline[s]["test_accuracy"]) for s in found if s in baseline
        ]
        seconds = statistics.median(m["seconds"] for m in found.values())
        lines.append(
            f"| {arm} | {chosen} | {_spread(values)} | {len(values)} | "
            f"{_spread(pairs, sign=True) if pairs else '–'} | {seconds:.0f} |"
        )
    waiting = [arm for arm in plan["arms"] if len(_final(plan, results, arm)) < len(plan["seeds"])]
    open_arms = f"Not run to the end yet: {', '.join(waiting)}." if waiting else ""
    return "\n".join([*lines, "", *held_out(plan, results), *([open_arms] if open_arms else [])])


def held_out(plan: dict[str, Any], results: dict[str, Any]) -> list[str]:
    """How rates were chosen, as Markdown: the best of each arm is bold."""
    grids = {arm: about["rates"] for arm, about in plan["arms"].items() if len(about["rates"]) > 1}
    columns = sorted({rate for grid in grids.values() for rate in grid})
    lines = [
        f"Held-out accuracy (%) by rate, {plan['choose_epochs']} epoch{'s' * (plan['choose_epochs'] > 1)}, "
        f"{plan['hold_out']} training presentations held back{_of(plan)}, seed 0; the best of each arm in bold:",
        "",
        f"| arm | {' | '.join(f'{rate:g}' for rate in columns)} |",
        "|" + "---|" * (len(columns) + 1),
    ]
    for arm, grid in grids.items():
        best = best_rate(plan, results, arm)
        cells = [
            _tried(results.get(choice_key(plan, arm, r)), r == best) if r in grid else "" for r in columns
        ]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return [*lines, ""]


def _of(plan: dict[str, Any]) -> str:
    return f" of {plan['presentations']}" if "presentations" in plan else ""


def _tried(metrics: dict[str, Any] | None, best: bool) -> str:
    if metrics is None:
        return "–"
    if "diverged" in metrics:
        return "diverged"
    accuracy = f"{100 * metrics['test_accuracy']:.2f}"
    return f"**{accuracy}**" if best else accuracy


def angle_table(name: str) -> str:
    """Angles to backpropagation over training: of the runs that chose the rate, then of the final ones.

    Only of runs whose evaluations were kept.
    """
    plan, results = study(name), load_results(name)
    chosen, final = {}, {}
    for arm in plan["arms"]:
        rate = best_rate(plan, results, arm)
        found = [] if rate is None else [results.get(choice_key(plan, arm, rate), {})]
        chosen[arm] = [m["over_training"] for m in found if m.get("over_training")]
        found = _final(plan, results, arm).values()
        final[arm] = [m["over_training"] for m in found if m.get("over_training")]
    return "\n".join([*angles.table(chosen), "", *angles.table(final)])


TABLES = {"study": table, "angles": angle_table}


def page(text: str) -> str:
    """``docs/results.md`` with each table between its two marks."""

    def filled(match: re.Match[str]) -> str:
        what, name = match.groups()
        return f"<!-- {what} {name} -->\n\n{TABLES[what](name)}\n\n<!-- end {what} {name} -->"

    return re.sub(r"<!-- (study|angles) (\w+) -->.*?<!-- end \1 \2 -->", filled, text, flags=re.S)


def _final(plan: dict[str, Any], results: dict[str, Any], arm: str) -> dict[int, dict[str, Any]]:
    rate = best_rate(plan, results, arm)
    if rate is None:
        return {}
    found = {seed: results.get(f"final/{arm}/{rate:g}/seed-{seed}") for seed in plan["seeds"]}
    return {seed: m for seed, m in found.items() if m and m.get("test_accuracy") is not None}


def _spread(values: list[float], sign: bool = False) -> str:
    mean = f"{statistics.mean(values):+.2f}" if sign else f"{statistics.mean(values):.2f}"
    return mean + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=["run", "table", "page"])
    parser.add_argument("study", nargs="?")
    parser.add_argument("--data-dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "accuracy")
    parser.add_argument("--arm", action="append", default=[], help="only this arm; repeatable")
    parser.add_argument("--seed", action="append", type=int, help="only this seed; repeatable")
    given = parser.parse_args()
    if given.what == "page":
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    elif given.study is None:
        parser.error(f"{given.what} needs a study")
    elif given.what == "run":
        data_dir, runs = given.data_dir.resolve(), given.runs.resolve()
        run(given.study, data_dir, runs, given.arm, given.seed)
    else:
        print(table(given.study))


if __name__ == "__main__":
    main()
