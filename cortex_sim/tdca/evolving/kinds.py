"""Kinds of outer problem: what inner runs optimise, by the key ``problem`` of a configuration."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

from torch import Tensor

from cortex_sim.checks import look_up
from cortex_sim.errors import RunError
from cortex_sim.registry import find, names, registered_name

KIND = "outer_problem"  # in the registry
KEY = "problem"  # in configurations
DEFAULT = "presentations"  # the kind of a configuration without the key
Report = Callable[[str], None]
_HOMES = (  # modules in which the kinds that ship register themselves
    "cortex_sim.tdca.evolving.settings",
    "cortex_sim.tdca.functions.settings",
    "cortex_sim.tdca.reinforcement.settings",
    "cortex_sim.tdca.several.settings",
)


class OuterProblem(Protocol):
    """Settings of an outer loop, of one kind of problem.

    A new kind is a frozen dataclass with these members and a default for every field, registered with
    ``@register("outer_problem", NAME)`` in a module that `_HOMES` lists (a user's module must be imported
    first). Its fields are the names that a configuration may have; they are checked in ``__post_init__``,
    with a `RunError` or `DeclarationError` before any work. `cortex_sim.tdca.evolving.run.evolve` supplies
    the run directory, its log, figure and checkpoints, and resumes a killed run, bit for bit. For that, the
    searcher must save all state of the problem: an `UnrolledProblem` returns its state from ``state()``; a
    `FitnessProblem` has no state except ``contained``, and draws only from the generator passed to
    ``fitness`` (both in `cortex_sim.tdca.outer.problem`).

    Attributes
    ----------
    choices : tuple of str
        Fields that hold a named choice with its settings (``{name: snes, members: 8}``): in a configuration
        with a base, another name replaces the whole choice. All other mappings are merged.
    seed : int
        Seed of everything that the outer loop draws.
    iterations : int
        Outer updates.
    checkpoint_every : int
        Outer updates between checkpoints.
    """

    choices: ClassVar[tuple[str, ...]]

    @property
    def seed(self) -> int:
        """See above."""

    @property
    def iterations(self) -> int:
        """See above."""

    @property
    def checkpoint_every(self) -> int:
        """See above."""

    def as_dict(self) -> dict[str, Any]:
        """All settings as plain data, in order, as run.yaml keeps them: `content` of this object."""

    def described(self) -> dict[str, Any]:
        """Head of metrics.json: at least ``rule`` and ``searcher``, each ``{name: …}`` with all settings."""

    def sources(self) -> list[str]:
        """Data sets, by name or path, that the result depends on; none where there are no data."""

    def search(self) -> Any:
        """The searcher, an object registered as one; its ``serves`` says which problems it takes."""

    def problem(self, data_dir: Path | None) -> tuple[Any, Tensor]:
        """The problem to pass to ``search().begin``, and the initial φ (parameter,)."""

    def check(self, data_dir: Path | None) -> None:
        """Raise a `CortexSimError` now if `outcome` could not run after the outer loop."""

    def write(self, phi: Tensor, out: Path) -> None:
        """Write every parameter by name to ``outer.safetensors``, and any other files of this kind."""

    def outcome(self, phi: Tensor, data_dir: Path | None, report: Report) -> dict[str, Any]:
        """Test results, as plain data for metrics.json.

        They hold ``per_life``, measurements of single inner runs by condition, which studies keep, and
        ``missing``, a list of sources that were not found. The random numbers of tests do not depend on
        ``seed``, so that all outer loops are tested alike (in reinforcement they do, and inner runs differ).
        ``report`` is called with one line on what is being tested.
        """

    def table(self, metrics: Mapping[str, Any]) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        """Title, column heads and rows of the table that ``cortex-sim evolve`` prints at the end."""

    def draw(self, axes: Any, metrics: Mapping[str, Any]) -> bool:
        """Draw the outcome into the right panel of the figure; False if there is nothing to draw."""


def content(settings: Any) -> dict[str, Any]:
    """The settings as plain data, the key ``problem`` first where it is not the default."""
    name = registered_name(KIND, settings)
    return ({} if name == DEFAULT else {KEY: name}) | asdict(settings)


def known() -> list[str]:
    """Names of the kinds."""
    for home in _HOMES:
        importlib.import_module(home)
    return names(KIND)


def kind_of(found: Mapping[str, Any]) -> Any:
    """Class of settings for the kind that a configuration names.

    Raises
    ------
    RunError
        If there is no such kind.
    """
    name = look_up("problem", found.get(KEY, DEFAULT), {name: name for name in known()}, RunError)
    return find(KIND, name)


def made(found: Mapping[str, Any]) -> Any:
    """Settings of the kind that a configuration names, from plain data."""
    return kind_of(found)(**{name: value for name, value in found.items() if name != KEY})


def settings_known(kind: Any) -> list[str]:
    """Names that a configuration of this kind may have."""
    return [KEY, *(f.name for f in fields(kind))]
