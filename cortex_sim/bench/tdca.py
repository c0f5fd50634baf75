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
from cortex_sim.presynaptic.decorrelated import Decorrelated
from cortex_sim.tdca.inner.architecture import architecture
from cortex_sim.tdca.inner.cohort import Cohort, layout, start
from cortex_sim.tdca.inner.layered import Layered
from cortex_sim.tdca.inner.rules import Direct, InnerRule, TopDownCredit
from cortex_sim.tdca.inner.step import Plain

RUNS, BATCH, INPUTS, HIDDEN, OUTPUTS = 256, 32, 196, 64, 10
STEPS, ALONE = 10, 20  # steps of a block: for all inner runs at once, and for a single inner run
NAMES = ("step", "lives", "layered", "layered_decorrelated")
READS = Decorrelated(mixing=0.7, centring=0.9, every=4)


class InnerRuns:
    """A cohort under one rule, with its stimuli: one step per call."""

    def __init__(self, rule: InnerRule, count: int, reads: Decorrelated | None = None) -> None:
        net = library.model("tdca_mlp", inputs=INPUTS, hidden=[HIDDEN], classes=OUTPUTS, reads=reads)
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


def _all_inner_runs(count: int) -> dict[str, InnerRuns | Floor]:
    """What is timed, by name."""
    return {
        "tdca": InnerRuns(TopDownCredit(), count),
        "direct": InnerRuns(Direct(), count),
        "layered": InnerRuns(Layered(), count),
        "layered decorrelated": InnerRuns(Layered(), count, READS),
        "direct decorrelated": InnerRuns(Direct(), count, READS),
        "floor": Floor(count),
    }


@torch.no_grad()
def tdca_cost(blocks: int, threads: int, report: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure what an inner step costs.

    Returns
    -------
    list of dict
        ``step``: a step with the first form of the credit network over one with direct feedback alignment,
        for 256 inner runs at once (``alone_ratio`` the same for a single inner run). ``lives``: seconds per
        inner run and step, batched, over the floor's; ``alone_s`` is an inner run by itself. ``layered``: as
        ``step``, with the layered form. ``layered_decorrelated``: with synapses that read decorrelated
        rates, under both; its ``plain_ratio`` is over direct feedback alignment without.
    """
    torch.set_num_threads(threads)
    many, one = _all_inner_runs(RUNS), _all_inner_runs(1)
    for run in [*many.values(), *one.values()]:
        _seconds(run.step, 3)
    took: dict[str, list[float]] = {f"{size} {who}": [] for size in ("many", "one") for who in many}
    for block in range(blocks):
        report(f"block {block + 1} of {blocks}")
        for who in many:
            took[f"many {who}"].append(_seconds(many[who].step, STEPS) / RUNS)
        for who in one:
            took[f"one {who}"].append(_seconds(one[who].step, ALONE * STEPS))
    seconds = {name: statistics.median(values) for name, values in took.items()}
    decorrelated = _compared("layered_decorrelated", took, "layered decorrelated", "direct decorrelated")
    decorrelated["plain_ratio"] = seconds["many layered decorrelated"] / seconds["many direct"]
    return [
        _compared("step", took, "tdca", "direct"),
        {
            "network": "lives",
            "ratio": seconds["many tdca"] / seconds["many floor"],
            "ours_s": seconds["many tdca"],
            "baseline_s": seconds["many floor"],
            "batched_s": seconds["many tdca"],
            "alone_s": seconds["one tdca"],
            "floor_s": seconds["many floor"],
            "lives": RUNS,
            "memory_ratio": None,
        },
        _compared("layered", took, "layered", "direct"),
        decorrelated,
    ]


def _compared(name: str, took: dict[str, list[float]], ours: str, baseline: str) -> dict[str, Any]:
    """One rule over another, from seconds by block."""
    seconds = {who: statistics.median(values) for who, values in took.items()}
    ratios = [a / b for a, b in zip(took[f"many {ours}"], took[f"many {baseline}"], strict=True)]
    return {
        "network": name,
        "ratio": seconds[f"many {ours}"] / seconds[f"many {baseline}"],
        "ours_s": seconds[f"many {ours}"] * RUNS,
        "baseline_s": seconds[f"many {baseline}"] * RUNS,
        "spread": [min(ratios), max(ratios)],
        "lives": RUNS,
        "alone_ratio": seconds[f"one {ours}"] / seconds[f"one {baseline}"],
        "memory_ratio": None,
    }
