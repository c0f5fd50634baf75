"""Networks of a study of rules: chains of dense projections that differ in depth, width and activation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cortex_sim.chains import VARIANCE_KEPT, areas
from cortex_sim.checks import require_count
from cortex_sim.connectors import Dense
from cortex_sim.errors import DeclarationError
from cortex_sim.feedback import Random
from cortex_sim.initialisers import He, Initialiser, Orthogonal
from cortex_sim.network import Network
from cortex_sim.objectives import CrossEntropy
from cortex_sim.regularisers import Decay
from cortex_sim.rules.backprop import Backprop
from cortex_sim.words import rewired

#: Populations of every network that are compared: the first, the middle and the last hidden one.
PLACES = ("first", "middle", "last")
DECAY = Decay(1e-4)  # of every bottom-up weight under every rule: Kolen-Pollack needs it

#: Settings of the feedback that a rule adds, such that credit keeps the size it has under backpropagation.
SETTINGS: dict[str, dict[str, object]] = {"gait_prop": {"rescale": True}}


@dataclass(frozen=True)
class Architecture:
    """A chain of hidden populations between the stimulus and the classes.

    Parameters
    ----------
    name : str
    hidden : sequence of int
        Units of the hidden populations, at least three.
    activation : str
    init : Initialiser
        Of the weights into hidden populations.
    """

    name: str
    hidden: Sequence[int]
    activation: str
    init: Initialiser = field(default_factory=Orthogonal)

    def __post_init__(self) -> None:
        if len(self.hidden) < len(PLACES):
            raise DeclarationError(
                f"architecture {self.name}: needs at least {len(PLACES)} hidden populations, so that the "
                f"first, the middle and the last are different. Got {len(self.hidden)}"
            )
        for size in self.hidden:
            require_count(f"architecture {self.name}", minimum=2, size=size)

    @property
    def populations(self) -> tuple[str, ...]:
        """Names of all hidden populations, from below."""
        return areas(len(self.hidden))

    @property
    def places(self) -> tuple[int, ...]:
        """Positions of `PLACES` among the hidden populations; of two middle ones, the lower."""
        last = len(self.hidden) - 1
        return 0, last // 2, last

    def network(self, rule: str, stimulus: Sequence[int], classes: int) -> Network:
        """The network under a rule, with feedback of the size of the forward weights."""
        net = Network(self.name)
        below = net.population("retina", shape=tuple(stimulus))
        for name, size in zip(self.populations, self.hidden, strict=True):
            above = net.population(name, size, activation=self.activation)
            net.bottom_up(below, above, Dense(init=self.init), plasticity=Backprop(), regulariser=DECAY)
            below = above
        top = net.population("IT", classes, activation="linear")
        net.bottom_up(below, top, Dense(init=Orthogonal()), plasticity=Backprop(), regulariser=DECAY)
        net.objective(top, CrossEntropy())
        return with_sized_feedback(rewired(net, rule, dict(SETTINGS.get(rule, {}))))


def with_sized_feedback(net: Network) -> Network:
    """The network with random feedback as large as the forward weights that it replaces.

    By default random feedback keeps credit's size per unit, which the transpose does not where few units send
    to many (`cortex_sim.feedback.Random`): then the size of credit alone would identify the rule, and one
    learning rate would not suit all rules. Here B has the root mean square of the initial weights of its
    paired bottom-up projection, or of orthogonal weights where there is none (direct feedback).
    """
    other, drawn = net.copy(), net.initial_weights(0)
    for name, p in net.projections.items():
        if p.is_top_down and isinstance(p.feedback, Random):
            senders, receivers = net.populations[p.pre].size, net.populations[p.post].size
            size = 1 / max(senders, receivers) ** 0.5
            if p.reverse_name in drawn:
                size = float(np.sqrt(np.mean(drawn[p.reverse_name] ** 2)))
            other.projections[name] = replace(p, feedback=Random(scale=size * senders**0.5))
    return other


_SMOOTH = He(gain=0.5**0.5)  # keeps the variance of drives where the activation does not halve it

ARCHITECTURES = (
    Architecture("relu_64x3", (64, 64, 64), "leaky_relu", VARIANCE_KEPT),
    Architecture("relu_160x4", (160, 160, 160, 160), "leaky_relu", VARIANCE_KEPT),
    Architecture("relu_taper_he", (128, 96, 64), "leaky_relu", He()),
    Architecture("tanh_80x5", (80, 80, 80, 80, 80), "tanh"),
    Architecture("tanh_taper4", (128, 96, 72, 54), "tanh"),
    Architecture("tanh_taper_normal", (96, 72, 54), "tanh", _SMOOTH),
)
