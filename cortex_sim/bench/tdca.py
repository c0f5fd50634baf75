"""The cost of an inner step with a credit network, relative to direct feedback alignment and the floor.

All in one process, interleaved block by block; medians over blocks are compared. The step is minimal:
settle, credit, local change, no optimiser state. The floor is the step's batched products alone: two forward,
two weight changes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cortex_sim import library
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort, layout, start
from cortex_sim.tdca.inner.rules import Direct, InnerRule, TopDownCredit
from cortex_sim.tdca.inner.step import Plain

RUNS, BATCH, INPUTS, HIDDEN, OUTPUTS = 256, 32, 196, 64, 10
STEPS, ALONE = 10, 20  # steps of a block: of all inner runs at once, and of inner runs one by one
NAMES = ("step", "lives")


class InnerRuns:
    """A cohort under one rule, with its stimuli: one step per call."""

    def __init__(self, rule: InnerRule, count: int) -> None:
        net = library.model("tdca_mlp", inputs=INPUTS, hidden=[HIDDEN], classes=OUTPUTS)
        step = Plain(rate=1e-3)
        self.cohort = Cohort(architecture(net), rule, step, count)
        seeds, length = torch.arange(count), torch.full((count,), 1e6)
        self.cohort.begin(torch.ones(count, dtype=torch.bool), seeds, length)
        own = layout(rule, step, self.cohort.body)
        self.parameters = own.split(own.joined(start(rule, step, 0, self.cohort.body)))
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(count, BATCH, INPUTS, generator=generator)
        labels = torch.randint(OUTPUTS, (count, BATCH), generator=generator)
        self.y = torch.nn.functional.one_hot(labels, OUTPUTS).float()

    def step(self) -> None:
        """One inner step of every inner run."""
        self.cohort.advance(self.parameters, self.x, self.y)


class Floor:
    """The four batched products that every step needs."""

    def __init__(self, count: int) -> None:
        generator = torch.Generator().manual_seed(0)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=generator)

        self.x, self.r = drawn(BATCH, INPUTS), drawn(BATCH, HIDDEN)
        self.w_1, self.w_2 = drawn(HIDDEN, INPUTS), drawn(OUTPUTS, HIDDEN)
        self.u_1, self.u_2 = drawn(BATCH, HIDDEN), drawn(BATCH, OUTPUTS)

    def step(self) -> None:
        """Two products forward, two weight changes."""
        torch.bmm(self.x, self.w_1.transpose(1, 2))
        torch.bmm(self.r, self.w_2.transpose(1, 2))
        torch.bmm(self.u_1.transpose(1, 2), self.x)
        torch.bmm(self.u_2.transpose(1, 2), self.r)


def _seconds(run: Callable[[], None], steps: int) -> float:
    began = time.perf_counter()
    for _ in range(steps):
        run()
    return (time.perf_counter() - began) / steps


@torch.no_grad()
def tdca_cost(blocks: int, threads: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure both ratios.

    Returns
    -------
    list of dict
        ``step``: a step with the credit network over one with direct feedback alignment, for 256 inner
        runs at once (``alone_ratio`` the same for a single inner run). ``lives``: seconds per inner run
        and step, batched, over the floor's; ``alone_s`` is an inner run by itself.
    """
    torch.set_num_threads(threads)
    rules: dict[str, InnerRule] = {"tdca": TopDownCredit(), "direct": Direct()}
    many: dict[str, Any] = {who: InnerRuns(rule, RUNS) for who, rule in rules.items()} | {
        "floor": Floor(RUNS)
    }
    one: dict[str, Any] = {who: InnerRuns(rule, 1) for who, rule in rules.items()} | {"floor": Floor(1)}
    runs = [*many.values(), *one.values()]
    for run in runs:
        _seconds(run.step, 3)
    took: dict[str, list[float]] = {f"{size} {who}": [] for size in ("many", "one") for who in many}
    for block in range(blocks):
        report(f"block {block + 1} of {blocks}")
        for who in many:
            took[f"many {who}"].append(_seconds(many[who].step, STEPS) / RUNS)
        for who in one:
            took[f"one {who}"].append(_seconds(one[who].step, ALONE * STEPS))
    seconds = {name: statistics.median(values) for name, values in took.items()}
    ratios = [a / b for a, b in zip(took["many tdca"], took["many direct"], strict=True)]
    step = {
        "network": "step",
        "ratio": seconds["many tdca"] / seconds["many direct"],
        "ours_s": seconds["many tdca"] * RUNS,
        "baseline_s": seconds["many direct"] * RUNS,
        "spread": [min(ratios), max(ratios)],
        "lives": RUNS,
        "alone_ratio": seconds["one tdca"] / seconds["one direct"],
        "memory_ratio": None,
    }
    per_run = {
        "network": "lives",
        "ratio": seconds["many tdca"] / seconds["many floor"],
        "ours_s": seconds["many tdca"],
        "baseline_s": seconds["many floor"],
        "batched_s": seconds["many tdca"],
        "alone_s": seconds["one tdca"],
        "floor_s": seconds["many floor"],
        "lives": RUNS,
        "memory_ratio": None,
    }
    return [step, per_run]
