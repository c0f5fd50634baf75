"""Test accuracy at the end of inner runs; each length of inner run has its own schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cortex_sim.tdca.inner.architecture import Architecture
from cortex_sim.tdca.inner.cohort import Cohort, layout
from cortex_sim.tdca.inner.rules import InnerRule
from cortex_sim.tdca.inner.step import Step

_CHUNK = 2000  # test presentations settled at once


@torch.no_grad()
def run_to_end(
    body: Architecture,
    rule: InnerRule,
    step: Step,
    phi: Tensor,
    tasks: Any,
    steps: int,
    *,
    seeds: int,
    batch: int = 32,
    seed: int = 0,
) -> tuple[Cohort, Any]:
    """Inner runs that have taken ``steps`` inner steps under φ (parameter,), and their tasks.

    With the same ``seed``, initial weights, tasks and presentations are the same under every rule and φ, so
    that differences are paired by inner run. Tests leave it at 0: all outer loops are tested on the same
    inner runs, so that more outer loops do not add independent inner runs.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = tasks.draw(seeds, generator)
    cohort = Cohort(body, rule, step, seeds)
    starts = torch.arange(seeds) + 1000 * (seed + 1)
    cohort.begin(torch.ones(seeds, dtype=torch.bool), starts, torch.full((seeds,), float(steps)))
    parameters = layout(rule, step, body).split(phi)
    for _ in range(steps):
        cohort.advance(parameters, *drawn.presentations(batch, "train", generator))
    return cohort, drawn


@torch.no_grad()
def tested(cohort: Cohort, drawn: Any, part: str = "test") -> dict[str, list[float]]:
    """Mean objective on the test part (or another) of each inner run; its accuracy if goals are classes."""
    right, total, shown = torch.zeros(3, cohort.count, dtype=torch.float64)
    classes = drawn.objective == "cross_entropy"
    for x, y, counted in drawn.test_presentations(_CHUNK, part):
        top = cohort.settle(x)
        each = counted.double()
        right += ((top.argmax(-1) == y.argmax(-1)) * each).sum(1)
        total += (cohort.body.judged(top, y)[0].double() * each).sum(1)
        shown += each.sum(1)
    found = {"objective": (total / shown).tolist()}
    return {"accuracy": (right / shown).tolist(), **found} if classes else found
