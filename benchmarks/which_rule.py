"""Train the networks of `protocols/which_rule_looks_like_cortex.py` and compare them with cortex.

    python benchmarks/which_rule.py --data-dir ../shared/data      # continues where it stopped

Networks are runs of ``benchmarks/accuracy.py``, whose results choose their rates; a further network takes a
study file and a line in the protocol.
"""

from __future__ import annotations

import argparse
import json
import os
from functools import partial
from pathlib import Path

import accuracy

from cortex_sim import library

ROOT = Path(__file__).resolve().parent.parent


def _results(runs: Path, name: str) -> Path:
    """Where results go: beside the runs, which are needed too; chosen rates are those that were kept."""
    kept, here = ROOT / "benchmarks" / "results" / f"{name}.json", runs / f"{name}.json"
    if not here.exists() and kept.exists():
        here.parent.mkdir(parents=True, exist_ok=True)
        chosen = {k: v for k, v in json.loads(kept.read_text("utf-8")).items() if k.startswith("choose-")}
        here.write_text(json.dumps(chosen), encoding="utf-8")
    return here


def main() -> None:
    """Train what is not yet trained, and compare what is not yet compared."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "accuracy")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "which_rule")
    parser.add_argument("--simulations", type=int, default=10)
    given = parser.parse_args()
    accuracy.results_path = partial(_results, given.runs.resolve())
    study = library.load_module("protocols", "which_rule_looks_like_cortex")
    arms = {name: list(study.ARMS.get(network, ())) for network, (name, _) in study.NETWORKS.items()}
    for name, only in {**arms, study.STOPPED_EARLY: []}.items():
        accuracy.run(name, given.data_dir.resolve(), given.runs.resolve(), only, None)
    for network in study.NETWORKS:
        for file in study.DATA:
            study.compared(network, file, given.data_dir, given.runs, given.simulations, given.out)


if __name__ == "__main__":
    main()
