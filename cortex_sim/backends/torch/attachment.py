"""The attachment of one optimiser to a model, so that the model acts after each of the optimiser's steps."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

from torch.optim import Optimizer

from cortex_sim.errors import RunError


class Attachment:
    """Holds only weak references to model and optimiser; ends with the optimiser, or by `end`."""

    def __init__(self) -> None:
        self._optimiser: weakref.ref[Optimizer] | None = None
        self._hooks: list[Any] = []
        self.divided = False  # whether ranks share the work after a step

    @property
    def holds(self) -> bool:
        """Whether an optimiser is attached."""
        return self._optimiser is not None and self._optimiser() is not None

    @property
    def decays(self) -> bool:
        """Whether the attached optimiser applies the declared decay of weights itself."""
        attached = None if self._optimiser is None else self._optimiser()
        return bool(getattr(attached, "decays", False))

    def begin(
        self,
        network: str,
        parameters: Iterable[Any],
        before_update: Callable[[], None],
        after_update: Callable[[], None],
        optimiser: Optimizer,
    ) -> None:
        """Call these two methods of the model before and after every step of ``optimiser``, and of no other.

        Raises
        ------
        RunError
            If it is not an optimiser, or has none of the model's parameters.
        """
        if not isinstance(optimiser, Optimizer):
            raise RunError(
                f"attach: give an optimiser of torch.optim, such as torch.optim.SGD(model.parameters(), "
                f"lr=0.1). Got {type(optimiser).__name__}"
            )
        own = {id(p) for p in parameters}
        if not any(id(p) in own for group in optimiser.param_groups for p in group["params"]):
            raise RunError(
                f"network {network}: the optimiser has none of this model's parameters; make it "
                "with model.parameters() of the model that it is attached to"
            )
        self.end()
        self._hooks = [
            optimiser.register_step_pre_hook(_following(before_update)),
            optimiser.register_step_post_hook(_following(after_update)),
        ]
        self._optimiser = weakref.ref(optimiser)

    def end(self) -> None:
        """Detach the optimiser, if any."""
        for hook in self._hooks:
            hook.remove()
        self._optimiser, self._hooks, self.divided = None, [], False

    def __deepcopy__(self, memo: Any) -> Attachment:
        """A copied model has no optimiser attached."""
        return Attachment()

    def __reduce__(self) -> tuple[type[Attachment], tuple[()]]:
        """A model sent to another process has no optimiser attached either."""
        return Attachment, ()


def _following(method: Callable[[], None]) -> Callable[..., None]:
    """A hook that calls a method of an object for as long as the object exists."""
    followed = weakref.WeakMethod(method)

    def act(*_: Any) -> None:
        present = followed()
        if present is not None:
            present()

    return act


def not_attached(network: str, acted_on: str, by: str) -> RunError:
    """The exception where weights must change after each step, but no optimiser is attached."""
    return RunError(
        f"network {network}: {acted_on} has {by}, which acts after each optimiser step; "
        "call model.attach(optimiser) once before training, for each optimiser"
    )
