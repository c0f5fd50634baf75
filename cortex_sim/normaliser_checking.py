"""What normalisers and dropout require of the network around their population."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cortex_sim.errors import DeclarationError

if TYPE_CHECKING:
    from cortex_sim.network import Network

_log = logging.getLogger(__name__)


def check_normalisers(net: Network) -> None:
    """Refuse a normaliser or dropout where it would make no sense.

    Raises
    ------
    DeclarationError
        If there is one; the message names the population.
    """
    for name, population in net.populations.items():
        if population.normaliser is not None:
            _check_normaliser(net, name, type(population.normaliser).__name__)
        if population.dropout and name == net.objective_at:
            raise DeclarationError(
                f"population {name}: dropout={population.dropout:g} would silence units that the objective "
                "reads, including those of the right answer; give dropout to populations below"
            )


def _check_normaliser(net: Network, name: str, word: str) -> None:
    if name in net.sources:
        raise DeclarationError(
            f"population {name}: {word} acts on the drive, but the rates of {name} are the stimulus; leave "
            "it out, and standardise the stimuli (images.standardised())"
        )
    teacher = net.teacher
    if teacher is not None and name in teacher.hidden and not teacher.network.gated:
        raise DeclarationError(
            f"population {name}: its credit network sends credit to drives (gated = False), but {word} acts "
            f"between drives and rates; use a credit network with gated = True, or leave {word} out"
        )


def say_without_dropout(net: Network) -> None:
    """Warn that protocols run without a network's dropout."""
    dropping = [name for name, population in net.populations.items() if population.dropout]
    if dropping:
        _log.warning(
            "population %s: dropout acts only in training batches on torch; protocols run without it",
            ", ".join(dropping),
        )
