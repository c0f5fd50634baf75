"""What users do with a network on torch: train it, record responses and changes, set and save its state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from cortex_sim.backends.torch import changes, fitting, outputs, weights
from cortex_sim.backends.torch.core import Core
from cortex_sim.backends.torch.modes import differentiating
from cortex_sim.backends.torch.optimising import rates_restored
from cortex_sim.calling import known_arguments
from cortex_sim.errors import DataError
from cortex_sim.runs.interrupted import saying

if TYPE_CHECKING:
    from cortex_sim.state import State


class Model(Core):
    """A network built for torch; made by `cortex_sim.torch.build`.

    ``model(x, y)`` is the surrogate whose backward pass leaves minus every rule's change in ``.grad``, and
    ``model(x)`` the top population's rates; `loss` is the objective, `updates` gives the changes as tensors,
    `fit` trains, `respond` records, `predict` gives the top's rates as an array. Its parameters and state
    are those of ``cortex_sim.backends.torch.core.Core``.
    """

    @known_arguments("model.surrogate")
    def surrogate(self, x: Any, y: Any = None) -> Tensor:
        """The same as ``model(x, y)``, a scalar built for its gradient; see `loss` for the objective."""
        if y is None and self.net.objective_function is not None:
            raise DataError(f"network {self.net.name}: its objective at {self.top} needs labels or targets y")
        value: Tensor = self(x, y)
        return value

    @known_arguments("model.loss")
    def loss(self, x: Any, y: Any) -> Tensor:
        """Mean objective over presentations, a scalar without a graph; for training, use ``model(x, y)``."""
        return outputs.loss(self, x, y)

    @known_arguments("model.predict")
    def predict(self, x: Any, *, batch: int = 256) -> np.ndarray | Tensor:
        """Rates of the top population; see `cortex_sim.backends.torch.outputs.predict`."""
        return outputs.predict(self, x, batch)

    @known_arguments("model.updates")
    def updates(
        self, x: Any, y: Any = None, *, biases: bool = False, per_presentation: bool = False
    ) -> dict[str, Tensor]:
        """Change Δw/η by projection; see `cortex_sim.backends.torch.changes.updates`."""
        return changes.updates(self, x, y, biases=biases, per_presentation=per_presentation)

    @known_arguments("model.backprop_updates")
    def backprop_updates(self, x: Any, y: Any, *, biases: bool = False) -> dict[str, Tensor]:
        """Change by backpropagation: the negative gradient, by autograd, of the same objective."""
        return changes.backprop_updates(self, x, y, biases=biases)

    @known_arguments("model.credits")
    def credits(self, x: Any, y: Any) -> dict[str, Tensor]:
        """Credit c of every population that receives any, (presentation, *shape)."""
        return changes.credits(self, x, y)

    @known_arguments("model.fit")
    @differentiating
    def fit(self, train: Any, epochs: int = 10, **settings: Any) -> list[dict[str, float | None]]:
        """Train; see `cortex_sim.backends.torch.fitting.fit`."""
        try:
            scheduled = rates_restored(settings.get("optimiser"), settings.get("schedule"))
            with saying(fitting.what_is_kept(self)), scheduled:
                return fitting.fit(self, train, epochs, **settings)
        finally:
            self.detach()

    @known_arguments("model.respond")
    def respond(self, x: Any, y: Any = None, **settings: Any) -> Any:
        """Recording of every population; see `cortex_sim.backends.torch.responding.respond`."""
        from cortex_sim.backends.torch import responding  # imports xarray, which training does not need

        return responding.respond(self, x, y, **settings)

    @known_arguments("model.set_weights")
    def set_weights(self, given: Mapping[str, Any]) -> None:
        """Overwrite bottom-up, lateral or free top-down weights by projection, then recompute feedback."""
        weights.set_weights(self, given)

    @known_arguments("model.set_biases")
    def set_biases(self, given: Mapping[str, Any]) -> None:
        """Overwrite biases by population, one per unit or, where the shape has channels, one per channel."""
        weights.set_biases(self, given)

    def _repr_html_(self) -> str:
        from cortex_sim.viz import notebook

        return notebook.settled(
            self,
            f"torch, in batches {self.unrolled or 'at equilibrium'}",
            sum(p.numel() for p in self.parameters()),
        )

    def state(self) -> State:
        """Everything that the model has learned; see `cortex_sim.state.State`."""
        return weights.state(self)

    @known_arguments("model.load_state")
    def load_state(self, given: State) -> None:
        """Load the state of the same network, trained on torch, on brian2, or under another rule."""
        weights.load_state(self, given)
