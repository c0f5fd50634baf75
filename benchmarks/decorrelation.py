"""Which rules does presynaptic decorrelation help? Test accuracy after a short training, several seeds.

    python benchmarks/decorrelation.py run --data-dir ../shared/data
    python benchmarks/decorrelation.py page      # writes the table into docs/decorrelation.md

MNIST pooled to 14x14, 196-64-10 (ReLU), 300 updates of 32 presentations by gradient descent with momentum 0.9
and a cosine schedule. Every arm chooses its learning rate on 5000 presentations held out of the training set,
with seed 100; then seeds 0 to 4 are tested with it. ``run`` continues where it stopped.
"""

from __future__ import annotations

import argparse
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import rates
import torch

import cortex_sim as cs
from cortex_sim.runs.results import OneFile

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "decorrelation.md"
RESULTS = HERE / "results" / "decorrelation" / "short_trainings.json"
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
SEEDS, CHOOSING, UPDATES, BATCH, HELD_OUT = range(5), 100, 300, 32, 5000
RULES = {
    "backprop": "backpropagation",
    "kolen_pollack": "Kolen–Pollack",
    "gait_prop": "GAIT-prop",
    "gait_prop_learned": "GAIT-prop, learned inverse",
    "feedback_alignment": "feedback alignment",
    "sign_symmetric": "sign-symmetric",
}
READS: dict[str, cs.Decorrelated | None] = {
    "rates": None,
    "centred rates, `mixing=0`": cs.Decorrelated(mixing=0),
    "`Decorrelated(centring=0)`": cs.Decorrelated(centring=0),
    "`Decorrelated()`": cs.Decorrelated(),
    "`Decorrelated(local=True)`": cs.Decorrelated(local=True),
}
Data = dict[str, torch.Tensor]


def network(rule: str, reads: cs.Decorrelated | None) -> cs.Network:
    """One hidden population, under a rule."""
    net = cs.Network("decorrelation")
    net.population("retina", 196)
    net.population("V1", 64, activation="relu")
    net.population("IT", 10)
    net.bottom_up("retina", "V1", cs.Dense(init="he"), plasticity="backprop")
    net.bottom_up("V1", "IT", cs.Dense(init="xavier"), plasticity="backprop")
    net.objective("IT", cs.CrossEntropy())
    return net.with_rule(rule).with_reads(reads)


def pooled(data_dir: Path) -> Data:
    """Stimuli (presentation, 196) and labels: training, validation and test part."""
    images = cs.data.load(data_dir / "mnist.npz")
    order = np.random.default_rng(0).permutation(len(images.x_train))
    held, kept = order[:HELD_OUT], order[HELD_OUT:]
    parts = {
        "train": (images.x_train[kept], images.y_train[kept]),
        "validation": (images.x_train[held], images.y_train[held]),
        "test": (images.x_test, images.y_test),
    }
    found: Data = {}
    for name, (x, y) in parts.items():
        quarters = x.reshape(len(x), 14, 2, 14, 2).mean((2, 4)).reshape(len(x), 196)
        found |= {f"{name} x": torch.from_numpy(quarters), f"{name} y": torch.from_numpy(y)}
    return found


def trained(rule: str, reads: cs.Decorrelated | None, rate: float, seed: int, data: Data) -> Any:
    """A model after its updates."""
    model = cs.torch.build(network(rule, reads), seed=seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
    model.attach(optimiser)
    model.train()
    draws = np.random.default_rng(seed)
    for _ in range(UPDATES):
        index = torch.from_numpy(draws.integers(0, len(data["train y"]), BATCH))
        optimiser.zero_grad()
        model(data["train x"][index], data["train y"][index]).backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def accuracy(model: Any, data: Data, part: str) -> float:
    """Share of presentations whose most active unit at the top is the label."""
    with torch.no_grad():
        top = model(data[f"{part} x"])
    return float((top.argmax(1) == data[f"{part} y"]).double().mean())


def run(data_dir: Path) -> None:
    """Every run that is not kept yet."""
    torch.set_num_threads(1)
    data, results = pooled(data_dir), OneFile(RESULTS)
    for rule in RULES:
        for said, reads in READS.items():
            arm = f"{rule}, {said}"
            for rate in RATES:
                _once(results, f"{arm}: rate {rate:g}", rule, reads, rate, CHOOSING, data, "validation")
            for seed in SEEDS:
                _once(results, tested(arm, seed), rule, reads, chosen(arm), seed, data, "test")


def _once(
    results: OneFile, key: str, rule: str, reads: Any, rate: float, seed: int, data: Data, part: str
) -> None:
    if results.get(key) is None:
        model = trained(rule, reads, rate, seed, data)
        results.put(key, {"accuracy": accuracy(model, data, part), "rate": rate})


def chosen(arm: str) -> float:
    """The rate with the highest accuracy on validation presentations."""
    kept = OneFile(RESULTS).all()
    return max(RATES, key=lambda rate: kept[f"{arm}: rate {rate:g}"]["accuracy"])


def tested(arm: str, seed: int) -> str:
    """Key of an arm's run with its chosen rate."""
    return f"{arm}: seed {seed} at rate {chosen(arm):g}"


def table() -> str:
    """Mean and sd of test accuracy over seeds, its difference from synapses that read rates, and the rate."""
    kept = OneFile(RESULTS).all()
    lines = [
        "| rule | synapses read | test accuracy, % | minus rates, points | learning rate |",
        "|---|---|---|---|---|",
    ]
    for rule, called in RULES.items():
        plain: list[float] = []
        for said in READS:
            arm = f"{rule}, {said}"
            found = [100 * kept[tested(arm, seed)]["accuracy"] for seed in SEEDS]
            plain = plain or found
            apart = [one - other for one, other in zip(found, plain, strict=True)]
            cells = [
                called,
                said,
                f"{statistics.mean(found):.1f} ± {statistics.stdev(found):.1f}",
                "" if found is plain else f"{statistics.mean(apart):+.1f} ± {statistics.stdev(apart):.1f}",
                rates.said(chosen(arm), RATES),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the table between its markers."""
    written = f"<!-- table decorrelation -->\n\n{table()}\n\n<!-- end decorrelation -->"
    pattern = re.compile(r"<!-- table decorrelation -->.*<!-- end decorrelation -->", re.DOTALL)
    return pattern.sub(lambda _: written, text)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "page"])
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    given = parser.parse_args()
    if given.what == "run":
        run(given.data_dir)
    else:
        PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
