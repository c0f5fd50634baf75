"""Short runs: what brian2 prepares at the start of every run is kept as long as it stays the same.

`brian2.Network.run` first collects garbage, checks the equations of every group and generates their code;
for a short run this takes ten times as long as the run itself.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import brian2
from brian2.core import network

#: Neurons of brian2 objects that are kept for batches of other sizes, such as those of probes.
KEPT_NEURONS = 500_000


class Sized(Protocol):
    """Built objects with a number of neurons."""

    @property
    def neurons(self) -> int:
        """Number of neurons."""


T = TypeVar("T", bound=Sized)


def prepare_once(objects: Iterable[Any]) -> None:
    """Prepare objects at their first run, and again only if the code target or namespace changes."""
    for made in objects:
        made.before_run = _once(made)


def _once(made: Any) -> Any:
    prepare = made.before_run
    last: list[Any] = []

    def before_run(run_namespace: Any = None) -> None:
        key = [brian2.prefs["codegen.target"], _constants(made)]  # as an attribute it takes 100 times longer
        if last != key:
            prepare(run_namespace)
            last[:] = key

    return before_run


def _constants(made: Any) -> list[tuple[str, int]]:
    """Values from outside that an object's code reads, by name and identity."""
    namespace = getattr(getattr(made, "group", made), "namespace", None) or {}
    return [(name, id(value)) for name, value in namespace.items()]


def most_recent(made: T, others: Iterable[T]) -> list[T]:
    """``made``, then as many of the others as `KEPT_NEURONS` allows, for later batches of their sizes."""
    neurons, kept = made.neurons, [made]
    for built in others:
        neurons += 0 if built is made else built.neurons
        if built is not made and neurons <= KEPT_NEURONS:
            kept.append(built)
    return kept


class _NoCollection:
    """In place of the module ``gc`` within `brian2.core.network`, which uses nothing else of it."""

    @staticmethod
    def collect() -> int:
        """Objects collected: none."""
        return 0


@contextmanager
def without_collection() -> Iterator[None]:
    """Skip the full garbage collection with which brian2 begins a run; Python's automatic one continues."""
    if getattr(network, "gc", None) is not gc:  # another thread's run skips it already
        yield
        return
    network.gc = _NoCollection
    try:
        yield
    finally:
        network.gc = gc
