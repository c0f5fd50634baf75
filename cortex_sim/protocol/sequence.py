"""Sequence: protocols one after another, with one recording, one count of trials, one resume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cortex_sim.calling import known_settings
from cortex_sim.checks import require_count
from cortex_sim.errors import DeclarationError
from cortex_sim.protocol.protocol import Protocol
from cortex_sim.protocol.record import Record
from cortex_sim.protocol.values import Comparable, same


@known_settings
@dataclass(frozen=True, eq=False, init=False)
class Sequence(Comparable):
    """Protocols carried out one after another on the same network.

    Trials, blocks and probes are counted over the whole sequence, and weights continue. `PerTrial` and
    `FromTrial` count the trials of their own protocol. All protocols have the same record.

    Parameters
    ----------
    *protocols : Protocol or Sequence
        In order; each has its own phases, probe, lesion and learning rates.
    repeat : int, default 1
        How often the whole sequence is carried out.

    Examples
    --------
    >>> import cortex_sim as cs
    >>> learn = cs.Protocol(cs.Phase("p", 200, drive={"retina": 0.5}, plasticity=True), trials=3)
    >>> test = cs.Protocol(cs.Phase("p", 200, drive={"retina": 0.5}), trials=2)
    >>> len(cs.Sequence(learn, test, repeat=2).protocols)
    4
    """

    protocols: tuple[Protocol, ...]

    def __init__(self, *protocols: Any, repeat: int = 1) -> None:
        require_count("Sequence", repeat=repeat)
        if not protocols:
            raise DeclarationError("Sequence: needs at least one protocol; give Sequence(first, second)")
        for one in protocols:
            if not isinstance(one, (Protocol, Sequence)):
                star = "; write Sequence(*protocols)" if isinstance(one, (list, tuple)) else ""
                raise DeclarationError(f"Sequence: takes protocols one after another{star}. Got {one!r}")
        nested = [one.protocols if isinstance(one, Sequence) else (one,) for one in protocols]
        object.__setattr__(self, "protocols", tuple(p for many in nested for p in many) * repeat)
        _check_record(self.protocols)

    @property
    def record(self) -> Record:
        """What is recorded."""
        return self.protocols[0].record

    @property
    def plastic(self) -> bool:
        """Whether any phase opens a plasticity window."""
        return any(protocol.plastic for protocol in self.protocols)

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.protocol(self)

    def replace(self, **changes: Any) -> Sequence:
        """The same sequence with some settings changed in each of its protocols, such as ``lesion``."""
        return Sequence(*(protocol.replace(**changes) for protocol in self.protocols))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """The sequence as YAML, without loss; also written to ``path`` if given."""
        from cortex_sim.protocol.protocol_yaml import write

        return write(self, path)

    @staticmethod
    def from_yaml(source: str | Path, seed: int = 0) -> Sequence:
        """Sequence from YAML text, or a file; ``seed`` is used for data sets whose entry has none."""
        from cortex_sim.protocol.protocol_yaml import from_yaml

        return from_yaml(Sequence, source, seed)


def _check_record(protocols: tuple[Protocol, ...]) -> None:
    first, *others = protocols
    for number, other in enumerate(others, 2):
        if not same(other.record, first.record):
            raise DeclarationError(
                f"Sequence: all protocols go into one recording, but the first has {first.record} and number "
                f"{number} {other.record}; give all the same record=..."
            )
        if other.record.every_ms is None and other.recorded_phase != first.recorded_phase:
            raise DeclarationError(
                f"Sequence: one sample a trial is taken at the end of one phase, but that is "
                f"{first.recorded_phase} in the first protocol and {other.recorded_phase} in number "
                f"{number}; give all Record(phase=...) of a phase that all have, or give these phases the "
                "same name"
            )
