"""The weight update that a credit network was trained with: learning rates and schedule, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cortex_sim.checks import look_up, require_finite
from cortex_sim.errors import DeclarationError

if TYPE_CHECKING:
    from cortex_sim.credit.saving import TrainedCredit

#: Number of parts of each kind of step: a normalised step and Adam's, or Adam's only.
PARTS = {"mixed": 2, "adam": 1}
_SETTINGS = ("name", "rate", "fall")


@dataclass(frozen=True)
class TrainedStep:
    """Learning rates and schedule from an outer loop; equations in `cortex_sim.tdca.inner.step`.

    Parameters
    ----------
    name : {"mixed", "adam"}
        Kind of step.
    rate : nested sequence of shape (role, part, 2)
        Logarithm of the learning rate for runs of 100 steps, and its slope over the logarithm of the number
        of steps; role 0 is hidden populations, role 1 the top.
    fall : nested sequence of shape (role, part)
        How the learning rate falls towards the end of training.
    """

    name: str
    rate: tuple[Any, ...]
    fall: tuple[Any, ...]

    def __post_init__(self) -> None:
        parts = look_up("trained step", self.name, PARTS)
        try:
            rate = tuple(tuple((float(r), float(s)) for r, s in role) for role in self.rate)
            fall = tuple(tuple(float(f) for f in role) for role in self.fall)
        except (TypeError, ValueError):
            rate, fall = (), ()
        if [len(role) for role in rate] != [parts] * 2 or [len(role) for role in fall] != [parts] * 2:
            raise DeclarationError(
                f"trained step {self.name}: rate must have shape (2, {parts}, 2) and fall (2, {parts}), with "
                f"hidden populations and the top on the first axis. Got {self.rate!r} and {self.fall!r}"
            )
        for role in (*rate, fall):
            for values in role:
                require_finite("trained step", **{f"value {i}": v for i, v in enumerate(values)})
        object.__setattr__(self, "rate", rate)
        object.__setattr__(self, "fall", fall)

    def to_data(self) -> dict[str, Any]:
        """As lossless plain data."""
        rate = [[list(part) for part in role] for role in self.rate]
        return {"name": self.name, "rate": rate, "fall": [list(role) for role in self.fall]}

    @staticmethod
    def from_data(data: Any) -> TrainedStep:
        """Step from plain data written by `to_data`."""
        if not isinstance(data, Mapping) or set(data) != set(_SETTINGS):
            raise DeclarationError(f"step: needs {', '.join(_SETTINGS)}, as to_yaml writes them")
        return TrainedStep(**data)


def step_of(trained: TrainedCredit) -> TrainedStep | None:
    """The step that a credit network was trained with; None if its file contains none.

    A ``plain`` step is ordinary SGD and is not stored.
    """
    kept = trained.provenance("step")
    if not {"step_rate", "step_fall"} <= set(kept):
        return None
    named = trained.provenance("settings").get("step")
    name = named if isinstance(named, str) else trained.provenance("settings", "step").get("name", "mixed")
    return TrainedStep(name, kept["step_rate"], kept["step_fall"]) if name in PARTS else None
