"""Environments by name."""

from __future__ import annotations

from typing import Any

from cortex_sim.checks import look_up
from cortex_sim.errors import RunError
from cortex_sim.tdca.reinforcement.acrobot import Acrobot
from cortex_sim.tdca.reinforcement.cartpole import CartPole
from cortex_sim.tdca.reinforcement.choices import CardSorting, ContextChoice, MatchToSample
from cortex_sim.tdca.reinforcement.mountain_car import MountainCar
from cortex_sim.tdca.reinforcement.pendulum import Pendulum

ENVIRONMENTS: dict[str, type] = {
    "acrobot": Acrobot,
    "card_sorting": CardSorting,
    "cartpole": CartPole,
    "context_choice": ContextChoice,
    "match_to_sample": MatchToSample,
    "mountain_car": MountainCar,
    "pendulum": Pendulum,
}


def environment(name: str) -> Any:
    """The environment of this name.

    Raises
    ------
    RunError
        If there is none.
    """
    return look_up("environment", name, ENVIRONMENTS, RunError)()
