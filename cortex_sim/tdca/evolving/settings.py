"""Settings of outer loops over presentations: network, rule, tasks, searcher and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from cortex_sim import library
from cortex_sim.checks import require_count, require_flag, require_known
from cortex_sim.errors import RunError
from cortex_sim.registry import make, register, to_data
from cortex_sim.tdca.evolving.kinds import DEFAULT, KIND, Report, content
from cortex_sim.tdca.inner import altered, broadcast, layered, rules, step  # noqa: F401 - they register themselves
from cortex_sim.tdca.inner.architecture import Architecture, architecture
from cortex_sim.tdca.inner.inner_runs import Span
from cortex_sim.tdca.outer import evolution, meta_gradient, nres  # noqa: F401 - likewise


@dataclass(frozen=True)
class Testing:
    """What a finished outer loop is tested on.

    Parameters
    ----------
    data : list of str
        Data sets, by name; one whose file is missing is left out, with a message.
    steps : list of int
        Lengths of inner runs, in inner steps; each length has its own schedule.
    lives : int
        Inner runs for each data set, network and length; the same for every rule and every ``seed`` of the
        outer loop.
    widths : dict of str to dict
        Other networks: their model settings by the suffix of their results ("256" gives "mnist@256").
    elsewhere : list of str
        Data sets on which the other networks are tested; by default the first.
    controls : list of str
        Controls that disrupt hidden credits, tested on the first data set: units, presentations, noise,
        silent.
    part : {"test", "validation"}
        Presentations on which accuracy is measured; "validation" to choose settings.
    """

    data: list[str] = field(default_factory=lambda: ["digits"])
    steps: list[int] = field(default_factory=lambda: [30, 100, 300, 1000])
    lives: int = 6
    widths: dict[str, dict[str, Any]] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    part: str = "test"

    def __post_init__(self) -> None:
        for name in ("data", "steps", "elsewhere", "controls"):
            if not isinstance(getattr(self, name), list):
                raise RunError(f"setting {name} of testing must be a list. Got {getattr(self, name)!r}")
        if not isinstance(self.widths, dict) or not all(isinstance(w, dict) for w in self.widths.values()):
            raise RunError(f"setting widths of testing must map names to settings. Got {self.widths!r}")
        if not self.data or not self.steps:
            raise RunError("testing: data or steps is empty; give at least one of each")
        for steps in self.steps:
            require_count("testing", steps=steps)
        require_count("testing", lives=self.lives)
        require_known("part of testing", self.part, {"test": None, "validation": None}, RunError)


@register(KIND, DEFAULT)
@dataclass(frozen=True)
class OuterSettings:
    """All settings of an outer loop whose inner runs learn from presentations.

    Parameters
    ----------
    model, model_settings
        A shipped model and the arguments of its function; lists of settings in ``also`` add further
        networks, which take turns.
    also : list of dict
        Model settings of further networks to train on.
    rule : dict
        Inner rule and its settings: ``{name: tdca, credit_network: {name: dense, channels: 16}}``.
    step : dict
        The step that turns changes into weight updates: mixed, adam or plain.
    tasks : dict
        Distribution of tasks to train on, see `cortex_sim.tdca.tasks.settings.tasks_from`.
    span : dict
        Lengths of inner runs, see `cortex_sim.tdca.inner.inner_runs.Span`.
    searcher : dict
        meta_gradient, nres, pgpe, snes or cma_es, and its settings.
    iterations : int
        Outer updates.
    lives : int
        Inner runs in parallel; for searchers over whole inner runs, inner runs per member.
    frozen : bool
        Whether the credit network stays untrained: only rates and schedule are searched.
    hold : list of str
        Outer parameters that keep their initial values: names, or "slopes" and "falls" of the step's schedule
        (how its rates depend on the length of an inner run, and how they fall within it).
    testing : dict
        See `Testing`.
    seed : int
        Seed of outer parameters, inner runs and tasks.
    checkpoint_every : int
        Outer updates between checkpoints.
    """

    choices: ClassVar[tuple[str, ...]] = ("rule", "step", "searcher")

    model: str = "tdca_mlp"
    model_settings: dict[str, Any] = field(default_factory=dict)
    also: list[dict[str, Any]] = field(default_factory=list)
    rule: dict[str, Any] = field(default_factory=lambda: {"name": "tdca"})
    step: dict[str, Any] = field(default_factory=lambda: {"name": "mixed"})
    tasks: dict[str, Any] = field(default_factory=lambda: {"kind": "images", "sources": ["digits"]})
    span: dict[str, Any] = field(default_factory=dict)
    searcher: dict[str, Any] = field(default_factory=lambda: {"name": "meta_gradient", "rate": 0.01})
    iterations: int = 500
    lives: int = 32
    frozen: bool = False
    hold: list[str] = field(default_factory=list)
    testing: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        owner = "evolve"
        require_count(owner, iterations=self.iterations, lives=self.lives)
        require_count(owner, checkpoint_every=self.checkpoint_every)
        require_count(owner, minimum=0, seed=self.seed)
        require_flag(owner, frozen=self.frozen)
        for name, kind in _MAPPINGS.items():
            if not isinstance(getattr(self, name), kind):
                wanted = "a list" if kind is list else "a mapping, name: value"
                raise RunError(f"setting {name} must be {wanted}. Got {getattr(self, name)!r}")
        if not self.model.isidentifier():
            raise RunError(f"setting model must be the name of a shipped model. Got {self.model!r}")
        _made(Span, "span", self.span)
        _made(Testing, "testing", self.testing)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain data, in order."""
        return content(self)

    def described(self) -> dict[str, Any]:
        """Model, and rule and searcher with all their settings, defaults included."""
        rule, search = self.inner_rule(), self.search()
        described = {"rule": to_data("inner_rule", rule), "searcher": to_data("searcher", search)}
        return {"model": self.model, **described}

    def sources(self) -> list[str]:
        """Data sets to train and to test on."""
        return list(dict.fromkeys([*self.tasks.get("sources", []), *self.tests().data]))

    def body(self, **settings: Any) -> Architecture:
        """The network of the inner runs; ``settings`` replace some of the model's."""
        return architecture(library.model(self.model, **{**self.model_settings, **settings}))

    def inner_rule(self) -> Any:
        """The rule of the inner runs."""
        return make("inner_rule", _lists(self.rule))

    def inner_step(self) -> Any:
        """The step that turns its changes into weight updates."""
        return make("step", self.step)

    def inner_span(self) -> Span:
        """Lengths of inner runs."""
        return Span(**self.span)

    def search(self) -> Any:
        """The searcher."""
        return make("searcher", self.searcher)

    def tests(self) -> Testing:
        """What is tested at the end."""
        return Testing(**self.testing)

    def problem(self, data_dir: Path | None) -> tuple[Any, Tensor]:
        """The inner runs, see `cortex_sim.tdca.evolving.problem`."""
        from cortex_sim.tdca.evolving.problem import problem

        return problem(self, data_dir)

    def check(self, data_dir: Path | None) -> None:
        """Check that `outcome` can run, see `cortex_sim.tdca.evolving.outcome`."""
        from cortex_sim.tdca.evolving.outcome import check

        check(self, data_dir)

    def write(self, phi: Tensor, out: Path) -> None:
        """Write all outer parameters, and the credit network where the rule has one."""
        from cortex_sim.tdca.evolving.outcome import write_credit

        write_credit(self, phi, out)

    def outcome(self, phi: Tensor, data_dir: Path | None, report: Report) -> dict[str, Any]:
        """Accuracy of inner runs, see `cortex_sim.tdca.evolving.outcome`."""
        from cortex_sim.tdca.evolving.outcome import outcome

        return {"inner_steps": self.tests().steps, **outcome(self, phi, data_dir, report)}

    def table(self, metrics: Mapping[str, Any]) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        """Accuracy (or the objective, without classes) over inner runs, by data set and inner steps."""
        cells = metrics.get("test_accuracy") or metrics["test_objective"]
        steps = [str(n) for n in metrics["inner_steps"]]
        rows = [
            (label, *(f"{row[n][0]:.3f} ± {row[n][1]:.3f}" if n in row else None for n in steps))
            for label, row in cells.items()
        ]
        return "mean and standard deviation over inner runs, by inner steps", ("", *steps), rows

    def draw(self, axes: Any, metrics: Mapping[str, Any]) -> bool:
        """Accuracy over inner steps."""
        from cortex_sim.tdca.evolving.figure import draw_accuracy

        return draw_accuracy(axes, metrics)


_MAPPINGS = {
    "model_settings": dict,
    "also": list,
    "rule": dict,
    "step": dict,
    "tasks": dict,
    "span": dict,
    "searcher": dict,
    "testing": dict,
    "hold": list,
}


def _lists(value: Any) -> Any:
    """Settings in the registry's form."""
    return {k: _lists(v) for k, v in value.items()} if isinstance(value, dict) else value


def _made(cls: Any, name: str, settings: Mapping[str, Any]) -> Any:
    known = dict.fromkeys(f.name for f in fields(cls))
    for setting in settings:
        require_known(f"setting of {name}", setting, known, RunError)
    return cls(**settings)
