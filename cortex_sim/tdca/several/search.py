"""The joint outer loop: every outer update uses inner runs of all kinds, and no kind outweighs another.

    φ ← φ − η Adam(mean over kinds k of g_k / max(‖g_k‖, n_k)),    log n_k a running mean of log ‖g_k‖

for the network's φ, with g_k the gradient of kind k, and the same with one kind for that kind's own
parameters. g_k is a meta-gradient where inner runs learn from targets or reward, and an antithetic estimate
on functions: each kind's searcher estimates it, only the descent is joint. A gradient a hundred times the
usual, as policies sometimes have, counts as one of norm 1 and changes n_k by a factor of 1.6.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from cortex_sim.checks import require_count, require_positive
from cortex_sim.tdca.outer.descent import Descent, require_final
from cortex_sim.tdca.outer.meta_gradient import MetaGradientSearch
from cortex_sim.tdca.outer.nres import NRESSearch
from cortex_sim.tdca.outer.problem import started, under, within
from cortex_sim.tdca.several.network import KINDS
from cortex_sim.tdca.several.parts import Part

NETWORK = "network"
_KEEP = 0.9  # of the running means of log norms


@dataclass(frozen=True)
class Joint:
    """Rates of the joint outer loop, and the antithetic estimate on functions.

    Parameters
    ----------
    network, supervised, reinforcement, functions : float
        Adam's initial rate for the network, and for each kind's own parameters.
    final : float
        Fraction of the rates left at the end of the cosine.
    pairs : int
        Pairs of inner runs on functions, under φ + σε and φ − σε.
    sigma : float
        Standard deviation σ of the perturbations.
    """

    serves: ClassVar[str] = "several"
    twins: ClassVar[bool] = False
    backpropagates: ClassVar[bool] = True

    network: float = 0.03
    supervised: float = 0.03
    reinforcement: float = 0.03
    functions: float = 0.003
    final: float = 0.1
    pairs: int = 8
    sigma: float = 0.05

    def __post_init__(self) -> None:
        require_positive(self, **{name: getattr(self, name) for name in (NETWORK, *KINDS)})
        require_positive(self, sigma=self.sigma)
        require_count(self, pairs=self.pairs)
        require_final(self, self.final)

    def begin(
        self, problem: SeveralRuns, centre: Tensor, iterations: int, generator: Generator
    ) -> JointSearch:
        """Start at ``centre``: the network's parameters, then each kind's own."""
        return JointSearch(self, problem, started("several", problem, centre), iterations, generator)


class SeveralRuns:
    """Inner runs of all kinds.

    Parameters
    ----------
    parts : dict of str to Part
        Inner runs by kind.
    trained_by : sequence of str
        Kinds whose gradients reach the network; those of the others reach only their own parameters.
    """

    def __init__(self, parts: Mapping[str, Part], trained_by: Sequence[str]) -> None:
        self.parts, self.trained_by = dict(parts), tuple(trained_by)
        first = self.parts[KINDS[0]].assembly.network
        self.lengths = [first.layout.count, *(len(self.parts[kind].assembly.own) for kind in KINDS)]
        self.parameters = sum(self.lengths)
        self.count = sum(part.count for part in self.parts.values())

    def split(self, phi: Tensor) -> dict[str, Tensor]:
        """φ of the network and of each kind by name."""
        return dict(zip((NETWORK, *KINDS), phi.split(self.lengths, -1), strict=True))


class _Centre:
    """φ of one kind's inner runs, as the descent that this kind's searcher reads."""

    def __init__(self, network: Descent, own: Descent, read: Tensor) -> None:
        self.network, self.own, self.read = network, own, read

    @property
    def centre(self) -> Tensor:
        return torch.cat((self.network.centre[self.read], self.own.centre))

    def parted(self, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Parts of this φ's gradient: for the network's whole φ, and for the kind's own."""
        used, own = gradient.split([len(self.read), len(gradient) - len(self.read)])
        return torch.zeros_like(self.network.centre).index_copy(0, self.read, used), own


class JointSearch:
    """A running `Joint`."""

    def __init__(
        self, settings: Joint, runs: SeveralRuns, centre: Tensor, iterations: int, generator: Generator
    ) -> None:
        self._runs, self._generator = runs, generator
        self._descents = {
            name: Descent(phi.clone(), getattr(settings, name), iterations, 0.0, settings.final)
            for name, phi in runs.split(centre).items()
        }
        self._centres = {
            kind: _Centre(self._descents[NETWORK], self._descents[kind], part.assembly.network.read(kind))
            for kind, part in runs.parts.items()
        }
        self._searches: dict[str, Any] = {}
        for kind, part in runs.parts.items():
            both: Any = self._centres[kind]
            self._searches[kind] = (
                NRESSearch(part, both, settings.sigma, generator)
                if kind == "functions"
                else MetaGradientSearch(part, both, apart=True)
            )
        self._sizes = Sizes([f"{kind}/{of}" for kind in KINDS for of in (NETWORK, "own")])

    @property
    def centre(self) -> Tensor:
        """Parameters found so far, (P,)."""
        return torch.cat([descent.centre for descent in self._descents.values()])

    def step(self) -> dict[str, float]:
        """Unroll a window of every kind under the same φ, and descend; ``skipped`` counts all kinds."""
        found, measured, gradients, skipped = {}, {"contained": 0.0, "left_out": 0.0}, {}, 0.0
        for kind in KINDS:
            gradient, of_kind = self._searches[kind].estimate()
            network, own = self._centres[kind].parted(gradient)
            found[kind] = of_kind["loss"]
            measured["contained"] += of_kind["contained"]
            measured["left_out"] += of_kind.get("left_out", 0.0)
            gradients[kind] = self._sizes.bounded(f"{kind}/{NETWORK}", network)
            skipped += self._descents[kind].step(self._sizes.bounded(f"{kind}/own", own))["skipped"]
        if self._runs.trained_by:
            wanted = [gradients[kind] for kind in self._runs.trained_by]
            finite = [g for g in wanted if bool(torch.isfinite(g).all())]
            measured |= self._descents[NETWORK].step(torch.stack(finite or wanted).mean(0))
        measured["skipped"] = skipped + measured.get("skipped", 0.0)
        measured |= {f"loss_{kind}": loss for kind, loss in found.items()}
        measured |= {
            f"cosine_{a}_{b}": _cosine(gradients[a], gradients[b]) for a, b in combinations(KINDS, 2)
        }
        return {"loss": sum(found.values()) / len(found), **measured}

    def state(self) -> dict[str, Tensor]:
        """Descents, running sizes of gradients, the generator, and inner runs of every kind."""
        state = {"generator": self._generator.get_state()} | under("sizes/", self._sizes.state())
        for name, descent in self._descents.items():
            state |= under(f"{name}/descent/", descent.state())
        for kind, part in self._runs.parts.items():
            state |= under(f"{kind}/runs/", part.state())
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved state; perturbations of pairs on functions are drawn in every window."""
        self._generator.set_state(state["generator"])
        self._sizes.restore(within("sizes/", state))
        for name, descent in self._descents.items():
            descent.restore(within(f"{name}/descent/", state))
        for kind, part in self._runs.parts.items():
            part.restore(within(f"{kind}/runs/", state))


class Sizes:
    """Usual norms of gradients, by name: exponentials of running means of their logarithms."""

    def __init__(self, names: Sequence[str]) -> None:
        self.log = {name: torch.zeros((), dtype=torch.float64) for name in names}
        self.weight = {name: torch.zeros((), dtype=torch.float64) for name in names}

    def bounded(self, name: str, gradient: Tensor) -> Tensor:
        """The gradient divided by its usual norm, or by its own if that is larger; NaN and 0 unchanged."""
        norm = float(torch.linalg.vector_norm(gradient.double()))
        if not (math.isfinite(norm) and norm):
            return gradient
        self.log[name] = _KEEP * self.log[name] + (1 - _KEEP) * math.log(norm)
        self.weight[name] = _KEEP * self.weight[name] + (1 - _KEEP)
        return gradient / max(norm, math.exp(float(self.log[name] / self.weight[name])))

    def state(self) -> dict[str, Tensor]:
        """All running means, by name."""
        return under("log/", self.log) | under("weight/", self.weight)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state`."""
        self.log, self.weight = (
            {name: t.clone() for name, t in within(f"{of}/", state).items()} for of in ("log", "weight")
        )


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))
