"""Tasks from image sets: a choice of classes, labels, and scrambling of the pixels.

All images are in one table, sorted by source, part and class, so that a class is a range of rows
and a batch for hundreds of inner runs is one gather.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

from cortex_sim.checks import look_up, require_count, require_flag, require_nonnegative
from cortex_sim.errors import DeclarationError
from cortex_sim.tdca.tasks.batch import PARTS, Task, TaskBatch, draw
from cortex_sim.tdca.tasks.sources import ImageSource

_DRAW = 2**62  # numbers below this, modulo a count, are uniform to 1 in 10^13


@dataclass(frozen=True, eq=False)
class Table:
    """Images of all sources: class c of part p of source s is the count[s, p, c] rows from start[s, p, c].

    Parameters
    ----------
    x : float32 tensor of shape (row, pixel)
    start, count : int64 tensor of shape (source, part, class)
        A class that a source does not have has count 0.
    """

    x: Tensor
    start: Tensor
    count: Tensor


def table(sources: Sequence[ImageSource]) -> Table:
    """Sort the images of all sources into one table."""
    widest = max(source.classes for source in sources)
    keys = [source.part * widest + source.y for source in sources]
    x = torch.cat([s.x[key.argsort(stable=True)] for s, key in zip(sources, keys, strict=True)])
    count = torch.stack([torch.bincount(key, minlength=len(PARTS) * widest) for key in keys])
    start = count.flatten().cumsum(0) - count.flatten()
    shape = (len(sources), len(PARTS), widest)
    return Table(x, start.view(shape), count.view(shape))


@dataclass(frozen=True, eq=False)
class ImageTasks:
    """A task: a source, some of its classes, an output unit for each, and a transformation of its pixels.

    Parameters
    ----------
    sources : sequence of ImageSource
        All with the same number of pixels.
    permute_labels : bool, default True
        Whether classes have random output units; otherwise they keep their order.
    classes : int, optional
        Number of random classes of its source that a task contains; by default all.
    keep_outputs : bool, default False
        Whether there is an output unit for every class of the source, seen or not.
    permute_pixels : bool, default False
        Whether each task has its own random order of the pixels.
    project : bool, default False
        Whether each task presents its own random projection P x, P (pixel, pixel) with independent
        Gaussian entries of variance 1/pixels; applied after the permutation.
    weights : sequence of float, optional
        Relative frequency of each source; by default all equal.

    Notes
    -----
    The tensors of a task: ``source`` (task,); ``seen`` (task, slot), the classes seen; ``unit``
    (task, slot), the output unit of each; perhaps ``pixel`` (task, pixel), input i is pixel pixel[i];
    perhaps ``projection`` (task, pixel, pixel).
    """

    sources: Sequence[ImageSource]
    permute_labels: bool = True
    classes: int | None = None
    keep_outputs: bool = False
    permute_pixels: bool = False
    project: bool = False
    weights: Sequence[float] | None = None

    objective: ClassVar[str] = "cross_entropy"

    def __post_init__(self) -> None:
        require_flag(
            self,
            permute_labels=self.permute_labels,
            keep_outputs=self.keep_outputs,
            permute_pixels=self.permute_pixels,
            project=self.project,
        )
        if not self.sources:
            raise DeclarationError("ImageTasks: sources is empty; give at least one")
        self._check_sources()
        if self.weights is not None:
            self._check_weights(self.weights)

    def _check_sources(self) -> None:
        first = self.sources[0]
        for source in self.sources:
            if source.x.shape[1] != first.x.shape[1]:
                raise DeclarationError(
                    f"ImageTasks: {source.name} has {source.x.shape[1]} pixels, but {first.name} "
                    f"{first.x.shape[1]}; give all sources the same side"
                )
            if self.classes is not None:
                require_count(self, classes=self.classes)
                if self.classes > source.classes:
                    raise DeclarationError(
                        f"ImageTasks: classes={self.classes}, but {source.name} has {source.classes}; "
                        f"give at most {source.classes}"
                    )

    def _check_weights(self, weights: Sequence[float]) -> None:
        if isinstance(weights, str) or not isinstance(weights, Sequence):
            raise DeclarationError(
                f"ImageTasks: weights must list one number for each source. Got {weights!r}"
            )
        if len(weights) != len(self.sources):
            raise DeclarationError(
                f"ImageTasks: {len(weights)} weights for {len(self.sources)} sources; give one for each"
            )
        for weight in weights:
            require_nonnegative(self, weights=weight)
        if not any(weights):
            raise DeclarationError("ImageTasks: all weights are 0; make at least one positive")

    @cached_property
    def table(self) -> Table:
        """The images of all sources."""
        return table(self.sources)

    @property
    def inputs(self) -> int:
        """Pixels of an image."""
        return self.sources[0].x.shape[1]

    @property
    def outputs(self) -> int:
        """Output units: one for each class seen, or for each class of the source with most classes."""
        if self.classes is None or self.keep_outputs:
            return max(source.classes for source in self.sources)
        return self.classes

    def tasks(self, count: int, generator: Generator) -> Task:
        """``count`` tasks, independent of each other."""
        weights = torch.tensor(self.weights or [1.0] * len(self.sources), dtype=torch.float64)
        source = torch.multinomial(weights, count, replacement=True, generator=generator)
        seen = self._classes_seen(source, generator)
        if self.permute_labels:
            unit = _orders(count, self.outputs, generator)[:, : seen.shape[1]]
        elif self.outputs == self.table.count.shape[2]:
            unit = seen
        else:
            unit = torch.arange(self.outputs).expand(count, -1)
        unit = unit.clone(memory_format=torch.contiguous_format)  # its own memory, which safetensors needs
        task = {"source": source, "seen": seen, "unit": unit}
        if self.permute_pixels:
            task["pixel"] = _orders(count, self.inputs, generator)
        if self.project:
            gaussian = torch.randn(count, self.inputs, self.inputs, generator=generator)
            task["projection"] = gaussian / self.inputs**0.5
        return task

    def _classes_seen(self, source: Tensor, generator: Generator) -> Tensor:
        """Classes (task, slot) in ascending order; if all are seen, also those that a source lacks."""
        widest = self.table.count.shape[2]
        if self.classes is None:
            return torch.arange(widest).repeat(len(source), 1)
        lot = torch.rand(len(source), widest, generator=generator)
        lacks = torch.arange(widest) >= torch.tensor([s.classes for s in self.sources])[:, None]
        return lot.masked_fill(lacks[source], 2.0).argsort(1)[:, : self.classes].sort(1).values

    def shown(self, task: Task, batch: int, part: str, generator: Generator) -> tuple[Tensor, Tensor]:
        """Stimuli (task, batch, input) and one-hot targets (task, batch, output), drawn with replacement."""
        return self.shown_among(task, batch, part, generator, slice(None))

    def shown_among(
        self, task: Task, batch: int, part: str, generator: Generator, among: slice
    ) -> tuple[Tensor, Tensor]:
        """As `shown`, for some of the tasks."""
        number = torch.randint(_DRAW, (len(task["source"]), batch), generator=generator)
        some = {name: tensor[among] for name, tensor in task.items()}
        return self._presented(some, part, number[among] % self._ends(some, part)[:, -1:])

    def every(self, task: Task, part: str, chunk: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Each presentation of the classes seen once, class by class."""
        total = self._ends(task, part)[:, -1:]
        longest = int(total.max())
        for start in range(0, longest, chunk):
            number = torch.arange(start, min(start + chunk, longest)).expand(len(total), -1)
            x, y = self._presented(task, part, torch.minimum(number, total - 1))
            yield x, y, number < total

    def draw(self, runs: int, generator: Generator, twins: bool = False) -> TaskBatch:
        """A task for every inner run, see `cortex_sim.tdca.tasks.batch.draw`."""
        return draw(self, runs, generator, twins)

    def _ends(self, task: Task, part: str) -> Tensor:
        """Cumulative number of presentations over a task's classes, (task, slot)."""
        index = look_up("part", part, PARTS)
        return self.table.count[task["source"], index].gather(1, task["seen"]).cumsum(1)

    def _presented(self, task: Task, part: str, number: Tensor) -> tuple[Tensor, Tensor]:
        """Presentations by number (task, batch), counted through the classes that a task sees."""
        ends = self._ends(task, part)
        slot = torch.searchsorted(ends, number, right=True)
        start = self.table.start[task["source"], PARTS[part]].gather(1, task["seen"])
        before = functional.pad(ends[:, :-1], (1, 0))
        row = start.gather(1, slot) + number - before.gather(1, slot)
        x = self.table.x.index_select(0, row.flatten()).view(*number.shape, -1)
        if "pixel" in task:
            x = x.gather(2, task["pixel"][:, None].expand_as(x))
        if "projection" in task:
            x = x @ task["projection"].mT
        y = torch.zeros(*number.shape, self.outputs)
        return x, y.scatter_(2, task["unit"].gather(1, slot)[:, :, None], 1.0)


def _orders(count: int, length: int, generator: Generator) -> Tensor:
    """``count`` random permutations of ``length`` indices, int64 of shape (count, length)."""
    return torch.rand(count, length, generator=generator).argsort(1)
