"""Networks of different depth, width and batch size, with names that another process can look up."""

from __future__ import annotations

from dataclasses import dataclass

from cortex_sim.bench import plain_torch
from cortex_sim.bench.cases import Case, cases, dense_chain, shipped
from cortex_sim.checks import look_up
from cortex_sim.errors import RunError

VGG = {
    "depth": (1, 2, 4),  # convolutions of each of three stages
    "width": (8, 16, 32),  # channels of the first stage
    "batch": (32, 128, 512),
}
DENSE = {
    "depth": (3, 6, 12),  # areas
    "width": (256, 512, 1024),  # units of each
    "batch": (32, 128, 512),
}
AXES = {"vgg_like": VGG, "dense": DENSE}


@dataclass(frozen=True)
class Point:
    """A network at one value of one axis, which differs from the middle point in nothing else."""

    axis: str
    size: int
    sizes: dict[str, int]
    case: Case


def points(family: str) -> list[Point]:
    """Every value on every axis; the middle point, which axes share, is on each."""
    axes = look_up("network of scaling", family, AXES, RunError)
    middle = {axis: values[1] for axis, values in axes.items()}
    every = [(axis, size, {**middle, axis: size}) for axis, values in axes.items() for size in values]
    return [Point(axis, size, sizes, _case(family, **sizes)) for axis, size, sizes in every]


def found(name: str, batch: int) -> Case:
    """The network of a benchmark by name."""
    every = cases(batch)
    for family in AXES:
        every |= {point.case.network: point.case for point in points(family) if point.case.batch == batch}
    return look_up("network", name, every, RunError)


def _case(family: str, depth: int, width: int, batch: int) -> Case:
    called = f"{family}, depth {depth}, width {width}"
    if family == "dense":
        return dense_chain(depth, width, batch, called)
    channels = (width, 2 * width, 4 * width)
    plain = plain_torch.vgg_like
    return shipped("vgg_like", plain, batch, called=called, channels=channels, convolutions=depth)
