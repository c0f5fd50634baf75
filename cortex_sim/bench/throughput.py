"""The cost of one whole training step, and of the training loop, relative to plain torch.

Ours: forward, credit, updates, orthogonality control and feedback renewal, optimiser's step, in the
configuration of ``protocols/defaults``. The baseline: the same architecture as an ``nn.Module``,
``cross_entropy``, autograd, the same optimiser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from cortex_sim.augmentation import Chain, declared
from cortex_sim.backends import torch as backend
from cortex_sim.backends.torch.training import Trainer, batches
from cortex_sim.bench import plain_torch
from cortex_sim.bench.cases import CYCLE, PLAIN, Case, cases
from cortex_sim.bench.timing import Side, clock, interleaved
from cortex_sim.data.augmented import Augmented
from cortex_sim.data.pixels import Held
from cortex_sim.default_settings import defaults
from cortex_sim.preprocessing import Preprocessing

RULES = ("backprop", "gait_prop", "feedback_alignment")


def step_rows(
    case: Case, rules: Sequence[str], blocks: int, threads: int, published: bool = False
) -> list[dict[str, Any]]:
    """One result per rule, all from one interleaved run; ratio is ours ÷ plain torch.

    With ``published``, the row of GAIT-prop has ``published_s``, and ``published_ratio`` over ours.
    """
    torch.set_num_threads(threads)
    x, y = case.stimuli(batches=4)
    sides = {name: case.side(name, x, y) for name in (PLAIN, *rules)}
    if published and case.published is not None:
        sides["published"] = case.published_step(x.double(), y)
    timed = interleaved(sides, blocks, threads)
    rows = []
    for rule in rules:
        row = {"network": case.network, "rule": rule, **timed.over(rule, PLAIN)}
        row |= {"batch": case.batch, "clock": clock(threads), "memory_ratio": None}
        if rule == "gait_prop" and "published" in sides:
            versus = timed.over("published", rule)
            row["published_s"], row["published_ratio"] = versus["ours_s"], versus["ratio"]
            row["published_ratio_quartiles"] = versus["ratio_quartiles"]
        rows.append(row)
    return rows


def loop_row(case: Case, blocks: int, threads: int) -> dict[str, Any]:
    """``loop_throughput``: presentations per second of our training loop over those of a plain loop.

    Backpropagation, both loops with the same source of crops and flips, which is most of what a loader does.
    A block is an epoch of eight batches.
    """
    torch.set_num_threads(threads)
    source, settings = _source(case), defaults(case.settings_of, "backprop").fit
    model = backend.build(case.under("backprop"))
    trainer = Trainer(model, source, None, 1000, case.batch, settings["optimiser"], settings["schedule"])
    sides = {
        "ours": Side(trainer.train_epoch, 1),
        PLAIN: Side(_plain_epochs(case, source), 1),
    }
    timed = interleaved(sides, blocks, threads)
    return {
        "loop_throughput": timed.median(PLAIN) / timed.median("ours"),
        "loop_s": timed.median("ours") / CYCLE,
        "loop_baseline_s": timed.median(PLAIN) / CYCLE,
        "loop_ratio_quartiles": timed.over("ours", PLAIN)["ratio_quartiles"],
    }


def _source(case: Case) -> Augmented:
    """Noise pictures through crops and flips."""
    x, y = case.stimuli(CYCLE)
    shape = tuple(x.shape[1:])
    steps, _ = declared([{"name": "random_crop", "padding": 4}, "flip"], (shape[1], shape[2]))
    levels = (x * 60 + 128).clamp(0, 255).to(torch.uint8)
    shown = Preprocessing(shape, (0.5,) * 3, (0.25,) * 3)
    return Augmented("noise", Held(levels.numpy()), y.numpy(), Chain(steps), shape, shown)


def _plain_epochs(case: Case, source: Augmented) -> Callable[[], None]:
    """An epoch of a loop as users write it, over the same batches."""
    torch.manual_seed(0)
    net = case.plain()
    optimiser = plain_torch.optimiser(net, case.optimiser("backprop") | {"lr": 1e-4})
    done = 0

    def epoch() -> None:
        nonlocal done
        net.train()
        losses = []
        for index in batches(0, done, len(source), case.batch):
            pictures, labels = source.batch(index, done)
            x, y = torch.from_numpy(pictures), torch.from_numpy(labels)
            loss = nn.functional.cross_entropy(net(x), y)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        float(np.mean(losses))
        done += 1

    return epoch


def throughput(
    blocks: int,
    threads: int,
    networks: Sequence[str],
    report: Callable[[str], None],
    batch: int | None = None,
    published: bool = False,
) -> list[dict[str, Any]]:
    """One result per network and rule.

    Parameters
    ----------
    blocks : int
        Timed blocks of each rule.
    threads : int
    networks : sequence of str
        Names in `cases`.
    report : callable
        Called with a line of progress.
    batch : int, optional
        Batch size in place of the shipped one.
    published : bool
        Whether the published algorithm is timed in the same run, where the network has one.
    """
    every, results = cases(batch), []
    for name in networks:
        case = every[name]
        report(f"{name}: {blocks} blocks of each rule")
        rows = step_rows(case, RULES, blocks, threads, published)
        if name in LOOPS:
            report(f"{name}: {blocks} pairs of epochs")
            next(row for row in rows if row["rule"] == "backprop").update(loop_row(case, blocks, threads))
        results += rows
    return results


#: Networks whose training loop is timed: those that train on augmented pictures.
LOOPS = ("vgg_like", "resnet_like")
