"""Settings of an outer loop over several kinds of inner run, which share one credit network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cortex_sim.checks import require_count, require_known
from cortex_sim.errors import RunError
from cortex_sim.registry import find, register
from cortex_sim.runs.files import write_tensors
from cortex_sim.tdca.evolving.kinds import DEFAULT, KEY, KIND, Report, content, made
from cortex_sim.tdca.evolving.problem import Restricted, searched_parameters
from cortex_sim.tdca.inner.cohort import layout, start
from cortex_sim.tdca.several import credit  # noqa: F401 - its name is registered
from cortex_sim.tdca.several.network import KINDS, SharedNetwork
from cortex_sim.tdca.several.parts import Assembly, FunctionWindows, Part
from cortex_sim.tdca.several.search import NETWORK, Joint, SeveralRuns

#: The kind of outer problem that each kind of inner run is declared as.
PROBLEMS = {"supervised": DEFAULT, "reinforcement": "reinforcement", "functions": "functions"}
#: Settings of one kind that the joint outer loop sets for all kinds.
OWN = ("rule", "searcher", "iterations", "seed", "checkpoint_every", "frozen")
#: Settings of the rule first_order, whose network is the shared one.
POINTS = ("points", "rate", "fall", "noise")
_CONTEXTS = {"supervised": "error", "reinforcement": "actions"}


@register(KIND, "several")
@dataclass(frozen=True)
class SeveralSettings:
    """All settings of an outer loop in which inner runs of several kinds share one credit network.

    Parameters
    ----------
    network : dict
        ``hidden`` and ``cue``, see `cortex_sim.tdca.several.network.SharedNetwork`.
    trained_by : list of str
        Kinds whose gradients reach the network: supervised, reinforcement, functions. Inner runs of other
        kinds train only their own rates and schedules.
    supervised, reinforcement, functions : dict
        Inner runs of each kind, with the settings of that kind of problem, and its tests; ``base`` names a
        configuration to start from. Rule, searcher, outer updates and seed are those of this outer loop.
    points : dict
        For functions: ``points``, ``rate``, ``fall`` and ``noise`` of the rule first_order.
    mirror : int
        Spontaneous presentations from which top-down weights are initialised.
    searcher : dict
        See `cortex_sim.tdca.several.search.Joint`.
    iterations : int
        Outer updates, each with a window of every kind.
    seed : int
        Seed of outer parameters, inner runs and tasks.
    checkpoint_every : int
        Outer updates between checkpoints.
    """

    choices: ClassVar[tuple[str, ...]] = ()

    network: dict[str, Any] = field(default_factory=dict)
    trained_by: list[str] = field(default_factory=lambda: list(KINDS))
    supervised: dict[str, Any] = field(default_factory=lambda: {"base": "layered_digits"})
    reinforcement: dict[str, Any] = field(default_factory=lambda: {"base": "reinforcement_match_to_sample"})
    functions: dict[str, Any] = field(default_factory=lambda: {"base": "functions_first_order"})
    points: dict[str, Any] = field(default_factory=dict)
    mirror: int = 320
    searcher: dict[str, Any] = field(default_factory=dict)
    iterations: int = 100
    seed: int = 0
    checkpoint_every: int = 10

    def __post_init__(self) -> None:
        require_count("evolve", iterations=self.iterations, checkpoint_every=self.checkpoint_every)
        require_count("evolve", minimum=0, seed=self.seed, mirror=self.mirror)
        for name in ("network", "points", "searcher", *KINDS):
            if not isinstance(getattr(self, name), dict):
                raise RunError(f"setting {name} must be a mapping, name: value. Got {getattr(self, name)!r}")
        if not isinstance(self.trained_by, list):
            raise RunError(f"setting trained_by must be a list of kinds. Got {self.trained_by!r}")
        for kind in self.trained_by:
            require_known("kind in trained_by", kind, dict.fromkeys(KINDS), RunError)
        if len(set(self.trained_by)) < len(self.trained_by):
            raise RunError(f"setting trained_by: must name each kind at most once. Got {self.trained_by!r}")
        for name in self.points:
            require_known("setting of points", name, POINTS, RunError)
        _made(SharedNetwork, "network", self.network)
        _made(Joint, "searcher", self.searcher)
        for kind in KINDS:
            object.__setattr__(self, kind, _resolved(kind, getattr(self, kind)))
            self.part(kind)
        held = sorted(set(self.part("supervised").hold) & set(self.shared().small.shapes()))
        if held:
            raise RunError(
                f"setting supervised: hold names {held[0]}, which belongs to the shared network; leave it "
                "out, since trained_by says whose gradients reach the network"
            )

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain data; those of each kind without its base, in full."""
        return content(self)

    def described(self) -> dict[str, Any]:
        """The network as the rule, and the joint searcher, with all their settings."""
        rule = {"name": "several", **asdict(self.shared()), "trained_by": self.trained_by}
        return {"rule": rule, "searcher": {"name": "joint", **asdict(self.search())}}

    def shared(self) -> SharedNetwork:
        """The network."""
        return SharedNetwork(**self.network)

    def search(self) -> Joint:
        """The joint outer loop."""
        return Joint(**self.searcher)

    def part(self, kind: str) -> Any:
        """Settings of one kind, as of an outer loop over this kind alone."""
        given = {**getattr(self, kind), "rule": self._rule(kind), "seed": self.seed}
        if kind != "functions":
            given["searcher"] = {"name": "meta_gradient"}
        return made({**({} if PROBLEMS[kind] == DEFAULT else {KEY: PROBLEMS[kind]}), **given})

    def _rule(self, kind: str) -> dict[str, Any]:
        hidden = self.shared().hidden
        if kind == "functions":
            return {"name": "first_order", "hidden": hidden, **self.points}
        network = {"name": "slotted", "hidden": hidden, "context": {"name": _CONTEXTS[kind]}}
        return {"name": "layered_of_trained_top", "mirror": self.mirror, "credit_network": network}

    def assembly(self, kind: str) -> Assembly:
        """The assembly of a kind's φ."""
        own, shared = self.part(kind), self.shared()
        rule = own.inner_rule()
        if kind == "functions":
            found, named = rule.layout, rule.draw(self.seed)
            searched = torch.ones(found.count, dtype=torch.bool)
        else:
            body, step = own.body(), own.inner_step()
            found, named = layout(rule, step, body), start(rule, step, self.seed, body)
            searched = torch.ones(found.count, dtype=torch.bool)
            if kind == "supervised":
                searched = searched_parameters(own, named)
        return Assembly(kind, shared, found, found.joined(named), searched)

    def problem(self, data_dir: Path | None) -> tuple[SeveralRuns, Tensor]:
        """Inner runs of all kinds, and the initial parameters: the network's, then each kind's own."""
        search, shared, parts = self.search(), self.shared(), {}
        for kind in KINDS:
            runs = self.part(kind).problem(data_dir)[0]
            if isinstance(runs, Restricted):
                runs = runs.inner
            if kind == "functions":
                runs = FunctionWindows(runs, 2 * search.pairs, self.seed)
            parts[kind] = Part(self.assembly(kind), runs)
        phi = shared.layout.joined(shared.draw(self.seed))
        return SeveralRuns(parts, self.trained_by), torch.cat((phi, *(parts[k].assembly.own for k in KINDS)))

    def sources(self) -> list[str]:
        """Data sets of the supervised inner runs."""
        found: list[str] = self.part("supervised").sources()
        return found

    def check(self, data_dir: Path | None) -> None:
        """Check that every kind can be tested, and that supervised goals are classes."""
        own = self.part("supervised")
        if own.also:
            raise RunError("setting supervised: also names further networks; leave it empty here")
        if (objective := own.body().net.objective_function.__class__.__name__) != "CrossEntropy":
            raise RunError(
                "setting supervised: the network reads how probable the right class was, which needs the "
                f"objective cross_entropy. Got {objective}"
            )
        for kind in KINDS:
            self.part(kind).check(data_dir)

    def parted(self, phi: Tensor) -> dict[str, Tensor]:
        """φ of each kind in full, from all parameters that were searched."""
        assemblies = {kind: self.assembly(kind) for kind in KINDS}
        lengths = [self.shared().layout.count, *(len(a.own) for a in assemblies.values())]
        net, *own = phi.split(lengths)
        return {
            kind: a.phi(torch.cat((net[a.network.read(kind)], rest)))
            for (kind, a), rest in zip(assemblies.items(), own, strict=True)
        }

    def write(self, phi: Tensor, out: Path) -> None:
        """Write ``outer.safetensors``: the network's parameters, and each kind's own, including held ones."""
        shared = self.shared().layout
        found = {f"{NETWORK}/{name}": p for name, p in shared.split(phi[: shared.count]).items()}
        for kind, whole in self.parted(phi).items():
            assembly = self.assembly(kind)
            named = assembly.layout.split(whole)
            found |= {f"{kind}/{name}": named[name] for name in assembly.names}
        write_tensors(
            out / "outer.safetensors",
            {name: np.ascontiguousarray(p.double().numpy()) for name, p in found.items()},
            {},
        )

    def outcome(self, phi: Tensor, data_dir: Path | None, report: Report) -> dict[str, Any]:
        """Test results of each kind; conditions of ``per_life`` are called "supervised/mnist", …."""
        found: dict[str, Any] = {"per_life": {}, "missing": [], "of": {}}
        for kind, whole in self.parted(phi).items():
            own = dict(self.part(kind).outcome(whole, data_dir, report))
            found["per_life"] |= {f"{kind}/{label}": cells for label, cells in own.pop("per_life").items()}
            found["missing"] += own.pop("missing")
            found["of"][kind] = own
        return found

    def table(self, metrics: Mapping[str, Any]) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        """A line for every condition of every kind."""
        rows = []
        for kind in KINDS:
            _, heads, lines = self.part(kind).table(metrics["of"][kind])
            for label, *cells in lines:
                said = [f"{head}: {cell}" for head, cell in zip(heads[1:], cells, strict=True) if cell]
                rows.append((kind, label, "; ".join(said)))
        return "tests of each kind", ("", "", "result"), rows

    def draw(self, axes: Any, metrics: Mapping[str, Any]) -> bool:
        """As for the supervised inner runs."""
        drawn: bool = self.part("supervised").draw(axes, metrics["of"]["supervised"])
        return drawn


def _resolved(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a kind in full, from its base if it names one."""
    from cortex_sim.tdca.evolving.reading import based

    for name in OWN:
        if name in given:
            raise RunError(
                f"setting {kind}: {name} belongs to the outer loop over all kinds; leave it out of {kind}"
            )
    of: Any = find(KIND, PROBLEMS[kind])
    known = dict.fromkeys(["base", *(f.name for f in fields(of))])
    for name in given:
        require_known(f"setting of {kind}", name, known, RunError)
    rest = {name: value for name, value in given.items() if name != "base"}
    if "base" not in given:
        whole: Any = made({**({} if PROBLEMS[kind] == DEFAULT else {KEY: PROBLEMS[kind]}), **rest})
    else:
        whole = based(str(given["base"]), rest)
    if not isinstance(whole, of):
        raise RunError(
            f"setting {kind}: its base {given['base']} is of another kind of problem; give one whose problem "
            f"is {PROBLEMS[kind]}"
        )
    return {name: value for name, value in asdict(whole).items() if name not in OWN}


def _made(cls: Any, name: str, settings: Mapping[str, Any]) -> Any:
    known = dict.fromkeys(f.name for f in fields(cls))
    for setting in settings:
        require_known(f"setting of {name}", setting, known, RunError)
    return cls(**settings)
