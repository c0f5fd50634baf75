"""How alike two networks' RDMs of the 92 objects are: seeds of one rule, and of two rules.

    python benchmarks/which_rule_seeds.py --data-dir ../shared/data

Mean rho-a over pairs of different seeds, in the highest population that is compared, and over pairs that
started from the same weights and saw the same batches.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path

import numpy as np
from which_rule_page import TRAINED

import cortex_sim as cs
from cortex_sim import library
from cortex_sim.compare.rdm_comparators import Rdm, RhoA
from cortex_sim.compare.rdms import rdm
from cortex_sim.report.entries import Showing

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "which_rule"


def alike(network: str, data_dir: Path, runs: Path, cache: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Mean similarity of every two models, with different seeds and with the same seed."""
    study = library.load_module("protocols", "which_rule_looks_like_cortex")
    populations = study.NETWORKS[network][1]
    showing = Showing(cs.data.stimuli(data_dir / "objects92_it_rdms.npz"), populations, cache=cache)
    found = {
        one.name: [_rdm(one.name, member.read(populations[-1])) for member in one.members]
        for one in study.models(network, runs, showing)
        if len(one.members) > 1
    }
    return {
        first: {second: _of(found[first], found[second]) for second in found if second != first}
        | {first: {"other seeds": _of(found[first], found[first])["other seeds"]}}
        for first in found
    }


def _rdm(name: str, responses) -> Rdm:
    values = rdm(responses).values[0]
    return Rdm(name, values, len(responses))


def _of(first: list[Rdm], second: list[Rdm]) -> dict[str, float]:
    each = np.ones(first[0].stimuli)
    pairs = list(product(enumerate(first), enumerate(second)))
    other = [RhoA().compare(a, b, each) for (i, a), (j, b) in pairs if i != j]
    same = [RhoA().compare(a, b, each) for (i, a), (j, b) in pairs if i == j]
    return {"other seeds": float(np.mean(other)), "same seed": float(np.mean(same))}


def main() -> None:
    """Compute and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "accuracy")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "which_rule" / "responses")
    parser.add_argument("network", nargs="*", default=list(TRAINED))
    given = parser.parse_args()
    for network in given.network:
        found = alike(network, given.data_dir, given.runs, given.cache)
        text = json.dumps(found, indent=1) + "\n"
        (RESULTS / f"seeds-{network}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
